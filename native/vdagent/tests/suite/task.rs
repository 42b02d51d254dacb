//! The task on a socket, with a guest on the other end that is played by the test.

use crate::guest::{DEBIAN, Heard, TEXT, announcement, data, grab, request, words};
use sampan_vdagent::wire::message;
use sampan_vdagent::{ClipboardError, Content, Kind, Peer, Policy, Port, Selection};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than any step takes on a busy host.
const LONG: Duration = Duration::from_secs(20);

struct Guest {
    stream: UnixStream,
    heard: Heard,
    port: watch::Sender<Port>,
    waiting: Vec<(u32, Vec<u8>)>,
}

impl Guest {
    fn new() -> (Peer, Self) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socketpair");
        theirs.set_nonblocking(true).expect("can be set");
        let (port, told) = watch::channel(Port::default());
        let peer = Peer::start(ours, told, Policy::BOTH).expect("starts");
        let stream = UnixStream::from_std(theirs).expect("a stream");
        (peer, Self { stream, heard: Heard::default(), port, waiting: Vec::new() })
    }

    fn open(&self, open: bool) {
        self.port.send_modify(|port| *port = Port { open, changes: port.changes + 1 });
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("is read");
    }

    /// The next message of a type.
    async fn next(&mut self, kind: u32) -> Vec<u8> {
        let mut buffer = [0; 4096];
        loop {
            while !self.waiting.is_empty() {
                let (of, body) = self.waiting.remove(0);
                if of == kind {
                    return body;
                }
            }
            let read =
                timeout(LONG, self.stream.read(&mut buffer)).await.expect("comes in time").expect("reads");
            assert!(read > 0, "the task has ended");
            self.waiting = self.heard.bytes(&buffer[..read]);
        }
    }

    async fn start_agent(&mut self, peer: &Peer) {
        self.open(true);
        self.next(message::ANNOUNCE_CAPABILITIES).await;
        self.send(&announcement(false, DEBIAN)).await;
        let mut state = peer.state();
        timeout(LONG, state.wait_for(|state| state.agent)).await.expect("in time").expect("lives");
    }
}

fn text(text: &str) -> Content {
    Content::text(text).expect("a text")
}

#[tokio::test]
async fn both_ways() {
    let (peer, mut guest) = Guest::new();
    let set = peer.set(Selection::Clipboard, text("x").into()).await;
    assert_eq!(set, Err(ClipboardError::NoAgent));
    guest.start_agent(&peer).await;
    let large = "长".repeat(1 << 20);
    peer.set(Selection::Clipboard, text(&large).into()).await.expect("is offered");
    assert_eq!(guest.next(message::CLIPBOARD_GRAB).await, words(&[0, 0, TEXT]));
    guest.send(&request(0, TEXT)).await;
    assert_eq!(&guest.next(message::CLIPBOARD).await[8..], large.as_bytes());
    // What it has of us is not asked of it.
    assert_eq!(peer.get(Selection::Clipboard, Kind::Text).await, Ok(text(&large)));
    guest.send(&grab(1, &[TEXT])).await;
    let mut state = peer.state();
    state.wait_for(|state| state.kinds.text).await.expect("lives");
    // Two ask at once; each gets an answer of its own.
    let give = async {
        for answer in [&b"first"[..], b"second"] {
            guest.next(message::CLIPBOARD_REQUEST).await;
            guest.send(&data(0, TEXT, answer)).await;
        }
    };
    let get = || peer.get(Selection::Clipboard, Kind::Text);
    let (first, second, ()) = tokio::join!(get(), get(), give);
    assert_eq!((first, second), (Ok(text("first")), Ok(text("second"))));
    assert_eq!(peer.get(Selection::Clipboard, Kind::Png).await, Err(ClipboardError::Nothing(Kind::Png)));
}

#[tokio::test]
async fn a_guest_that_does_not_read_holds_up_nobody() {
    let (peer, mut guest) = Guest::new();
    guest.start_agent(&peer).await;
    peer.set(Selection::Clipboard, text(&"x".repeat(8 << 20)).into()).await.expect("is offered");
    guest.send(&request(0, TEXT)).await;
    // It goes on to listen and to answer while nothing is read.
    for serial in 1..200 {
        guest.send(&grab(serial, &[TEXT])).await;
    }
    let mut state = peer.state();
    timeout(LONG, state.wait_for(|state| state.grabs == 199)).await.expect("in time").expect("lives");
    // The guest is reset in the middle of it: the next agent hears whole messages of its own.
    guest.open(false);
    timeout(LONG, state.wait_for(|state| !state.agent)).await.expect("in time").expect("lives");
    let mut buffer = vec![0; 1 << 20];
    // What QEMU's end of the socket still holds.
    while let Ok(Ok(1..)) = timeout(Duration::from_millis(200), guest.stream.read(&mut buffer)).await {}
    guest.heard = Heard::default();
    guest.start_agent(&peer).await;
}

#[tokio::test]
async fn the_end_of_the_machine_is_told_to_those_who_wait() {
    let (peer, mut guest) = Guest::new();
    guest.start_agent(&peer).await;
    guest.send(&grab(0, &[TEXT])).await;
    let mut state = peer.state();
    state.wait_for(|state| state.kinds.text).await.expect("lives");
    let end = async {
        guest.next(message::CLIPBOARD_REQUEST).await;
        drop(guest);
    };
    let (got, ()) = tokio::join!(peer.get(Selection::Clipboard, Kind::Text), end);
    assert_eq!(got, Err(ClipboardError::Ended));
    assert_eq!(peer.set(Selection::Clipboard, text("x").into()).await, Err(ClipboardError::Ended));
    assert!(!peer.state().borrow().agent);
}

#[tokio::test]
async fn what_was_under_way_when_the_port_was_closed_is_not_the_next_agents() {
    let (peer, mut guest) = Guest::new();
    guest.start_agent(&peer).await;
    let half = grab(0, &[TEXT]);
    guest.send(&half[..half.len() - 3]).await;
    // Closed and opened before the task looks.
    guest.open(false);
    guest.open(true);
    guest.next(message::ANNOUNCE_CAPABILITIES).await;
    guest.send(&announcement(false, DEBIAN)).await;
    guest.send(&grab(0, &[TEXT])).await;
    let mut state = peer.state();
    timeout(LONG, state.wait_for(|state| state.kinds.text)).await.expect("in time").expect("lives");
}
