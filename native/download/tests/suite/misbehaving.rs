//! Servers that break their word: the file is right in the end, or the error says what was wrong.

use crate::bench::{Bench, LIMIT, settings, sha256, stored, until};
use crate::server::{Hit, Out, Server, Stored, status};
use sampan_download::{DownloadError, Retry, Settings, State, Timeouts};
use std::time::{Duration, Instant};

/// Answers that break a rule before good ones, at every third request.
fn now_and_then(
    bad: impl Fn(&Stored, &Hit, &mut Out<'_>) -> bool + Send + Sync + 'static,
) -> (Stored, Server) {
    let file = stored(20_000);
    let served = file.clone();
    let server =
        Server::start(
            move |hit, out| {
                if hit.number % 3 == 1 { bad(&served, hit, out) } else { served.serve(hit, out) }
            },
        );
    (file, server)
}

#[test]
fn what_breaks_now_and_then_costs_only_what_was_lost() {
    type Bad = fn(&Stored, &Hit, &mut Out<'_>) -> bool;
    let cases: [(&str, Bad); 7] = [
        ("truncated", |file, hit, out| file.serve_some(hit, out, 300)),
        ("closed without an answer", |_, _, _| false),
        ("reset", |file, hit, out| {
            out.reset();
            file.serve_some(hit, out, 300)
        }),
        ("garbage instead of an answer", |_, _, out| {
            out.send(b"\x16\x03\x01 hello\r\n\r\n");
            false
        }),
        ("garbage in the head", |_, _, out| {
            out.send(b"HTTP/1.1 206 Part\r\nno colon here\r\nContent-Length: 3\r\n\r\nabc");
            false
        }),
        ("an endless head", |_, _, out| {
            out.send(b"HTTP/1.1 206 Part\r\n");
            while out.send(b"X-Filler: 0123456789012345678901234567890123456789\r\n") {}
            false
        }),
        ("a shorter part than was asked for", |file, hit, out| {
            let range = hit.range.map(|(first, end)| (first, (first + 100).min(end)));
            file.serve(&Hit { range, ..hit.clone() }, out)
        }),
    ];
    for (name, bad) in cases {
        let (file, server) = now_and_then(bad);
        assert_eq!(Bench::new().fetch(&server.url("/a")).expect(name), file.bytes, "{name}");
        assert!(server.sent() <= 26_000, "{name}: {} bytes were sent for 20000", server.sent());
    }
}

#[test]
fn ranges_that_are_not_those_asked_for_end_in_one_whole_answer() {
    type Bad = fn(&Stored, &Hit, &mut Out<'_>);
    let cases: [(&str, Bad); 5] = [
        ("from the beginning each time", |file, _, out| {
            out.send(b"HTTP/1.1 206 Part\r\nETag: \"v7\"\r\nContent-Range: bytes 0-999/20000\r\nContent-Length: 1000\r\n\r\n");
            out.body(&file.bytes[..1000]);
        }),
        ("without Content-Range", |file, _, out| {
            out.send(b"HTTP/1.1 206 Part\r\nETag: \"v7\"\r\nContent-Length: 1000\r\n\r\n");
            out.body(&file.bytes[..1000]);
        }),
        ("an absurd Content-Range", |file, _, out| {
            out.send(b"HTTP/1.1 206 Part\r\nETag: \"v7\"\r\nContent-Range: bytes 9-2/1\r\nContent-Length: 1000\r\n\r\n");
            out.body(&file.bytes[..1000]);
        }),
        ("several parts", |_, _, out| {
            out.send(b"HTTP/1.1 206 Part\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 5\r\n\r\n--x--");
        }),
        ("the whole file after all", |file, hit, out| {
            file.serve(&Hit { range: None, ..hit.clone() }, out);
        }),
    ];
    for (name, bad) in cases {
        for from in [0, 3] {
            let file = stored(20_000);
            let served = file.clone();
            let server = Server::start(move |hit, out| {
                if hit.range.is_some() && hit.number >= from {
                    bad(&served, hit, out);
                    return false;
                }
                served.serve(hit, out)
            });
            assert_eq!(
                Bench::new().fetch(&server.url("/a")).expect(name),
                file.bytes,
                "{name} from request {from}"
            );
        }
    }
}

/// `bad_http.py` among the inputs that failed: `/e206/` and `/r206empty/`.
#[test]
fn parts_whatever_is_asked_are_an_error_and_no_endless_loop() {
    let file = stored(3000);
    for (name, range, body) in [
        ("from another byte", "5-2999/3000", 5..3000),
        ("none of an empty file", "0-0/0", 0..0),
        ("the first of many", "0-9/3000", 0..10),
    ] {
        let bytes = file.bytes[body].to_vec();
        let server = Server::start(move |_, out| {
            let head = format!(
                "HTTP/1.1 206 Part\r\nETag: \"v7\"\r\nContent-Range: bytes {range}\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            out.send(head.as_bytes()) && out.body(&bytes)
        });
        let bench = Bench::new();
        let error = bench.fetch(&server.url("/a")).unwrap_err();
        assert!(matches!(error, DownloadError::Parts { .. }), "{name}: {error}");
        assert!(server.hits().len() <= 8, "{name}: {} requests", server.hits().len());
        assert_eq!(bench.names(), [""; 0], "{name}");
    }
}

#[test]
fn the_whole_file_as_a_part_that_nobody_asked_for_is_taken() {
    let file = stored(3000);
    let served = file.clone();
    // More than a piece has, so it is asked for without a range.
    let server = Server::start(move |_, out| {
        out.send(b"HTTP/1.1 206 Part\r\nETag: \"v7\"\r\nContent-Range: bytes 0-2999/3000\r\nContent-Length: 3000\r\n\r\n")
            && out.body(&served.bytes)
    });
    assert_eq!(Bench::new().fetch(&server.url("/a")).unwrap(), file.bytes);
    assert_eq!(server.hits().len(), 2);
}

/// A server without a validator, whose answers break off now here, now there: each try starts over.
#[test]
fn tries_that_come_no_further_than_the_best_one_are_counted() {
    let file = stored(3000);
    let server = Server::start(move |hit, out| {
        out.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
        out.body(&file.bytes[..[1000, 500, 900][hit.number % 3]]);
        false
    });
    let error = Bench::new().fetch(&server.url("/a")).unwrap_err();
    assert!(matches!(error, DownloadError::Network { .. }), "{error}");
    assert_eq!(server.hits().len(), 5, "four tries after the first");
}

#[test]
fn a_file_that_changes_each_time_is_waited_for_and_said() {
    let file = stored(5000);
    let server = Server::start(move |hit, out| {
        let etag = Some(format!("\"v{}\"", hit.number));
        Stored { etag, ..file.clone() }.serve(&Hit { if_range: None, ..hit.clone() }, out)
    });
    let retry = Retry { first_wait: Duration::from_millis(300), ..settings().retry };
    let bench = Bench::with(Settings { connections: 1, retry, ..settings() });
    let download = bench.add(&server.url("/a"));
    until("it says why it waits", || {
        let State::Waiting { error, .. } = download.progress().unwrap().state else { return false };
        matches!(error, DownloadError::Changed { .. })
    });
    let error = download.wait(LIMIT).unwrap_err();
    assert!(matches!(error, DownloadError::Changed { .. }), "{error}");
}

#[test]
fn a_length_that_is_too_long_is_an_error_in_the_end() {
    let file = stored(2000);
    let server = Server::start(move |_, out| {
        out.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
        out.body(&file.bytes);
        false
    });
    let bench = Bench::new();
    let error = bench.fetch(&server.url("/a")).unwrap_err();
    assert!(matches!(error, DownloadError::Network { .. }), "{error}");
    assert_eq!(server.hits().len(), 5, "four tries after the first");
    assert!(!bench.file().exists());
}

#[test]
fn more_bytes_than_a_range_has_are_not_written() {
    let file = stored(3000);
    let served = file.clone();
    let server = Server::start(move |hit, out| {
        if hit.range.is_some_and(|(first, _)| first == 1000) && hit.number < 4 {
            let head = "HTTP/1.1 206 Part\r\nETag: \"v7\"\r\nContent-Range: bytes 1000-1999/3000\r\n\r\n";
            out.send(head.as_bytes());
            out.body(&[0xee; 1000]);
            out.body(&[0xee; 1000]);
            return false;
        }
        served.serve(hit, out)
    });
    let bench = Bench::one_connection();
    match bench.run(bench.request(&server.url("/a")).digest(sha256(&file.bytes))) {
        Ok(bytes) => assert!(bytes == file.bytes),
        // What came within the range, in a segment of its own, was taken: only the digest tells it from the right bytes.
        Err(DownloadError::Checksum { kept, .. }) => {
            let bytes = std::fs::read(kept).unwrap();
            assert!(bytes.len() == 3000 && bytes[2000..] == file.bytes[2000..]);
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn silence_ends_and_is_tried_again() {
    let file = stored(5000);
    let served = file.clone();
    let server = Server::start(move |hit, out| match hit.number {
        0 => {
            out.stall(LIMIT);
            false
        }
        2 => {
            let (head, range) = served.head(hit);
            out.send(head.as_bytes());
            out.body(&served.bytes[range.start..range.start + 10]);
            out.stall(LIMIT);
            false
        }
        _ => served.serve(hit, out),
    });
    let short =
        Timeouts { connect: LIMIT, answer: Duration::from_millis(200), read: Duration::from_millis(200) };
    let bench = Bench::with(Settings { timeouts: short, ..settings() });
    assert_eq!(bench.fetch(&server.url("/a")).unwrap(), file.bytes);
    assert!(server.sent() <= 6000, "{}: the file was not begun anew", server.sent());
}

#[test]
fn a_slow_server_is_waited_for() {
    let file = stored(400);
    let served = file.clone();
    let server = Server::start(move |hit, out| {
        let (head, range) = served.head(hit);
        out.send(head.as_bytes());
        for byte in &served.bytes[range] {
            out.body(&[*byte]);
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    });
    let short = Timeouts { read: Duration::from_millis(300), ..settings().timeouts };
    let bench = Bench::with(Settings { timeouts: short, ..settings() });
    assert_eq!(bench.fetch(&server.url("/a")).unwrap(), file.bytes, "silence counts, not slowness");
}

#[test]
fn a_busy_server_is_asked_again_when_it_said() {
    let file = stored(500);
    let served = file.clone();
    let server = Server::start(move |hit, out| match hit.number {
        0 => status(out, "503 Busy", "Retry-After: 1\r\n"),
        1 => status(out, "429 Slow down", ""),
        _ => served.serve(hit, out),
    });
    let start = Instant::now();
    assert_eq!(Bench::new().fetch(&server.url("/a")).unwrap(), file.bytes);
    assert!(start.elapsed() >= Duration::from_secs(1), "not before");
    let server = Server::start(|_, out| status(out, "503 Busy", "Retry-After: 86400\r\n"));
    let error = Bench::new().fetch(&server.url("/a")).unwrap_err();
    assert!(matches!(error, DownloadError::Status { status: 503, retry_after: Some(_), .. }), "{error}");
    assert_eq!(server.hits().len(), 1, "a day is not waited for");
}

#[test]
fn a_server_that_refuses_more_connections_is_loaded_by_fewer() {
    let file = stored(30_000);
    let served = file.clone();
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |hit, out| {
        use std::sync::atomic::Ordering::SeqCst;
        let many = busy.fetch_add(1, SeqCst) >= 2;
        std::thread::sleep(Duration::from_millis(3));
        let keep = if many { status(out, "429 Too many", "") } else { served.serve(hit, out) };
        busy.fetch_sub(1, SeqCst);
        keep
    });
    assert_eq!(Bench::new().fetch(&server.url("/a")).unwrap(), file.bytes);
    assert_eq!(server.sent(), 30_000);
}

#[test]
fn refusals_are_final_and_leave_nothing() {
    for (line, code) in [("404 Not Found", 404), ("403 Forbidden", 403), ("451 No", 451), ("204 Nothing", 0)]
    {
        let server = Server::start(move |_, out| status(out, line, ""));
        let bench = Bench::new();
        let result = bench.fetch(&server.url("/a"));
        assert_eq!(server.hits().len(), 1, "{line}");
        if code > 0 {
            assert!(
                matches!(result, Err(DownloadError::Status { status, .. }) if status == code),
                "{result:?}"
            );
            assert_eq!(bench.names(), [""; 0], "{line}");
        }
    }
}

#[test]
fn a_compressed_answer_is_refused() {
    let server = Server::start(|_, out| status(out, "200 OK", "Content-Encoding: gzip\r\n"));
    let error = Bench::new().fetch(&server.url("/a")).unwrap_err();
    assert!(matches!(error, DownloadError::Encoded { .. }), "{error}");
    let asked = server.hits()[0].headers.iter().any(|(n, v)| n == "accept-encoding" && v == "identity");
    assert!(asked, "and was not asked for");
}

#[test]
fn sizes_are_limited() {
    let file = stored(5000);
    let served = file;
    let server = Server::start(move |hit, out| match hit.path.as_str() {
        "/endless" => {
            out.send(b"HTTP/1.1 200 OK\r\n\r\n");
            while out.body(&[0; 4096]) {}
            false
        }
        "/huge" => {
            out.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n");
            while out.body(&[0; 4096]) {}
            false
        }
        _ => served.serve(hit, out),
    });
    for path in ["/a", "/endless", "/huge"] {
        let bench = Bench::new();
        let error = bench.run(bench.request(&server.url(path)).max_size(4999)).unwrap_err();
        assert!(matches!(error, DownloadError::TooLarge { limit: 4999, .. }), "{path}: {error}");
        assert!(!bench.file().exists());
    }
    let bench = Bench::new();
    let error = bench.run(bench.request(&server.url("/huge")).max_size(u64::MAX)).unwrap_err();
    assert!(matches!(error, DownloadError::Space { .. }), "{error}");
}

#[test]
fn an_endless_checksum_file_is_refused() {
    let server = Server::start(|_, out| {
        out.send(b"HTTP/1.1 200 OK\r\n\r\n");
        while out.body(&[b'0'; 4096]) {}
        false
    });
    let bench = Bench::new();
    let source =
        sampan_download::Source::Listed { folder: server.url("/"), file: "a".into(), sums: "S".into() };
    let error = bench.run(sampan_download::Request::from(source, bench.file()).allow_http()).unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { .. }), "{error}");
}
