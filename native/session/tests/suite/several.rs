//! Three machines at once in this process, each with its own picture, started and stopped ten times.

use crate::common::logs::Kept;
use crate::common::{colour_machine, colour_picture, in_process, spec};
use sampan_session::{Command, Ended, Session};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_at_once_in_one_process_ten_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut baseline = None;
    for round in 0..10 {
        let launcher = in_process();
        let start = |colour| {
            let launcher = launcher.clone();
            let spec = spec(&colour_machine(folder.path(), colour));
            async move { (colour, Session::start(launcher, spec).await.expect("starts")) }
        };
        let (red, green, blue) = tokio::join!(start(4), start(2), start(1));
        for (colour, session) in [&red, &green, &blue] {
            colour_picture(session, *colour).await;
        }
        for (_, session) in [red, green, blue] {
            session.execute(Command::Quit).await.expect("quits");
            assert_eq!(session.ended().await, Ended::Quit);
        }
        let fds = std::fs::read_dir("/proc/self/fd").expect("/proc").count();
        let threads = std::fs::read_dir("/proc/self/task").expect("/proc").count();
        // The first round brings what stays for good (the runtime's own threads).
        let (first_fds, first_threads) = *baseline.get_or_insert((fds, threads));
        println!("round {round}: {fds} fds, {threads} threads");
        // Each run leaves the threads and fds of its GLib behind (docs/libqemu.md), and no more with each round.
        assert!(fds <= first_fds + round * 3 * 8, "round {round}: {fds} fds after {first_fds}");
        assert!(
            threads <= first_threads + round * 3 * 5,
            "round {round}: {threads} threads after {first_threads}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_in_one_process_has_a_log_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sessions = Vec::new();
    for (colour, name) in [(4, "one"), (2, "two")] {
        let mut machine = colour_machine(folder.path(), colour);
        // QEMU warns of it by its name.
        machine.extra = vec!["-global".into(), format!("{name}-thing.x=y")];
        let log = Kept::new();
        let session = Session::start_logged(in_process(), spec(&machine), log.clone()).await.expect("starts");
        log.wait_for(&format!("{name}-thing")).await;
        sessions.push((name, session, log));
    }
    for (name, session, log) in sessions {
        session.execute(Command::Quit).await.expect("quits");
        session.ended().await;
        let lines = log.lines();
        let other = if name == "one" { "two-thing" } else { "one-thing" };
        assert!(lines.iter().any(|line| line.starts_with("qemu: ") && line.contains(name)), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains(other)), "{lines:?}");
    }
}
