//! The agent's client against a double: one that behaves, and guests that do not. (`agent_real.rs` has the real agent.)

use proptest::prelude::*;
use sampan_qmp::agent::{Agent, AgentError, Exec, Exited, types};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

/// What the double was asked, syncs left out.
type Asked = Arc<Mutex<Vec<String>>>;

/// What the double does when asked something: the bytes to send back.
type Act = Box<dyn FnMut(&str, &Value) -> Vec<u8> + Send>;

/// A double in place of `qemu-ga`: answers syncs as that does, and everything else by `act`.
fn serve(mut socket: UnixStream, mut act: impl FnMut(&str, &Value) -> Vec<u8> + Send + 'static) -> Asked {
    let asked = Asked::default();
    let record = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let mut byte = [0];
        while let Ok(1) = socket.read(&mut byte) {
            match byte[0] {
                0xFF => line.clear(),
                b'\n' => {
                    let command: Value = serde_json::from_slice(&line).expect("commands are JSON");
                    line.clear();
                    let name = command["execute"].as_str().expect("a name").to_owned();
                    let answer = if name == "guest-sync-delimited" {
                        let mut answer = vec![0xFF];
                        answer.extend(format!("{}\n", json!({"return": command["arguments"]["id"]})).bytes());
                        answer
                    } else {
                        record.lock().expect("no panic holds it").push(name.clone());
                        act(&name, &command)
                    };
                    if socket.write_all(&answer).is_err() {
                        return;
                    }
                }
                other => line.push(other),
            }
        }
    });
    asked
}

fn agent(act: impl FnMut(&str, &Value) -> Vec<u8> + Send + 'static) -> (Agent, Asked) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let asked = serve(theirs, act);
    (Agent::connect(ours).expect("connects"), asked)
}

fn ok(command: &Value, value: Value) -> Vec<u8> {
    format!("{}\n", json!({"return": value, "id": command["id"]})).into_bytes()
}

fn base64(bytes: usize) -> String {
    // "AAAA" is three zero bytes.
    assert_eq!(bytes % 3, 0);
    "AAAA".repeat(bytes / 3)
}

