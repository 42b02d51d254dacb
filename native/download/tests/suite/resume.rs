//! Going on after an interruption: with the bytes that are there, if they are of the same file.

use crate::bench::{Bench, LIMIT, settings, sha256, stored, until};
use crate::server::{Hit, Server, Stored};
use sampan_download::{DownloadError, Queue, Request, Source, State, unfinished};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server whose file can be exchanged, and that stalls after so many body bytes until it is let go.
struct Site {
    server: Server,
    file: Arc<Mutex<Stored>>,
    open: Arc<AtomicBool>,
}

fn site(file: &Stored, most: u64) -> Site {
    let file = Arc::new(Mutex::new(file.clone()));
    let open = Arc::new(AtomicBool::new(false));
    let (served, gate) = (file.clone(), open.clone());
    let taken = std::sync::atomic::AtomicU64::new(0);
    let server = Server::start(move |hit, out| {
        let file = served.lock().unwrap().clone();
        let (head, range) = file.head(hit);
        out.send(head.as_bytes());
        for chunk in file.bytes[range].chunks(100) {
            if !gate.load(Ordering::SeqCst) && taken.fetch_add(100, Ordering::SeqCst) >= most {
                out.stall(LIMIT);
                return false;
            }
            if !out.body(chunk) {
                return false;
            }
        }
        true
    });
    Site { server, file, open }
}

/// Loads until the server stalls, then stops the queue; the folder stays.
fn half(site: &Site, bytes: u64) -> Bench {
    let bench = Bench::new();
    let download = bench.add(&site.server.url("/a"));
    until("a part is there", || download.progress().unwrap().loaded >= bytes);
    bench.queue.shutdown();
    assert!(!bench.file().exists());
    site.open.store(true, Ordering::SeqCst);
    Bench { folder: bench.folder, queue: Queue::start(settings()).unwrap() }
}

#[test]
fn a_new_queue_goes_on_where_the_old_one_was() {
    let file = stored(50_000);
    let site = site(&file, 20_000);
    let bench = half(&site, 20_000);
    let again = unfinished(bench.folder.path()).unwrap();
    assert_eq!(again, [bench.request(&site.server.url("/a"))], "the journal knows what was wanted");
    assert_eq!(bench.run(again[0].clone()).unwrap(), file.bytes);
    assert_eq!(site.server.sent(), 50_000, "no byte came twice");
}

#[test]
fn a_changed_file_starts_over() {
    let changes: [fn(&mut Stored); 4] = [
        |file| *file = Stored::new(50_000, 8),
        |file| *file = Stored::new(30_000, 9),
        |file| *file = Stored { etag: file.etag.clone(), ..Stored::new(60_000, 10) },
        |file| *file = Stored { ranges: false, ..Stored::new(50_000, 11) },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let site = site(&stored(50_000), 20_000);
        let bench = half(&site, 20_000);
        change(&mut site.file.lock().unwrap());
        let now = site.file.lock().unwrap().bytes.clone();
        assert!(bench.fetch(&site.server.url("/a")).unwrap() == now, "change {number}");
    }
}

#[test]
fn a_server_that_lost_its_ranges_sends_the_same_file_from_the_beginning() {
    let file = stored(50_000);
    let site = site(&file, 20_000);
    let bench = half(&site, 20_000);
    site.file.lock().unwrap().ranges = false;
    assert!(bench.fetch(&site.server.url("/a")).unwrap() == file.bytes);
}

