//! What a machine can be told.

use crate::{Screenshot, SoundSettings, State};
use sampan_display::DisplayError;
use sampan_frame::{ReadError, Size};
use sampan_input::{Button, Event, Key};
use sampan_library::Progress;
use sampan_message::{Coded, Params};
use sampan_qmp::QmpError;
use sampan_vdagent::ClipboardError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Let the CPUs run.
    Resume,
    /// Halt the CPUs.
    Pause,
    /// The same because of the host's disk, with a reason that the status shows until they run again.
    PauseBecause(String),
    /// Press the machine's reset button. After the guest's power-off this starts it again.
    Reset,
    /// Press its power button: the guest is asked to shut down.
    Powerdown,
    /// End the machine now. Disks are flushed; the guest is not asked.
    Quit,
    /// What a display shows, counted from 0. One beyond the first is watched for it, and dark unless a viewer sees it.
    Screenshot(usize),
    /// Type a text on the guest's keyboard. One with characters that it does not have is pasted, where the guest has a clipboard agent.
    Type(String),
    /// Press these keys together, in this order, and let them go.
    Keys(Vec<Key>),
    /// Put the pointer on a pixel.
    Pointer {
        /// Pixels from the left edge.
        x: u32,
        /// Pixels from the top edge.
        y: u32,
    },
    /// Press a button and let it go.
    Click(Button),
    /// Turn the wheel by so many notches, positive towards the user.
    Wheel(i32),
    /// Tell the guest how large its screen is shown, in pixels.
    Resize(Size),
    /// One event as it is.
    Input(Event),
    /// Change how loud it is, and what the guest may hear.
    Sound(SoundSettings),
}

/// Told how far a long command is; false cancels it.
#[derive(Clone)]
pub struct ProgressFn(pub Arc<dyn Fn(Progress) -> bool + Send + Sync>);

impl ProgressFn {
    /// Nobody listens, nobody cancels.
    pub fn none() -> Self {
        Self(Arc::new(|_| true))
    }
}

impl fmt::Debug for ProgressFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressFn")
    }
}

/// What a command gives back.
#[derive(Debug)]
pub enum Reply {
    /// It took effect.
    Done,
    /// The picture.
    Screenshot(Screenshot),
}

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The machine is in a state that does not know this command.
    #[error("the machine is {state}: {remedy}")]
    State {
        /// The state.
        state: State,
        /// What to do.
        remedy: Remedy,
    },
    /// There is no picture.
    #[error("the guest shows nothing: wait until its display is on")]
    NoPicture,
    /// There is no such display.
    #[error("the machine has no display {}: it has {count}, give it more (displays.heads) first", .display + 1)]
    NoDisplay {
        /// The number, from 0.
        display: usize,
        /// How many there are.
        count: usize,
    },
    /// The picture could not be read.
    #[error("the guest's screen cannot be read: {0}")]
    Read(#[from] ReadError),
    /// A character that no key of the guest's keyboard types.
    #[error(
        "no key of the guest's keyboard types {0:?}: such text is pasted where the guest has a clipboard agent (spice-vdagent), or reaches it through \
         its serial console, which takes any, or as a file or a command by its agent"
    )]
    Untypable(char),
    /// Nobody in the guest pasted.
    #[error(
        "no program in the guest pasted within {} s: give the keyboard to one that does, or choose other keys for it in the machine's settings",
        .0.as_secs()
    )]
    NotPasted(Duration),
    /// The clipboard refused.
    #[error(transparent)]
    Clipboard(#[from] ClipboardError),
    /// It has no sound card.
    #[error("the machine has no sound card: stop it, and give it one (sound.device=hda) first")]
    NoSound,
    /// QEMU did not reset.
    #[error("the machine did not reset within {0} s: it may hang, end it with quit")]
    NoReset(u64),
    /// The state cannot be saved.
    #[error("the machine's state cannot be saved now: {reason}")]
    NotSavable {
        /// What is in the way, in QEMU's words.
        reason: String,
    },
    /// The state was not saved or loaded.
    #[error("the machine's state could not be transferred: {words}")]
    NotTransferred {
        /// QEMU's own words.
        words: String,
    },
    /// The caller's progress function said so.
    #[error("cancelled; the machine is paused")]
    Cancelled,
    /// No such drive, or nothing in it.
    #[error("the machine has no drive {0:?} with something in it: look at those it has")]
    NoDrive(String),
    /// A disk was to become smaller.
    #[error("{drive} has {now} bytes, which is more than {wanted}: a disk can only grow")]
    Shrink {
        /// The drive.
        drive: String,
        /// Bytes it has.
        now: u64,
        /// Bytes that were asked for.
        wanted: u64,
    },
    /// The guest holds the medium of a drive.
    #[error("the guest holds the medium in {0}: eject it in the guest first, or take it out by force")]
    MediumHeld(String),
    /// The overlay of a drive.
    #[error(transparent)]
    Image(#[from] sampan_library::Error),
    /// A file that QEMU is given.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The thread that did it is gone.
    #[error("a thread that works for the machine has failed; see the log")]
    Thread,
    /// The monitor refused.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// The display refused.
    #[error(transparent)]
    Display(#[from] DisplayError),
}

/// What to do where a machine's state does not know a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// There is no machine any more.
    Start,
    /// The guest has powered off and is to run again.
    Reset,
    /// The guest has powered off, so its CPUs stand still already.
    NothingToPause,
    /// The guest has powered off, so its memory holds nothing.
    NothingToSave,
    /// Nobody in the guest hears the power button.
    NobodyHears,
    /// Memory and disks are being put away together.
    WaitForSaving,
}

impl Remedy {
    /// Its name for programs, in snake case, which never changes.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Start => "start_again",
            Self::Reset => "reset_again",
            Self::NothingToPause => "nothing_to_pause",
            Self::NothingToSave => "nothing_to_save",
            Self::NobodyHears => "nobody_hears",
            Self::WaitForSaving => "wait_for_saving",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start it again",
            Self::Reset => "reset it to start it again",
            Self::NothingToPause => "there is nothing to pause",
            Self::NothingToSave => "there is no state to save",
            Self::NobodyHears => "only a running guest hears its power button",
            Self::WaitForSaving => {
                "its state is being saved, wait a moment; if that has failed, suspend it again or end it"
            }
        })
    }
}

