//! QEMU's events, and the state that follows from them.

use crate::machine_log::MachineLog;
use crate::{PausedBy, State, Status};
use sampan_qmp::{Event, Qmp};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// Follows QEMU's events until the monitor closes.
pub async fn follow(
    qmp: Qmp,
    mut events: tokio::sync::broadcast::Receiver<Event>,
    status: watch::Sender<Status>,
    log: MachineLog,
) {
    loop {
        match events.recv().await {
            Ok(event) => {
                log.debug(format_args!("event {} {}", event.name, event.data));
                status.send_if_modified(|status| apply(status, &event));
            }
            Err(RecvError::Lagged(missed)) => {
                log.warn(format_args!("{missed} events of QEMU were missed, its state is asked for"));
                // The background's cycle looks for itself.
                if !status.borrow().slowed
                    && let Ok(answer) = qmp.execute(sampan_qmp::types::query_status {}).await
                {
                    let state = if answer.running { State::Running } else { State::Paused };
                    status.send_if_modified(|status| set(status, state, ""));
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// What one event means. Says whether anything changed.
fn apply(status: &mut Status, event: &Event) -> bool {
    match event.name.as_str() {
        // The background's cycle: the machine is one that runs, and keeps its words.
        "RESUME" | "STOP" if status.slowed && status.state == State::Running => false,
        "RESUME" => set(status, State::Running, ""),
        // QEMU stops the CPUs of a machine that has powered off too: that is no pause.
        "STOP" if status.state == State::PoweredOff => false,
        "STOP" => set(status, State::Paused, ""),
        "SHUTDOWN" if event.flag("guest") == Some(true) => {
            set(status, State::PoweredOff, "the guest has powered off")
        }
        "RESET" if status.state == State::PoweredOff => set(status, State::Ready, ""),
        "GUEST_PANICKED" => set(status, status.state, "the guest's kernel has panicked"),
        "BLOCK_IO_ERROR" if event.text("action") == Some("stop") => {
            let words = if event.flag("nospace") == Some(true) {
                "the host's disk is full: free some space, then resume"
            } else {
                "a disk failed: see the log, then resume or quit"
            };
            let by = status.paused_by.replace(PausedBy::Disk);
            set(status, State::Paused, words) || by != Some(PausedBy::Disk)
        }
        _ => false,
    }
}

fn set(status: &mut Status, state: State, detail: &str) -> bool {
    if status.state == State::Ended || (status.state == state && status.detail == detail) {
        return false;
    }
    // The pause that follows a failure keeps its reason.
    let keeps = state == State::Paused && status.state == State::Paused && detail.is_empty();
    status.state = state;
    if state != State::Paused {
        status.paused_by = None;
    }
    if !keeps {
        detail.clone_into(&mut status.detail);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &[(&str, bool)]) -> Event {
        let data: Vec<String> = data.iter().map(|(k, v)| format!("{k:?}: {v}")).collect();
        serde_json::from_str(&format!("{{\"event\": {name:?}, \"data\": {{{}}}}}", data.join(",")))
            .expect("an event")
    }

    #[test]
    fn a_power_off_stays_one_until_the_reset() {
        let mut status = Status::new();
        for (name, data, state) in [
            ("RESUME", &[][..], State::Running),
            ("STOP", &[], State::Paused),
            ("RESUME", &[], State::Running),
            ("RESET", &[("guest", true)], State::Running),
            ("SHUTDOWN", &[("guest", true)], State::PoweredOff),
            ("STOP", &[], State::PoweredOff),
            ("RESET", &[("guest", false)], State::Ready),
            ("RESUME", &[], State::Running),
            ("SHUTDOWN", &[("guest", false)], State::Running),
            ("SOMETHING_NEW", &[], State::Running),
        ] {
            apply(&mut status, &event(name, data));
            assert_eq!(status.state, state, "{name}");
        }
    }

    #[test]
    fn the_backgrounds_halts_are_no_pauses_but_a_failure_is() {
        let mut status = Status::new();
        apply(&mut status, &event("RESUME", &[]));
        status.slowed = true;
        for name in ["STOP", "RESUME", "STOP"] {
            assert!(!apply(&mut status, &event(name, &[])), "{name}");
            assert_eq!(status.state, State::Running, "{name}");
        }
        let failed: Event =
            serde_json::from_str(r#"{"event": "BLOCK_IO_ERROR", "data": {"action": "stop"}}"#)
                .expect("an event");
        apply(&mut status, &failed);
        assert_eq!(status.state, State::Paused);
    }

    #[test]
    fn a_full_disk_says_so_and_keeps_saying_so() {
        let mut status = Status::new();
        status.state = State::Running;
        let full: Event = serde_json::from_str(
            r#"{"event": "BLOCK_IO_ERROR", "data": {"action": "stop", "nospace": true}}"#,
        )
        .expect("an event");
        apply(&mut status, &full);
        apply(&mut status, &event("STOP", &[]));
        assert_eq!(status.state, State::Paused);
        assert!(status.detail.contains("full"), "{}", status.detail);
        assert_eq!(status.paused_by, Some(PausedBy::Disk));
        apply(&mut status, &event("RESUME", &[]));
        assert_eq!((status.detail.as_str(), status.paused_by), ("", None));
    }
}
