//! `sampan doctor`.

use crate::exit::Code;
use crate::words::{say, say_json};
use anyhow::Result;
use sampan_emulator::HostReport;

pub fn doctor(json: bool) -> Result<Code> {
    // Where machines are, or would be. Without a place for them all else can still be told.
    let place = crate::vm::home().unwrap_or_else(|_| "/".into());
    let report = HostReport::gather(&place);
    if json {
        say_json(&serde_json::to_string_pretty(&report)?);
    } else {
        say(&report.to_string());
    }
    Ok(Code::Done)
}
