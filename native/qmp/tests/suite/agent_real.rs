//! The agent's client against `qemu-ga` itself (Debian's package qemu-guest-agent), run on this machine as an ordinary program.
//! What would freeze, stop or change the machine is blocked; freezing is tested in a guest, and against the double of `agent.rs`.

use sampan_qmp::agent::{Agent, AgentError, CHUNK, Exec, Exited, MAX_STDIN};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BLOCKED: &str = "guest-shutdown,guest-fsfreeze-freeze,guest-fsfreeze-freeze-list,guest-fsfreeze-thaw,guest-fstrim,\
    guest-set-time,guest-set-vcpus,guest-set-memory-blocks,guest-set-user-password,guest-suspend-disk,guest-suspend-ram,\
    guest-suspend-hybrid,guest-ssh-add-authorized-keys,guest-ssh-remove-authorized-keys";

struct Qga {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Qga {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let places = ["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga", "/sbin/qemu-ga"].map(PathBuf::from);
    let found = places.into_iter().find(|place| place.exists());
    found.expect("qemu-ga: install the package qemu-guest-agent, as scripts/bootstrap does")
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

async fn start() -> (Qga, Agent) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket");
    let process = Command::new(program())
        .args(["-m", "unix-listen", "-b", BLOCKED, "-p"])
        .arg(&socket)
        .arg("-t")
        .arg(folder.path())
        .arg("-f")
        .arg(folder.path().join("pid"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let qga = Qga { process, folder };
    for _ in 0..1000 {
        if let Ok(stream) = UnixStream::connect(&socket) {
            return (qga, Agent::connect(stream).expect("connects"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("qemu-ga does not listen");
}

#[tokio::test]
async fn it_tells_about_itself_and_the_machine() {
    let (_qga, agent) = start().await;
    agent.ping().await.expect("is there");
    let info = agent.info().await.expect("tells");
    assert!(info.supported_commands.iter().any(|c| c.name == "guest-exec" && c.enabled));
    assert!(info.supported_commands.iter().any(|c| c.name == "guest-shutdown" && !c.enabled));
    let system = agent.os_info().await.expect("tells");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux");
    assert_eq!(system.kernel_release.as_deref(), Some(release.trim()));
    let interfaces = agent.network_interfaces().await.expect("tells");
    assert!(interfaces.iter().any(|i| i.name == "lo"), "{interfaces:?}");
}

#[tokio::test]
async fn programs_run_with_input_output_and_ends() {
    let (_qga, agent) = start().await;
    let script = "cat; echo \"$1 $A\" >&2; exit 7";
    let exec = Exec::new("/bin/sh").args(["-c", script, "sh", "a b; c"]).env("A", "é").stdin("input");
    let done = agent.exec(exec).await.expect("runs");
    assert_eq!(done.exited, Exited::Code(7));
    assert_eq!((&done.stdout[..], &done.stderr[..]), (&b"input"[..], "a b; c é\n".as_bytes()));

    let done = agent.exec(Exec::new("/bin/sh").args(["-c", "kill -9 $$"])).await.expect("runs");
    assert_eq!(done.exited, Exited::Signal(9));

    let input: Vec<u8> = (0..MAX_STDIN).map(|i| (i % 251) as u8).collect();
    let done =
        agent.exec(Exec::new("/bin/cat").stdin(input.clone()).max_output(MAX_STDIN)).await.expect("runs");
    assert!(done.stdout == input && !done.truncated);

    let missing = agent.exec(Exec::new("/no/such/program")).await;
    assert!(matches!(missing, Err(AgentError::Refused { command: "guest-exec", .. })), "{missing:?}");

    // One second more than its time, so that nothing stays behind for long.
    let slow = Exec::new("/bin/sleep").arg("2").timeout(Duration::from_millis(300));
    let slow = agent.exec(slow).await;
    let Err(AgentError::StillRunning { pid, .. }) = slow else { panic!("{slow:?}") };
    loop {
        if let Some(done) = agent.exec_status(pid).await.expect("tells") {
            assert_eq!(done.exited, Exited::Code(0));
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn too_much_output_is_refused_and_the_agent_serves_on() {
    let (_qga, agent) = start().await;
    let much = Exec::new("/usr/bin/head").args(["-c", "20000000", "/dev/zero"]);
    let refused = agent.exec(much.clone()).await;
    assert!(matches!(refused, Err(AgentError::TooLong { .. })), "{:?}", refused.err());
    let done = agent.exec(much.max_output(usize::MAX)).await.expect("runs");
    assert_eq!((done.stdout.len(), done.truncated), (16 << 20, true));
    agent.ping().await.expect("is there");
}

#[tokio::test]
async fn files_go_there_and_back() {
    let (qga, agent) = start().await;
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
        let bytes: Vec<u8> = (0..length).map(|i| (i * 7 % 253) as u8).collect();
        let there = qga.folder.path().join("file");
        let mut told = 0;
        let sent = agent.push(&mut &bytes[..], &path(&there), |n| told = n).await.expect("pushes");
        assert_eq!((sent, told), (length as u64, length as u64));
        assert!(std::fs::read(&there).expect("is there") == bytes, "{length}");
        let mut back = Vec::new();
        let got = agent.pull(&path(&there), &mut back, length as u64, |_| ()).await.expect("pulls");
        assert!(got == length as u64 && back == bytes, "{length}");
    }
    let big = agent.pull("/dev/zero", &mut Vec::new(), 1 << 20, |_| ()).await;
    assert!(matches!(big, Err(AgentError::TooBig { .. })), "{big:?}");
    let none = agent.pull("/no/such/file", &mut Vec::new(), 1, |_| ()).await;
    assert!(matches!(none, Err(AgentError::Refused { command: "guest-file-open", .. })), "{none:?}");
    let full = agent.push(&mut &[0; 10][..], "/dev/full", |_| ()).await;
    assert!(matches!(full, Err(AgentError::Refused { .. })), "{full:?}");
}

#[tokio::test]
async fn half_a_line_that_was_left_there_harms_nothing() {
    use std::io::Write;
    let (qga, agent) = start().await;
    drop(agent);
    let mut stream = UnixStream::connect(qga.folder.path().join("socket")).expect("connects");
    stream.write_all(b"{\"execute\": \"guest-inf").expect("writes");
    let agent = Agent::connect(stream).expect("connects");
    agent.info().await.expect("tells");
}

#[tokio::test]
async fn what_it_may_not_do_is_refused_in_its_words() {
    let (_qga, agent) = start().await;
    let refused = agent.freeze().await.err();
    assert!(
        matches!(&refused, Some(AgentError::Refused { message, .. }) if message.contains("disabled")),
        "{refused:?}"
    );
    let refused = agent.shutdown(sampan_qmp::agent::ShutdownMode::Reboot).await;
    assert!(matches!(refused, Err(AgentError::Refused { command: "guest-shutdown", .. })), "{refused:?}");
    assert!(matches!(agent.set_time(std::time::SystemTime::now()).await, Err(AgentError::Refused { .. })));
}
