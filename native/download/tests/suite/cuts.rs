//! Whatever cut points, connections and pieces: the same bytes.

use crate::bench::{Bench, settings, sha256};
use crate::server::{Server, Stored};
use proptest::prelude::*;
use sampan_download::{Retry, Settings};
use std::sync::Mutex;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_give_the_same_bytes(
        length in 0usize..6000,
        piece in 1u64..3000,
        connections in 1usize..5,
        cuts in prop::collection::vec(0usize..2500, 0..12),
        restarts in 0usize..3,
        ranges: bool,
    ) {
        let file = Stored { ranges, ..Stored::new(length, 3) };
        let (served, left) = (file.clone(), Mutex::new(cuts));
        let server = Server::start(move |hit, out| {
            let cut = left.lock().unwrap().pop();
            match cut {
                Some(most) => served.serve_some(hit, out, most),
                None => served.serve(hit, out),
            }
        });
        let retry = Retry { tries: 20, ..settings().retry };
        let settings = Settings { piece: piece.max(length as u64 / 50), connections, retry, ..settings() };
        let mut bench = Bench::with(settings.clone());
        for _ in 0..restarts {
            let download = bench.add(&server.url("/a"));
            let _ = download.wait(std::time::Duration::from_millis(3));
            bench.queue.shutdown();
            if bench.file().exists() {
                break;
            }
            bench.queue = sampan_download::Queue::start(settings.clone()).unwrap();
        }
        if !bench.file().exists() {
            let request = bench.request(&server.url("/a")).digest(sha256(&file.bytes));
            // The digest is new to the journal, so this starts over; without it, it goes on.
            let request = if restarts == 0 { request } else { bench.request(&server.url("/a")) };
            bench.run(request).unwrap();
        }
        prop_assert!(std::fs::read(bench.file()).unwrap() == file.bytes);
    }
}
