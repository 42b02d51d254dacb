//! What goes over the control socket: one JSON object a line each way.

use sampan_config::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// The protocol's version. A request of another version is refused.
pub const VERSION: u32 = 1;

/// A line longer than this is no request: the longest is a text to type.
pub const MAX_LINE: usize = 256 << 10;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// The machine's condition.
    Status,
    /// A picture; the answer's `png` is base64.
    Screenshot,
    /// Type a text.
    Type {
        /// The text.
        text: String,
    },
    /// Press keys together.
    Key {
        /// QEMU's names or their aliases.
        names: Vec<String>,
    },
    /// Put the pointer on a pixel.
    Pointer {
        /// From the left.
        x: u32,
        /// From the top.
        y: u32,
    },
    /// Press a button and let it go.
    Click {
        /// Its name.
        button: String,
    },
    /// Turn the wheel.
    Wheel {
        /// Notches towards the user.
        notches: i32,
    },
    /// Tell the guest its screen's size.
    Resize {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Halt the CPUs.
    Pause,
    /// Let them run.
    Resume,
    /// Press the reset button.
    Reset,
    /// Press the power button.
    Powerdown,
    /// End the machine.
    Quit,
    /// Turn this connection into the machine's serial port.
    Console,
    /// Save the machine's memory to its bundle and end it.
    Suspend,
    /// Keep the machine as it is now.
    Snapshot {
        /// What to call it.
        name: String,
        /// A remark.
        #[serde(default)]
        note: String,
        /// Leave its memory out.
        #[serde(default)]
        disks_only: bool,
    },
    /// Make a disk larger.
    Grow {
        /// The drive's id.
        drive: String,
        /// Bytes.
        size: u64,
    },
    /// Lead a port of the host to the guest.
    ForwardAdd {
        /// As `tcp:127.0.0.1:2222-22`.
        forward: String,
    },
    /// Take it away.
    ForwardRemove {
        /// As it was added.
        forward: String,
    },
    /// Change the performance mode.
    Mode {
        /// The mode.
        mode: Mode,
    },
    /// Slow the machine down because nobody looks at it, or end that.
    Background {
        /// Whether to.
        on: bool,
    },
    /// Let VNC clients in who know this.
    VncPassword {
        /// One to eight characters.
        password: String,
    },
    /// Run a program in the guest, by its agent.
    Exec {
        /// The program and its arguments.
        argv: Vec<String>,
        /// What it reads, base64.
        #[serde(default)]
        stdin: String,
        /// How long it may run, in seconds.
        timeout: u64,
    },
    /// Write a file in the guest, by its agent.
    Push {
        /// The file here, by its full name.
        from: PathBuf,
        /// The file there.
        to: String,
    },
    /// Read a file of the guest's, by its agent.
    Pull {
        /// The file there.
        from: String,
        /// The file here, by its full name, which must not be there yet.
        to: PathBuf,
    },
    /// Who answers in the guest.
    Agent,
}

impl Request {
    /// Whether it may take longer than a moment, so that it has one of the places for such.
    pub fn takes_long(&self) -> bool {
        matches!(
            self,
            Self::Type { .. }
                | Self::Console
                | Self::Suspend
                | Self::Snapshot { .. }
                | Self::Grow { .. }
                | Self::Exec { .. }
                | Self::Push { .. }
                | Self::Pull { .. }
        )
    }

    /// Whether it ends with its client: nobody else has any use of it, and it leaves the machine as it is.
    pub fn ends_with_its_client(&self) -> bool {
        matches!(self, Self::Exec { .. } | Self::Push { .. } | Self::Pull { .. } | Self::Agent)
    }
}

/// A request with the version it is written for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// See [`VERSION`].
    pub version: u32,
    /// The request itself.
    #[serde(flatten)]
    pub request: Value,
}

/// The answer: one of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// It took effect, with what it gives back.
    Ok(Value),
    /// It did not, in words.
    Error(String),
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, in words for the client.
pub fn parse(line: &[u8]) -> Result<Request, String> {
    let envelope: Envelope = serde_json::from_slice(line).map_err(|e| format!("this is no request: {e}"))?;
    if envelope.version != VERSION {
        return Err(format!(
            "version {} of the protocol is not spoken here, but {VERSION}",
            envelope.version
        ));
    }
    let request: Request =
        serde_json::from_value(envelope.request.clone()).map_err(|e| format!("this is no request: {e}"))?;
    // serde does not refuse unknown members beside a tag where the variant has none of its own.
    let known = serde_json::to_value(&request).map_err(|e| e.to_string())?;
    let unknown =
        envelope.request.as_object().into_iter().flat_map(|o| o.keys()).find(|k| known.get(k).is_none());
    match unknown {
        Some(member) => Err(format!("this is no request: {member:?} is not a member of it")),
        None => Ok(request),
    }
}

/// Writes one line.
pub fn line(request: &Request) -> Vec<u8> {
    let mut value = serde_json::to_value(request).unwrap_or(Value::Null);
    if let Some(object) = value.as_object_mut() {
        object.insert("version".into(), VERSION.into());
    }
    format!("{value}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_from_their_lines() {
        for request in [
            Request::Status,
            Request::Type { text: "a\nb\"".into() },
            Request::Key { names: vec!["ctrl".into(), "c".into()] },
            Request::Wheel { notches: -3 },
            Request::Mode { mode: Mode::Saver },
            Request::Background { on: true },
            Request::Resize { width: 800, height: 600 },
        ] {
            assert_eq!(parse(&line(&request)), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_in_words() {
        for (text, words) in [
            (r#"{"version": 2, "command": "status"}"#, "version 2"),
            (r#"{"version": 1, "command": "fly"}"#, "fly"),
            (r#"{"version": 1, "command": "pointer", "x": -1, "y": 0}"#, "no request"),
            (r#"{"version": 1, "command": "quit", "force": true}"#, "no request"),
            (r#"{"version": 1, "command": "mode", "mode": "fast"}"#, "no request"),
            (r#"{"command": "status"}"#, "version"),
            ("hello", "no request"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
