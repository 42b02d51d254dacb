use super::{Machine, number, tell};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

#[test]
fn pictures_go_where_they_are_wanted() {
    let machine = Machine::new();
    machine.start();
    let picture = |to: &str| machine.0.run(&["screenshot", "vm", to]);
    const PNG: &[u8] = b"\x89PNG\r\n";
    let shown = |path: &Path| std::fs::read(path).expect("reads").starts_with(PNG);
    // A machine may not have a picture in its first moments.
    machine.until("a picture", |_| picture("/dev/null").code == Some(0));
    assert!(Path::new("/dev/null").metadata().expect("is there").file_type().is_char_device());
    let (file, link, fifo) = (machine.0.path("a.png"), machine.0.path("link.png"), machine.0.path("fifo"));
    symlink("a.png", &link).expect("a link");
    assert_eq!(picture(&link.display().to_string()).code, Some(0));
    assert!(link.is_symlink() && shown(&file));
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
    let read = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::read(fifo).expect("reads")
    });
    assert_eq!(picture(&fifo.display().to_string()).code, Some(0));
    assert!(read.join().expect("ends").starts_with(PNG));
    assert!(fifo.metadata().expect("is there").file_type().is_fifo());
    let output = machine.0.command(&["screenshot", "vm", "-"]).output().expect("runs");
    assert!(output.status.success() && output.stdout.starts_with(PNG), "stdout is the picture alone");
    let words = machine.0.refused(&["screenshot", "vm", "/dev/full"]);
    assert!(words.contains("/dev/full cannot be written"), "{words}");
    // What no key types is told with the ways that work.
    let words = machine.0.refused(&["type", "vm", "ü€你好"]);
    assert!(words.contains("sampan console") && words.contains("sampan exec"), "{words}");
    let words = machine.0.refused(&["disk", "flatten", "vm"]);
    assert!(words.contains("sampan stop vm"), "{words}");
}

#[test]
fn a_taken_port_and_a_folder_that_is_gone_are_told_with_the_way_out() {
    let machine = Machine::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let forward = format!("tcp:127.0.0.1:{port}:22");
    machine.0.json(&["forward", "add", "vm", &forward]);
    let words = machine.0.refused(&["start", "vm"]);
    for part in
        [&format!("port {port} of this host"), "taken", &format!("sampan forward remove vm {forward}")]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    machine.0.json(&["forward", "remove", "vm", &forward]);
    let folder = machine.0.path("files");
    std::fs::create_dir(&folder).expect("a folder");
    machine.0.json(&["share", "add", "vm", &folder.display().to_string()]);
    std::fs::remove_dir(&folder).expect("is gone");
    let words = machine.0.refused(&["start", "vm"]);
    assert!(words.contains("sampan share remove vm files"), "{words}");
    machine.0.json(&["share", "remove", "vm", "files"]);
    // While it runs, too.
    machine.start();
    let words = machine.0.refused(&["forward", "add", "vm", &forward]);
    assert!(words.contains(&format!("port {port} of this host")), "{words}");
    let words = machine.0.refused(&["forward", "add", "vm", "[::1]:2222:22"]);
    assert!(words.contains("IPv4 alone"), "{words}");
}

#[test]
fn an_old_failure_is_not_told_of_a_newer_run() {
    let machine = Machine::new();
    machine.start();
    machine.crash();
    machine.until("the end", |status| status["state"] == "stopped" && status["last_run"]["how"] == "died");
    let supervisor = number(&machine.start()["pid"]);
    let said = machine.0.run(&["status", "vm"]);
    assert!(said.code == Some(0) && !said.out.contains("died"), "it runs: {said:?}");
    // A supervisor that is killed notes nothing.
    tell(supervisor, Signal::SIGKILL);
    let status = machine.until("the end", |status| status["state"] == "stopped");
    assert_eq!(status["last_run"]["how"], "unknown");
    let said = machine.0.run(&["status", "vm"]);
    assert!(said.out.contains("not known") && !said.out.contains("died"), "{said:?}");
}
