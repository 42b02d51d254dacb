//! What a machine answers.

use sampan_config::{Arch, ClipboardPolicy, Mode};
use sampan_message::Message;
use sampan_trust::sharing::{PairCode, Sharing, Viewer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{ClipboardKind, Progress};

/// An answer. Bytes are base64 on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// It took effect.
    Done,
    /// The machine's condition.
    Status(Box<Status>),
    /// A picture of the screen.
    Picture(Picture),
    /// A snapshot was taken.
    Snapshot {
        /// Its id.
        id: String,
    },
    /// When changes of the description take effect.
    Applied(Applied),
    /// What a change of performance did.
    Effect(Effect),
    /// A program in the guest has ended.
    Execution(Execution),
    /// A file was copied.
    Copied {
        /// Its length.
        bytes: u64,
        /// Where in the guest it is, where the request did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<GivenTo>,
    },
    /// Who answers in the guest.
    Agent(AgentInfo),
    /// What is in the guest's clipboard.
    Clipboard(ClipboardContent),
    /// How the screen is shown to other devices.
    Sharing(Sharing),
    /// A code that pairs one device.
    PairCode(PairCode),
    /// How the stream is published.
    Publishing(Publishing),
}

/// How a machine's stream is published to a media server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    /// The media server's address, as it was given. It may hold a secret.
    pub url: String,
    /// How far it is.
    pub state: PublishState,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// What is sent: `h264` or `vp8`; `None` where the server has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// What went wrong last, until it is live again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Message>,
    /// When it is tried again, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
}

/// How far publishing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishState {
    /// The server has taken the offer; no media flows yet.
    Connecting,
    /// Media flows.
    Live,
    /// It is tried again later.
    Waiting,
    /// The server does not take it: it is not tried again.
    Refused,
}

/// Where in the guest a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenTo {
    /// Where the desktop's user keeps downloads, or on the desktop: the agent there chose.
    Downloads,
    /// The file of this full name.
    Path(String),
    /// In a folder that the host shares with the guest, which was the quickest way.
    Shared {
        /// The folder's tag.
        tag: String,
        /// The file's name in it.
        name: String,
        /// Its full name in the guest, where the guest's agent tells where the folder is mounted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
}

impl GivenTo {
    /// The file's full name in the guest; empty for the downloads, `9p:TAG/NAME` where nobody tells where the folder is mounted.
    pub fn place(self) -> String {
        match self {
            Self::Downloads => String::new(),
            Self::Path(path) | Self::Shared { path: Some(path), .. } => path,
            Self::Shared { tag, name, path: None } => format!("9p:{tag}/{name}"),
        }
    }
}

/// The state of a machine that runs or is being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is being started.
    Starting,
    /// It is there, halted before its first instruction.
    Ready,
    /// Its CPUs run.
    Running,
    /// Its CPUs are halted.
    Paused,
    /// The guest has powered off; a reset starts it again.
    PoweredOff,
    /// It has ended, and its process is about to.
    Ended,
}

impl State {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::PoweredOff => "powered-off",
            Self::Ended => "ended",
        }
    }
}

/// What a machine says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// More in words for a person, such as why QEMU paused it; may be empty.
    pub detail: String,
    /// The rest, once it has been started.
    #[serde(flatten)]
    pub facts: Option<Facts>,
}

impl Status {
    /// The condition of a machine that is being started: no more is known of it.
    pub fn starting(name: String) -> Self {
        Self { name, state: State::Starting, detail: String::new(), facts: None }
    }
}

/// Who has halted the CPUs of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PausedBy {
    /// A person, or whoever acts for one.
    Person,
    /// The host's disk: it is full, nearly full, or has failed.
    Disk,
}

/// What is known of a machine once it has been started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The guest's architecture.
    pub arch: Arch,
    /// Its memory.
    pub memory_mib: u32,
    /// Its CPUs.
    pub cpus: u32,
    /// What runs its CPUs: `kvm` or `tcg`.
    pub accelerator: String,
    /// QEMU's version.
    pub qemu: String,
    /// The process that QEMU runs in, where it is not the one that answers.
    pub pid: Option<u32>,
    /// Seconds since the start.
    pub seconds: u64,
    /// Width and height of the guest's screen in pixels, if it shows anything.
    pub size: Option<[u32; 2]>,
    /// The same of each display; `null` for one that is dark, as each beyond the first is while nobody sees it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub displays: Vec<Option<[u32; 2]>>,
    /// Whether the guest has an absolute pointing device now.
    pub absolute_pointer: bool,
    /// Whether it is halted for a part of the time because nobody looks at it.
    pub slowed: bool,
    /// Who has halted it, while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<PausedBy>,
    /// Whether all that the guest writes in this run is thrown away at its end.
    #[serde(default)]
    pub throw_away: bool,
    /// Who answers in the guest, where somebody does. It is asked now and then, while its condition is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentInfo>,
    /// The performance mode; `None` for a machine that is not in the library.
    pub mode: Option<Mode>,
    /// What the system did not do of that mode, in words.
    pub mode_refused: Option<Vec<Message>>,
    /// Whether it is taken to be in the background.
    pub background: Option<bool>,
    /// Why its memory cannot be saved as it is; empty where it can, or is not asked.
    #[serde(default)]
    pub state_blockers: Vec<Message>,
    /// The guest's clipboard; `None` for a machine without the port for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipboard: Option<ClipboardInfo>,
    /// The guest's sound; `None` for a machine without a sound card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<SoundInfo>,
    /// What the guest exchanges with its owner, and what it lacks for that; empty for a machine that is not in the library.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<FeatureInfo>,
    /// What is being saved or loaded at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The viewer's address, which holds its secret; `None` where nothing is streamed.
    pub viewer: Option<String>,
    /// Figures of the stream, as `docs/streaming.md` tells them.
    pub stream: Option<serde_json::Value>,
    /// How the screen is shown to other devices; `None` where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Those who see the screen by a browser, on this host and elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub viewers: Vec<Viewer>,
    /// How the stream is published to a media server; `None` where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishing: Option<Publishing>,
    /// What the display had to refuse so far, by kind.
    pub display_faults: BTreeMap<String, u64>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// The picture as PNG.
    #[serde(with = "base64_bytes")]
    pub png: Vec<u8>,
}

