//! Makes every kind of change to a library, and kills itself before a step: a program of `tests/suite/crash.rs`.
//! `interrupted_changes FOLDER STEP`

#[path = "../tests/suite/changes/mod.rs"]
mod changes;
#[path = "../tests/suite/common/mod.rs"]
mod common;

use std::path::PathBuf;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let folder: PathBuf = args.next().expect("interrupted_changes FOLDER STEP").into();
    let step = args.next().and_then(|step| step.to_str()?.parse().ok()).expect("the number of a step");
    changes::run(&folder.join("home"), &folder.join("notes"), step);
}
