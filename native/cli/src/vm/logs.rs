//! `sampan logs`.

use super::{library, shell_word};
use crate::args::LogsArgs;
use crate::exit::Code;
use crate::interrupt::quiet_interruption;
use crate::progress::say;
use crate::supervisor::{logs_folder, newest, reports};
use anyhow::{Context, Result, bail};
use sampan_library::Bundle;
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a log is looked at for more.
const PACE: Duration = Duration::from_millis(250);

/// `sampan logs VM`.
pub fn logs(args: &LogsArgs, as_json: bool) -> Result<Code> {
    let library = library()?;
    let bundle = library.read(library.find(&args.vm.vm)?)?;
    if args.list {
        let runs = std::fs::read_dir(logs_folder(bundle.path())).into_iter().flatten().flatten();
        let mut files: Vec<_> = runs.map(|entry| entry.path()).collect();
        files.sort();
        if as_json {
            say(&json!(files).to_string());
        } else {
            files.iter().for_each(|file| say(&file.display().to_string()));
        }
        return Ok(Code::Done);
    }
    let file = if args.crash { reports(bundle.path()).pop() } else { newest(bundle.path()) };
    let file = file.with_context(|| {
        let what = if args.crash { "has not crashed" } else { "has not run yet" };
        format!("{} {what}", shell_word(bundle.name()))
    })?;
    if as_json {
        if args.follow {
            bail!("--json cannot follow a log");
        }
        let text = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
        say(&json!({ "file": file, "text": String::from_utf8_lossy(&text) }).to_string());
        return Ok(Code::Done);
    }
    let end = print_from(&file, 0)?;
    if args.follow { follow(&bundle, file, end) } else { Ok(Code::Done) }
}

/// Prints what is written from now on, also by the machine's next runs, until Ctrl-C.
fn follow(bundle: &Bundle, mut file: PathBuf, mut end: u64) -> Result<Code> {
    let interrupted = quiet_interruption()?;
    while !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(PACE);
        // Asked before the old one is read: what was written last is printed before the next one begins.
        let next = newest(bundle.path()).filter(|next| *next != file);
        // The oldest logs go when new runs begin: what was printed of one is all that there is.
        end = if file.exists() { print_from(&file, end)? } else { end };
        match next {
            Some(next) => {
                end = print_from(&next, 0)?;
                file = next;
            }
            None if !bundle.path().exists() => {
                bail!("{} is no more", bundle.name());
            }
            None => {}
        }
    }
    Ok(Code::Interrupted)
}

/// Prints a file from a place on, and tells where it ended.
fn print_from(path: &Path, from: u64) -> Result<u64> {
    let name = || path.display().to_string();
    let mut file = File::open(path).with_context(name)?;
    file.seek(SeekFrom::Start(from)).with_context(name)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(name)?;
    let mut out = std::io::stdout().lock();
    // Whoever reads us may have enough.
    let _ = out.write_all(&bytes).and_then(|()| out.flush());
    Ok(from + bytes.len() as u64)
}
