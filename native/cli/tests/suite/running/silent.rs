//! Supervisors that do not answer, and clients that would keep them from it.

use super::{Home, LIMIT, Machine, number, tell};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// As many as there are places, and some more.
const MANY: usize = 80;

fn socket_of(home: &Home, vm: &str) -> PathBuf {
    let shown = home.json(&["show", vm]);
    PathBuf::from(shown["folder"].as_str().expect("a folder")).join("run/control")
}

fn ask(socket: &std::path::Path, request: &str) -> (UnixStream, String) {
    let stream = UnixStream::connect(socket).expect("connects");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let mut reader = BufReader::new(stream);
    writeln!(reader.get_mut(), "{{\"version\":2,{request}}}").expect("is asked");
    let mut line = String::new();
    // One that gave way reads nothing.
    let _ = reader.read_line(&mut line);
    (reader.into_inner(), line)
}

/// Asks for a console until there is a place for it.
fn console(socket: &std::path::Path) -> UnixStream {
    let until = Instant::now() + LIMIT;
    loop {
        let (stream, line) = ask(socket, "\"command\":\"console\"");
        if line.trim() == r#"{"ok":{"reply":"done"}}"# {
            return stream;
        }
        assert!(line.contains("end one of them"), "{line}");
        assert!(Instant::now() < until, "no place became free");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn consoles_whose_clients_have_died_give_their_places_back_though_the_guest_reads_nothing() {
    let machine = Machine::new();
    machine.start();
    machine.0.json(&["pause", "vm"]);
    let socket = socket_of(&machine.0, "vm");
    let consoles = |count: usize| {
        (0..count).map(|_| {
            let mut stream = console(&socket);
            stream.set_nonblocking(true).expect("a socket");
            // More than the machine takes from a client whose guest reads nothing.
            let full = loop {
                if let Err(e) = stream.write_all(&[b'x'; 1 << 16]) {
                    break e.kind();
                }
            };
            assert_eq!(full, ErrorKind::WouldBlock);
            stream
        })
    };
    // They live: their places are taken, and others are served all the same.
    let alive: Vec<UnixStream> = consoles(16).collect();
    let (_, refused) = ask(&socket, "\"command\":\"console\"");
    assert!(refused.contains("16 consoles and requests that take long are under way"), "{refused}");
    assert_eq!(machine.status()["state"], "paused");
    drop(alive);
    assert_eq!(consoles(MANY).count(), MANY);
    assert_eq!(machine.0.json(&["list"])[0]["state"], "paused");
    let stopped = machine.0.json(&["stop", "vm", "--force"]);
    assert_eq!(stopped, json!({ "state": "stopped", "how": "quit" }));
}

#[test]
fn clients_that_ask_nothing_give_way() {
    let machine = Machine::new();
    machine.start();
    let socket = socket_of(&machine.0, "vm");
    let idle: Vec<UnixStream> = (0..MANY).map(|_| UnixStream::connect(&socket).expect("connects")).collect();
    // Half a request is none.
    idle.iter().for_each(|mut stream| drop(stream.write_all(b"{\"version\"")));
    assert_eq!(machine.status()["state"], "running");
    assert_eq!(machine.0.json(&["list"])[0]["state"], "running");
    let mut words = String::new();
    (&idle[0]).read_to_string(&mut words).expect("its end");
    assert!(words.contains("connect again"), "{words}");
    assert_eq!(machine.0.json(&["stop", "vm", "--force"])["how"], "force");
}

#[test]
fn what_takes_long_is_heard_of_all_the_while() {
    let machine = Machine::new();
    machine.start();
    let text = "x".repeat(200);
    let (_, line) = ask(&socket_of(&machine.0, "vm"), &format!("\"command\":\"type\",\"text\":\"{text}\""));
    assert!(line.starts_with(' ') && line.trim() == r#"{"ok":{"reply":"done"}}"#, "{line:?}");
}

/// Whether it runs: one that nobody has waited for yet does not.
fn is_there(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_supervisor_that_was_stopped_is_told_of_and_ended_by_its_process() {
    let machine = Machine::new();
    let supervisor = number(&machine.start()["pid"]);
    let qemu = number(&machine.status()["pid"]);
    tell(supervisor, Signal::SIGSTOP);
    // All at once, since each waits as long as nothing may be heard.
    std::thread::scope(|all| {
        let machine = &machine;
        all.spawn(|| assert_eq!(machine.0.json(&["list"])[0]["state"], "silent"));
        all.spawn(|| {
            let said = machine.0.run(&["list"]);
            assert!(
                said.out.contains("does not answer") && said.out.contains("sampan stop vm --force"),
                "{said:?}"
            );
        });
        for command in [&["status", "vm"][..], &["stop", "vm"], &["console", "vm"]] {
            all.spawn(move || {
                let words = machine.0.refused(command);
                assert!(
                    words.contains(&format!("process {supervisor} does not answer")),
                    "{command:?}: {words}"
                );
                assert!(words.contains("`sampan stop vm --force` ends it"), "{command:?}: {words}");
            });
        }
    });
    assert!(is_there(supervisor) && is_there(qemu), "without --force nothing is ended");
    let said = machine.0.run(&["stop", "vm", "--force"]);
    assert!(said.code == Some(0) && said.out.contains("did not answer"), "{said:?}");
    machine.until("QEMU's end", |_| !is_there(qemu));
    let status = machine.status();
    assert_eq!(status["state"], "stopped");
    assert!(status["last_run"]["words"].as_str().is_some_and(|words| words.contains("by force")), "{status}");
    let again = machine.start();
    assert_ne!(number(&again["pid"]), supervisor);
}

/// Machines that somebody else listens for.
fn played(names: &[&str]) -> (Home, Vec<UnixListener>) {
    let home = Home::new();
    let listen = |name: &&str| {
        home.json(&["new", name, "--preset", "old", "--arch", "x86_64", "--no-disk"]);
        let socket = socket_of(&home, name);
        std::fs::create_dir(socket.parent().expect("a folder")).expect("is made");
        UnixListener::bind(socket).expect("listens")
    };
    let listeners = names.iter().map(listen).collect();
    (home, listeners)
}

#[test]
fn many_that_do_not_answer_hold_a_list_up_no_longer_than_one() {
    let listed = |names: &[&str]| {
        let (home, _listeners) = played(names);
        let begun = Instant::now();
        let states: Vec<Value> =
            home.json(&["list"]).as_array().expect("a list").iter().map(|vm| vm["state"].clone()).collect();
        assert_eq!(states, vec![json!("silent"); names.len()]);
        begun.elapsed()
    };
    let one = listed(&["a"]);
    let many = listed(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    // One after the other they would take eight times as long.
    assert!(many < 4 * one, "{many:?} for eight, {one:?} for one");
}

#[test]
fn a_queue_that_is_full_is_an_answer_too_and_nobody_is_ended_who_is_no_supervisor() {
    let (home, listeners) = played(&["a"]);
    let socket_file = socket_of(&home, "a");
    let address = UnixAddr::new(&socket_file).expect("an address");
    let mut queue: Vec<OwnedFd> = Vec::new();
    loop {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let client = socket(AddressFamily::Unix, SockType::Stream, flags, None).expect("a socket");
        match connect(client.as_raw_fd(), &address) {
            Ok(()) => queue.push(client),
            Err(e) => break assert_eq!(e, Errno::EAGAIN),
        }
    }
    // All at once, since each waits as long as nothing may be heard.
    std::thread::scope(|all| {
        let home = &home;
        for command in [&["status", "a"][..], &["stop", "a"], &["delete", "a"]] {
            all.spawn(move || {
                let words = home.refused(command);
                assert!(words.contains("does not answer"), "{command:?}: {words}");
                assert!(words.contains("`sampan stop a --force` ends it"), "{command:?}: {words}");
            });
        }
        all.spawn(|| assert_eq!(home.json(&["list"])[0]["state"], "silent"));
    });
    // This test holds the socket; it is no supervisor, and it lives to tell.
    let said = home.run(&["stop", "a", "--force"]);
    assert!(!queue.is_empty() && !listeners.is_empty(), "{said:?}");
}

#[test]
fn an_answer_is_waited_for_as_long_as_it_is_being_worked_on() {
    let (home, listeners) = played(&["a"]);
    let playing = std::thread::spawn(move || {
        let (stream, _) = listeners[0].accept().expect("a client");
        let mut reader = BufReader::new(stream);
        reader.read_line(&mut String::new()).expect("a request");
        // Longer than nothing may be heard.
        for _ in 0..13 {
            reader.get_mut().write_all(b" ").expect("is heard");
            std::thread::sleep(Duration::from_secs(1));
        }
        reader.get_mut().write_all(b"{\"ok\":{\"reply\":\"done\"}}\n").expect("is answered");
    });
    assert_eq!(home.json(&["pause", "a"]), json!({}));
    playing.join().expect("is played");
}
