//! The values that cross, and how they are made of the core's. Sizes are in bytes, memory in MiB, times in milliseconds
//! since 1970 where they are moments.

use crate::promise::params;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use sampan_config as config;
use sampan_manager::{self as manager, MachineState};
use std::collections::HashMap;

/// Something that a person is told. A page says it in its own language by the code; the text is English.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct Message {
    /// Its kind, which is never renamed.
    pub code: String,
    /// The values it is made of.
    pub params: HashMap<String, napi::Either<String, f64>>,
    /// The text, for logs.
    pub message: String,
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        // The text is made of the values.
        (&self.code, &self.message) == (&other.code, &other.message)
    }
}

impl From<&sampan_message::Message> for Message {
    fn from(message: &sampan_message::Message) -> Self {
        Self { code: message.code.to_string(), params: params(message), message: message.message.clone() }
    }
}

/// Messages, converted.
pub(crate) fn messages(all: &[sampan_message::Message]) -> Vec<Message> {
    all.iter().map(Message::from).collect()
}

/// A number as JavaScript has them: whole up to 2^53, which no size here exceeds.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A moment in milliseconds of one in seconds since 1970.
pub(crate) fn ms(seconds: u64) -> i64 {
    int(seconds.saturating_mul(1000))
}

/// How far work is.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What is being done: `download`, `copy`, `memory`.
    pub phase: String,
    /// What is done, in bytes where it is not said otherwise.
    pub done: i64,
    /// What there is to do; 0 where that is not known.
    pub total: i64,
    /// How much was done in the last second, once that is known.
    pub per_second: Option<i64>,
    /// About how long it will take, in milliseconds, where that is known.
    pub left: Option<i64>,
}

/// A job in a list.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct JobInfo {
    /// Its id.
    pub id: String,
    /// What it does: `start`, `create`, `download`.
    pub kind: String,
    /// The machine it concerns.
    pub machine: Option<String>,
    /// The name of a medium, or of a machine that is not there yet.
    pub name: Option<String>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Whether it goes on, rests or has failed.
    pub state: JobState,
    /// Whether it can be paused where it is now.
    pub can_pause: bool,
    /// Why it has failed.
    pub error: Option<Message>,
}

/// The state of a job.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JobState {
    /// It goes on.
    Running,
    /// It rests until it is resumed.
    Paused,
    /// It has failed, and waits to be discarded.
    Failed,
    /// It is done: listed no more, and told as an event once.
    Done,
    /// It was cancelled: listed no more, and told as an event once.
    Cancelled,
}

impl From<&manager::JobInfo> for JobInfo {
    fn from(job: &manager::JobInfo) -> Self {
        let progress = job.progress.as_ref().map(|progress| Progress {
            phase: progress.phase.to_string(),
            done: int(progress.done),
            total: int(progress.total),
            ..Progress::default()
        });
        Self {
            id: job.id.to_string(),
            kind: job.kind.clone(),
            machine: job.machine.clone(),
            name: job.name.clone(),
            progress,
            state: match job.error {
                Some(_) => JobState::Failed,
                None if job.paused => JobState::Paused,
                None => JobState::Running,
            },
            can_pause: job.can_pause && !job.paused,
            error: job.error.as_ref().map(Message::from),
        }
    }
}

/// A file that a picker has opened. It is copied at once: the page may close it once the call or `run` has settled.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct FileRef {
    /// The descriptor.
    pub fd: i32,
    /// The file's name, with its ending.
    pub name: String,
}

/// A picture, as a PNG file: `image.createImageSource` reads it.
#[napi(object, object_from_js = false)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// The file.
    pub png: Uint8Array,
}

impl From<sampan_control::Picture> for Picture {
    fn from(picture: sampan_control::Picture) -> Self {
        Self { width: picture.width, height: picture.height, png: Uint8Array::from(picture.png) }
    }
}

/// The processor of a guest.
#[napi(string_enum)]
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(non_camel_case_types, reason = "these are the names that pages see")]
pub enum Arch {
    /// 64-bit Arm.
    aarch64,
    /// A 64-bit PC.
    x86_64,
}

