//! The commands on a guest's clipboard.

use super::Vm;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    sampan clipboard set debian < notes.txt\n  \
    sampan clipboard get debian --png picture.png\n\n\
    The guest needs spice-vdagent and a desktop, see docs/guests.md. `sampan set VM input.clipboard=off` (to-guest, from-guest, both) says which\n\
    way it is shared.")]
pub struct ClipboardArgs {
    #[command(subcommand)]
    pub action: ClipboardAction,
}

#[derive(Subcommand, Debug)]
pub enum ClipboardAction {
    /// Write what is in the guest's clipboard to stdout, as text
    Get {
        #[command(flatten)]
        vm: Vm,
        /// Write the picture in it into this PNG file; - is stdout
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
    },
    /// Let the guest's programs paste what is on stdin, as text
    Set {
        #[command(flatten)]
        vm: Vm,
        /// Let them paste the picture of this PNG file; - is stdin
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
    },
    /// Tell what kinds of things the guest copies, until Ctrl-C; with --json a line of JSON each time
    Watch {
        #[command(flatten)]
        vm: Vm,
    },
}
