//! `sampan logs`.

use super::place::connect;
use super::{library, shell_word};
use crate::args::LogsArgs;
use crate::exit::Code;
use crate::progress::say;
use crate::supervisor::{logs_folder, newest, reports};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
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
    let mut end = print_from(&file, 0)?;
    if !args.follow {
        return Ok(Code::Done);
    }
    loop {
        std::thread::sleep(PACE);
        let more = print_from(&file, end)?;
        // What was written last is printed before it is over.
        if more == end && connect(&bundle)?.is_none() {
            return Ok(Code::Done);
        }
        end = more;
    }
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
