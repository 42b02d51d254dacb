//! A process that is killed, and a disk that is full.

use crate::bench::{sha256, stored, until};
use crate::example::example;
use crate::server::{Server, Stored};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A program that knows of no proxy.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command
}

fn start(server: &Server, to: &Path, file: &Stored) -> Child {
    let mut command = command(example("fetch"));
    command.arg(server.url("/a")).arg(to).arg(sha256(&file.bytes).to_string());
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_killed_process_loses_no_byte_that_its_journal_names() {
    const LENGTH: usize = 8 << 20;
    let file = stored(LENGTH);
    let served = file.clone();
    let server = Server::start(move |hit, out| {
        std::thread::sleep(Duration::from_millis(5));
        served.serve(hit, out)
    });
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("disk.img");
    let mut kills = 0;
    // Killed wherever it happens to be, again and again.
    for more in [1 << 20, 1 << 19, 1 << 20, 300_000] {
        let before = server.sent();
        let mut child = start(&server, &to, &file);
        until("some more came", || server.sent() >= before + more || child.try_wait().unwrap().is_some());
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 3, "only {kills} kills");
    assert!(!to.exists());
    let mut child = start(&server, &to, &file);
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read(&to).unwrap() == file.bytes);
    let wasted = server.sent() - LENGTH as u64;
    assert!(wasted < 4 << 20, "{wasted} bytes came twice: that is starting over, not going on");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_write_that_fails_is_said_and_the_rest_is_kept() {
    let file = stored(4 << 20);
    let served = file.clone();
    let server = Server::start(move |hit, out| served.serve(hit, out));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("disk.img");
    // `ulimit -f` counts blocks of 512 bytes in dash and of 1024 in bash; both stop short of 4 MiB.
    let script = r#"trap "" XFSZ; ulimit -f 2048; exec "$0" "$@""#;
    let output = command("sh")
        .args(["-c", script])
        .arg(example("fetch"))
        .arg(server.url("/a"))
        .arg(&to)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && words.contains("cannot write") && words.contains("free space"),
        "{words}"
    );
    assert!(!to.exists());
    let before = server.sent();
    let mut child = command(example("fetch")).arg(server.url("/a")).arg(&to).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read(&to).unwrap() == file.bytes);
    assert!(server.sent() - before < 4 << 20, "what had been written was not loaded again");
}

/// Downloads onto a file system of its own size, in MiB. That needs a mount; `None` where the kernel does not let us,
/// and the test above must do.
fn on_a_small_disk(mib: u32, server: &Server, more: &[&str]) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size="$1" tmpfs "$2" || exit 99
        at="$2"; fetch="$3"; url="$4"; shift 4; exec "$fetch" "$url" "$at/disk.img" "$@""#;
    let output = command("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", &format!("{mib}m")])
        .arg(folder.path())
        .arg(example("fetch"))
        .arg(server.url("/a"))
        .args(more)
        .output();
    match output {
        Ok(output) if !words(&output).starts_with("unshare") && output.status.code() != Some(99) => {
            Some(output)
        }
        refused => {
            eprintln!("no mount of our own here, so no full disk: {refused:?}");
            None
        }
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A body without a length: the check before the first byte cannot help.
fn endless(pace: Duration) -> Server {
    Server::start(move |_, out| {
        out.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while out.body(&[7; 32 << 10]) {
            std::thread::sleep(pace);
        }
        false
    })
}

#[test]
fn a_full_disk_is_said_with_figures() {
    let server = endless(Duration::ZERO);
    if let Some(output) = on_a_small_disk(2, &server, &[]) {
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains("bytes free"), "{}", words(&output));
    }
}

#[test]
fn a_disk_that_fills_up_meanwhile_keeps_its_reserve() {
    let server = endless(Duration::from_millis(10));
    if let Some(output) = on_a_small_disk(32, &server, &["-", "30000000"]) {
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains("30000000 of them stay free"), "{}", words(&output));
        assert!(server.sent() < 32 << 20, "it stopped before the disk was full");
    }
}

#[test]
fn the_environment_names_the_proxy() {
    let file = Stored { ranges: false, ..stored(500) };
    let served = file.clone();
    let proxy = Server::start(move |hit, out| served.serve(hit, out));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("disk.img");
    let mut through = command(example("fetch"));
    through.arg("http://example.invalid/a").arg(&to).env("http_proxy", proxy.url(""));
    assert!(through.status().unwrap().success());
    assert!(std::fs::read(&to).unwrap() == file.bytes);
    assert_eq!(proxy.hits()[0].path, "http://example.invalid/a");
    let server = Server::start(move |hit, out| file.serve(hit, out));
    let mut around = command(example("fetch"));
    around.arg(server.url("/a")).arg(folder.path().join("b"));
    around.env("http_proxy", proxy.url("")).env("no_proxy", "localhost,127.0.0.1");
    assert!(around.status().unwrap().success());
    assert_eq!((proxy.hits().len(), server.hits().len()), (1, 1));
}
