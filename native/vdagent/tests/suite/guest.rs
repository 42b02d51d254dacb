//! A played guest: an agent as `vd_agent.h` describes it, whose messages a test writes itself.

use sampan_vdagent::wire::{Decoder, Frame, capability, message, whole};
use sampan_vdagent::{Core, Event, State};
use std::time::Instant;

pub const TEXT: u32 = 1;
pub const PNG: u32 = 2;

/// What Debian's agent can do.
pub const DEBIAN: &[u32] = &[
    capability::CLIPBOARD_BY_DEMAND,
    capability::CLIPBOARD_SELECTION,
    capability::CLIPBOARD_NO_RELEASE_ON_REGRAB,
    capability::CLIPBOARD_GRAB_SERIAL,
    capability::MAX_CLIPBOARD,
];

pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub fn announcement(asks: bool, capabilities: &[u32]) -> Vec<u8> {
    let bits = capabilities.iter().fold(0, |bits, bit| bits | 1 << bit);
    whole(message::ANNOUNCE_CAPABILITIES, &words(&[asks.into(), bits]))
}

/// A grab of the clipboard, with selection and serial.
pub fn grab(serial: u32, types: &[u32]) -> Vec<u8> {
    whole(message::CLIPBOARD_GRAB, &words(&[&[0, serial], types].concat()))
}

pub fn request(selection: u32, kind: u32) -> Vec<u8> {
    whole(message::CLIPBOARD_REQUEST, &words(&[selection, kind]))
}

pub fn data(selection: u32, kind: u32, bytes: &[u8]) -> Vec<u8> {
    whole(message::CLIPBOARD, &[words(&[selection, kind]), bytes.to_vec()].concat())
}

pub fn release(selection: u32) -> Vec<u8> {
    whole(message::CLIPBOARD_RELEASE, &words(&[selection]))
}

/// A picture of one pixel, as far as anybody looks.
pub fn picture(rest: usize) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec();
    png.extend((0..rest).map(|n| n as u8));
    png
}

/// What we have sent to it.
#[derive(Default)]
pub struct Heard(pub Decoder);

impl Heard {
    pub fn of(&mut self, core: &mut Core) -> Vec<(u32, Vec<u8>)> {
        let mut bytes = Vec::new();
        while core.chunk(&mut bytes) {}
        self.bytes(&bytes)
    }

    pub fn bytes(&mut self, mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(frame) = self.0.next(&mut bytes, |_| usize::MAX).expect("we send whole messages") {
            match frame {
                Frame::Message { kind, body } => all.push((kind, body)),
                Frame::Skipped { .. } => panic!("nothing is skipped"),
            }
        }
        all
    }
}

pub fn events(core: &mut Core) -> Vec<Event> {
    std::iter::from_fn(|| core.next_event()).collect()
}

/// With an agent that has said what it can do, and has heard what we said.
pub fn with_agent(core: &mut Core, capabilities: &[u32], now: Instant) -> Heard {
    let mut heard = Heard::default();
    core.port_opened(now);
    core.receive(&announcement(true, capabilities), now);
    heard.of(core);
    core.receive(&announcement(false, capabilities), now);
    assert_eq!(core.state(), State { agent: true, ..core.state() });
    heard.of(core);
    events(core);
    heard
}
