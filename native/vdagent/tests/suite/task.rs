//! The task on a socket, with a guest on the other end that is played by the test.

use crate::guest::{DEBIAN, Heard, TEXT, announcement, data, grab, request, words};
use sampan_vdagent::wire::{capability, message, whole};
use sampan_vdagent::{
    ClipboardError, Content, FileError, FileSource, Kind, MAX_MONITORS, Monitor, Peer, Policy, Port,
    Selection,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
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

/// A file whose pieces the test gives.
fn file(name: &str, size: u64) -> (FileSource, mpsc::Sender<std::io::Result<Vec<u8>>>) {
    let (give, pieces) = mpsc::channel(4);
    (FileSource { name: name.into(), size, pieces }, give)
}

fn status(id: u32, result: u32) -> Vec<u8> {
    whole(message::FILE_XFER_STATUS, &words(&[id, result]))
}

const WANTED: u32 = 0;
const CANCELLED: u32 = 1;
const DONE: u32 = 3;

fn send(
    peer: &Peer,
    file: FileSource,
) -> (tokio::task::JoinHandle<Result<(), FileError>>, watch::Receiver<u64>) {
    let (progress, seen) = watch::channel(0);
    let peer = peer.clone();
    (tokio::spawn(async move { peer.send_file(file, progress).await }), seen)
}

#[tokio::test]
async fn a_file_goes_to_the_guest_in_pieces_while_it_pastes() {
    let (peer, mut guest) = Guest::new();
    let (early, _give) = file("a.txt", 1);
    assert_eq!(send(&peer, early).0.await.expect("no panic"), Err(FileError::NoAgent));
    guest.start_agent(&peer).await;

    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let (source, give) = file("报告.pdf", bytes.len() as u64);
    let (sending, mut progress) = send(&peer, source);
    let start = guest.next(message::FILE_XFER_START).await;
    assert_eq!(&start[4..], "[vdagent-file-xfer]\nname=报告.pdf\nsize=300000\n\0".as_bytes());
    let id = u32::from_le_bytes(start[..4].try_into().expect("four bytes"));
    guest.send(&status(id, WANTED)).await;
    // In one piece, which is more than the agent takes in one.
    give.send(Ok(bytes.clone())).await.expect("is wanted");
    // The clipboard is not kept waiting until the file is there.
    peer.set(Selection::Clipboard, text("x").into()).await.expect("is offered");
    let mut came: Vec<u8> = Vec::new();
    while came.len() < bytes.len() {
        let piece = guest.next(message::FILE_XFER_DATA).await;
        assert_eq!(piece[..4], id.to_le_bytes());
        assert_eq!(piece[4..12], (piece.len() as u64 - 12).to_le_bytes());
        assert!(piece.len() <= 12 + (64 << 10), "{}", piece.len());
        came.extend(&piece[12..]);
    }
    assert!(came == bytes);
    assert!(!sending.is_finished(), "it is there when the guest says so");
    guest.send(&status(id, DONE)).await;
    assert_eq!(timeout(LONG, sending).await.expect("in time").expect("no panic"), Ok(()));
    assert_eq!(*progress.borrow_and_update(), bytes.len() as u64);

    // An empty one has a piece of no bytes.
    let (source, give) = file("empty", 0);
    let (sending, _) = send(&peer, source);
    let start = guest.next(message::FILE_XFER_START).await;
    let id = u32::from_le_bytes(start[..4].try_into().expect("four bytes"));
    guest.send(&status(id, WANTED)).await;
    drop(give);
    assert_eq!(guest.next(message::FILE_XFER_DATA).await, [&id.to_le_bytes()[..], &[0; 8]].concat());
    guest.send(&status(id, DONE)).await;
    assert_eq!(timeout(LONG, sending).await.expect("in time").expect("no panic"), Ok(()));
}

#[tokio::test]
async fn a_file_that_does_not_get_there_says_why_and_the_next_one_goes() {
    let (peer, mut guest) = Guest::new();
    guest.start_agent(&peer).await;
    let begun = async |guest: &mut Guest| {
        let start = guest.next(message::FILE_XFER_START).await;
        u32::from_le_bytes(start[..4].try_into().expect("four bytes"))
    };
    // What the guest says, before it takes it or in the middle.
    for (result, error) in [
        (CANCELLED, FileError::StoppedByGuest),
        (2, FileError::Failed),
        (4, FileError::NoSpace { free: None }),
        (5, FileError::Locked),
        (6, FileError::NoAgent),
        (7, FileError::Disabled),
        (DONE, FileError::Failed),
        (99, FileError::Failed),
    ] {
        let (source, _give) = file("a", 10);
        let (sending, _) = send(&peer, source);
        let id = begun(&mut guest).await;
        guest.send(&status(id.wrapping_add(7), result)).await;
        guest.send(&status(id, result)).await;
        assert_eq!(timeout(LONG, sending).await.expect("in time").expect("no panic"), Err(error));
    }
    // The file on this side: unreadable, shorter, longer; and a sender that gives up. The guest is told.
    for way in ["unreadable", "shorter", "longer", "given up"] {
        let (source, give) = file("a", 10);
        let (sending, _) = send(&peer, source);
        let id = begun(&mut guest).await;
        guest.send(&status(id, WANTED)).await;
        match way {
            "unreadable" => give.send(Err(std::io::Error::other("gone"))).await.expect("is wanted"),
            "shorter" => drop(give),
            "longer" => give.send(Ok(vec![0; 11])).await.expect("is wanted"),
            _ => sending.abort(),
        }
        assert_eq!(guest.next(message::FILE_XFER_STATUS).await, words(&[id, CANCELLED]), "{way}");
        let outcome = timeout(LONG, sending).await.expect("in time");
        assert!(!matches!(outcome, Ok(Ok(()))), "{way}: {outcome:?}");
    }
    // The agent goes.
    let (source, _give) = file("a", 10);
    let (sending, _) = send(&peer, source);
    begun(&mut guest).await;
    guest.open(false);
    assert_eq!(timeout(LONG, sending).await.expect("in time").expect("no panic"), Err(FileError::Gone));
}

#[tokio::test]
async fn every_agent_is_told_the_screens_size() {
    let (peer, mut guest) = Guest::new();
    peer.set_monitors(Monitor::row([(1280, 720)])).await;
    guest.start_agent(&peer).await;
    // Debian's would set it; the one that is played here has not said so.
    guest.send(&announcement(true, &[capability::MONITORS_CONFIG])).await;
    assert_eq!(guest.next(message::MONITORS_CONFIG).await, words(&[1, 0, 720, 1280, 32, 0, 0]));
    peer.set_monitors(Monitor::row([(800, 600)])).await;
    assert_eq!(guest.next(message::MONITORS_CONFIG).await, words(&[1, 0, 600, 800, 32, 0, 0]));
    // Several stand side by side, and their places count.
    peer.set_monitors(Monitor::row([(800, 600), (1024, 768)])).await;
    let two = words(&[2, 1, 600, 800, 32, 0, 0, 768, 1024, 32, 800, 0]);
    assert_eq!(guest.next(message::MONITORS_CONFIG).await, two);
    peer.set_monitors(Monitor::row([(u32::MAX, 1); 99])).await;
    assert_eq!(guest.next(message::MONITORS_CONFIG).await.len(), 8 + MAX_MONITORS * 20);
}
