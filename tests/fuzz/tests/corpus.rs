//! Every target over its whole corpus, and over some mutations of it that are the same on every run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use sampan_fuzz::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const MUTATIONS: u32 = 3000;

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

fn run(name: &str, what: &str, target: Target, data: &[u8]) {
    let result = catch_unwind(AssertUnwindSafe(|| target(data)));
    assert!(result.is_ok(), "{name} fails on {what}: {data:02x?}");
}

/// Numerical Recipes' generator: the same everywhere.
struct Random(u32);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % end.max(1)
    }
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        match random.below(5) {
            0 => data.truncate(at),
            1 => data.insert(at.min(data.len()), random.below(256) as u8),
            2 => data.extend_from_within(at..),
            _ if data.is_empty() => data.push(0),
            3 => data[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            _ => data[at] ^= 1 << random.below(8),
        }
        data.truncate(4096);
    }
}

#[test]
fn the_corpus_passes() {
    for &(name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() >= 3, "{name} has too few seeds in its corpus");
        for (file, data) in &seeds {
            run(name, file, target, data);
        }
    }
}

#[test]
fn mutations_of_the_corpus_pass() {
    for &(name, target) in TARGETS {
        let seeds = seeds(name);
        let mut random = Random(0x5eed);
        for round in 0..MUTATIONS {
            let (file, data) = &seeds[random.below(seeds.len())];
            let mut data = data.clone();
            mutate(&mut data, &mut random);
            run(name, &format!("mutation {round} of {file}"), target, &data);
        }
    }
}

#[test]
fn every_folder_of_the_corpus_has_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in std::fs::read_dir(corpus).unwrap() {
        let name = folder.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?} is no target");
    }
}
