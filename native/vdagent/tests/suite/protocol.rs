//! The protocol without I/O.

use crate::guest::{
    DEBIAN, Heard, PNG, TEXT, announcement, data, events, grab, picture, release, request, with_agent, words,
};
use proptest::prelude::*;
use sampan_vdagent::wire::{capability, message, whole};
use sampan_vdagent::{
    ClipboardError, Content, ContentError, Core, Event, FileError, Kind, Kinds, MAX_CONTENT, Offer, Policy,
    Selection, State,
};
use std::time::{Duration, Instant};

const CLIPBOARD: Selection = Selection::Clipboard;

fn text(text: &str) -> Offer {
    Content::text(text).expect("a text").into()
}

fn fetched(core: &mut Core) -> Option<Result<Content, ClipboardError>> {
    events(core).into_iter().find_map(|event| match event {
        Event::Fetched(outcome) => Some(outcome),
        Event::Changed | Event::File(_) => None,
    })
}

#[test]
fn nothing_is_sent_before_the_guest_has_opened_its_port() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    core.receive(&announcement(true, DEBIAN), now);
    assert_eq!(core.offer(CLIPBOARD, text("x")), Err(ClipboardError::NoAgent));
    assert!(!core.wants_to_send());
    core.port_opened(now);
    let heard = Heard::default().of(&mut core);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].0, message::ANNOUNCE_CAPABILITIES);
    assert_eq!(heard[0].1[0], 1, "and asks");
}

#[test]
fn a_content_crosses_when_the_guest_pastes() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_agent(&mut core, DEBIAN, now);
    core.offer(CLIPBOARD, text("中文 😀\n")).expect("is offered");
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD_GRAB, words(&[0, 0, TEXT]))], "the kinds alone");
    core.receive(&request(0, TEXT), now);
    let body = [words(&[0, TEXT]), "中文 😀\n".as_bytes().to_vec()].concat();
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD, body)]);
    assert_eq!(core.state().asked, 1);
    // What it was not offered, and another selection: an answer all the same, since a program waits for one.
    core.receive(&request(0, PNG), now);
    core.receive(&request(1, TEXT), now);
    core.receive(&request(0, 3), now);
    let empty = |selection, kind| (message::CLIPBOARD, words(&[selection, kind]));
    assert_eq!(heard.of(&mut core), [empty(0, PNG), empty(1, TEXT), empty(0, 3)]);
    assert_eq!(core.state().asked, 1);
    core.withdraw(CLIPBOARD);
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD_RELEASE, words(&[0]))]);
    core.receive(&request(0, TEXT), now);
    assert_eq!(heard.of(&mut core), [empty(0, TEXT)]);
}

#[test]
fn what_the_guest_copies_is_asked_for_when_somebody_wants_it() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_agent(&mut core, DEBIAN, now);
    core.receive(&grab(0, &[TEXT, 3, PNG]), now);
    assert!(heard.of(&mut core).is_empty(), "nobody has asked");
    assert!(matches!(events(&mut core)[..], [Event::Changed]));
    assert_eq!(
        core.state(),
        State {
            agent: true,
            kinds: Kinds { text: true, png: true },
            grabs: 1,
            files: true,
            ..State::default()
        }
    );
    core.fetch(CLIPBOARD, Kind::Png, now).expect("is asked");
    assert_eq!(core.fetch(CLIPBOARD, Kind::Text, now), Err(ClipboardError::Busy));
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD_REQUEST, words(&[0, PNG]))]);
    let png = picture(100_000);
    for piece in data(0, PNG, &png).chunks(999) {
        core.receive(piece, now);
    }
    assert_eq!(fetched(&mut core), Some(Ok(Content::new(Kind::Png, &png).expect("a picture"))));
    // Nobody asked: it is not kept.
    core.receive(&data(0, TEXT, b"unasked"), now);
    assert!(fetched(&mut core).is_none());
    core.receive(&release(0), now);
    assert_eq!(core.state().kinds, Kinds::NONE);
    assert_eq!(core.fetch(CLIPBOARD, Kind::Text, now), Err(ClipboardError::Nothing(Kind::Text)));
}

