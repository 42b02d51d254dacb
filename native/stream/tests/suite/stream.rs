//! A real viewer over real sockets: what it sees, what it does, and what becomes of it.

use crate::common::guest::{Painter, TestGuest};
use crate::common::network::Network;
use crate::common::{Client, until, within};
use base64::Engine as _;
use sampan_frame::{Cursor, Screen, Size};
use sampan_guest::{Guest, GuestState, GuestStatus, Watched};
use sampan_input::{Button, Event, Key};
use sampan_stream::{Server, ServerConfig};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use webrtc::peer_connection::RTCPeerConnectionState;

async fn serve(guest: &Arc<TestGuest>) -> Server {
    Server::start(ServerConfig::default(), guest.clone()).await.expect("serves")
}

fn as_is(answer: String) -> String {
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_sees_rising_counters_and_the_guest_feels_its_keys() {
    let guest = TestGuest::new(640, 360);
    let painter = Painter::start(guest.clone(), 30);
    let server = serve(&guest).await;
    let mut client = Client::connect(&server.url(), as_is).await;
    let first = client.frame().await;
    assert!(first.key && (first.width, first.height) == (640, 360));
    let mut last = first.counter();
    for _ in 0..30 {
        let counter = client.frame().await.counter();
        assert!(
            counter > last && counter <= painter.counter.load(Ordering::Relaxed),
            "{counter} after {last}"
        );
        last = counter;
    }
    let stats = server.stats();
    assert_eq!(stats.viewers.len(), 1);
    assert!(stats.frames_encoded >= 31 && stats.keyframes < 10, "{stats:?}");

    assert!(
        client
            .message("\"status\"")
            .await
            .contains(r#""state":"running","detail":"","absolute":true,"name":"test""#)
    );
    assert_eq!(client.message("\"size\"").await, r#"{"t":"size","w":640,"h":360}"#);
    client.keys.send_text(r#"{"t":"key","code":"KeyA","down":true}"#).await.expect("sends");
    client.keys.send_text("nonsense").await.expect("sends");
    client.keys.send_text(r#"{"t":"button","button":0,"down":true}"#).await.expect("sends");
    client.motion.send_text(r#"{"t":"move","s":1,"x":3,"y":4,"w":640,"h":360}"#).await.expect("sends");
    client.keys.send_text(r#"{"t":"resize","w":800,"h":601,"mmw":200,"mmh":150}"#).await.expect("sends");
    until("the events", || guest.events().len() == 3 && !guest.resized.lock().expect("ok").is_empty()).await;
    let key = Key::from_dom("KeyA").expect("a key");
    assert!(guest.events().contains(&Event::Key { key, down: true }));
    assert!(guest.events().contains(&Event::Move { x: 3, y: 4, frame: (640, 360) }));
    assert_eq!(guest.resized.lock().expect("ok")[0], (Size { width: 800, height: 601 }, (200, 150)));

    // This guest takes no text, and says so to the page.
    client.keys.send_text(r#"{"t":"text","text":"中文"}"#).await.expect("sends");
    assert!(client.message("\"untyped\"").await.contains(r#""code":"text_unsupported""#));

    // It leaves with a key and a button down.
    client.close().await;
    until("the release", || guest.events().len() == 5).await;
    assert!(guest.events().contains(&Event::Key { key, down: false }));
    assert!(guest.events().contains(&Event::Button { button: Button::Left, down: false }));
    until("its departure", || server.stats().viewers.is_empty()).await;
    let encoded = server.stats().frames_encoded;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.stats().frames_encoded, encoded, "nothing is encoded without viewers");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_at_rest_costs_nothing_and_whoever_comes_gets_the_kept_keyframe() {
    let guest = TestGuest::new(640, 360);
    guest.paint(7);
    let server = serve(&guest).await;
    let mut first = Client::connect(&server.url(), as_is).await;
    assert_eq!(first.frame().await.counter(), 7);
    until("the refined picture", || server.stats().refined == 1).await;
    assert!(!first.frame().await.key, "the refined one is a difference");
    let encoded = server.stats().frames_encoded;
    assert!(encoded <= 3, "{encoded}");

    let mut second = Client::connect(&server.url(), as_is).await;
    assert_eq!(second.frame().await.counter(), 7);
    assert!(!second.frame().await.key, "what builds on the keyframe, too");
    first.ask_key().await;
    assert!(first.frame().await.key, "the kept ones again");
    assert!(!first.frame().await.key);
    let stats = server.stats();
    assert_eq!(stats.frames_encoded, encoded, "all of that without encoding anything");
    assert!(stats.resent >= 2, "{stats:?}");

    // What comes next builds upon the kept one, for both.
    guest.paint(8);
    assert_eq!(first.frame().await.counter(), 8);
    assert_eq!(second.frame().await.counter(), 8);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_asks_for_keyframes_without_end_gets_few() {
    let guest = TestGuest::new(640, 360);
    guest.paint(7);
    let server = serve(&guest).await;
    let mut client = Client::connect(&server.url(), as_is).await;
    client.frame().await;
    until("the refined picture", || server.stats().refined == 1).await;
    let (before, begun) = (server.stats().resent, Instant::now());
    let asked = 200;
    for _ in 0..asked {
        client.ask_key().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answers = server.stats().resent - before;
    // One each 400 ms, and one at the start: however long this took.
    let most = begun.elapsed().as_millis() as u64 / 400 + 2;
    assert!((1..=most).contains(&answers), "{answers} answers to {asked} requests, {most} are enough");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn size_status_and_cursor_follow_the_guest() {
    let guest = TestGuest::new(640, 360);
    let server = serve(&guest).await;
    let mut client = Client::connect(&server.url(), as_is).await;
    client.message(r#""w":640,"h":360"#).await;
    guest.screen.set_blank(Size { width: 801, height: 603 });
    client.message(r#"{"t":"size","w":801,"h":603}"#).await;
    within("the new size", async { while client.frame().await.width != 802 {} }).await;

    guest.status.send_modify(|status| (status.state, status.absolute) = (GuestState::Paused, false));
    client.message(r#""state":"paused","detail":"","absolute":false"#).await;
    let arrow = Cursor::from_bgra(2, 1, 1, 0, &[1, 2, 3, 4, 5, 6, 7, 8]).expect("a cursor");
    let hash = format!("{:016x}", arrow.hash);
    guest.screen.set_cursor_shape(Some(Arc::new(arrow)));
    guest.screen.move_cursor(-3, 5, true);
    let shape = client.message("\"cursor\"").await;
    assert!(shape.contains(r#""w":2,"h":1,"hx":1,"hy":0,"png":""#) && shape.contains(&hash), "{shape}");
    let message: serde_json::Value = serde_json::from_str(&shape).expect("JSON");
    let file = message["png"].as_str().expect("text");
    let file = base64::engine::general_purpose::STANDARD.decode(file).expect("base64");
    let mut png = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a PNG");
    let mut pixels = [0; 8];
    assert_eq!(png.next_frame(&mut pixels).expect("its pixels").color_type, png::ColorType::Rgba);
    // R, G, B, A of both pixels.
    assert_eq!(pixels, [3, 2, 1, 4, 7, 6, 5, 8]);
    client.message(r#""x":-3,"y":5,"visible":true"#).await;

    guest.screen.disable();
    client.message(r#"{"t":"size","w":0,"h":0}"#).await;
    // Larger than the codec takes: words instead of a picture, and back again.
    guest.screen.set_blank(Size { width: 5120, height: 2880 });
    assert!(client.message("\"notice\"").await.contains("5120x2880"));
    guest.screen.set_blank(Size { width: 320, height: 200 });
    client.message(r#"{"t":"notice","text":""}"#).await;
    within("a picture again", async { while client.frame().await.width != 320 {} }).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pointer_that_never_looks_the_same_takes_a_part_of_the_path_and_the_last_look_arrives() {
    let guest = TestGuest::new(640, 360);
    let server = serve(&guest).await;
    let mut client = Client::connect(&server.url(), as_is).await;
    client.message(r#""w":640,"h":360"#).await;
    let shape = |n: u32| {
        let pixels: Vec<u8> = (0..96 * 96).flat_map(|_| n.to_le_bytes()).collect();
        Arc::new(Cursor::from_bgra(96, 96, 0, 0, &pixels).expect("a cursor"))
    };
    let begun = Instant::now();
    for n in 0..300 {
        guest.screen.set_cursor_shape(Some(shape(n)));
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let last = format!("{:016x}", shape(299).hash);
    // Positions may overtake shapes: they go by another channel.
    let (mut sent, mut known, mut named) = (0, Vec::new(), Vec::new());
    loop {
        let message = client.message("\"t\":\"cursor").await;
        let hash = message.split("\"hash\":\"").nth(1).and_then(|rest| rest.get(..16)).map(str::to_owned);
        if message.contains("\"cursorpos\"") {
            named.extend(hash);
            continue;
        }
        sent += message.len();
        known.push(hash.expect("a shape has one"));
        if known.last() == Some(&last) {
            break;
        }
    }
    assert!(named.iter().all(|hash| known.contains(hash)), "a shape that the page has not been given");
    // 256 KiB a second, and one shape more: however long this took.
    let most = begun.elapsed().as_secs_f64() * 262_144.0 + 65_536.0;
    assert!(
        known.len() > 1 && (sent as f64) < most,
        "{} shapes, {sent} bytes, {most} are enough",
        known.len()
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_packets_are_sent_again() {
    let guest = TestGuest::new(1280, 720);
    let painter = Painter::start(guest.clone(), 30);
    let server = serve(&guest).await;
    let network = Arc::new(Network::default());
    let mut client = Client::connect(&server.url(), |answer| network.through(answer)).await;
    client.frame().await;
    network.loss.store(50, Ordering::Relaxed);
    for seed in 0..40 {
        guest.noise(seed);
        client.frame().await;
    }
    let (lost, resent) = (network.lost.load(Ordering::Relaxed), network.resent.load(Ordering::Relaxed));
    assert!(lost > 20 && resent * 2 > lost, "{lost} lost, {resent} sent again");
    // What is decoded now is as new as before the loss.
    network.loss.store(0, Ordering::Relaxed);
    let from = painter.counter.load(Ordering::Relaxed);
    within("a new picture", async { while client.frame().await.counter() < from {} }).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_falls_silent_costs_the_other_nothing_and_comes_back() {
    let guest = TestGuest::new(640, 360);
    let painter = Painter::start(guest.clone(), 30);
    let server = serve(&guest).await;
    let network = Arc::new(Network::default());
    let mut silent = Client::connect(&server.url(), |answer| network.through(answer)).await;
    let mut other = Client::connect(&server.url(), as_is).await;
    silent.frame().await;
    other.frame().await;
    network.silent.store(true, Ordering::Relaxed);
    until("the silence", || server.stats().viewers.iter().any(|viewer| viewer.silent)).await;
    let packets = |server: &Server| {
        server.stats().viewers.iter().find(|viewer| viewer.silent).map(|viewer| viewer.packets)
    };
    let sent = packets(&server);
    while other.frames.try_recv().is_ok() {}
    let from = painter.counter.load(Ordering::Relaxed);
    within("the other's pictures", async { while other.frame().await.counter() < from + 20 {} }).await;
    assert_eq!(packets(&server), sent, "it is sent nothing more");

    network.silent.store(false, Ordering::Relaxed);
    while silent.frames.try_recv().is_ok() {}
    within("its return", async { while silent.frame().await.counter() < from {} }).await;
    until("its voice", || !server.stats().viewers.iter().any(|viewer| viewer.silent)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_vanishes_is_removed_and_its_keys_released() {
    let guest = TestGuest::new(320, 200);
    let server = serve(&guest).await;
    let network = Arc::new(Network::default());
    let mut client = Client::connect(&server.url(), |answer| network.through(answer)).await;
    client.frame().await;
    client.message("\"status\"").await;
    client.keys.send_text(r#"{"t":"key","code":"ShiftLeft","down":true}"#).await.expect("sends");
    until("the key", || guest.events().len() == 1).await;
    network.silent.store(true, Ordering::Relaxed);
    until("its removal", || server.stats().viewers.is_empty()).await;
    let key = Key::from_dom("ShiftLeft").expect("a key");
    until("the release", || guest.events().last() == Some(&Event::Key { key, down: false })).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_says_goodbye() {
    let guest = TestGuest::new(320, 200);
    let server = serve(&guest).await;
    let mut client = Client::connect(&server.url(), as_is).await;
    client.frame().await;
    server.stop().await;
    let closed = |state: &RTCPeerConnectionState| {
        matches!(
            state,
            RTCPeerConnectionState::Closed
                | RTCPeerConnectionState::Failed
                | RTCPeerConnectionState::Disconnected
        )
    };
    within("the end", client.state.wait_for(closed)).await.expect("a state");
}

/// A guest with a second, smaller display.
struct TwoDisplays {
    first: Arc<TestGuest>,
    second: Arc<Screen>,
    /// Held by whoever watches the second.
    watched: Arc<()>,
    events: Mutex<Vec<(usize, Event)>>,
    sizes: Mutex<Vec<(usize, Size)>>,
}

impl Guest for TwoDisplays {
    fn name(&self) -> String {
        self.first.name()
    }

    fn screen(&self) -> Arc<Screen> {
        self.first.screen()
    }

    fn displays(&self) -> Vec<Option<Size>> {
        vec![self.first.screen().size(), self.second.size()]
    }

    fn watch(&self, display: usize) -> Option<Watched> {
        match display {
            0 => Some(Watched::new(self.screen(), ())),
            1 => Some(Watched::new(self.second.clone(), self.watched.clone())),
            _ => None,
        }
    }

    fn input(&self, event: Event) {
        self.input_on(0, event);
    }

    fn input_on(&self, display: usize, event: Event) {
        self.events.lock().expect("ok").push((display, event));
    }

    fn resize(&self, size: Size, mm: (u16, u16)) {
        self.resize_on(0, size, mm);
    }

    fn resize_on(&self, display: usize, size: Size, _: (u16, u16)) {
        self.sizes.lock().expect("ok").push((display, size));
    }

    fn status(&self) -> watch::Receiver<GuestStatus> {
        self.first.status()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_turns_to_another_display_and_all_it_does_is_about_that_one() {
    let second = Screen::new();
    second.set_blank(Size { width: 320, height: 200 });
    let guest = Arc::new(TwoDisplays {
        first: TestGuest::new(640, 360),
        second,
        watched: Arc::default(),
        events: Mutex::default(),
        sizes: Mutex::default(),
    });
    let server = Server::start(ServerConfig::default(), guest.clone()).await.expect("serves");
    let mut client = Client::connect(&server.url(), as_is).await;
    assert_eq!(client.frame().await.width, 640);
    assert_eq!(client.message("\"displays\"").await, r#"{"t":"displays","count":2,"n":1}"#);
    assert_eq!(client.message("\"size\"").await, r#"{"t":"size","w":640,"h":360}"#);
    assert_eq!(Arc::strong_count(&guest.watched), 1, "nobody watches the second");

    for text in [r#"{"t":"display","n":7}"#, r#"{"t":"display","n":2}"#] {
        client.keys.send_text(text).await.expect("sends");
    }
    assert_eq!(client.message("\"displays\"").await, r#"{"t":"displays","count":2,"n":2}"#);
    assert_eq!(client.message("\"size\"").await, r#"{"t":"size","w":320,"h":200}"#);
    // What the first had on its way may still come; the second begins with a keyframe.
    let frame = loop {
        let frame = client.frame().await;
        if frame.width == 320 {
            break frame;
        }
    };
    assert!(frame.key && frame.height == 200);
    assert_eq!((server.stats().viewers[0].display, Arc::strong_count(&guest.watched)), (2, 2));
    client.motion.send_text(r#"{"t":"move","s":1,"x":3,"y":4,"w":320,"h":200}"#).await.expect("sends");
    client.keys.send_text(r#"{"t":"resize","w":800,"h":600,"mmw":0,"mmh":0}"#).await.expect("sends");
    until("what it does", || {
        !guest.sizes.lock().expect("ok").is_empty() && !guest.events.lock().expect("ok").is_empty()
    })
    .await;
    assert_eq!(*guest.events.lock().expect("ok"), [(1, Event::Move { x: 3, y: 4, frame: (320, 200) })]);
    assert_eq!(*guest.sizes.lock().expect("ok"), [(1, Size { width: 800, height: 600 })]);

    client.keys.send_text(r#"{"t":"display","n":1}"#).await.expect("sends");
    while client.frame().await.width != 640 {}
    until("the end of the second's encoder", || Arc::strong_count(&guest.watched) == 1).await;
    client.close().await;
    server.stop().await;
}
