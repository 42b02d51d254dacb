//! Why something could not be done, with a code for programs and translations.

use crate::create::error::NewMachineError;
use crate::downloads::error::MediaError;
use crate::edit::error::EditError;
use crate::fault::{PictureFault, Unfit};
use crate::sentences::Sentence;
use crate::text::TextError;
use sampan_config::{Finding, HostKind, VmConfigError};
use sampan_control::{BindError, ClientError};
use sampan_download::{CatalogueError, DownloadError};
use sampan_emulator::{AcceleratorName, LaunchError};
use sampan_library::{DriveId, Error as LibraryError};
use sampan_message::{Coded, Message, Params, Reason};
use sampan_seed::SeedError;
use sampan_session::vm::VmError;
use sampan_trust::TrustError;
use std::path::PathBuf;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A running machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// A machine's description cannot be read.
    #[error("the machine {name}: {source}")]
    VmConfig {
        /// The machine.
        name: String,
        /// Why.
        source: VmConfigError,
    },
    /// libqemu or its firmware is missing.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The process of a running machine.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A machine's control socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A new machine that cannot be as it was chosen.
    #[error(transparent)]
    New(#[from] NewMachineError),
    /// What a system is to be told at its first start.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A download.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A medium.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A machine's parts.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// What is known of devices.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A file of text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The same in a file that a person named.
    #[error("{}: {source}", .file.display())]
    InFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// It would do damage to this host.
    #[error("{}", crate::sentences::all_of(.0))]
    Refused(Vec<Finding>),
    /// It might do damage: a person must confirm it.
    #[error("{}", crate::sentences::all_of(.0))]
    NeedsConfirm(Vec<Finding>),
    /// What a running machine, another process or a lower part said.
    #[error(transparent)]
    Told(Message),
    /// What was asked for needs a running machine.
    #[error("{name} does not run: start it first")]
    NotRunning {
        /// The machine.
        name: String,
    },
    /// It cannot be done while the machine runs.
    #[error("{name} runs: stop or suspend it first")]
    Runs {
        /// The machine.
        name: String,
    },
    /// It runs already.
    #[error("{name} runs already{}", viewer.as_ref().map_or_else(String::new, |at| format!(": {at}")))]
    RunsAlready {
        /// The machine.
        name: String,
        /// Where it is seen.
        viewer: Option<String>,
    },
    /// It is being started.
    #[error("{name} is being started already")]
    BeingStarted {
        /// The machine.
        name: String,
    },
    /// It is suspended, and its saved state fits it as it is.
    #[error(
        "{name} is suspended, and its saved state fits it as it is: start it, or give its saved state up"
    )]
    Suspended {
        /// The machine.
        name: String,
    },
    /// Nobody there would hear the power button.
    #[error("{name} is paused: resume it first, or end it by force")]
    Paused {
        /// The machine.
        name: String,
    },
    /// The guest did not shut down.
    #[error(
        "{name} has not shut down within {seconds} s: it may ask something on its screen, or ignore its power button; wait longer, or end it by force"
    )]
    NotShutDown {
        /// The machine.
        name: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// It was told to end and did not.
    #[error("{name} still runs after {seconds} s")]
    StillRuns {
        /// The machine.
        name: String,
        /// How long it was waited.
        seconds: u64,
    },
    /// Its process is not found.
    #[error("the process of {name} does not answer, and none of your processes is certain to be it")]
    ProcessUnknown {
        /// The machine.
        name: String,
    },
    /// Its process was killed and is still there.
    #[error(
        "process {pid}, which runs {name}, was killed and does not go: it waits for the system, such as for a disk"
    )]
    ProcessStays {
        /// The machine.
        name: String,
        /// The process.
        pid: u32,
    },
    /// Neither KVM, nor translation, nor the interpreter.
    #[error("nothing here can run a guest. {}", why_not(.reasons))]
    NoAccelerator {
        /// Why not, each.
        reasons: Vec<(AcceleratorName, Message)>,
    },
    /// A kind of process was chosen that cannot be had here.
    #[error("machines cannot run in a process of the kind {kind} here: {why}; choose another kind, or none")]
    NoHost {
        /// The kind.
        kind: HostKind,
        /// Why not.
        why: Message,
    },
    /// It did not start.
    #[error("{name} did not start: {why}")]
    NotStarted {
        /// The machine.
        name: String,
        /// The reason.
        why: Message,
    },
    /// Its supervisor ended without a word.
    #[error("the supervisor of {name} ended ({status}) before the machine ran{}", log.as_ref().map_or_else(String::new, |log| format!(", see {log}")))]
    SupervisorEnded {
        /// The machine.
        name: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: Option<String>,
    },
    /// No such drive.
    #[error("{name} has no drive {drive}")]
    NoDrive {
        /// The machine.
        name: String,
        /// The drive.
        drive: DriveId,
    },
    /// What was given does not fit. What is wrong has a code of its own.
    #[error("{why}")]
    Unfit {
        /// The field, as in the machine's description.
        field: &'static str,
        /// What is wrong.
        why: Message,
    },
    /// There is no picture.
    #[error("the machine does not run, and no snapshot of it has a picture")]
    NoPicture,
    /// A picture cannot be read.
    #[error("the machine's picture cannot be read: {0}")]
    BadPicture(PictureFault),
    /// The system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// It was cancelled.
    #[error("it was cancelled")]
    Cancelled,
    /// Work has panicked.
    #[error("a thread that works for the machine has failed; see the log")]
    Thread,
}

