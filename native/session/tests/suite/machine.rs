//! One machine against its life: real QEMU, the tiny guest or a boot sector.

use crate::common::{
    PATIENCE, child, colour_machine, colour_picture, in_process, picture, pixel, spec, state, tiny_guest,
    until,
};
use sampan_config::{Arch, KeyboardLayout};
use sampan_frame::Size;
use sampan_input::{Button, Key};
use sampan_session::{Command, CommandError, Ended, Session, StartError, State};

async fn execute(session: &Session, command: Command) {
    let name = format!("{command:?}");
    println!("test: {name}");
    session.execute(command).await.unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// QEMU 10.0 without our patch ends here within some hundred rounds: a CPU finds a device by its place in the memory map, which
/// another CPU changes meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_move_while_other_cpus_use_theirs() {
    let (mut spec, mut port) = tiny_guest(Arch::X86_64);
    spec.args(["-smp", "3", "-netdev", "user,id=unused", "-device", "virtio-net-pci,netdev=unused,romfile="]);
    let session = Session::start(child(), spec).await.expect("starts");
    port.wait_for("\"size\"").await;
    port.say(r#"{"cmd":"remap","rounds":500}"#);
    port.wait_for("\"done\":\"remap\"").await;
    execute(&session, Command::Quit).await;
    assert_eq!(session.ended().await, Ended::Quit);
}

/// The whole way there and back, on one architecture: picture, keys, pointer, size, power-off and start again.
async fn whole_way(arch: Arch) {
    let (spec, mut port) = tiny_guest(arch);
    let session = Session::start(in_process(), spec).await.expect("starts");
    state(&session, State::Running).await;
    port.wait_for("\"hello\"").await;
    execute(&session, Command::Resize(Size { width: 800, height: 600 })).await;
    port.wait_for("\"size\":[800,600]").await;
    picture(&session, "800 × 600", |shot| (shot.size.width, shot.size.height) == (800, 600)).await;

    // What is typed before the guest has opened its keyboard is lost, as on a real machine.
    while port.within(std::time::Duration::from_millis(500), "\"key\":42,\"down\":false").await.is_none() {
        execute(&session, Command::Keys(vec![Key::from_name("shift").expect("a key")])).await;
    }
    until(&session, "absolute pointing", |s| s.absolute).await;
    execute(&session, Command::Type("Ahoy 7!".into())).await;
    // Left Shift, evdev 42, goes up after the last character.
    port.wait_for("\"key\":2,\"down\":false").await;
    port.wait_for("\"key\":42,\"down\":false").await;
    port.say(r#"{"cmd":"state"}"#);
    let told = port.wait_for("\"state\"").await;
    assert!(told.contains("Ahoy 7!"), "{told}");

    for (x, y) in [(123, 456), (799, 599), (400, 200)] {
        execute(&session, Command::Pointer { x, y }).await;
        execute(&session, Command::Click(Button::Left)).await;
        // What the guest draws at the very pixel that was clicked: see tests/guest/PROTOCOL.md.
        picture(&session, "the click", |shot| pixel(shot, x, y)[0] > 200 && pixel(shot, x, y)[2] < 100).await;
    }
    execute(&session, Command::Keys(vec![Key::from_name("ret").expect("a key")])).await;
    port.wait_for("\"key\":28,\"down\":true").await;
    // By another layout other keys are pressed: Z is where Y was, and @ is AltGr with Q.
    session.set_keyboard_layout(KeyboardLayout::named("de").expect("is known"));
    execute(&session, Command::Type("z@ê".into())).await;
    for key in [21, 100, 16, 41, 18] {
        port.wait_for(&format!("\"key\":{key},\"down\":true")).await;
    }
    port.wait_for("\"key\":18,\"down\":false").await;

    execute(&session, Command::Powerdown).await;
    state(&session, State::PoweredOff).await;
    assert!(matches!(session.execute(Command::Resume).await, Err(CommandError::State { .. })));
    assert!(matches!(session.execute(Command::Pause).await, Err(CommandError::State { .. })));
    // The same machine starts again: one copy of QEMU, two boots.
    execute(&session, Command::Reset).await;
    state(&session, State::Running).await;
    port.wait_for("\"hello\"").await;
    execute(&session, Command::Quit).await;
    assert_eq!(session.ended().await, Ended::Quit);
    assert!(matches!(session.execute(Command::Reset).await, Err(CommandError::State { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_way_x86_64() {
    whole_way(Arch::X86_64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_way_aarch64() {
    whole_way(Arch::Aarch64).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_and_resume() {
    let (spec, mut port) = tiny_guest(Arch::X86_64);
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    execute(&session, Command::Pause).await;
    state(&session, State::Paused).await;
    port.say(r#"{"cmd":"time","id":5}"#);
    let silent = tokio::time::timeout(std::time::Duration::from_secs(2), port.wait_for("\"id\":5")).await;
    assert!(silent.is_err(), "a paused guest answered");
    assert!(matches!(session.execute(Command::Powerdown).await, Err(CommandError::State { .. })));
    execute(&session, Command::Resume).await;
    state(&session, State::Running).await;
    port.wait_for("\"id\":5").await;
    execute(&session, Command::Quit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_typed_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let session =
        Session::start(in_process(), spec(&colour_machine(folder.path(), 2))).await.expect("starts");
    assert!(matches!(session.execute(Command::Type("a€".into())).await, Err(CommandError::Untypable('€'))));
    execute(&session, Command::Quit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_child_harms_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = Session::start(child(), spec(&colour_machine(folder.path(), 4))).await.expect("starts");
    let two = Session::start(child(), spec(&colour_machine(folder.path(), 2))).await.expect("starts");
    for (session, colour) in [(&one, 4), (&two, 2)] {
        colour_picture(session, colour).await;
    }
    let pid = one.pid().expect("a process of its own");
    let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(killed.expect("kill").success());
    match one.ended().await {
        Ended::Died(words) => assert!(words.contains("SIGKILL"), "{words}"),
        Ended::Quit => panic!("it was not asked to quit"),
    }
    assert_eq!(two.status().borrow().state, State::Running);
    colour_picture(&two, 2).await;
    execute(&two, Command::Quit).await;
    assert_eq!(two.ended().await, Ended::Quit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qemus_refusal_comes_in_its_own_words_and_the_process_lives() {
    let folder = tempfile::tempdir().expect("a folder");
    for launcher in [in_process(), child()] {
        let mut machine = colour_machine(folder.path(), 1);
        machine.extra = vec!["-device".into(), "no-such-device".into()];
        match Session::start(launcher, spec(&machine)).await {
            Err(StartError::Qemu(exit)) => assert!(exit.to_string().contains("no-such-device"), "{exit}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it started"),
        }
    }
    // In the same process a good machine starts afterwards.
    let session =
        Session::start(in_process(), spec(&colour_machine(folder.path(), 2))).await.expect("starts");
    colour_picture(&session, 2).await;
    execute(&session, Command::Quit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_dropped_takes_its_machine_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session::start(child(), spec(&colour_machine(folder.path(), 2))).await.expect("starts");
    let process = format!("/proc/{}", session.pid().expect("a process of its own"));
    drop(session);
    let begun = std::time::Instant::now();
    while std::path::Path::new(&process).exists() {
        assert!(begun.elapsed() < PATIENCE, "the child is still there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What is taken from QEMU at once is bounded; the largest of what it does say stays far below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_answers_are_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = spec(&colour_machine(folder.path(), 1));
    let launcher = child();
    let running = launcher.launch(spec, Box::new(drop)).expect("starts");
    let qmp = sampan_qmp::Qmp::connect(running.qmp).await.expect("connects");
    for command in
        ["query-qmp-schema", "query-command-line-options", "qom-list-types", "query-cpu-definitions"]
    {
        let answer = qmp.execute_json(command, serde_json::json!({})).await;
        let text = answer.unwrap_or_else(|e| panic!("{command}: {e}")).to_string();
        let separators = text.bytes().filter(|byte| b"[{,:".contains(byte)).count();
        println!("{command}: {} bytes, {separators} values at most", text.len());
        assert!(text.len() < 512 << 10 && separators < 1 << 15, "{command}: {} {separators}", text.len());
    }
    running.control.kill().expect("is a process");
}