impl From<config::Arch> for Arch {
    fn from(arch: config::Arch) -> Self {
        match arch {
            config::Arch::Aarch64 => Self::aarch64,
            config::Arch::X86_64 => Self::x86_64,
        }
    }
}

impl From<Arch> for config::Arch {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::aarch64 => Self::Aarch64,
            Arch::x86_64 => Self::X86_64,
        }
    }
}

/// What a machine is for.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    /// Linux, and other systems with virtio drivers.
    Linux,
    /// Windows 11.
    Windows11,
    /// Windows 10.
    Windows10,
    /// Android.
    Android,
    /// Another 64-bit system.
    Other,
    /// A 32-bit or old system.
    Old,
}

impl From<config::Preset> for Preset {
    fn from(preset: config::Preset) -> Self {
        match preset {
            config::Preset::Linux => Self::Linux,
            config::Preset::Windows11 => Self::Windows11,
            config::Preset::Windows10 => Self::Windows10,
            config::Preset::Android => Self::Android,
            config::Preset::Other => Self::Other,
            config::Preset::Old => Self::Old,
        }
    }
}

impl From<Preset> for config::Preset {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Linux => Self::Linux,
            Preset::Windows11 => Self::Windows11,
            Preset::Windows10 => Self::Windows10,
            Preset::Android => Self::Android,
            Preset::Other => Self::Other,
            Preset::Old => Self::Old,
        }
    }
}

/// The state of a machine.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// It does not run.
    Off,
    /// It does not run, and goes on where it was when it is started.
    Suspended,
    /// It is being started.
    Starting,
    /// It is there, halted before its first instruction.
    Ready,
    /// Its CPUs run.
    Running,
    /// Its CPUs are halted.
    Paused,
    /// Its memory is being saved.
    Saving,
    /// The guest has powered off.
    PoweredOff,
    /// It is about to end.
    Ending,
    /// It does not run, and QEMU died in its last run.
    Crashed,
    /// Its process does not answer.
    Silent,
    /// Its bundle cannot be read.
    Broken,
}

impl State {
    fn of(summary: &manager::Summary) -> Self {
        match summary.state {
            MachineState::Stopped if summary.crash.is_some() => Self::Crashed,
            MachineState::Stopped => Self::Off,
            MachineState::Suspended => Self::Suspended,
            MachineState::Starting => Self::Starting,
            MachineState::Ready => Self::Ready,
            MachineState::Running => Self::Running,
            MachineState::Paused => Self::Paused,
            MachineState::PoweredOff => Self::PoweredOff,
            MachineState::Ending => Self::Ending,
            MachineState::Silent => Self::Silent,
            MachineState::Broken => Self::Broken,
        }
    }
}

/// A machine in a list. What cannot be read of a broken one is left out.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its name; of a broken one its id.
    pub name: String,
    /// Its state.
    pub state: State,
    /// More of it in English, such as why QEMU paused it; may be empty.
    pub detail: String,
    /// What it is for.
    pub preset: Option<Preset>,
    /// Its processor.
    pub arch: Option<Arch>,
    /// Its CPUs.
    pub cpus: Option<u32>,
    /// Its memory.
    pub memory: Option<u32>,
    /// What it takes of the disk.
    pub usage: Option<i64>,
    /// When it was made.
    pub created: Option<i64>,
    /// When it was last started, suspended or ended.
    pub last_used: Option<i64>,
    /// Whether all that the guest writes in this run is thrown away at its end.
    pub throw_away: bool,
    /// Whether there is a picture of it.
    pub picture: bool,
    /// Whether there is a report of how its last run crashed.
    pub report: bool,
}

impl From<&manager::Summary> for Summary {
    fn from(summary: &manager::Summary) -> Self {
        Self {
            id: summary.id.clone(),
            name: summary.name.clone().unwrap_or_else(|| summary.id.clone()),
            state: State::of(summary),
            detail: summary.detail.clone(),
            preset: summary.preset.map(Preset::from),
            arch: summary.arch.map(Arch::from),
            cpus: summary.cpus,
            memory: summary.memory_mib,
            usage: summary.usage.map(int),
            created: summary.created.map(ms),
            last_used: summary.last_used.map(ms),
            throw_away: summary.throw_away,
            picture: summary.picture.is_some(),
            report: summary.crash.as_ref().is_some_and(|crash| crash.report),
        }
    }
}

