//! The commands on how a machine is run and reached.

use super::Vm;
use clap::{Args, Subcommand};
use sampan_config::Mode;
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    sampan vnc debian on                  makes a password, if there is none, and tells it\n  \
    sampan vnc debian on --port 5901 --password-file secret.txt\n  \
    echo 'pass 123' | sampan vnc debian password\n\n\
    VNC encrypts nothing, and of a password at most 8 characters count: use it on this machine alone, or through an\n\
    encrypted tunnel such as ssh's.")]
pub struct VncArgs {
    #[command(flatten)]
    pub vm: Vm,
    #[command(subcommand)]
    pub action: Option<VncAction>,
}

#[derive(Subcommand, Debug)]
pub enum VncAction {
    /// Let VNC clients connect, from the next start on
    On {
        /// The port, 5900 or above
        #[arg(long, default_value_t = 5900)]
        port: u16,
        /// The host's address to listen on; any but a loopback one opens the screen to others
        #[arg(long, default_value = "127.0.0.1")]
        address: IpAddr,
        /// A file whose first line is the password; `-` is stdin [default: the one it has, or a new one]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Let no VNC clients connect, from the next start on, and forget the password
    Off,
    /// Another password, at once: the first line of stdin, or of a file
    Password {
        /// The file
        #[arg(long, value_name = "FILE", default_value = "-")]
        password_file: PathBuf,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "What was done is read back from the system and measured, which takes two seconds.\n\
    Without a mode and without --background or --foreground it tells what is set.")]
pub struct ModeArgs {
    #[command(flatten)]
    pub vm: Vm,
    /// saver, standard or turbo; kept for later starts
    pub mode: Option<Mode>,
    /// Nobody looks at it: run it a part of the time alone, by its mode
    #[arg(long, conflicts_with = "foreground")]
    pub background: bool,
    /// Run it all the time again
    #[arg(long)]
    pub foreground: bool,
}
