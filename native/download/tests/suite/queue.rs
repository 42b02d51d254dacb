//! The queue: order, limits, wishes.

use crate::bench::{Bench, LIMIT, settings, stored, until};
use crate::server::{Server, status};
use sampan_download::{Download, DownloadError, Request, Settings, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that answers once it is let go.
fn gated() -> (Server, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let file = stored(3000);
    let server = Server::start(move |hit, out| {
        let mut waited = 0;
        while !gate.load(Ordering::SeqCst) && waited < 10_000 {
            std::thread::sleep(Duration::from_millis(2));
            waited += 2;
        }
        file.serve(hit, out)
    });
    (server, open)
}

fn add(bench: &Bench, server: &Server, name: &str) -> Download {
    let to = bench.folder.path().join(name);
    bench.queue.add(Request::new(server.url(&format!("/{name}")), to).allow_http()).unwrap()
}

fn state(download: &Download) -> State {
    download.progress().unwrap().state
}

#[test]
fn files_are_loaded_in_the_order_of_the_queue_and_no_more_than_allowed_at_once() {
    let (server, open) = gated();
    let bench = Bench::with(Settings { parallel: 1, ..settings() });
    let [a, b, c] = ["a", "b", "c"].map(|name| add(&bench, &server, name));
    until("the first runs", || state(&a) == State::Connecting);
    assert_eq!((state(&b), state(&c)), (State::Queued, State::Queued));
    c.move_to(1).unwrap();
    let order: Vec<u64> = bench.queue.list().iter().map(|p| p.id).collect();
    assert_eq!(order, [a.id(), c.id(), b.id()]);
    open.store(true, Ordering::SeqCst);
    for download in [&a, &b, &c] {
        download.wait(LIMIT).unwrap().unwrap();
    }
    let mut paths: Vec<String> = server.hits().into_iter().map(|h| h.path).collect();
    paths.dedup();
    assert_eq!(paths, ["/a", "/c", "/b"]);
    assert!(a.remove().unwrap());
    assert_eq!(a.progress().unwrap_err(), DownloadError::Unknown);
    assert_eq!(bench.queue.list().len(), 2);
}

#[test]
fn more_at_once_may_be_allowed_while_it_runs() {
    let (server, open) = gated();
    let bench = Bench::with(Settings { parallel: 1, ..settings() });
    let (a, b) = (add(&bench, &server, "a"), add(&bench, &server, "b"));
    until("the first runs", || state(&a) == State::Connecting);
    bench.queue.set_parallel(2);
    until("the second runs", || state(&b) == State::Connecting);
    assert!(!b.remove().unwrap(), "what runs stays");
    open.store(true, Ordering::SeqCst);
    for download in [&a, &b] {
        download.wait(LIMIT).unwrap().unwrap();
    }
}

#[test]
fn a_cancelled_download_leaves_nothing_unless_asked_to() {
    let file = stored(50_000);
    let server = Server::start(move |hit, out| {
        file.serve_some(hit, out, 500);
        out.stall(LIMIT);
        false
    });
    for keep in [false, true] {
        let bench = Bench::new();
        let download = bench.add(&server.url("/a"));
        until("bytes are there", || download.progress().unwrap().loaded > 0);
        download.cancel(keep).unwrap();
        assert_eq!(download.wait(LIMIT), Err(DownloadError::Cancelled));
        let left: &[&str] = if keep { &["disk.img.part", "disk.img.part.json"] } else { &[] };
        assert_eq!(bench.names(), left);
        download.resume().unwrap();
        assert_eq!(state(&download), State::Cancelled, "it is over");
    }
    let (server, _) = gated();
    let bench = Bench::with(Settings { parallel: 1, ..settings() });
    let (_a, b) = (add(&bench, &server, "a"), add(&bench, &server, "b"));
    b.cancel(false).unwrap();
    assert_eq!(b.wait(LIMIT), Err(DownloadError::Cancelled), "one that waits is cancelled at once");
}

#[test]
fn a_failed_download_may_be_tried_again() {
    let open = Arc::new(AtomicBool::new(false));
    let (gate, file) = (open.clone(), stored(3000));
    let served = file.clone();
    let server = Server::start(move |hit, out| {
        if gate.load(Ordering::SeqCst) { served.serve(hit, out) } else { status(out, "404 Not Found", "") }
    });
    let bench = Bench::new();
    let download = bench.add(&server.url("/a"));
    assert!(download.wait(LIMIT).is_err());
    open.store(true, Ordering::SeqCst);
    download.resume().unwrap();
    assert!(download.wait(LIMIT).unwrap().is_some());
    assert_eq!(std::fs::read(bench.file()).unwrap(), file.bytes);
}

#[test]
fn names_that_are_taken_are_refused() {
    let (server, open) = gated();
    let bench = Bench::new();
    let download = bench.add(&server.url("/a"));
    let again = bench.queue.add(bench.request(&server.url("/b")));
    assert!(matches!(again, Err(DownloadError::Busy { .. })));
    open.store(true, Ordering::SeqCst);
    download.wait(LIMIT).unwrap().unwrap();
    let hits = server.hits().len();
    let error = bench.fetch(&server.url("/b")).unwrap_err();
    assert!(matches!(error, DownloadError::Exists { .. }), "{error}");
    assert_eq!(server.hits().len(), hits, "nothing was asked for");
}

#[test]
fn a_queue_that_is_shut_down_says_so() {
    let (server, _) = gated();
    let bench = Bench::new();
    let download = bench.add(&server.url("/a"));
    let waiter = std::thread::spawn(move || download.wait(LIMIT));
    bench.queue.shutdown();
    assert_eq!(waiter.join().unwrap(), Err(DownloadError::Closed));
    assert!(matches!(bench.queue.add(bench.request(&server.url("/b"))), Err(DownloadError::Closed)));
}

#[test]
fn too_little_space_is_said_before_anything_is_sent() {
    let (server, _) = gated();
    let bench = Bench::with(Settings { reserve: u64::MAX, ..settings() });
    let error = bench.fetch(&server.url("/a")).unwrap_err();
    assert!(matches!(error, DownloadError::Space { .. }), "{error}");
    assert_eq!(server.hits().len(), 0);
    assert_eq!(bench.names(), [""; 0]);
}
