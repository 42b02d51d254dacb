//! Lines come back as they went, whatever is in them.

use proptest::option;
use proptest::prelude::*;
use sampan_config::Mode;
use sampan_control::{
    AgentInfo, Applied, ClipboardContent, ClipboardKind, Effect, Execution, GivenTo, Picture, Progress,
    Reply, Request, wire,
};
use sampan_message::Message;
use std::num::NonZeroU32;

fn request() -> impl Strategy<Value = Request> {
    let text = any::<String>;
    let mode = prop_oneof![Just(Mode::Saver), Just(Mode::Standard), Just(Mode::Turbo)];
    prop_oneof![
        prop_oneof![
            Just(Request::Status),
            Just(Request::Watch),
            option::of(1..=u32::MAX)
                .prop_map(|display| Request::Screenshot { display: display.and_then(NonZeroU32::new) }),
            Just(Request::Pause),
            Just(Request::Resume),
            Just(Request::Reset),
            Just(Request::Powerdown),
            Just(Request::Quit),
            Just(Request::Console),
            Just(Request::Suspend),
            Just(Request::Agent),
        ],
        prop_oneof![
            any::<u32>().prop_map(|width| Request::Thumbnail { width }),
            text().prop_map(|text| Request::Type { text }),
            any::<Vec<String>>().prop_map(|names| Request::Key { names }),
            any::<(u32, u32)>().prop_map(|(x, y)| Request::Pointer { x, y }),
            text().prop_map(|button| Request::Click { button }),
            any::<i32>().prop_map(|notches| Request::Wheel { notches }),
            any::<(u32, u32)>().prop_map(|(width, height)| Request::Resize { width, height }),
        ],
        prop_oneof![
            (text(), text(), any::<bool>()).prop_map(|(name, note, disks_only)| Request::Snapshot {
                name,
                note,
                disks_only
            }),
            (text(), text(), text()).prop_map(|(snapshot, name, note)| Request::SnapshotEdit {
                snapshot,
                name,
                note
            }),
            text().prop_map(|snapshot| Request::SnapshotDelete { snapshot }),
            text().prop_map(|name| Request::Rename { name }),
            any::<std::collections::BTreeMap<String, String>>()
                .prop_map(|sections| Request::Configure { sections }),
            (text(), any::<Option<String>>(), any::<bool>())
                .prop_map(|(drive, medium, force)| Request::Insert { drive, medium, force }),
            (text(), any::<u64>()).prop_map(|(drive, size)| Request::Grow { drive, size }),
            text().prop_map(|forward| Request::ForwardAdd { forward }),
            text().prop_map(|forward| Request::ForwardRemove { forward }),
            mode.prop_map(|mode| Request::Mode { mode }),
            any::<bool>().prop_map(|on| Request::Background { on }),
            text().prop_map(|password| Request::VncPassword { password }),
        ],
        prop_oneof![
            (any::<Vec<String>>(), text(), any::<u64>()).prop_map(|(argv, stdin, timeout)| Request::Exec {
                argv,
                stdin,
                timeout
            }),
            (text(), option::of(text()), option::of(text())).prop_map(|(from, to, name)| Request::Push {
                from: from.into(),
                to,
                name
            }),
            (text(), text()).prop_map(|(from, to)| Request::Pull { from, to: to.into() }),
            kind().prop_map(|kind| Request::ClipboardGet { kind }),
            any::<(Option<u8>, Option<bool>, Option<bool>)>()
                .prop_map(|(volume, muted, microphone)| Request::Sound { volume, muted, microphone }),
            any::<(bool, bool)>().prop_map(|(play, record)| Request::SoundStream { play, record }),
            (kind(), text(), any::<bool>()).prop_map(|(kind, data, secret)| Request::ClipboardSet {
                kind,
                data,
                secret
            }),
        ],
    ]
}

fn kind() -> impl Strategy<Value = ClipboardKind> {
    prop_oneof![Just(ClipboardKind::Text), Just(ClipboardKind::Png)]
}