/// When changes of a description take effect, by section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Sections whose changes have taken effect.
    pub now: Vec<String>,
    /// Sections in which something waits for the next start.
    pub next_start: Vec<String>,
}

/// What a change of performance did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// What was done, as the system tells it afterwards.
    pub done: Vec<String>,
    /// What was not done, and why.
    pub refused: Vec<Message>,
    /// The time that the threads of the guest's CPUs took in the second before, in per cent of one core.
    pub before: u32,
    /// The same in the second after.
    pub after: u32,
}

/// How a program in the guest ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its exit code, if it ended by itself.
    pub code: Option<i64>,
    /// The signal that ended it, or the exception code on Windows.
    pub signal: Option<i64>,
    /// Whether some of its output is missing.
    pub truncated: bool,
    /// What it wrote to stdout.
    #[serde(with = "base64_bytes")]
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    #[serde(with = "base64_bytes")]
    pub stderr: Vec<u8>,
}

/// Who answers in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The agent's version.
    pub version: String,
    /// The guest's system in words, if it tells.
    pub system: Option<String>,
    /// The system's short name, as `ID` of os-release(5) has it: `debian`, `mswindows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The guest's addresses in its networks.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// Something that a guest exchanges with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// The guest is heard.
    Sound,
    /// It hears the microphone.
    Microphone,
    /// Its clipboard is shared.
    Clipboard,
    /// It is given files.
    Files,
    /// Its screen has the size that its viewer wants.
    Sizes,
    /// Programs are run in it, its addresses are known, it shuts down when it is asked to.
    Agent,
}

/// How it is with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureState {
    /// All that it needs is there.
    Works,
    /// The guest's own driver does it, where the guest has one.
    ByDriver,
    /// A setting has turned it off.
    Off,
    /// The machine lacks the device for it, which it gets by a setting.
    NoDevice,
    /// Nobody answers in the guest: a program is not installed there, or does not run.
    NoAgent,
    /// It depends on the guest, which does not run.
    NotKnown,
}

/// A kind of system, by how programs are installed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestSystem {
    /// Debian, Ubuntu and their kin.
    Debian,
    /// Fedora, Rocky and their kin.
    Fedora,
    /// openEuler.
    OpenEuler,
    /// Alpine.
    Alpine,
    /// Windows.
    Windows,
}

/// What to do in a guest for a program that it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// Where.
    pub system: GuestSystem,
    /// What to type as the guest's administrator; on Windows the program to run, of virtio-win's CD.
    pub line: String,
}

/// How a guest exchanges something with its owner, or what it lacks for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureInfo {
    /// What.
    pub feature: Feature,
    /// How it is with it.
    pub state: FeatureState,
    /// The setting that has turned it off, or gives the machine the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do in the guest: one entry where it is known which system it is, else one for each that it may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub install: Vec<Install>,
}

/// What is in a guest's clipboard.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipboardContent {
    /// What it is.
    pub kind: ClipboardKind,
    /// It.
    #[serde(with = "base64_bytes")]
    pub data: Vec<u8>,
}

impl std::fmt::Debug for ClipboardContent {
    /// A clipboard may hold a secret, and a log lasts.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClipboardContent({:?}, {} bytes)", self.kind, self.data.len())
    }
}

/// What is known of a guest's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoundInfo {
    /// Whether the guest plays, be it silence.
    pub playing: bool,
    /// Whether the guest records, be it silence.
    pub recording: bool,
    /// How loud it is, in per cent.
    pub volume: u8,
    /// Whether it is silent, whatever its volume.
    pub muted: bool,
    /// Whether the guest may listen to the microphone.
    pub microphone: bool,
}

/// What is known of a guest's clipboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipboardInfo {
    /// Whether an agent answers in the guest.
    pub agent: bool,
    /// Which way it is shared.
    pub policy: ClipboardPolicy,
    /// What a program of the guest's has copied, as far as it may be taken.
    pub kinds: Vec<ClipboardKind>,
    /// How often one has since the start.
    pub copied: u64,
    /// Whether the same agent takes files.
    #[serde(default)]
    pub files: bool,
    /// Whether it sets the size of the guest's screen.
    #[serde(default)]
    pub sizes: bool,
}

/// Bytes as base64 (RFC 4648, section 4).
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}