impl Coded for CommandError {
    fn code(&self) -> &'static str {
        match self {
            Self::State { remedy: Remedy::WaitForSaving, .. } => "state_being_saved",
            Self::State { .. } => "wrong_state",
            Self::NoPicture => "no_picture",
            Self::NoDisplay { .. } => "no_display",
            Self::Read(_) => "screen_unreadable",
            Self::Untypable(_) => "untypable",
            Self::NotPasted(_) => "not_pasted",
            Self::Clipboard(error) => error.code(),
            Self::NoSound => "no_sound",
            Self::NoReset(_) => "machine_hangs",
            Self::NotSavable { .. } => "state_not_savable",
            Self::NotTransferred { .. } => "state_not_transferred",
            Self::Cancelled => "cancelled",
            Self::NoDrive(_) => "no_such_drive",
            Self::Shrink { .. } => "disk_cannot_shrink",
            Self::MediumHeld(_) => "medium_held",
            Self::Image(error) => error.code(),
            Self::Io { .. } => "file_unusable",
            Self::Thread => "thread_failed",
            Self::Qmp(error) => error.code(),
            Self::Display(error) => error.code(),
        }
    }

    fn params(&self) -> Params {
        let none = Params::new();
        match self {
            Self::State { remedy: Remedy::WaitForSaving, state } => none.with("state", state.to_string()),
            Self::State { state, remedy } => {
                none.with("state", state.to_string()).with("reason", remedy.code())
            }
            Self::Read(error) => none.with("reason", error.code()).with("why", error.to_string()),
            Self::NoDisplay { display, count } => none.with("display", display + 1).with("count", *count),
            Self::Untypable(character) => none.with("character", character.to_string()),
            Self::NotPasted(limit) => none.with("seconds", limit.as_secs()),
            Self::Clipboard(error) => error.params(),
            Self::NoReset(seconds) => none.with("seconds", *seconds),
            Self::NotSavable { reason } => none.with("reasons", reason.as_str()),
            Self::NotTransferred { words } => none.with("words", words.as_str()),
            Self::NoDrive(drive) | Self::MediumHeld(drive) => none.with("drive", drive.as_str()),
            Self::Shrink { drive, now, wanted } => {
                none.with("drive", drive.as_str()).with("now", *now).with("wanted", *wanted)
            }
            Self::Io { path, source } => none.with("path", path.as_path()).with("why", source.to_string()),
            Self::Image(error) => error.params(),
            Self::Qmp(error) => error.params(),
            Self::Display(error) => error.params(),
            _ => none,
        }
    }
}