#[test]
fn a_file_that_changes_in_the_middle_is_never_mixed() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |hit, out| {
        let seed = if count.fetch_add(1, Ordering::SeqCst) < 10 { 1 } else { 2 };
        Stored::new(30_000, seed).serve(hit, out)
    });
    assert!(Bench::new().fetch(&server.url("/a")).unwrap() == Stored::new(30_000, 2).bytes);
    let count = AtomicUsize::new(0);
    let careless = Server::start(move |hit, out| {
        let seed = if count.fetch_add(1, Ordering::SeqCst) < 10 { 1 } else { 2 };
        Stored::new(30_000, seed).serve(&Hit { if_range: None, ..hit.clone() }, out)
    });
    let loaded = Bench::new().fetch(&careless.url("/a")).unwrap();
    assert!(
        loaded == Stored::new(30_000, 2).bytes,
        "a tag in the answer counts, even if If-Range is not obeyed"
    );
    let count = AtomicUsize::new(0);
    let server = Server::start(move |hit, out| {
        let seed = count.fetch_add(1, Ordering::SeqCst) / 5;
        Stored::new(30_000, seed as u32).serve(hit, out)
    });
    let bench = Bench::one_connection();
    let error = bench.fetch(&server.url("/a")).unwrap_err();
    assert!(matches!(error, DownloadError::Changed { .. }), "{error}");
    assert!(!bench.file().exists());
}

#[test]
fn a_journal_of_another_address_or_in_ruins_is_not_used() {
    let file = stored(50_000);
    for ruin in [None, Some("{}"), Some("")] {
        let site = site(&file, 20_000);
        let bench = half(&site, 20_000);
        if let Some(text) = ruin {
            std::fs::write(bench.folder.path().join("disk.img.part.json"), text).unwrap();
        }
        let path = if ruin.is_some() { "/a" } else { "/b" };
        let before = site.server.sent();
        assert!(bench.fetch(&site.server.url(path)).unwrap() == file.bytes);
        assert_eq!(site.server.sent() - before, 50_000, "all of it came anew");
    }
}

#[test]
fn a_paused_download_lets_go_and_goes_on() {
    let file = stored(50_000);
    let site = site(&file, 20_000);
    let bench = Bench::new();
    let download = bench.add(&site.server.url("/a"));
    until("a part is there", || download.progress().unwrap().loaded >= 20_000);
    download.pause().unwrap();
    until("it is paused", || download.progress().unwrap().state == State::Paused);
    assert_eq!(download.wait(LIMIT).unwrap(), None, "nobody waits for a paused one");
    assert!(download.progress().unwrap().connections.is_empty());
    site.open.store(true, Ordering::SeqCst);
    download.resume().unwrap();
    assert!(download.wait(LIMIT).unwrap().is_some());
    assert!(std::fs::read(bench.file()).unwrap() == file.bytes);
    assert_eq!(site.server.sent(), 50_000);
}

#[test]
fn another_checksum_is_another_file_whatever_the_server_says() {
    let old = stored(50_000);
    // The same tag and length: a careless mirror.
    let new = Stored { etag: old.etag.clone(), ..Stored::new(50_000, 8) };
    let current = Arc::new(Mutex::new(old));
    let open = Arc::new(AtomicBool::new(false));
    let (served, gate) = (current.clone(), open.clone());
    let server = Server::start(move |hit, out| {
        let file = served.lock().unwrap().clone();
        if hit.path == "/SHA256SUMS" {
            let bytes = format!("{}  a.iso\n", sha256(&file.bytes).hex()).into_bytes();
            return Stored { bytes, etag: None, ranges: false }.serve(hit, out);
        }
        if hit.range.is_some_and(|(first, _)| first >= 20_000) && !gate.load(Ordering::SeqCst) {
            out.stall(LIMIT);
            return false;
        }
        file.serve(hit, out)
    });
    let source = Source::Listed { folder: server.url("/"), file: "a.iso".into(), sums: "SHA256SUMS".into() };
    let bench = Bench::new();
    let request = Request::from(source, bench.file()).allow_http();
    let download = bench.queue.add(request.clone()).unwrap();
    until("a part is there", || download.progress().unwrap().loaded >= 20_000);
    bench.queue.shutdown();
    *current.lock().unwrap() = new.clone();
    open.store(true, Ordering::SeqCst);
    let bench = Bench { folder: bench.folder, queue: Queue::start(settings()).unwrap() };
    assert!(bench.run(request).unwrap() == new.bytes);
}