/// Waits for what a task of the client's own sends.
async fn until_asked(asked: &Asked, name: &str) {
    for _ in 0..1000 {
        if asked.lock().expect("no panic holds it").iter().any(|a| a == name) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{name} was never asked: {:?}", asked.lock().expect("no panic holds it"));
}

#[tokio::test]
async fn an_absent_agent_is_told_and_no_command_lies_in_wait_for_it() {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let agent = Agent::connect(ours).expect("connects").with_patience(SHORT);
    for _ in 0..3 {
        assert!(matches!(agent.ping().await, Err(AgentError::Absent { timeout: SHORT })));
        let down = agent.shutdown(sampan_qmp::agent::ShutdownMode::PowerDown).await;
        assert!(matches!(down, Err(AgentError::Absent { .. })), "{down:?}");
    }
    assert!(matches!(agent.freeze().await, Err(AgentError::Absent { .. })));
    // The agent starts late and finds six syncs; the answers to all of them come before ours.
    let asked = serve(theirs, |_, command| ok(command, json!("thawed")));
    assert_eq!(agent.freeze_status().await.expect("answers"), types::GuestFsfreezeStatus::thawed);
    assert_eq!(*asked.lock().expect("no panic holds it"), ["guest-fsfreeze-status"]);
}

#[tokio::test]
async fn an_agent_that_never_reads_is_absent_even_when_the_port_is_full() {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let agent = Agent::connect(ours).expect("connects").with_patience(Duration::from_millis(1));
    for _ in 0..1500 {
        assert!(matches!(agent.ping().await, Err(AgentError::Absent { .. })));
    }
    let asked = serve(theirs, |_, command| ok(command, json!("thawed")));
    agent.with_patience(Duration::from_secs(20)).freeze_status().await.expect("answers");
    assert_eq!(asked.lock().expect("no panic holds it").len(), 1);
}

#[tokio::test]
async fn a_late_answer_is_passed_over() {
    let mut late = None;
    let (agent, _) = agent(move |_, command| match late.take() {
        None => {
            late = Some(ok(command, json!("frozen")));
            Vec::new()
        }
        Some(late) => [late, ok(command, json!("thawed"))].concat(),
    });
    let missed = agent.execute_within(types::guest_fsfreeze_status {}, SHORT).await;
    assert!(
        matches!(missed, Err(AgentError::Timeout { command: "guest-fsfreeze-status", .. })),
        "{missed:?}"
    );
    assert_eq!(agent.freeze_status().await.expect("answers"), types::GuestFsfreezeStatus::thawed);
}

#[tokio::test]
async fn answers_of_other_numbers_are_not_ours_and_an_old_agent_gives_none() {
    let (agent, _) = agent(|_, command| {
        let others =
            format!("{}\n{}\n", json!({"return": "frozen", "id": 0}), json!({"return": "frozen", "id": "x"}));
        [others.into_bytes(), ok(command, json!("thawed"))].concat()
    });
    assert_eq!(agent.freeze_status().await.expect("answers"), types::GuestFsfreezeStatus::thawed);
    let (agent, _) = self::agent(|_, _| b"{\"return\": \"frozen\"}\n".to_vec());
    assert_eq!(agent.freeze_status().await.expect("answers"), types::GuestFsfreezeStatus::frozen);
}

#[tokio::test]
async fn rubbish_is_an_error_of_its_command_alone() {
    let answers = [
        &b"rubbish\n"[..],
        b"{}\n",
        b"{\"return\": 7}\n",
        b"[1, 2]\n",
        b"\x00\x80\n",
        b"{\"error\": {\"class\": \"GenericError\"}}\n",
        b"{\"return\": \"unheard of\"}\n",
    ];
    for answer in answers {
        let mut first = true;
        let (agent, _) =
            agent(
                move |_, command| {
                    if std::mem::take(&mut first) { answer.to_vec() } else { ok(command, json!("thawed")) }
                },
            );
        let wrong = agent.freeze_status().await;
        assert!(matches!(wrong, Err(AgentError::Malformed { .. })), "{answer:?}: {wrong:?}");
        agent.freeze_status().await.expect("the next one is answered");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_guests_words_but_tamed() {
    let (agent, _) = agent(|_, command| {
        let desc = format!("no\u{1b}[2J {}", "x".repeat(10_000));
        format!("{}\n", json!({"error": {"class": "E", "desc": desc}, "id": command["id"]})).into_bytes()
    });
    let Err(AgentError::Refused { message, .. }) = agent.info().await else { panic!("not refused") };
    assert!(message.starts_with("no [2J x") && message.len() == 500, "{message}");
}

#[tokio::test]
async fn a_line_without_end_is_cut_off_and_the_agent_serves_on() {
    let mut first = true;
    let (agent, _) =
        agent(
            move |_, command| {
                if std::mem::take(&mut first) { vec![b'x'; 3 << 20] } else { ok(command, json!("thawed")) }
            },
        );
    let long = agent.freeze_status().await;
    assert!(matches!(long, Err(AgentError::TooLong { .. })), "{long:?}");
    agent.freeze_status().await.expect("the next one is answered");
}

#[tokio::test]
async fn a_guest_that_never_stops_talking_is_absent() {
    let (ours, mut theirs) = UnixStream::pair().expect("socketpair");
    std::thread::spawn(move || while theirs.write_all(b"{\"return\": 0}\n{\"id\": 1}\n\xff\n").is_ok() {});
    let agent = Agent::connect(ours).expect("connects").with_patience(SHORT);
    assert!(matches!(agent.ping().await, Err(AgentError::Absent { .. })));
}

#[tokio::test]
async fn a_vm_that_ends_ends_the_call() {
    let (ours, mut theirs) = UnixStream::pair().expect("socketpair");
    theirs.write_all(b"{\"retu").expect("writes");
    drop(theirs);
    let agent = Agent::connect(ours).expect("connects");
    assert!(matches!(agent.ping().await, Err(AgentError::Closed)));
    assert!(matches!(agent.info().await, Err(AgentError::Closed)));
}

#[tokio::test]
async fn programs_end_by_code_or_signal_and_run_on() {
    let mut polls = 0;
    let (agent, _) = agent(move |name, command| match (name, command["arguments"]["pid"].as_i64()) {
        ("guest-exec", _) => {
            let path = command["arguments"]["path"].as_str().expect("a path");
            ok(command, json!({"pid": path.parse::<i64>().expect("a number")}))
        }
        (_, Some(1)) => {
            polls += 1;
            if polls < 3 {
                return ok(command, json!({"exited": false}));
            }
            let answer = json!({"exited": true, "exitcode": 3, "out-data": "b3V0", "err-data": "ZXJy"});
            ok(command, answer)
        }
        (_, Some(2)) => ok(command, json!({"exited": true, "signal": 9, "out-truncated": true})),
        (_, Some(3)) => ok(command, json!({"exited": true, "out-data": base64(3 * 1000)})),
        (_, Some(4)) => ok(command, json!({"exited": true, "out-data": base64(3 << 20)})),
        _ => ok(command, json!({"exited": false})),
    });
    let done = agent.exec(Exec::new("1").arg("x").env("A", "b").stdin("in")).await.expect("runs");
    assert_eq!(
        (done.exited, &done.stdout[..], &done.stderr[..]),
        (Exited::Code(3), &b"out"[..], &b"err"[..])
    );
    let done = agent.exec(Exec::new("2")).await.expect("runs");
    assert_eq!((done.exited, done.truncated), (Exited::Signal(9), true));
    let much = agent.exec(Exec::new("3").max_output(2999)).await;
    assert!(matches!(much, Err(AgentError::TooLong { limit: 2999, .. })), "{much:?}");
    let much = agent.exec(Exec::new("4")).await;
    assert!(matches!(much, Err(AgentError::TooLong { .. })), "{much:?}");
    let on = agent.exec(Exec::new("5").timeout(SHORT)).await;
    assert!(matches!(on, Err(AgentError::StillRunning { pid: 5, .. })), "{on:?}");
    let input = agent.exec(Exec::new("1").stdin(vec![0; sampan_qmp::agent::MAX_STDIN + 1])).await;
    assert!(matches!(input, Err(AgentError::TooMuchInput { .. })), "{input:?}");
}

fn file(name: &str, command: &Value, part: Value) -> Vec<u8> {
    match name {
        "guest-file-open" => ok(command, json!(1000)),
        "guest-file-read" | "guest-file-write" => ok(command, part),
        _ => ok(command, json!({})),
    }
}

#[tokio::test]
async fn lies_about_files_are_found_and_the_file_is_closed() {
    let reads = [
        json!({"count": 4, "buf-b64": base64(3), "eof": true}),
        json!({"count": -3, "buf-b64": base64(3), "eof": true}),
        json!({"count": 0, "buf-b64": "", "eof": false}),
        json!({"count": 3, "buf-b64": "%%%%", "eof": true}),
    ];
    for part in reads {
        let shown = part.to_string();
        let (agent, asked) = agent(move |name, command| file(name, command, part.clone()));
        let pulled = agent.pull("/x", &mut Vec::new(), 100, |_| ()).await;
        assert!(matches!(pulled, Err(AgentError::Malformed { .. })), "{shown}: {pulled:?}");
        until_asked(&asked, "guest-file-close").await;
    }
    for count in [0, -1, 6] {
        let (agent, asked) =
            agent(move |name, command| file(name, command, json!({"count": count, "eof": false})));
        let pushed = agent.push(&mut &b"12345"[..], "/x", |_| ()).await;
        assert!(matches!(pushed, Err(AgentError::Malformed { .. })), "{count}: {pushed:?}");
        until_asked(&asked, "guest-file-close").await;
    }
}

#[tokio::test]
async fn a_file_that_never_ends_is_cut_off() {
    let part = json!({"count": 3000, "buf-b64": base64(3000), "eof": false});
    let (agent, _) = agent(move |name, command| file(name, command, part.clone()));
    let mut seen = 0;
    let pulled = agent.pull("/dev/zero", &mut Vec::new(), 10_000, |n| seen = n).await;
    assert!(matches!(pulled, Err(AgentError::TooBig { limit: 10_000, .. })), "{pulled:?}");
    assert_eq!(seen, 9000);
}

/// A guest that can be frozen; `freeze` says what it answers to that.
fn freezable(freeze: impl Fn(&Value) -> Vec<u8> + Send + 'static) -> (Agent, Asked) {
    let mut frozen = false;
    agent(move |name, command| match name {
        "guest-fsfreeze-freeze" => {
            frozen = true;
            freeze(command)
        }
        "guest-fsfreeze-thaw" => {
            frozen = false;
            ok(command, json!(2))
        }
        _ => ok(command, json!(if frozen { "frozen" } else { "thawed" })),
    })
}

async fn sees_thawed(agent: &Agent, asked: &Asked) {
    until_asked(asked, "guest-fsfreeze-thaw").await;
    assert_eq!(agent.freeze_status().await.expect("answers"), types::GuestFsfreezeStatus::thawed);
}

#[tokio::test]
async fn a_frozen_guest_is_thawed_on_every_path() {
    let two = |command: &Value| ok(command, json!(2));

    let (agent, asked) = freezable(two);
    let status = agent.while_frozen(SHORT, agent.freeze_status()).await.expect("freezes").expect("answers");
    assert_eq!(status, types::GuestFsfreezeStatus::frozen);
    sees_thawed(&agent, &asked).await;

    let (agent, asked) = freezable(two);
    let work = agent.while_frozen(SHORT, std::future::pending::<()>()).await;
    assert!(matches!(work, Err(AgentError::FrozenTooLong { limit: SHORT })), "{work:?}");
    sees_thawed(&agent, &asked).await;

    let (agent, asked) = freezable(two);
    let frozen = agent.freeze().await.expect("freezes");
    assert_eq!(frozen.file_systems(), 2);
    drop(frozen);
    sees_thawed(&agent, &asked).await;

    // The answer is not understood: who knows whether it froze.
    let (agent, asked) = freezable(|_| b"rubbish\n".to_vec());
    assert!(matches!(agent.freeze().await.err(), Some(AgentError::Malformed { .. })));
    sees_thawed(&agent, &asked).await;

    // The caller gives up while the guest is freezing.
    let (agent, asked) = freezable(|_| Vec::new());
    assert!(tokio::time::timeout(SHORT, agent.freeze()).await.is_err());
    sees_thawed(&agent, &asked).await;
}

#[tokio::test]
async fn a_shutdown_is_refused_or_taken() {
    let act: Act = Box::new(|_, command| match command["arguments"]["mode"].as_str() {
        Some("reboot") => Vec::new(),
        mode => {
            let desc = format!("not {mode:?}");
            format!("{}\n", json!({"error": {"class": "E", "desc": desc}, "id": command["id"]})).into_bytes()
        }
    });
    let (agent, _) = agent(act);
    let refused = agent.shutdown(sampan_qmp::agent::ShutdownMode::PowerDown).await;
    assert!(
        matches!(&refused, Err(AgentError::Refused { message, .. }) if message.contains("powerdown")),
        "{refused:?}"
    );
    agent.shutdown(sampan_qmp::agent::ShutdownMode::Reboot).await.expect("is taken");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_guest_says_the_next_command_works(
        noise in proptest::collection::vec(prop_oneof![
            Just(b"\n".to_vec()), Just(vec![0xFF]), Just(b"{\"return\": {}}\n".to_vec()), Just(b"{\"id\":".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ], 0..20),
    ) {
        let noise = noise.concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let mut first = true;
            let (agent, _) = agent(move |_, command| {
                if std::mem::take(&mut first) { noise.clone() } else { ok(command, json!("thawed")) }
            });
            // Any error, or by chance an answer; but an end.
            let _ = agent.execute_within(types::guest_fsfreeze_status {}, Duration::from_millis(20)).await;
            assert_eq!(agent.freeze_status().await.expect("answers"), types::GuestFsfreezeStatus::thawed);
        });
    }
}

#[tokio::test]
async fn an_answer_of_many_values_is_refused_before_they_are_made() {
    // Of a length that passes.
    let (agent, _) = agent(|_, command| ok(command, json!(vec![json!({"a": 1}); 30_000])));
    let many = agent.info().await;
    let Err(AgentError::Malformed { message, .. }) = &many else { panic!("{many:?}") };
    assert!(message.contains("more than 65536 values"), "{message}");
}
