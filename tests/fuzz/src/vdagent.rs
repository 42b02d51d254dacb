//! A hostile agent of a guest's clipboard.

use crate::Source;
use sampan_vdagent::wire::{Decoder, Frame, message};
use sampan_vdagent::{Content, Core, Event, Kind, MAX_CONTENT, Policy, Selection};
use std::time::{Duration, Instant};

/// Ours, which no guest gets that has not asked for it.
const OURS: &str = "what the host has copied";

/// The guest sends whatever it likes, time passes, its port is closed and opened, and somebody copies and pastes meanwhile.
pub fn agent(data: &[u8]) {
    let mut source = Source::new(data);
    let flags = source.u8();
    let policy = Policy { to_guest: flags & 1 == 0, from_guest: flags & 2 == 0 };
    let mut core = Core::new(policy);
    let mut now = Instant::now();
    let (mut heard, mut is_offered, mut fetches) = (Decoder::default(), false, 0);
    core.port_opened(now);
    while !source.is_empty() {
        match source.u8() % 8 {
            4 => {
                now += Duration::from_millis(100) * u32::from(source.u8());
                core.handle_timeout(now);
            }
            5 => {
                let kind = if source.u8().is_multiple_of(2) { Kind::Text } else { Kind::Png };
                fetches += u32::from(core.fetch(Selection::Clipboard, kind, now).is_ok());
            }
            6 => {
                let content = Content::text(OURS).expect("it is short");
                is_offered |= core.offer(Selection::Clipboard, content.into()).is_ok();
            }
            7 => {
                core.port_opened(now);
                heard = Decoder::default();
            }
            _ => {
                let length = source.u16().into();
                core.receive(source.bytes(length), now);
            }
        }
        let mut bytes = Vec::new();
        // Each of its requests has at most one answer, which is short here.
        while core.chunk(&mut bytes) {}
        assert!(bytes.len() < 64 << 10);
        let mut bytes = &bytes[..];
        while let Some(frame) = heard.next(&mut bytes, |_| usize::MAX).expect("we send whole messages") {
            let Frame::Message { kind, body } = frame else { panic!("nothing is skipped") };
            let is_ours = kind == message::CLIPBOARD && body.ends_with(OURS.as_bytes());
            assert!(!is_ours || (is_offered && policy.to_guest));
        }
        while let Some(event) = core.next_event() {
            if let Event::Fetched(outcome) = event {
                assert!(fetches > 0);
                fetches -= 1;
                assert!(outcome.is_err() || policy.from_guest);
                assert!(outcome.is_ok_and(|content| content.bytes().len() <= MAX_CONTENT) || fetches == 0);
            }
        }
    }
    // Whoever waits has an answer in the end.
    for _ in 0..10 {
        if let Some(due) = core.timeout() {
            core.handle_timeout(due.max(now));
        }
    }
    while let Some(event) = core.next_event() {
        fetches -= u32::from(matches!(event, Event::Fetched(_)));
    }
    assert_eq!(fetches, 0);
}