/// How much a machine may take.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Little: slow cores, low priority.
    Saver,
    /// As programs do.
    Standard,
    /// As much as there is.
    Turbo,
}

impl From<config::Mode> for Mode {
    fn from(mode: config::Mode) -> Self {
        match mode {
            config::Mode::Saver => Self::Saver,
            config::Mode::Standard => Self::Standard,
            config::Mode::Turbo => Self::Turbo,
        }
    }
}

impl From<Mode> for config::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Saver => Self::Saver,
            Mode::Standard => Self::Standard,
            Mode::Turbo => Self::Turbo,
        }
    }
}

/// Who has halted a machine's CPUs.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PausedBy {
    /// A person.
    Person,
    /// The host's disk, which is full, nearly full, or has failed.
    Disk,
}

/// A machine's condition: what a list tells, and what only a running one knows.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct Status {
    /// What a list tells.
    pub summary: Summary,
    /// What runs its CPUs: `kvm` or `tcg`.
    pub accelerator: Option<String>,
    /// When it was started.
    pub started: Option<i64>,
    /// The performance mode.
    pub mode: Option<Mode>,
    /// Whether it is halted for a part of the time because nobody looks at it.
    pub slowed: bool,
    /// Whether it is taken to be in the background.
    pub background: bool,
    /// Who has halted it, while it is paused.
    pub paused_by: Option<PausedBy>,
    /// Who answers in the guest, where somebody does. It is asked at most every ten seconds.
    pub agent: Option<Agent>,
    /// Width of the guest's screen in pixels.
    pub width: Option<u32>,
    /// Height of the guest's screen in pixels.
    pub height: Option<u32>,
    /// Its displays in the order of their numbers, lit or dark. Empty while it does not run.
    pub displays: Vec<DisplayInfo>,
    /// Whether the guest has an absolute pointing device.
    pub absolute: bool,
    /// Memory that is being saved or loaded.
    pub progress: Option<Progress>,
    /// Why its memory cannot be saved as it is.
    pub state_blockers: Vec<Message>,
}

/// A display of a running machine. One beyond the first is dark while nobody shows it.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayInfo {
    /// Its number, from 1.
    pub display: u32,
    /// Its width in pixels; nothing while it is dark.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
}

fn displays(sizes: &[Option<[u32; 2]>]) -> Vec<DisplayInfo> {
    let info = |(display, size): (u32, &Option<[u32; 2]>)| DisplayInfo {
        display,
        width: size.map(|[width, _]| width),
        height: size.map(|[_, height]| height),
    };
    (1..).zip(sizes).map(info).collect()
}

impl Status {
    /// A machine's, with what it says itself where it runs.
    pub(crate) fn of(summary: &manager::Summary, said: Option<&sampan_control::Status>) -> Self {
        let facts = said.and_then(|said| said.facts.as_ref());
        let progress = facts.and_then(|facts| facts.progress.as_ref());
        let mut summary = Summary::from(summary);
        if progress.is_some() && matches!(summary.state, State::Running | State::Paused) {
            summary.state = State::Saving;
        }
        let now = sampan_manager::time::now();
        Self {
            summary,
            accelerator: facts.map(|facts| facts.accelerator.clone()),
            started: facts.map(|facts| ms(now.saturating_sub(facts.seconds))),
            mode: facts.and_then(|facts| facts.mode).map(Mode::from),
            slowed: facts.is_some_and(|facts| facts.slowed),
            background: facts.and_then(|facts| facts.background).unwrap_or(false),
            paused_by: facts.and_then(|facts| facts.paused_by).map(|by| match by {
                sampan_control::PausedBy::Person => PausedBy::Person,
                sampan_control::PausedBy::Disk => PausedBy::Disk,
            }),
            agent: facts.and_then(|facts| facts.agent.as_ref()).map(Agent::from),
            width: facts.and_then(|facts| facts.size).map(|[width, _]| width),
            height: facts.and_then(|facts| facts.size).map(|[_, height]| height),
            displays: facts.map(|facts| displays(&facts.displays)).unwrap_or_default(),
            absolute: facts.is_some_and(|facts| facts.absolute_pointer),
            progress: progress.map(|progress| Progress {
                phase: progress.phase.to_string(),
                done: int(progress.done),
                total: int(progress.total),
                ..Progress::default()
            }),
            state_blockers: facts.map(|facts| messages(&facts.state_blockers)).unwrap_or_default(),
        }
    }
}