fn reply() -> impl Strategy<Value = Reply> {
    let text = any::<String>;
    let bytes = any::<Vec<u8>>;
    prop_oneof![
        Just(Reply::Done),
        (any::<(u32, u32)>(), bytes()).prop_map(|((width, height), png)| Reply::Picture(Picture {
            width,
            height,
            png
        })),
        text().prop_map(|id| Reply::Snapshot { id }),
        (any::<Vec<String>>(), any::<Vec<String>>())
            .prop_map(|(now, next_start)| Reply::Applied(Applied { now, next_start })),
        (any::<Vec<String>>(), any::<Vec<String>>(), any::<(u32, u32)>()).prop_map(
            |(done, refused, (before, after))| {
                let refused = refused.into_iter().map(|words| Message::new("mode_refused", words)).collect();
                Reply::Effect(Effect { done, refused, before, after })
            }
        ),
        (any::<(Option<i64>, Option<i64>, bool)>(), bytes(), bytes()).prop_map(
            |((code, signal, truncated), stdout, stderr)| {
                Reply::Execution(Execution { code, signal, truncated, stdout, stderr })
            }
        ),
        any::<u64>().prop_map(|bytes| Reply::Copied { bytes, to: None }),
        (any::<u64>(), text())
            .prop_map(|(bytes, path)| Reply::Copied { bytes, to: Some(GivenTo::Path(path)) }),
        any::<u64>().prop_map(|bytes| Reply::Copied { bytes, to: Some(GivenTo::Downloads) }),
        (any::<u64>(), ".*", ".*", option::of(".*")).prop_map(|(bytes, tag, name, path)| {
            Reply::Copied { bytes, to: Some(GivenTo::Shared { tag, name, path }) }
        }),
        (text(), any::<(Option<String>, Option<String>)>(), any::<Vec<String>>()).prop_map(
            |(version, (system, id), addresses)| Reply::Agent(AgentInfo { version, system, id, addresses })
        ),
        (kind(), bytes()).prop_map(|(kind, data)| Reply::Clipboard(ClipboardContent { kind, data })),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_back(request in request()) {
        let line = wire::request_line(&request).expect("all of it is Unicode text");
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(wire::parse_request(&line), Ok(request));
    }

    #[test]
    fn a_member_too_many_is_refused(request in request(), name in "[a-z]{12,20}") {
        let line = wire::request_line(&request).expect("all of it is Unicode text");
        let mut value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        value[&name] = true.into();
        prop_assert!(wire::parse_request(value.to_string().as_bytes()).is_err());
    }

    #[test]
    fn an_answer_comes_back(
        reply in reply(), text in any::<String>(), code in "[a-z_]{1,20}", number in any::<u64>(),
    ) {
        let message = Message { code: code.clone().into(), ..Message::new("x", text).with("number", number) };
        let progress = Progress { phase: code.into(), done: number, total: number };
        for line in [
            wire::ServerLine::Ok(reply),
            wire::ServerLine::Error(message),
            wire::ServerLine::Progress(progress),
        ] {
            let written = line.to_line();
            prop_assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(wire::ServerLine::parse(&written).expect("parses"), line);
        }
    }

    #[test]
    fn whatever_comes_is_parsed_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = wire::parse(&bytes);
        let _ = wire::ServerLine::parse(&bytes);
    }
}

/// The largest clipboard fits into a line, both ways, and its base64 is the larger one.
#[test]
fn the_largest_clipboard_fits_into_a_line() {
    let bytes: usize = 16 << 20;
    let base64 = bytes.div_ceil(3) * 4;
    let request = Request::ClipboardSet { kind: ClipboardKind::Text, data: "x".repeat(base64), secret: true };
    let line = wire::request_line(&request).expect("Unicode text");
    assert!(line.len() <= wire::MAX_REQUEST);
    let reply = Reply::Clipboard(ClipboardContent { kind: ClipboardKind::Png, data: vec![0; bytes] });
    let line = wire::ServerLine::Ok(reply).to_line();
    assert!(line.len() > base64 && line.len() <= wire::MAX_ANSWER);
}