#[test]
fn an_older_agent_knows_one_selection_and_no_numbers() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    let old = [capability::CLIPBOARD_BY_DEMAND, capability::GUEST_LINEEND_CRLF];
    let mut heard = with_agent(&mut core, &old, now);
    core.offer(CLIPBOARD, text("a\nb")).expect("is offered");
    core.offer(Selection::Primary, text("a\nb")).expect("is left out");
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD_GRAB, words(&[TEXT]))]);
    core.receive(&whole(message::CLIPBOARD_REQUEST, &words(&[TEXT])), now);
    let body = [words(&[TEXT]), b"a\r\nb".to_vec()].concat();
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD, body)]);
    core.receive(&whole(message::CLIPBOARD_GRAB, &words(&[TEXT])), now);
    core.fetch(CLIPBOARD, Kind::Text, now).expect("is asked");
    core.receive(&whole(message::CLIPBOARD, &[words(&[TEXT]), b"c\r\nd\0".to_vec()].concat()), now);
    assert_eq!(fetched(&mut core), Some(Ok(Content::text("c\nd").expect("a text"))));
}

#[test]
fn of_two_grabs_that_cross_each_other_ours_counts_on_both_sides() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_agent(&mut core, DEBIAN, now);
    core.offer(CLIPBOARD, text("ours")).expect("is offered");
    // It was sent before the guest knew of ours.
    core.receive(&grab(0, &[TEXT]), now);
    assert_eq!(core.offered(CLIPBOARD), Some(&text("ours")));
    assert_eq!(core.state().kinds, Kinds::NONE);
    // This one after.
    core.receive(&grab(1, &[TEXT]), now);
    assert_eq!(core.offered(CLIPBOARD), None);
    core.offer(CLIPBOARD, text("again")).expect("is offered");
    let sent = heard.of(&mut core);
    assert_eq!(sent.last(), Some(&(message::CLIPBOARD_GRAB, words(&[0, 2, TEXT]))));
}

#[test]
fn what_was_taken_from_the_guest_is_not_offered_back() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_agent(&mut core, DEBIAN, now);
    core.receive(&grab(0, &[TEXT]), now);
    core.fetch(CLIPBOARD, Kind::Text, now).expect("is asked");
    core.receive(&data(0, TEXT, b"same"), now);
    heard.of(&mut core);
    // As a face does that mirrors one clipboard in another.
    core.offer(CLIPBOARD, text("same")).expect("is there already");
    assert!(heard.of(&mut core).is_empty());
    assert_eq!(core.state().kinds, Kinds { text: true, png: false });
    core.offer(CLIPBOARD, text("other")).expect("is offered");
    assert_eq!(heard.of(&mut core).len(), 1);
    core.offer(CLIPBOARD, text("other")).expect("is offered already");
    assert!(heard.of(&mut core).is_empty());
}

#[test]
fn each_direction_has_its_switch() {
    let now = Instant::now();
    let mut core = Core::new(Policy { to_guest: true, from_guest: false });
    let mut heard = with_agent(&mut core, DEBIAN, now);
    core.receive(&grab(0, &[TEXT]), now);
    assert_eq!(core.state(), State { agent: true, files: true, ..State::default() });
    assert_eq!(core.fetch(CLIPBOARD, Kind::Text, now), Err(ClipboardError::FromGuestOff));
    core.offer(CLIPBOARD, text("x")).expect("is offered");
    heard.of(&mut core);
    core.set_policy(Policy { to_guest: false, from_guest: true });
    assert_eq!(heard.of(&mut core)[0], (message::CLIPBOARD_RELEASE, words(&[0])));
    assert_eq!(core.offer(CLIPBOARD, text("x")), Err(ClipboardError::ToGuestOff));
    core.receive(&request(0, TEXT), now);
    assert_eq!(heard.of(&mut core), [(message::CLIPBOARD, words(&[0, TEXT]))]);
    // Neither way: the agent is not told that we share a clipboard at all.
    core.set_policy(Policy::OFF);
    assert_eq!(heard.of(&mut core), [(message::ANNOUNCE_CAPABILITIES, words(&[0, 1 << 14]))]);
}

#[test]
fn a_reboot_is_a_new_agent_which_is_offered_the_same() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_agent(&mut core, DEBIAN, now);
    core.offer(CLIPBOARD, text("kept")).expect("is offered");
    heard.of(&mut core);
    core.receive(&request(0, TEXT)[..11], now);
    core.port_closed();
    assert!(!core.state().agent && !core.wants_to_send());
    let mut heard = with_no_answer(&mut core, now);
    core.receive(&announcement(true, DEBIAN), now);
    let sent = heard.of(&mut core);
    assert_eq!(sent.last(), Some(&(message::CLIPBOARD_GRAB, words(&[0, 0, TEXT]))), "{sent:?}");
    // Who waited for the former one's content waits no more.
    core.receive(&grab(1, &[TEXT]), now);
    core.fetch(CLIPBOARD, Kind::Text, now).expect("is asked");
    core.port_closed();
    assert_eq!(fetched(&mut core), Some(Err(ClipboardError::Changed)));
}

