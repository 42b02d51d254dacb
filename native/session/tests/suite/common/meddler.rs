//! A launcher that puts itself between a session and a real QEMU's monitor, where it loses what it is told to lose.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use sampan_emulator::{LaunchError, LaunchSpec, Launcher, OnExit, Running};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

/// A line on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// To QEMU: it has not been carried out.
    Command(&'a str),
    /// From QEMU: it has been, or was refused.
    Answer(&'a str),
}

/// Says whether a line arrives.
pub type Rule = Box<dyn FnMut(Line<'_>) -> bool + Send>;

pub struct Meddler {
    inner: Arc<dyn Launcher>,
    rule: Arc<Mutex<Rule>>,
}

impl Meddler {
    /// One that lets everything pass until it is told otherwise.
    pub fn new(inner: Arc<dyn Launcher>) -> Arc<Self> {
        Arc::new(Self { inner, rule: Arc::new(Mutex::new(Box::new(|_| true))) })
    }

    pub fn rule(&self, rule: impl FnMut(Line<'_>) -> bool + Send + 'static) {
        *self.rule.lock().expect("not poisoned") = Box::new(rule);
    }
}

impl Launcher for Meddler {
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError> {
        let mut running = self.inner.launch(spec, on_exit)?;
        let (theirs, ours) = UnixStream::pair().expect("a pair");
        let qemu = std::mem::replace(&mut running.qmp, theirs);
        let names = Arc::new(Mutex::new(HashMap::new()));
        let clone = |stream: &UnixStream| stream.try_clone().expect("clones");
        let (from, to, rule, asked) = (clone(&ours), clone(&qemu), self.rule.clone(), names.clone());
        std::thread::spawn(move || commands(&from, &to, &rule, &asked));
        let rule = self.rule.clone();
        std::thread::spawn(move || answers(qemu, ours, &rule, &names));
        Ok(running)
    }
}

type Names = Mutex<HashMap<u64, String>>;

/// A descriptor goes with the line of the one command that takes it.
fn commands(from: &UnixStream, to: &UnixStream, rule: &Mutex<Rule>, names: &Names) {
    let (mut pending, mut held) = (Vec::new(), Vec::<OwnedFd>::new());
    loop {
        let mut bytes = [0; 16 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let Some(got) = got.ok().map(|got| got.bytes).filter(|got| *got > 0) else {
            let _ = to.shutdown(Shutdown::Write);
            return;
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                held.extend(fds);
            }
        }
        pending.extend(&bytes[..got]);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let parsed: Value = serde_json::from_slice(&line).expect("JSON");
            let name = parsed["execute"].as_str().expect("a command").to_owned();
            let fd = if matches!(name.as_str(), "getfd" | "add-fd") { held.pop() } else { None };
            names.lock().expect("not poisoned").insert(parsed["id"].as_u64().expect("an id"), name.clone());
            if rule.lock().expect("not poisoned")(Line::Command(&name)) && send(to, &line, fd).is_err() {
                return;
            }
        }
    }
}

fn send(to: &UnixStream, line: &[u8], fd: Option<OwnedFd>) -> std::io::Result<()> {
    let borrowed: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)), "there is room for one");
    }
    let sent = sendmsg(to, &[IoSlice::new(line)], &mut control, SendFlags::NOSIGNAL)?;
    let mut to = to;
    to.write_all(&line[sent..])
}

fn answers(from: UnixStream, mut to: UnixStream, rule: &Mutex<Rule>, names: &Names) {
    for line in BufReader::new(from).split(b'\n') {
        let Ok(mut line) = line else { break };
        let parsed: Value = serde_json::from_slice(&line).expect("JSON");
        let name = parsed["id"].as_u64().and_then(|id| names.lock().expect("not poisoned").remove(&id));
        line.push(b'\n');
        // Greeting and events have no number.
        let passes = name.is_none_or(|name| rule.lock().expect("not poisoned")(Line::Answer(&name)));
        if passes && to.write_all(&line).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
