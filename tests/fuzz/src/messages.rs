//! What a page or a person's words may hold.

use crate::Source;
use sampan_input::{Event, Key, Layout, Pressed, rescale};
use sampan_stream::{Channel, Reader, Request};

/// Lines of messages, on both channels by turns: what is read is in range.
pub(crate) fn input(data: &[u8]) {
    let mut reader = Reader::default();
    let mut pressed = Pressed::default();
    for line in data.split(|&b| b == b'\n').take(64) {
        for channel in [Channel::Keys, Channel::Motion] {
            let Ok(Some(request)) = reader.read(channel, line) else { continue };
            match request {
                Request::Input(event) => {
                    if let Event::Move { x, y, frame } = event {
                        assert!(x < frame.0 && y < frame.1);
                    }
                    pressed.note(&event);
                }
                Request::Text(text) => assert!(!text.is_empty() && text.len() <= 4096),
                Request::Ask | Request::Withdraw | Request::Sound { .. } => {}
                Request::Give(viewer) | Request::Refuse(viewer) => {
                    assert!(!viewer.is_empty() && viewer.bytes().all(|byte| byte.is_ascii_digit()));
                }
                Request::Display(number) => assert!(number < u32::MAX as usize),
                Request::Resize(size, _) => assert!(size.width > 0 && size.height > 0),
            }
        }
    }
    pressed.release();
    assert!(pressed.is_empty());
}

/// Names and codes of keys: a key that is found has one, and typed text has strokes.
pub(crate) fn key_names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for name in text.split_whitespace() {
        for key in [Key::from_name(name), Key::from_dom(name)].into_iter().flatten() {
            assert_eq!(Key::from_evdev(key.evdev()), Some(key));
            assert!(!key.name().is_empty());
        }
    }
    for layout in Layout::all() {
        text.chars().filter_map(|c| layout.strokes(c)).for_each(|strokes| assert!(!strokes.is_empty()));
    }
    let _ = Layout::of_locale(&text);
    let mut source = Source::new(data);
    let (at, from, to) = (source.u32(), source.u32(), source.u32());
    assert!(rescale(at, from, to) < to.max(1));
    if let Some(key) = Key::from_evdev(source.u16()) {
        assert_eq!(Key::from_qnum(key.qnum()).map(Key::qnum), Some(key.qnum()));
    }
}

/// Lines on the control socket, of a client and of a machine: what is read is written as it was.
pub(crate) fn control(data: &[u8]) {
    use sampan_control::wire::{ClientLine, ServerLine, parse, request_line};
    if let Ok(ClientLine::Request(request)) = parse(data)
        && let Ok(line) = request_line(&request)
    {
        assert_eq!(parse(&line), Ok(ClientLine::Request(request)));
    }
    if let Ok(line) = ServerLine::parse(data) {
        assert_eq!(ServerLine::parse(&line.to_line()).expect("it was written by us"), line);
    }
}