fn with_no_answer(core: &mut Core, now: Instant) -> Heard {
    core.port_opened(now);
    let mut heard = Heard::default();
    heard.of(core);
    heard
}

#[test]
fn an_agent_that_does_not_answer_is_asked_again_and_not_for_ever() {
    let (mut core, mut now) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_no_answer(&mut core, now);
    let mut asked = 1;
    while let Some(due) = core.timeout() {
        now = due;
        core.handle_timeout(now);
        asked += heard.of(&mut core).len();
        assert!(asked < 10);
    }
    assert_eq!(asked, 4);
}

#[test]
fn what_is_no_message_ends_with_silence() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    with_agent(&mut core, DEBIAN, now);
    core.receive(b"the rest of a message that was cut", now);
    core.receive(&grab(0, &[TEXT]), now);
    assert_eq!(core.state().kinds, Kinds::NONE, "who knows where it begins");
    let due = core.timeout().expect("is waited for");
    core.handle_timeout(due);
    let mut heard = Heard::default();
    assert_eq!(heard.of(&mut core)[0].0, message::ANNOUNCE_CAPABILITIES);
    core.receive(&announcement(false, DEBIAN), due);
    core.receive(&grab(0, &[TEXT]), due);
    assert!(core.state().kinds.text);
}

#[test]
fn a_message_that_stops_half_way_is_given_up() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    with_agent(&mut core, DEBIAN, now);
    core.receive(&grab(0, &[TEXT])[..20], now);
    let due = core.timeout().expect("is waited for");
    assert!(due > now + Duration::from_secs(1));
    core.handle_timeout(due);
    core.receive(&announcement(false, DEBIAN), due);
    assert!(core.state().agent);
}

#[test]
fn a_guest_that_gives_nothing_is_not_waited_for() {
    let (mut core, begun) = (Core::new(Policy::BOTH), Instant::now());
    with_agent(&mut core, DEBIAN, begun);
    core.receive(&grab(0, &[TEXT]), begun);
    core.fetch(CLIPBOARD, Kind::Text, begun).expect("is asked");
    core.handle_timeout(begun + Duration::from_secs(9));
    assert!(fetched(&mut core).is_none());
    core.handle_timeout(begun + Duration::from_secs(10));
    assert!(matches!(fetched(&mut core), Some(Err(ClipboardError::Silent(_)))));
    // One that gives a byte at a time has a limit, too.
    core.fetch(CLIPBOARD, Kind::Text, begun).expect("is asked");
    let message = data(0, TEXT, &[b'x'; 100]);
    let mut now = begun;
    for byte in &message {
        now += Duration::from_secs(5);
        core.receive(&[*byte], now);
        core.handle_timeout(now);
    }
    assert!(matches!(fetched(&mut core), Some(Err(ClipboardError::Silent(_)))));
}

fn file(core: &mut Core) -> Option<Result<(), FileError>> {
    events(core).into_iter().find_map(|event| match event {
        Event::File(outcome) => Some(outcome),
        Event::Changed | Event::Fetched(_) => None,
    })
}

#[test]
fn an_agent_that_takes_no_file_is_not_waited_for_whenever_it_stops() {
    const WANTED: u32 = 0;
    let limit = Duration::from_secs(30);
    let silent = Some(Err(FileError::Silent(limit)));
    let (mut core, begun) = (Core::new(Policy::BOTH), Instant::now());
    let mut heard = with_agent(&mut core, DEBIAN, begun);
    let status = |id: u32, result: u32| whole(message::FILE_XFER_STATUS, &words(&[id, result]));
    for (id, stage) in (1..).zip(["never answers", "only says that it wants it", "never says that it has it"])
    {
        core.send_file("a", 10, begun).expect("is announced");
        heard.of(&mut core);
        if id > 1 {
            core.receive(&status(id, WANTED), begun);
            assert!(core.wants_piece(), "{stage}");
        }
        match id {
            // It goes on to say so for ever.
            2 => (1..6).for_each(|n| core.receive(&status(id, WANTED), begun + Duration::from_secs(5) * n)),
            3 => core.send_piece(&[0; 10], begun),
            _ => {}
        }
        heard.of(&mut core);
        core.handle_timeout(begun + limit - Duration::from_millis(1));
        assert_eq!(file(&mut core), None, "{stage}");
        assert_eq!(core.timeout(), Some(begun + limit), "{stage}");
        core.handle_timeout(begun + limit);
        assert_eq!(file(&mut core), silent, "{stage}");
        // It is told to remove what it has, once it reads again.
        assert_eq!(heard.of(&mut core), [(message::FILE_XFER_STATUS, words(&[id, 1]))], "{stage}");
        // What it says of it later is about nothing.
        core.receive(&status(id, WANTED), begun + limit);
        assert!(!core.wants_piece() && file(&mut core).is_none(), "{stage}");
    }
}

