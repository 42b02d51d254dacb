//! `sampan doctor`.

use crate::exit::Code;
use crate::words::{say, say_json};
use anyhow::Result;
use sampan_emulator::HostReport;

pub fn doctor(json: bool) -> Result<Code> {
    let here = std::env::current_dir()?;
    let report = HostReport::gather(&here);
    if json {
        say_json(&serde_json::to_string_pretty(&report)?);
    } else {
        say(&report.to_string());
    }
    Ok(Code::Done)
}
