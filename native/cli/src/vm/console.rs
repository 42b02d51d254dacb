//! `sampan console`: a machine's serial port in this terminal, as it is: the one thing that is not escaped.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a raw terminal, of whoever asked to talk to the guest's serial port"
)]

use crate::app::App;
use crate::exit::Code;
use crate::run::Signals;
use anyhow::{Context, Result};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Read, Stdin, Write, stdin, stdout};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Ctrl-], as telnet has it.
const LEAVE: u8 = 0x1d;

/// `sampan console VM`. Without a terminal, what is piped in is typed, and all that comes is printed until the end.
pub fn console(vm: &str) -> Result<Code> {
    let app = App::open()?;
    let client = app.running(vm)?.into_client()?;
    let (stream, before) = app.wait(async { Ok(client.console().await?) })?;
    let stream = stream.into_std().context("the connection")?;
    stream.set_nonblocking(false).context("the connection")?;
    // Before the terminal is changed: whoever ends us gets it back as it was.
    let ended = end_by_signals(stream.try_clone()?)?;
    let raw = Raw::enter(stdin())?;
    if raw.is_some() {
        eprint!("Ctrl-] leaves the console\r\n");
    }
    let typing = stream.try_clone()?;
    let interactive = raw.is_some();
    let left = Arc::new(AtomicBool::new(false));
    let leaving = Arc::clone(&left);
    // It ends with the program: a read of a terminal cannot be broken off.
    std::thread::spawn(move || type_at(typing, interactive, &leaving));
    let shown = show(stream, &before);
    drop(raw);
    if interactive {
        let by_us = left.load(Ordering::Relaxed) || ended.get().is_some();
        eprintln!("{}", if by_us { "" } else { "\nthe machine has ended" });
    }
    shown?;
    Ok(ended.get().copied().unwrap_or(Code::Done))
}

/// Signals that would end the program end the console instead, and are told.
fn end_by_signals(stream: UnixStream) -> Result<Arc<OnceLock<Code>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().context("signals")?;
    let mut signals = {
        let _within = runtime.enter();
        Signals::new()?
    };
    let ended = Arc::new(OnceLock::new());
    let told = Arc::clone(&ended);
    std::thread::spawn(move || {
        let code = runtime.block_on(signals.first());
        let _ = told.set(code);
        let _ = stream.shutdown(Shutdown::Both);
    });
    Ok(ended)
}

/// What is typed here is typed there.
fn type_at(mut stream: UnixStream, interactive: bool, left: &AtomicBool) {
    let mut bytes = [0; 1024];
    loop {
        let read = match stdin().lock().read(&mut bytes) {
            Ok(read @ 1..) => read,
            // The end of a pipe ends the typing alone: the answer is still to come.
            _ if !interactive => return,
            _ => break,
        };
        let typed = &bytes[..read];
        let leave = typed.iter().position(|byte| interactive && *byte == LEAVE);
        left.store(leave.is_some(), Ordering::Relaxed);
        if stream.write_all(&typed[..leave.unwrap_or(read)]).is_err() || leave.is_some() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn show(mut stream: UnixStream, before: &[u8]) -> Result<()> {
    let mut out = stdout().lock();
    let mut bytes = [0; 4096];
    let mut piece = before;
    loop {
        if out.write_all(piece).and_then(|()| out.flush()).is_err() {
            // Whoever reads us has enough.
            return Ok(());
        }
        piece = match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(read) => &bytes[..read],
            Err(e) => return Err(e).context("the machine is gone"),
        };
    }
}

/// A terminal that passes every key on, until this is dropped.
struct Raw {
    terminal: Stdin,
    before: Termios,
}

impl Raw {
    /// `None` where it is no terminal.
    fn enter(terminal: Stdin) -> Result<Option<Self>> {
        if !terminal.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&terminal).context("the terminal's mode")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).context("the terminal's mode")?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
