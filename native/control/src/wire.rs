//! Lines: how requests and answers are written and read.

use crate::{Progress, Reply, Request, Status};
use sampan_message::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The protocol's version. Requests of another version are refused.
pub const VERSION: u32 = 2;

/// The longest request in bytes: the longest there is carries a text to type, or what a program reads.
pub const MAX_REQUEST: usize = 24 << 20;

/// The longest answer in bytes: a picture of 8192×4320 pixels in base64, if it compresses to half.
pub const MAX_ANSWER: usize = 72 << 20;

/// What a client sends.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientLine {
    /// A request.
    Request(Request),
    /// The request that is being worked on is to be given up.
    Cancel,
}

/// What a machine sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerLine {
    /// The answer.
    Ok(Reply),
    /// Why there is none.
    Error(Message),
    /// How far the work is; the answer is still to come.
    Progress(Progress),
    /// The condition of a machine that is watched.
    Status(Box<Status>),
}

/// Why a line of a client's is no request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// It is of another version. The first one's clients read the error as a text.
    #[error(
        "version {0} of the control protocol is not spoken here, but {VERSION}: use the Sampan that started the machine, or restart the machine with this one"
    )]
    Version(u64),
    /// It is something else.
    #[error("this is not a request: {0}")]
    Invalid(String),
}

impl sampan_message::Coded for ParseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Version(_) => "protocol_version",
            Self::Invalid(_) => "invalid_request",
        }
    }

    fn params(&self) -> sampan_message::Params {
        let params = sampan_message::Params::new();
        match self {
            Self::Version(version) => params.with("version", *version).with("spoken", VERSION),
            Self::Invalid(why) => params.with("why", why.as_str()),
        }
    }
}

/// Reads a line of a client's.
///
/// # Errors
/// [`ParseError`]. Unknown commands and members are refused, so that a misspelt one is not ignored.
pub fn parse(line: &[u8]) -> Result<ClientLine, ParseError> {
    let invalid = |error: serde_json::Error| ParseError::Invalid(error.to_string());
    let mut object: serde_json::Map<String, Value> = serde_json::from_slice(line).map_err(invalid)?;
    let version = object.remove("version");
    match version.as_ref().map(Value::as_u64) {
        Some(Some(version)) if version == u64::from(VERSION) => {}
        Some(Some(other)) => return Err(ParseError::Version(other)),
        _ => return Err(ParseError::Invalid("its version is missing".into())),
    }
    if object.get("command").is_some_and(|command| command == "cancel") && object.len() == 1 {
        return Ok(ClientLine::Cancel);
    }
    let members: Vec<String> = object.keys().cloned().collect();
    let request: Request = serde_json::from_value(Value::Object(object)).map_err(invalid)?;
    // serde ignores unknown members of an internally tagged enum.
    let known = known_members(&request);
    match members.into_iter().find(|member| !known.contains(&member.as_str())) {
        Some(member) => Err(ParseError::Invalid(format!("{member:?} is not one of its members"))),
        None => Ok(ClientLine::Request(request)),
    }
}

/// Reads a request.
///
/// # Errors
/// [`ParseError`]; a cancellation is none.
pub fn parse_request(line: &[u8]) -> Result<Request, ParseError> {
    match parse(line)? {
        ClientLine::Request(request) => Ok(request),
        ClientLine::Cancel => Err(ParseError::Invalid("there is nothing to cancel".into())),
    }
}

/// All members that a request of this kind may have.
fn known_members(request: &Request) -> &'static [&'static str] {
    match request {
        Request::Status
        | Request::Watch
        | Request::Pause
        | Request::Resume
        | Request::Reset
        | Request::Powerdown
        | Request::Quit
        | Request::Console
        | Request::Suspend
        | Request::StreamOff
        | Request::StreamPair
        | Request::StreamUnpublish
        | Request::Agent => &["command"],
        Request::Screenshot { .. } => &["command", "display"],
        Request::Thumbnail { .. } => &["command", "width"],
        Request::Type { .. } => &["command", "text"],
        Request::Key { .. } => &["command", "names"],
        Request::Pointer { .. } => &["command", "x", "y"],
        Request::Click { .. } => &["command", "button"],
        Request::Wheel { .. } => &["command", "notches"],
        Request::Resize { .. } => &["command", "width", "height"],
        Request::Snapshot { .. } => &["command", "name", "note", "disks_only"],
        Request::SnapshotEdit { .. } => &["command", "snapshot", "name", "note"],
        Request::SnapshotDelete { .. } => &["command", "snapshot"],
        Request::Rename { .. } => &["command", "name"],
        Request::Configure { .. } => &["command", "sections"],
        Request::Insert { .. } => &["command", "drive", "medium", "force"],
        Request::Grow { .. } => &["command", "drive", "size"],
        Request::ForwardAdd { .. } | Request::ForwardRemove { .. } => &["command", "forward"],
        Request::Mode { .. } => &["command", "mode"],
        Request::Background { .. } => &["command", "on"],
        Request::VncPassword { .. } => &["command", "password"],
        Request::Exec { .. } => &["command", "argv", "stdin", "timeout"],
        Request::Push { .. } => &["command", "from", "to", "name"],
        Request::Pull { .. } => &["command", "from", "to"],
        Request::ClipboardGet { .. } => &["command", "kind"],
        Request::StreamOn { .. } => &["command", "address", "port", "lasting"],
        Request::StreamPublish { .. } => &["command", "url", "token", "plain_http", "ca_file"],
        Request::StreamAnswer { .. } => &["command", "request", "rights"],
        Request::StreamKick { .. } | Request::StreamGive { .. } => &["command", "viewer"],
        Request::StreamRevoked { .. } => &["command", "device"],
        Request::Sound { .. } => &["command", "volume", "muted", "microphone"],
        Request::SoundStream { .. } => &["command", "play", "record"],
        Request::ClipboardSet { .. } => &["command", "kind", "data", "secret"],
    }
}

/// A request as a line.
///
/// # Errors
/// A file's name in it is not Unicode text.
pub fn request_line(request: &Request) -> Result<Vec<u8>, serde_json::Error> {
    Ok(versioned(serde_json::to_value(request)?))
}

/// A cancellation as a line.
pub fn cancel_line() -> Vec<u8> {
    versioned(serde_json::json!({ "command": "cancel" }))
}

fn versioned(mut value: Value) -> Vec<u8> {
    if let Some(object) = value.as_object_mut() {
        object.insert("version".into(), VERSION.into());
    }
    format!("{value}\n").into_bytes()
}

impl ServerLine {
    /// As a line.
    pub fn to_line(&self) -> Vec<u8> {
        // Every key of every map in it is a string.
        let mut line =
            serde_json::to_vec(self).expect("its maps have strings as keys, so it can be serialized");
        line.push(b'\n');
        line
    }

    /// An error as clients of the first version read it.
    pub fn first_version_error(text: &str) -> Vec<u8> {
        format!("{}\n", serde_json::json!({ "error": text })).into_bytes()
    }

    /// Reads a line of a machine's. One that speaks the first version tells its errors as a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Old {
            error: String,
        }
        serde_json::from_slice(line).or_else(|error| match serde_json::from_slice(line) {
            Ok(Old { error }) => Ok(Self::Error(Message::new("protocol_version", error))),
            Err(_) => Err(error),
        })
    }
}
