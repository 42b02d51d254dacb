//! Makes a change to a library, and kills itself before a step of it: a program of `tests/suite/crash.rs`.
//! `interrupted_changes FOLDER CHANGE STEP`

#[path = "../tests/suite/changes/mod.rs"]
mod changes;
#[path = "../tests/suite/common/mod.rs"]
mod common;

use std::path::PathBuf;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let folder: PathBuf = args.next().expect("interrupted_changes FOLDER CHANGE STEP").into();
    let mut number = || args.next().and_then(|number| number.to_str()?.parse().ok()).expect("a number");
    changes::run(&folder, number(), number());
}
