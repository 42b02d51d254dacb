//! What a machine's condition can be.

use sampan_emulator::Exit;
use sampan_guest::{GuestState, GuestStatus};
use sampan_vdagent::Kinds;
use serde::Serialize;
use std::fmt;

/// A machine's state. Every change comes from QEMU's own events, so a machine that was paused over another path is
/// `Paused` here too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was brought up and halted before its first instruction.
    Ready,
    /// Its CPUs run.
    Running,
    /// It was paused, or QEMU paused it (a full disk).
    Paused,
    /// The guest powered off. The machine is kept: a reset starts it again.
    PoweredOff,
    /// There is no machine any more.
    Ended,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Ready => "ready",
            State::Running => "running",
            State::Paused => "paused",
            State::PoweredOff => "powered-off",
            State::Ended => "ended",
        })
    }
}

/// Who has halted the CPUs of a machine that is [`State::Paused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// A person, or whoever acts for one.
    Person,
    /// The host's disk: it is full, nearly full, or has failed.
    Disk,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Quit,
    /// It was not asked to, with QEMU's own words.
    Died(String),
}

/// A machine's condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// More of it in words, for a person; may be empty.
    pub detail: String,
    /// Whether the guest has an absolute pointing device now.
    pub absolute: bool,
    /// Whether it runs for a part of the time alone: see [`Session::set_background`](crate::Session::set_background).
    pub slowed: bool,
    /// Who has halted it, while it is paused; `None` while its memory is put away.
    pub paused_by: Option<PausedBy>,
    /// What is known of the guest's clipboard; `None` for a machine without the port for it.
    pub clipboard: Option<ClipboardStatus>,
    /// What is known of the guest's sound; `None` for a machine without a sound card.
    pub sound: Option<SoundStatus>,
    /// How it ended, once it has.
    pub ended: Option<Ended>,
}

/// What is known of a guest's clipboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClipboardStatus {
    /// Whether an agent answers in the guest.
    pub agent: bool,
    /// What a program of the guest's has copied, as far as it may be taken.
    pub kinds: Kinds,
    /// How often one has.
    pub copied: u64,
    /// Whether the same agent takes files.
    pub files: bool,
    /// Whether it sets the size of the guest's screen.
    pub sizes: bool,
}

/// What is known of a guest's sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundStatus {
    /// Whether the guest plays, be it silence.
    pub playing: bool,
    /// Whether the guest records, be it silence.
    pub recording: bool,
    /// Whether it may listen to the microphone.
    pub microphone: bool,
}

impl Status {
    pub(crate) fn new() -> Self {
        Status {
            state: State::Ready,
            detail: String::new(),
            absolute: false,
            slowed: false,
            paused_by: None,
            clipboard: None,
            sound: None,
            ended: None,
        }
    }

    /// The same for viewers.
    pub(crate) fn for_viewers(&self) -> GuestStatus {
        let state = match (&self.ended, self.state) {
            (Some(Ended::Died(_)), _) => GuestState::Died,
            (Some(Ended::Quit), _) | (_, State::PoweredOff | State::Ended) => GuestState::Stopped,
            (_, State::Ready) => GuestState::Starting,
            (_, State::Running) => GuestState::Running,
            (_, State::Paused) => GuestState::Paused,
        };
        GuestStatus { state, detail: self.detail.clone(), absolute: self.absolute }
    }
}

/// What an exit means, given whether it was asked for.
pub(crate) fn ended(exit: &Exit, asked: bool) -> Ended {
    match exit {
        Exit::Clean => Ended::Quit,
        // A machine that was killed because it did not listen has ended as asked.
        Exit::Killed { .. } | Exit::Vanished { .. } if asked => Ended::Quit,
        other => Ended::Died(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_viewers_are_told() {
        let mut status = Status::new();
        assert_eq!(status.for_viewers().state, GuestState::Starting);
        status.state = State::PoweredOff;
        assert_eq!(status.for_viewers().state, GuestState::Stopped);
        status.state = State::Ended;
        status.ended = Some(Ended::Died("x".into()));
        assert_eq!(status.for_viewers().state, GuestState::Died);
    }

    #[test]
    fn a_kill_is_an_end_only_if_it_was_asked_for() {
        let killed = Exit::Killed { signal: 9, message: String::new() };
        assert_eq!(ended(&killed, true), Ended::Quit);
        assert!(matches!(ended(&killed, false), Ended::Died(words) if words.contains("SIGKILL")));
        let failed = Exit::Failed { status: 1, message: "no".into() };
        assert!(matches!(ended(&failed, true), Ended::Died(_)));
    }
}
