//! What a machine can be told.

use crate::{Screenshot, State};
use sampan_display::DisplayError;
use sampan_frame::{ReadError, Size};
use sampan_input::{Button, Event, Key};
use sampan_library::Progress;
use sampan_qmp::QmpError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Let the CPUs run.
    Resume,
    /// Halt the CPUs.
    Pause,
    /// The same, with a reason that the status shows until they run again.
    PauseBecause(String),
    /// Press the machine's reset button. After the guest's power-off this starts it again.
    Reset,
    /// Press its power button: the guest is asked to shut down.
    Powerdown,
    /// End the machine now. Disks are flushed; the guest is not asked.
    Quit,
    /// What the screen shows.
    Screenshot,
    /// Type a text on a US keyboard.
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
pub enum CommandError {
    /// The machine is in a state that does not know this command.
    #[error("the machine is {state}: {remedy}")]
    State {
        /// The state.
        state: State,
        /// What to do.
        remedy: &'static str,
    },
    /// There is no picture.
    #[error("the guest shows nothing: wait until its display is on")]
    NoPicture,
    /// The picture could not be read.
    #[error("the guest's screen cannot be read: {0}")]
    Read(#[from] ReadError),
    /// A character that no US keyboard has.
    #[error(
        "no key of a US keyboard types {0:?}: such text reaches a guest through its serial console (`sampan console` takes any), or as a file \
         or a command by its agent (`sampan file push`, `sampan exec`)"
    )]
    Untypable(char),
    /// QEMU did not reset.
    #[error("the machine did not reset within {0} s: it may hang, end it with quit")]
    NoReset(u64),
    /// The state was not saved or loaded.
    #[error("the machine's state could not be transferred: {0}")]
    NotSaved(String),
    /// The caller's progress function said so.
    #[error("cancelled; the machine is paused")]
    Cancelled,
    /// No such drive, or nothing in it.
    #[error("the machine has no drive {0:?} with something in it: `sampan disk info` lists those it has")]
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
    /// A name that QEMU cannot be given.
    #[error("{}: the name is no Unicode text, rename the file", .0.display())]
    Name(PathBuf),
    /// The state's file.
    #[error("the file of the machine's state: {0}")]
    Io(std::io::Error),
    /// The monitor refused.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// The display refused.
    #[error(transparent)]
    Display(#[from] DisplayError),
}
