//! `sampan logs`.

use super::{library, shell_word};
use crate::args::LogsArgs;
use crate::exit::Code;
use crate::interrupt::quiet_interruption;
use crate::words::{Stream, is_stdout_gone, say, say_json};
use anyhow::{Context, Result, bail};
use sampan_library::Bundle;
use sampan_manager::run::logs::{logs_folder, reports, runs};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a log is looked at for more.
const PACE: Duration = Duration::from_millis(250);

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// `sampan logs VM`.
pub fn logs(args: &LogsArgs, as_json: bool) -> Result<Code> {
    let library = library()?;
    let bundle = library.read(library.find(&args.vm.vm)?)?;
    if args.list {
        let entries = std::fs::read_dir(logs_folder(bundle.path())).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        if as_json {
            say_json(&json!(files));
        } else {
            files.iter().for_each(|file| say(&file.display().to_string()));
        }
        return Ok(Code::Done);
    }
    let file = if args.crash { reports(bundle.path()).pop() } else { runs(bundle.path()).pop() };
    let file = file.with_context(|| {
        let what = if args.crash { "has not crashed" } else { "has not run yet" };
        format!("{} {what}", shell_word(bundle.name()))
    })?;
    if as_json {
        if args.follow {
            bail!("--json cannot follow a log");
        }
        let text = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
        say_json(&json!({ "file": file, "text": String::from_utf8_lossy(&text) }));
        return Ok(Code::Done);
    }
    let mut shown = Shown::new(file);
    shown.go_on()?;
    if args.follow { follow(&bundle, shown) } else { Ok(Code::Done) }
}

/// Prints what is written from now on, also by the machine's next runs, until Ctrl-C.
fn follow(bundle: &Bundle, mut shown: Shown) -> Result<Code> {
    let interrupted = quiet_interruption()?;
    while !interrupted.load(Ordering::Relaxed) {
        if is_stdout_gone() {
            return Ok(Code::Done);
        }
        std::thread::sleep(PACE);
        // Asked before the old one is read: what was written last is printed before the next one begins.
        let next = runs(bundle.path()).pop().filter(|next| *next != shown.file);
        // The oldest logs go when new runs begin: what was printed of one is all that there is.
        if shown.file.exists() {
            shown.go_on()?;
        }
        match next {
            Some(next) => {
                shown = Shown::new(next);
                shown.go_on()?;
            }
            None if !bundle.path().exists() => {
                bail!("{} is no more", bundle.name());
            }
            None => {}
        }
    }
    Ok(Code::Interrupted)
}

/// A file that is printed as it grows.
struct Shown {
    file: PathBuf,
    /// Bytes of it that were printed.
    end: u64,
    out: Stream,
}

impl Shown {
    fn new(file: PathBuf) -> Self {
        Self { file, end: 0, out: Stream::default() }
    }

    /// Prints what is there by now.
    fn go_on(&mut self) -> Result<()> {
        let name = || self.file.display().to_string();
        let mut file = File::open(&self.file).with_context(name)?;
        file.seek(SeekFrom::Start(self.end)).with_context(name)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).with_context(name)?;
            if read == 0 {
                return Ok(());
            }
            self.end += read as u64;
            self.out.say(piece.get(..read).unwrap_or_default());
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.out.end();
    }
}
