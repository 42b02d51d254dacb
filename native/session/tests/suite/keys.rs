//! Keys that come while a guest's processor is needed for something else: none is lost, and none stays down (scripts/qemu/patches,
//! "Keys wait for a guest that is busy").

use crate::common::{Port, boot_disk, boots, in_process, of_machine, spec, tiny_machine};
use sampan_config::{Arch, Keyboard, Pointer};
use sampan_input::{Event, Key};
use sampan_session::{Command, Session};
use std::process::{Command as Program, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A guest that gets some thousandth of a core, until this is dropped.
struct Starved {
    threads: Vec<i32>,
    fed: Arc<AtomicBool>,
}

impl Starved {
    /// Its threads run on one core, and only where nothing else wants it, and something else does.
    fn new(threads: Vec<i32>) -> Self {
        let core = first_core();
        let fed = Arc::new(AtomicBool::new(false));
        let (told, id) = mpsc::channel();
        let enough = fed.clone();
        std::thread::spawn(move || {
            let own = std::fs::read_link("/proc/thread-self").expect("a thread");
            told.send(own.file_name().expect("its number").to_owned()).expect("is waited for");
            while !enough.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let hungry = id.recv().expect("is told");
        done(Program::new("taskset").args(["--pid", "--cpu-list", &core]).arg(hungry));
        for thread in &threads {
            let id = thread.to_string();
            done(Program::new("chrt").args(["--idle", "--pid", "0", &id]));
            done(Program::new("taskset").args(["--pid", "--cpu-list", &core, &id]));
        }
        Self { threads, fed }
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        self.fed.store(true, Ordering::Relaxed);
        for thread in &self.threads {
            done(Program::new("chrt").args(["--other", "--pid", "0", &thread.to_string()]));
        }
    }
}

/// The first processor that this process may use.
fn first_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("is there");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list");
    list.trim().chars().take_while(char::is_ascii_digit).collect()
}

fn done(program: &mut Program) {
    assert!(program.stdout(Stdio::null()).status().expect("runs").success(), "{program:?}");
}

fn press(session: &Session, name: &str) {
    session.guest().input(Event::Key { key: Key::from_name(name).expect("a key"), down: true });
}

fn release(session: &Session, name: &str) {
    session.guest().input(Event::Key { key: Key::from_name(name).expect("a key"), down: false });
}

/// A guest of which a key's way to its program is proven: what comes before that is lost, as on a real machine.
async fn started(keyboard: Keyboard) -> (Session, Port) {
    let mut machine = tiny_machine(Arch::X86_64);
    machine.keyboard = keyboard;
    let (spec, mut port) = of_machine(&machine);
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    heard(&session, &mut port, "esc", 1).await;
    (session, port)
}

/// Strokes a key until the guest's program hears of it, which has that code.
async fn heard(session: &Session, port: &mut Port, name: &str, code: u16) {
    let news = format!(r#""key":{code},"down":false"#);
    loop {
        press(session, name);
        release(session, name);
        if port.within(Duration::from_millis(500), &news).await.is_some() {
            return;
        }
    }
}

/// What the guest knows of its keys, once it has heard of one that was pressed after all others.
async fn known(session: &Session, port: &mut Port) -> String {
    heard(session, port, "f12", 88).await;
    port.say(r#"{"cmd":"state"}"#);
    port.wait_for("\"held\"").await
}

async fn end(session: &Session) {
    session.execute(Command::Quit).await.expect("quits");
    session.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_usb_keyboard_loses_no_key_of_a_busy_guest() {
    let (session, mut port) = started(Keyboard::Usb).await;
    let starved = Starved::new(session.threads().await.expect("are told"));
    // More than it has room for, which is 16 events.
    let letters = "the quick brown fox jumps".replace(' ', "");
    for letter in letters.chars() {
        press(&session, &letter.to_string());
        release(&session, &letter.to_string());
    }
    // They are spaced by 12 ms.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(starved);
    let state = known(&session, &mut port).await;
    assert!(state.contains("\"held\":[]"), "{state}");
    assert!(state.contains(&letters), "{letters} is not in {state}");
    end(&session).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_of_a_virtio_keyboard_stays_down_in_a_busy_guest() {
    let (session, mut port) = started(Keyboard::Virtio).await;
    let starved = Starved::new(session.threads().await.expect("are told"));
    // More than it has room for, which is 32 events. So many at once are also more than Linux keeps for a program, so letters may
    // be missing; its driver knows all of them.
    let keys = || ('a'..='z').chain('0'..='9').map(String::from);
    keys().for_each(|key| press(&session, &key));
    keys().for_each(|key| release(&session, &key));
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(starved);
    let state = known(&session, &mut port).await;
    assert!(state.contains("\"held\":[]"), "{state}");
    end(&session).await;
}

/// A boot sector that says `r`, and says what a PS/2 keyboard has for it once it hears something.
#[rustfmt::skip]
const LATE_READER: [u8; 44] = [
    0xfa, // cli
    0xb4, b'r', // mov $0x72,%ah
    0xe8, 0x17, 0x00, // call 1d
    // wait for a byte on the serial port:
    0xba, 0xfd, 0x03, // mov $0x3fd,%dx
    0xec, // in (%dx),%al
    0xa8, 0x01, // test $0x1,%al
    0x74, 0xf8, // je 6
    // pass on each byte of the keyboard's:
    0xe4, 0x64, // in $0x64,%al
    0xa8, 0x01, // test $0x1,%al
    0x74, 0xfa, // je e
    0xe4, 0x60, // in $0x60,%al
    0x88, 0xc4, // mov %al,%ah
    0xe8, 0x02, 0x00, // call 1d
    0xeb, 0xf1, // jmp e
    // say %ah:
    0xba, 0xfd, 0x03, // mov $0x3fd,%dx
    0xec, // in (%dx),%al
    0xa8, 0x20, // test $0x20,%al
    0x74, 0xf8, // je 1d
    0xba, 0xf8, 0x03, // mov $0x3f8,%dx
    0x88, 0xe0, // mov %ah,%al
    0xee, // out %al,(%dx)
    0xc3, // ret
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ps2_keyboard_loses_no_key_of_a_guest_that_reads_late() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut machine = boots("reader", boot_disk(folder.path(), &LATE_READER));
    machine.keyboard = Keyboard::Ps2;
    machine.pointer = Pointer::Ps2;
    let session = Session::start(in_process(), spec(&machine)).await.expect("starts");
    let (before, mut serial) = session.serial().console(1 << 16);
    if !before.ends_with(b"r") {
        while !serial.recv().await.expect("it says that it is ready").ends_with(b"r") {}
    }
    // Its queue has room for 16 bytes. Five of these have one of the second half of the keyboard's codes; Pause has six bytes.
    let keys = ["left", "right", "up", "down", "ctrl_r", "pause"];
    let letters: Vec<_> = ('a'..='z').map(String::from).collect();
    for key in letters.iter().map(String::as_str).chain(keys) {
        press(&session, key);
        release(&session, key);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.serial().write(b"!").await.expect("is heard");
    let mut said = Vec::new();
    press(&session, "f12");
    release(&session, "f12");
    while !said.ends_with(&[0x58, 0xd8]) {
        said.extend_from_slice(&serial.recv().await.expect("it goes on"));
    }
    // Set 1, as a PC's controller translates it.
    let codes = b"\x1e\x30\x2e\x20\x12\x21\x22\x23\x17\x24\x25\x26\x32\x31\x18\x19\x10\x13\x1f\x14\x16\x2f\x11\x2d\x15\x2c";
    let mut wanted: Vec<u8> = codes.iter().flat_map(|code| [*code, code | 0x80]).collect();
    for code in [0x4b, 0x4d, 0x48, 0x50, 0x1d] {
        wanted.extend([0xe0, code, 0xe0, code | 0x80]);
    }
    wanted.extend([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
    wanted.extend([0x58, 0xd8]);
    assert_eq!(said, wanted);
    end(&session).await;
}
