//! Where a test finds a program of its crate's `examples/`. Each crate that has such tests includes this file.

use std::path::{Path, PathBuf};

/// A program of `examples/`. Cargo builds it with the tests unless one of them is chosen by `--test`.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let folder = test.parent().and_then(Path::parent).expect("a folder of tests").join("examples");
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build --package {} --examples",
        program.display(),
        env!("CARGO_PKG_NAME")
    );
    program
}