fn why_not(reasons: &[(AcceleratorName, Message)]) -> String {
    reasons.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; ")
}

impl From<sampan_library::NameError> for Error {
    fn from(e: sampan_library::NameError) -> Self {
        Self::Library(e.into())
    }
}

impl Error {
    /// The system refused `what`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// A sentence of its own.
    pub fn saying(sentence: &Sentence) -> Self {
        Self::Told(Message::saying(sentence))
    }

    /// A value of a field does not fit.
    pub fn unfit(field: &'static str, why: &Unfit) -> Self {
        Self::Unfit { field, why: Message::of(why) }
    }

    /// Whether it was cancelled, by whomever.
    pub fn is_cancelled(&self) -> bool {
        // Of one that came over the wire the message has the code.
        self.message().code == "cancelled"
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Library(error) => error.code(),
            Self::Vm(error) => error.code(),
            Self::VmConfig { source, .. } => source.code(),
            Self::Launch(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Bind(error) => error.code(),
            Self::New(error) => error.code(),
            Self::Seed(error) => error.code(),
            Self::Download(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Media(error) => error.code(),
            Self::Edit(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Text(error) => error.code(),
            Self::InFile { source, .. } => source.code(),
            // The findings' own codes are in the message of the first.
            Self::Refused(_) | Self::Told(_) => "refused",
            Self::NeedsConfirm(_) => "needs_confirm",
            Self::NotRunning { .. } => "not_running",
            Self::Runs { .. } => "runs",
            Self::RunsAlready { .. } => "runs_already",
            Self::BeingStarted { .. } => "being_started",
            Self::Suspended { .. } => "suspended",
            Self::Paused { .. } => "paused",
            Self::NotShutDown { .. } => "not_shut_down",
            Self::StillRuns { .. } => "still_runs",
            Self::ProcessUnknown { .. } => "process_unknown",
            Self::ProcessStays { .. } => "process_stays",
            Self::NoAccelerator { .. } => "no_accelerator",
            Self::NoHost { .. } => "no_host",
            Self::NotStarted { .. } => "not_started",
            Self::SupervisorEnded { .. } => "supervisor_ended",
            Self::NoDrive { .. } => "no_drive",
            Self::Unfit { .. } => "invalid",
            Self::NoPicture => "no_picture",
            Self::BadPicture(_) => "bad_picture",
            Self::Io { .. } => "io",
            Self::Cancelled => "cancelled",
            Self::Thread => "internal",
        }
    }

    fn params(&self) -> Params {
        let params = Params::new();
        match self {
            Self::Library(error) => error.params(),
            Self::Vm(error) => error.params(),
            Self::VmConfig { name, source } => source.params().with("name", name.as_str()),
            Self::Launch(error) => error.params(),
            Self::Client(error) => error.params(),
            Self::Bind(error) => error.params(),
            Self::New(error) => error.params(),
            Self::Seed(error) => error.params(),
            Self::Download(error) => error.params(),
            Self::Catalogue(error) => error.params(),
            Self::Media(error) => error.params(),
            Self::Edit(error) => error.params(),
            Self::Trust(error) => error.params(),
            Self::Text(error) => error.params(),
            Self::InFile { file, source } => source.params().with("path", file.as_path()),
            Self::Refused(findings) => {
                findings.first().map(|finding| finding.message.params.clone()).unwrap_or_default()
            }
            Self::NeedsConfirm(findings) => {
                // With the first finding's values, so that a face can tell it with its figures.
                let codes: Vec<&str> = findings.iter().map(|finding| &*finding.message.code).collect();
                let first =
                    findings.first().map(|finding| finding.message.params.clone()).unwrap_or_default();
                first.with("codes", codes.join(" "))
            }
            Self::Told(message) => message.params.clone(),
            Self::NotRunning { name }
            | Self::Runs { name }
            | Self::BeingStarted { name }
            | Self::Suspended { name }
            | Self::Paused { name }
            | Self::ProcessUnknown { name } => params.with("name", name.as_str()),
            Self::RunsAlready { name, viewer } => {
                params.with("name", name.as_str()).with("viewer", viewer.as_deref().unwrap_or_default())
            }
            Self::NotShutDown { name, seconds } | Self::StillRuns { name, seconds } => {
                params.with("name", name.as_str()).with("seconds", *seconds)
            }
            Self::ProcessStays { name, pid } => params.with("name", name.as_str()).with("pid", *pid),
            Self::NoHost { kind, why } => {
                params.and(why.as_reason()).with("host", kind.name()).with("why", &*why.message)
            }
            // The code of each reason under its accelerator's name.
            Self::NoAccelerator { reasons } => {
                reasons.iter().fold(params.with("reasons", why_not(reasons)), |params, (name, why)| {
                    let name = match name {
                        AcceleratorName::Kvm => "kvm",
                        AcceleratorName::Tcg => "tcg",
                        AcceleratorName::Tci => "tci",
                    };
                    params.with(name, &*why.code)
                })
            }
            Self::NotStarted { name, why } => {
                params.with("name", name.as_str()).with("why", why.message.as_str())
            }
            Self::SupervisorEnded { name, status, log } => params
                .with("name", name.as_str())
                .with("status", status.as_str())
                .with("log", log.as_deref().unwrap_or_default()),
            Self::NoDrive { name, drive } => params.with("name", name.as_str()).with("drive", drive.as_str()),
            Self::Unfit { field, why } => why.as_reason().with("field", *field),
            Self::BadPicture(why) => why.params(),
            Self::Io { what, source } => params.with("what", what.as_str()).with("why", source.to_string()),
            Self::NoPicture | Self::Cancelled | Self::Thread => params,
        }
    }

    fn message(&self) -> Message {
        match self {
            Self::Told(message) => message.clone(),
            Self::Refused(findings) => Message {
                code: findings.first().map_or("refused".into(), |finding| finding.message.code.clone()),
                params: self.params(),
                message: self.to_string(),
            },
            Self::Client(error) => error.message(),
            // The reason's code is what a face can act by.
            Self::NotStarted { why, .. } => {
                Message { code: why.code.clone(), params: why.params.clone(), message: self.to_string() }
            }
            other => {
                Message { code: other.code().into(), params: other.params(), message: other.to_string() }
            }
        }
    }
}
