//! The fuzz targets of this crate over their corpus and over mutations of it, without the other targets' crates.
//! (`tests/fuzz` runs all of them.)

#[path = "../../../../tests/fuzz/src/documents.rs"]
mod documents;

use proptest::prelude::*;
use std::fs;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../../tests/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).expect("a seed")).collect()
}

#[test]
fn the_corpus_passes() {
    for (name, target) in
        [("document", documents::document as fn(&[u8])), ("forwards", documents::forwards as fn(&[u8]))]
    {
        let seeds = seeds(name);
        assert!(seeds.len() >= 3);
        seeds.iter().for_each(|seed| target(seed));
    }
}

fn mutated(name: &str) -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "-1",
        "null",
        "{}",
        "[]",
        "\"",
        ",",
        ":",
        "true",
        "4294967296",
        "disk0",
        "=== x",
        "0",
        "65535",
        "\\u0000",
    ]);
    let edit = (any::<prop::sample::Index>(), 0usize..20, words);
    (prop::sample::select(seeds(name)), prop::collection::vec(edit, 0..5)).prop_map(|(mut data, edits)| {
        for (at, cut, word) in edits {
            let at = at.index(data.len().max(1)).min(data.len());
            let end = (at + cut).min(data.len());
            data.splice(at..end, word.bytes());
        }
        data
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_descriptions_pass(data in mutated("document")) {
        documents::document(&data);
    }

    #[test]
    fn mutated_forwards_pass(data in mutated("forwards")) {
        documents::forwards(&data);
    }
}
