//! The command on a guest's sound.

use super::Vm;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    sampan sound debian --volume 50\n  \
    sampan sound debian --to heard.wav --for 10\n  \
    sampan sound debian --from question.wav\n\n\
    Without options it tells what is set and whether the guest plays or records. What is set lasts, also for later starts.\n\
    --to writes what the guest plays, as loud as it is set, until Ctrl-C; --from lets the guest record a file, whether or not it\n\
    may listen to the microphone, and ends with the file.")]
pub struct SoundArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// How loud it is, in per cent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub volume: Option<u8>,
    /// Silence it
    #[arg(long, conflicts_with = "unmute")]
    pub mute: bool,
    /// Let it be heard again
    #[arg(long)]
    pub unmute: bool,
    /// Whether the guest may listen to the microphone of whoever shows it
    #[arg(long, value_name = "ON|OFF")]
    pub microphone: Option<Switch>,
    /// Write what the guest plays into this WAV file
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Let the guest record this WAV file
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// End after so many seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// A time that is longer than nothing and shorter than a month.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    if seconds > 0.0 && seconds < 2_592_000.0 {
        Ok(seconds)
    } else {
        Err("more than 0, less than 2592000".into())
    }
}