/// How grave a finding is.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Severity {
    /// It cannot be done.
    Refuse,
    /// A person must confirm it, by its code.
    Confirm,
    /// A person should know.
    Note,
}

/// What is found of a choice before it is made.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// The field of the description, such as `memory.mib`.
    pub field: String,
    /// What it is.
    pub message: Message,
    /// A value of the field without it.
    pub fix: Option<String>,
}

impl From<&config::Finding> for Finding {
    fn from(finding: &config::Finding) -> Self {
        Self {
            severity: match finding.severity {
                config::Severity::Refuse => Severity::Refuse,
                config::Severity::Confirm => Severity::Confirm,
                config::Severity::Note => Severity::Note,
            },
            field: finding.field.to_string(),
            message: Message::from(&finding.message),
            fix: finding.fix.clone(),
        }
    }
}

/// Findings, converted.
pub(crate) fn findings(all: &[config::Finding]) -> Vec<Finding> {
    all.iter().map(Finding::from).collect()
}

/// A machine that was made of a choice, of a file or of another machine.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct Arrived {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What a person must know of it: how to log in, what was left out of what it was made of.
    pub notes: Vec<Message>,
}

impl From<&manager::Arrived> for Arrived {
    fn from(arrived: &manager::Arrived) -> Self {
        let manager::Arrived { id, name, notes } = arrived;
        Self { id: id.to_string(), name: name.clone(), notes: messages(notes) }
    }
}

/// One change of a machine's description.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct Change {
    /// `section.field`, such as `memory.mib`; `name`; `cdrom`, a medium's name or null; `seed`, which null takes out.
    pub field: String,
    /// The value, as JSON.
    pub value: String,
}

impl From<Change> for manager::edit::Change {
    fn from(change: Change) -> Self {
        Self { field: change.field, value: change.value }
    }
}

/// What a person has confirmed, by codes.
pub(crate) fn confirmed(codes: Vec<String>) -> manager::Confirmed {
    manager::Confirmed::Codes(codes.into_iter().collect())
}

impl FileRef {
    /// The same open file under a descriptor of its own, taken before the call returns: the page may close its own then.
    pub(crate) fn lend(&self) -> Result<manager::Lent, manager::Error> {
        let file = sampan_emulator::duplicate(self.fd).map_err(|error| manager::Error::Io {
            what: format!("{}, descriptor {}", self.name, self.fd),
            source: error,
        })?;
        Ok(manager::Lent { file: file.into(), name: self.name.clone() })
    }
}

/// Who answers in a guest.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The agent's version.
    pub version: String,
    /// The guest's system, if it tells.
    pub system: Option<String>,
    /// The guest's addresses in its networks.
    pub addresses: Vec<String>,
}

impl From<&sampan_control::AgentInfo> for Agent {
    fn from(info: &sampan_control::AgentInfo) -> Self {
        let sampan_control::AgentInfo { version, system, addresses, id: _ } = info.clone();
        Self { version, system, addresses }
    }
}

/// How a program in the guest ended.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i64>,
    /// The signal that ended it, or the exception code on Windows.
    pub signal: Option<i64>,
    /// Whether some of its output is missing.
    pub truncated: bool,
    /// What it wrote to stdout, as text.
    pub stdout: String,
    /// What it wrote to stderr, as text.
    pub stderr: String,
}

/// An image in the library, which machines are made of.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct Medium {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: i64,
    /// The machines that name it.
    pub used_by: Vec<String>,
}

impl Medium {
    pub(crate) fn of(medium: &sampan_library::Medium) -> Self {
        Self { name: medium.name.clone(), size: int(medium.size), used_by: Vec::new() }
    }
}

/// A disk that was made of an image.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct Added {
    /// The drive's id.
    pub drive: String,
    /// What a person must know of it: what the image had and the disk has not.
    pub notes: Vec<Message>,
}
