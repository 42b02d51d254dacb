//! The client against a peer that speaks QMP as QEMU does, and against ones that do not.
//! (Against real QEMU it is exercised by every test of `session`.)

use sampan_qmp::{Qmp, QmpError, types};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}"#;

/// Starts a peer: `act` gets each line (after the negotiation) with its id and the socket, and says whether to go on.
fn peer(
    mut act: impl FnMut(&str, u64, &mut UnixStream) -> bool + Send + 'static,
) -> (UnixStream, JoinHandle<()>) {
    let (ours, mut theirs) = UnixStream::pair().expect("socketpair");
    let thread = std::thread::spawn(move || {
        writeln!(theirs, "{GREETING}").expect("greets");
        let reader = BufReader::new(theirs.try_clone().expect("clones"));
        for line in reader.lines() {
            let Ok(line) = line else { return };
            let id = id_of(&line);
            if line.contains("qmp_capabilities") {
                writeln!(theirs, r#"{{"return": {{}}, "id": {id}}}"#).expect("answers");
            } else if !act(&line, id, &mut theirs) {
                return;
            }
        }
    });
    (ours, thread)
}

fn id_of(line: &str) -> u64 {
    line.rsplit("\"id\":").next().and_then(|s| s.trim_end_matches(['}', ' ']).parse().ok()).expect("an id")
}

const STATUS: &str = r#"{"return": {"running": true, "singlestep": false, "status": "running"}, "id": ID}"#;

fn status(id: u64) -> String {
    STATUS.replace("ID", &id.to_string())
}

#[tokio::test]
async fn answers_find_their_commands_and_events_pass_through() {
    let (ours, _peer) = peer(|line, id, to| {
        if line.contains("query-status") {
            // Another event than any schema knows, an unknown id, and rubbish come first.
            let text = format!(
                "{{\"event\": \"NEW_EVENT\", \"data\": {{\"x\": 1}}, \"timestamp\": {{\"seconds\": 1, \"microseconds\": 2}}}}\n\
                 {{\"return\": {{}}, \"id\": 999}}\nrubbish\n{}\n",
                status(id)
            );
            to.write_all(text.as_bytes()).is_ok()
        } else {
            writeln!(to, r#"{{"id": {id}, "error": {{"class": "GenericError", "desc": "no such thing"}}}}"#)
                .is_ok()
        }
    });
    let qmp = Qmp::connect(ours).await.expect("connects");
    assert_eq!(qmp.version(), "10.0.13");
    let mut events = qmp.events();
    assert!(qmp.execute(types::query_status {}).await.expect("answers").running);
    let event = events.recv().await.expect("an event");
    assert_eq!((event.name.as_str(), event.data["x"].as_u64()), ("NEW_EVENT", Some(1)));
    match qmp.execute(types::system_reset {}).await {
        Err(QmpError::Refused { command: "system_reset", message }) => assert_eq!(message, "no such thing"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_late_answer_is_dropped_and_the_next_command_works() {
    let mut late = None;
    let (ours, _peer) = peer(move |_, id, to| match late.take() {
        None => {
            late = Some(id);
            true
        }
        Some(first) => writeln!(to, "{}\n{}", status(first), status(id)).is_ok(),
    });
    let qmp = Qmp::connect(ours).await.expect("connects");
    let timeout = Duration::from_millis(50);
    let missed = qmp.execute_within(types::query_status {}, timeout).await;
    assert!(matches!(missed, Err(QmpError::Timeout { command: "query-status", .. })), "{missed:?}");
    assert!(qmp.execute(types::query_status {}).await.expect("answers").running);
}

#[tokio::test]
async fn a_peer_that_dies_in_mid_answer_ends_every_command() {
    let (ours, _peer) = peer(|_, _, to| {
        to.write_all(b"{\"return\": {\"runn").expect("writes");
        false
    });
    let qmp = Qmp::connect(ours).await.expect("connects");
    let (one, two) = tokio::join!(qmp.execute(types::query_status {}), qmp.execute(types::query_status {}));
    assert!(matches!(one, Err(QmpError::Closed)), "{one:?}");
    assert!(matches!(two, Err(QmpError::Closed)), "{two:?}");
    qmp.closed().await;
    assert!(matches!(qmp.execute(types::query_status {}).await, Err(QmpError::Closed)));
}

#[tokio::test]
async fn a_peer_that_is_no_qemu_is_an_error() {
    let (ours, mut theirs) = UnixStream::pair().expect("socketpair");
    theirs.write_all(b"SSH-2.0-x\n").expect("writes");
    assert!(matches!(Qmp::connect(ours).await, Err(QmpError::Malformed { .. })));
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    drop(theirs);
    assert!(matches!(Qmp::connect(ours).await, Err(QmpError::Closed)));
}

#[tokio::test]
async fn a_file_descriptor_goes_with_its_command() {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let thread = std::thread::spawn(move || {
        let mut to = theirs.try_clone().expect("clones");
        writeln!(to, "{GREETING}").expect("greets");
        let mut received = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let mut iov = [std::io::IoSliceMut::new(&mut bytes)];
            let mut space = nix::cmsg_space!([std::os::fd::RawFd; 2]);
            let message = recvmsg::<()>(theirs.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::empty())
                .expect("receives");
            let length = message.bytes;
            let fds = message.cmsgs().expect("control messages").filter_map(|c| match c {
                ControlMessageOwned::ScmRights(fds) => Some(fds.len()),
                _ => None,
            });
            let count: usize = fds.sum();
            if length == 0 {
                return received;
            }
            let line = String::from_utf8_lossy(&bytes[..length]).into_owned();
            writeln!(to, r#"{{"return": {{}}, "id": {}}}"#, id_of(line.trim_end())).expect("answers");
            received.push((line, count));
        }
    });
    let qmp = Qmp::connect(ours).await.expect("connects");
    let (_keep, give) = UnixStream::pair().expect("socketpair");
    qmp.add_display_client(&give).await.expect("is taken");
    drop(qmp);
    let received = thread.join().expect("the peer ends");
    let with_fds: Vec<_> = received.iter().filter(|(_, fds)| *fds > 0).collect();
    assert_eq!(with_fds.len(), 1, "{received:?}");
    assert!(with_fds[0].0.contains("getfd") && with_fds[0].1 == 1, "{received:?}");
    assert!(received.iter().any(|(line, _)| line.contains("@dbus-display")), "{received:?}");
}

/// How much memory this process has had at once since `forget_peak`, in KiB.
fn peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn forget_peak() {
    // proc_pid_clear_refs(5): the peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5").expect("is forgotten");
}

/// The line that is sent, of a list's entries and the command's id.
type Flood = fn(String, u64) -> String;

/// Each of these made us grow by hundreds of megabytes: objects are what takes most.
#[tokio::test]
async fn a_peer_that_sends_more_than_qemu_ever_does_is_cut_off_in_time() {
    let objects = |bytes: usize| r#"{"a":1},"#.repeat(bytes / 8);
    let floods: [(&str, Flood, usize); 4] = [
        ("longer than any answer", |list, id| format!(r#"{{"return":[{list}0],"id":{id}}}"#), 16 << 20),
        ("more values than any", |list, id| format!(r#"{{"return":[{list}0],"id":{id}}}"#), 900 << 10),
        (
            "larger than any",
            |list, _| format!(r#"{{"event":"X","data":{{"x":[{list}0]}},"timestamp":{{}}}}"#),
            15 << 10,
        ),
        (
            "more values than any",
            |list, id| format!("{}{list}0{},\"id\":{id}", "[".repeat(99), "]".repeat(99)),
            8,
        ),
    ];
    for (words, flood, bytes) in floods {
        let list = objects(bytes);
        let (ours, _peer) = peer(move |_, id, to| {
            // It is cut off in the midst of it.
            let _ = writeln!(to, "{}", flood(list.clone(), id));
            true
        });
        let qmp = Qmp::connect(ours).await.expect("connects");
        forget_peak();
        let before = peak_kib();
        let answer = qmp.execute_json("query-status", serde_json::json!({})).await;
        let grown = peak_kib().saturating_sub(before);
        let Err(QmpError::Flooded { what }) = &answer else { panic!("{words}: {answer:?}") };
        assert!(what.contains(words), "{what}");
        // The peer's own line is in this process as well.
        assert!(grown < (64 << 10) + 4 * (bytes >> 10), "{words}: {grown} KiB");
        qmp.closed().await;
        let later = qmp.execute(types::query_status {}).await;
        assert!(matches!(later, Err(QmpError::Flooded { .. })), "{later:?}");
    }
}