#[test]
fn too_much_is_neither_kept_nor_believed() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    with_agent(&mut core, DEBIAN, now);
    core.receive(&grab(0, &[TEXT, PNG]), now);
    core.fetch(CLIPBOARD, Kind::Text, now).expect("is asked");
    core.receive(&data(0, TEXT, &vec![b'x'; MAX_CONTENT + 1]), now);
    let size = MAX_CONTENT as u64 + 9;
    assert_eq!(fetched(&mut core), Some(Err(ClipboardError::TooLarge { size })));
    core.fetch(CLIPBOARD, Kind::Text, now).expect("is asked");
    core.receive(&data(0, TEXT, &vec![b'x'; MAX_CONTENT]), now);
    assert!(matches!(fetched(&mut core), Some(Ok(content)) if content.bytes().len() == MAX_CONTENT));
    for (kind, number, bytes, error) in [
        (Kind::Text, TEXT, &b"\xff\xfe"[..], ClipboardError::Content(ContentError::NotText)),
        (Kind::Png, PNG, b"no picture", ClipboardError::Content(ContentError::NotPng)),
        (Kind::Png, 0, b"", ClipboardError::Refused(Kind::Png)),
        (Kind::Text, TEXT, b"", ClipboardError::Refused(Kind::Text)),
    ] {
        core.fetch(CLIPBOARD, kind, now).expect("is asked");
        core.receive(&data(0, number, bytes), now);
        assert_eq!(fetched(&mut core), Some(Err(error)));
    }
}

#[test]
fn a_flood_of_requests_and_grabs_leaves_nothing_behind() {
    let (mut core, now) = (Core::new(Policy::BOTH), Instant::now());
    with_agent(&mut core, DEBIAN, now);
    core.offer(CLIPBOARD, text("x")).expect("is offered");
    for serial in 1..5000 {
        core.receive(&request(0, TEXT), now);
        core.receive(&announcement(true, DEBIAN), now);
        core.receive(&grab(serial, &[TEXT; 200]), now);
    }
    assert_eq!(events(&mut core).len(), 1);
    let mut bytes = Vec::new();
    while core.chunk(&mut bytes) {}
    assert!(bytes.len() < 8 << 10, "{}", bytes.len());
}

/// What a guest may send, well formed or not.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0_u32..4, any::<u32>()];
    prop_oneof![
        (any::<bool>(), proptest::sample::subsequence(DEBIAN, 0..DEBIAN.len()))
            .prop_map(|(asks, capabilities)| announcement(asks, &capabilities)),
        (number.clone(), proptest::collection::vec(0_u32..4, 0..4))
            .prop_map(|(serial, types)| grab(serial, &types)),
        (0_u32..3, number.clone()).prop_map(|(selection, kind)| request(selection, kind)),
        (0_u32..3, number, proptest::collection::vec(any::<u8>(), 0..50))
            .prop_map(|(selection, kind, bytes)| data(selection, kind, &bytes)),
        (0_u32..3).prop_map(release),
        (0_u32..20, proptest::collection::vec(any::<u8>(), 0..50))
            .prop_map(|(kind, body)| whole(kind, &body)),
        proptest::collection::vec(any::<u8>(), 0..50),
    ]
}

proptest! {
    #[test]
    fn whatever_a_guest_sends_what_is_ours_leaves_when_it_is_offered_and_asked_for(
        messages in proptest::collection::vec(anything(), 0..30),
        offered in any::<bool>(),
    ) {
        let (mut core, mut now) = (Core::new(Policy::BOTH), Instant::now());
        let mut heard = with_agent(&mut core, DEBIAN, now);
        if offered {
            core.offer(CLIPBOARD, text("ours")).expect("is offered");
        }
        for bytes in messages {
            now += Duration::from_millis(200);
            core.handle_timeout(now);
            let _ = core.fetch(CLIPBOARD, Kind::Text, now);
            let before = core.state().asked;
            core.receive(&bytes, now);
            for (kind, body) in heard.of(&mut core) {
                let is_ours = kind == message::CLIPBOARD && body.ends_with(b"ours");
                prop_assert!(!is_ours || (offered && core.state().asked > before));
            }
            prop_assert!(events(&mut core).len() <= 2);
        }
        // It always comes round.
        now += Duration::from_secs(100);
        core.handle_timeout(now);
        core.port_opened(now);
        core.receive(&announcement(true, DEBIAN), now);
        prop_assert!(core.state().agent);
    }
}
