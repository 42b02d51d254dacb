use super::{LIMIT, Machine, tell};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// A console in a terminal of its own.
struct Terminal {
    keyboard: File,
    slave: OwnedFd,
    shown: Receiver<Vec<u8>>,
    text: String,
    before: Termios,
    child: Child,
}

impl Terminal {
    fn console(machine: &Machine) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let before = tcgetattr(&pty.slave).expect("its mode");
        let same = || Stdio::from(pty.slave.try_clone().expect("the terminal"));
        let mut command = machine.0.command(&["console", "vm"]);
        let child = command.stdin(same()).stdout(same()).stderr(same()).spawn().expect("starts");
        let keyboard = File::from(pty.master);
        let mut screen = keyboard.try_clone().expect("the terminal");
        let (tell, shown) = channel();
        // It ends with the test's process.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if tell.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keyboard, slave: pty.slave, shown, text: String::new(), before, child }
    }

    /// Waits until something is on the screen, and forgets what came before it.
    fn shows(&mut self, words: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.text.find(words) {
                self.text.drain(..at + words.len());
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.shown.recv_timeout(left) else {
                panic!("waited in vain for {words:?}: {:?}", self.text)
            };
            self.text += &String::from_utf8_lossy(&bytes);
        }
    }

    fn types(&mut self, text: &[u8]) {
        self.keyboard.write_all(text).expect("is typed");
    }

    fn is_raw(&self) -> bool {
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        !tcgetattr(&self.slave).expect("its mode").local_flags.intersects(cooked)
    }

    /// Waits for its end, after which the terminal must be as it was.
    fn ends(mut self) -> Option<i32> {
        let code = self.child.wait().expect("ends").code();
        assert_eq!(tcgetattr(&self.slave).expect("its mode"), self.before, "the terminal's mode");
        code
    }
}

#[test]
fn a_console_takes_the_terminal_and_gives_it_back_however_it_ends() {
    let machine = Machine::new();
    let supervisor = machine.start();
    let mut terminal = Terminal::console(&machine);
    terminal.shows("Ctrl-] leaves the console");
    terminal.shows("ready\r\n");
    assert!(terminal.is_raw());
    // Every key is the guest's, Ctrl-C and Ctrl-Z too; the guest alone writes them back.
    terminal.types(b"ahoy\x03\x1a!");
    terminal.shows("ahoy\x03\x1a!");
    terminal.types(b"\x1d");
    assert_eq!(terminal.ends(), Some(0));

    // What was written before is shown again.
    let mut terminal = Terminal::console(&machine);
    terminal.shows("ready\r\nahoy\x03\x1a!");
    tell(i32::try_from(terminal.child.id()).expect("a process"), Signal::SIGTERM);
    assert_eq!(terminal.ends(), Some(143));

    let mut terminal = Terminal::console(&machine);
    terminal.shows("ahoy");
    machine.0.json(&["stop", "vm", "--force"]);
    terminal.shows("the machine has ended");
    assert_eq!(terminal.ends(), Some(0));

    let again = machine.start();
    assert_ne!(again["pid"], supervisor["pid"]);
    let mut terminal = Terminal::console(&machine);
    terminal.shows("ready");
    tell(super::number(&again["pid"]), Signal::SIGKILL);
    terminal.shows("the machine has ended");
    terminal.ends();
    machine.until("the end", |status| status["state"] == "stopped");
}
