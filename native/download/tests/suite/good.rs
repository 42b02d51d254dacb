//! What works with servers that keep the rules.

use crate::bench::{Bench, LIMIT, sha256, stored};
use crate::server::{Hit, Server, Stored};
use sampan_download::{Digest, DownloadError, Request, Source, State};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn serving(file: &Stored) -> Server {
    let file = file.clone();
    Server::start(move |hit, out| file.serve(hit, out))
}

#[test]
fn a_file_comes_in_pieces_over_several_connections_each_byte_once() {
    let file = stored(100_500);
    let slow = file.clone();
    let server = Server::start(move |hit, out| {
        std::thread::sleep(Duration::from_millis(2));
        slow.serve(hit, out)
    });
    let bench = Bench::new();
    assert_eq!(bench.fetch(&server.url("/a")).unwrap(), file.bytes);
    assert_eq!(server.sent(), 100_500);
    let hits = server.hits();
    assert_eq!(hits.len(), 101);
    assert!(hits[1..].iter().all(|h| h.if_range == file.etag), "later pieces are of the first one's version");
    let connections = server.connections.load(Ordering::SeqCst);
    assert!((2..=4).contains(&connections), "{connections} connections, used again for every piece");
}

#[test]
fn files_of_any_length_are_loaded() {
    for length in [0, 1, 999, 1000, 1001, 3000] {
        for ranges in [true, false] {
            let file = Stored { ranges, ..stored(length) };
            let server = serving(&file);
            let request = Bench::new();
            let checked = request.request(&server.url("/a")).digest(sha256(&file.bytes));
            assert_eq!(request.run(checked).unwrap(), file.bytes, "{length} {ranges}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_told_from_its_next_version_comes_by_one_connection() {
    for etag in [None, Some("W/\"weak\"".to_owned())] {
        let file = Stored { etag, ..stored(50_000) };
        let server = serving(&file);
        assert_eq!(Bench::new().fetch(&server.url("/a")).unwrap(), file.bytes);
        let whole: Vec<Hit> = server.hits().into_iter().filter(|h| h.range.is_none()).collect();
        assert_eq!(whole.len(), 1, "{whole:?}");
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection_or_its_last_chunk() {
    let file = stored(5000);
    let bytes = file.bytes.clone();
    let server = Server::start(move |hit, out| {
        if hit.path == "/chunked" {
            out.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for chunk in bytes.chunks(700) {
                out.send(format!("{:x}\r\n", chunk.len()).as_bytes());
                out.body(chunk);
                out.send(b"\r\n");
            }
            out.send(b"0\r\n\r\n");
        } else {
            out.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            out.body(&bytes);
        }
        false
    });
    for path in ["/chunked", "/closed"] {
        assert_eq!(Bench::new().fetch(&server.url(path)).unwrap(), file.bytes, "{path}");
    }
}

#[test]
fn a_right_digest_is_accepted_and_a_wrong_one_keeps_the_file_aside() {
    let file = stored(5000);
    let server = serving(&file);
    let bench = Bench::new();
    let wrong = bench.request(&server.url("/a")).digest(Digest::Sha512([1; 64]));
    let error = bench.run(wrong).unwrap_err();
    let DownloadError::Checksum { expected, found, kept, .. } = &error else { panic!("{error}") };
    assert!(expected.starts_with("sha512:0101") && found.starts_with("sha512:"), "{error}");
    assert_eq!(bench.names(), ["disk.img.bad"]);
    assert_eq!(&std::fs::read(kept).unwrap(), &file.bytes);
    let right = bench.request(&server.url("/a")).digest(sha256(&file.bytes));
    let again = Bench { folder: bench.folder, queue: Bench::new().queue };
    assert_eq!(again.run(right).unwrap(), file.bytes, "and the bad one is gone");
}

#[test]
fn a_listed_file_is_found_and_verified_by_its_checksum_file() {
    let file = stored(5000);
    let (list, image) = (
        format!("{}  os-1.9.iso\n{}  os-1.10.iso\n", "0".repeat(64), sha256(&file.bytes).hex()),
        file.clone(),
    );
    let server = Server::start(move |hit, out| match hit.path.as_str() {
        "/pub/SHA256SUMS" => {
            Stored { ranges: false, bytes: list.clone().into_bytes(), etag: None }.serve(hit, out)
        }
        "/pub/os-1.10.iso" => image.serve(hit, out),
        _ => crate::server::status(out, "404 Not Found", ""),
    });
    let bench = Bench::new();
    let source = |file: &str, sums: &str| Source::Listed {
        folder: server.url("/pub/"),
        file: file.into(),
        sums: sums.into(),
    };
    let listed = |source| Request::from(source, bench.file()).allow_http();
    let error = bench.run(listed(source("other.iso", "SHA256SUMS"))).unwrap_err();
    assert!(matches!(error, DownloadError::Checksums { .. }), "{error}");
    let bench = Bench::new();
    let error =
        bench.run(Request { to: bench.file(), ..listed(source("os-{version}.iso", "NONE")) }).unwrap_err();
    assert!(matches!(error, DownloadError::Status { status: 404, .. }), "{error}");
    let bench = Bench::new();
    let request = Request { to: bench.file(), ..listed(source("os-{version}.iso", "SHA256SUMS")) };
    assert_eq!(bench.run(request).unwrap(), file.bytes);
}

#[test]
fn progress_tells_what_is_there() {
    let file = stored(50_000);
    let halting = file;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |hit, out| {
        if hit.range.is_some_and(|(first, _)| first >= 20_000) {
            let _ = wait.lock().unwrap().recv_timeout(LIMIT);
        }
        halting.serve(hit, out)
    });
    let bench = Bench::new();
    let download = bench.add(&server.url("/a"));
    crate::bench::until("20000 bytes are there", || download.progress().unwrap().loaded == 20_000);
    let progress = download.progress().unwrap();
    assert_eq!((progress.state, progress.total), (State::Loading, Some(50_000)));
    assert!(progress.speed > 0 && progress.eta.is_some());
    assert_eq!(progress.to, bench.file());
    let seen = bench.queue.changes();
    drop(go);
    assert_ne!(bench.queue.wait_change(seen, LIMIT), seen);
    download.wait(LIMIT).unwrap().unwrap();
    let progress = download.progress().unwrap();
    assert_eq!((progress.state, progress.loaded, progress.connections.len()), (State::Done, 50_000, 0));
}
