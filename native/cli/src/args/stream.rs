//! The commands on showing a machine to other devices.

use super::Vm;
use clap::{Args, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    sampan stream on debian\n  \
    sampan stream pair debian            asks what the device may do\n  \
    sampan stream revoke phone\n  \
    sampan stream publish debian https://sfu.example.org/whip/room --token-file token.txt\n\n\
    The device opens the address of `pair`, which is also a QR code, or types its eight words at the address of `on`. Its browser warns of the\n\
    certificate, which no authority knows: see SECURITY.md for what that means. docs/streaming.md tells the rest.")]
pub struct StreamArgs {
    #[command(subcommand)]
    pub action: StreamAction,
}

#[derive(Subcommand, Debug)]
pub enum StreamAction {
    /// Show a running machine's screen to devices that are paired, until it ends
    On {
        #[command(flatten)]
        vm: Vm,
        /// One of this host's addresses [default: the one from before, or the one that leads out]; without a port the one
        /// from before, or any
        #[arg(long, value_name = "ADDR[:PORT]")]
        address: Option<ShareAddress>,
        /// Show it again at each start, until `stream off`
        #[arg(long)]
        lasting: bool,
    },
    /// Show it no more, now and at later starts; who sees it is sent away
    Off {
        #[command(flatten)]
        vm: Vm,
    },
    /// Let one device in: print a code for it, wait until it asks, and ask you
    Pair {
        #[command(flatten)]
        vm: Vm,
        /// It may only see the screen
        #[arg(long, conflicts_with = "drive")]
        watch: bool,
        /// It may also type and point
        #[arg(long)]
        drive: bool,
        /// It may also use the guest's clipboard while it drives
        #[arg(long, requires = "drive")]
        clipboard: bool,
        /// It may also exchange files with the guest
        #[arg(long)]
        files: bool,
        /// Let the device in that uses the code, without a question; it may only see the screen unless other flags say more
        #[arg(long)]
        yes: bool,
    },
    /// Publish a running machine's picture and sound to a media server by WHIP, until it ends
    #[command(
        after_help = "Whoever the media server lets watch sees the machine's screen, and hears it; nobody drives it. See docs/streaming.md."
    )]
    Publish {
        #[command(flatten)]
        vm: Vm,
        /// The media server's WHIP address: https, or http on this host
        #[arg(required_unless_present = "off", conflicts_with = "off")]
        url: Option<String>,
        /// Publish it no more
        #[arg(long)]
        off: bool,
        /// The token that the server wants; every user of this host can read it while the command runs
        #[arg(long, conflicts_with_all = ["off", "token_file"])]
        token: Option<String>,
        /// A file whose first line is the token; `-` is stdin
        #[arg(long, value_name = "FILE", conflicts_with = "off")]
        token_file: Option<PathBuf>,
        /// Take plain http also for a server that is not this host: whoever is on the way reads the token
        #[arg(long, conflicts_with = "off")]
        plain_http: bool,
        /// A PEM file with certificates to trust besides Mozilla's
        #[arg(long, value_name = "FILE", conflicts_with = "off")]
        ca_file: Option<PathBuf>,
    },
    /// How a machine is shown, who sees it, and who of them drives
    #[command(visible_alias = "viewers")]
    Status {
        #[command(flatten)]
        vm: Vm,
    },
    /// Send a viewer away; its device may come again
    Kick {
        #[command(flatten)]
        vm: Vm,
        /// The viewer's number, as `stream status` tells it
        viewer: String,
    },
    /// Hand control to a viewer that may drive: from then on nobody else's input is taken
    Give {
        #[command(flatten)]
        vm: Vm,
        /// The viewer's number, as `stream status` tells it
        viewer: String,
    },
    /// List the devices that are paired, of all machines
    Devices,
    /// Servers (TURN, STUN) by which devices find a way to this host where there is no direct one; of all machines, none by default
    Ice {
        #[command(subcommand)]
        action: IceAction,
    },
    /// Take a device off the list; it is sent away at once
    Revoke {
        /// The device: its id, or its name
        device: String,
    },
}

#[derive(Subcommand, Debug)]
pub enum IceAction {
    /// Name a server, in the place of one with the same address
    Add {
        /// `turn:HOST[:PORT][?transport=udp|tcp]`, `turns:…`, or `stun:HOST[:PORT]`
        url: String,
        /// The user name that a TURN server wants
        #[arg(long, requires = "credential_file")]
        user: Option<String>,
        /// A file whose first line is the credential; `-` is stdin
        #[arg(long, value_name = "FILE", requires = "user")]
        credential_file: Option<PathBuf>,
    },
    /// Take a server off the list
    Remove {
        /// Its address, as it was given
        url: String,
    },
    /// Show those there are
    List,
}

/// An address with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareAddress {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

impl FromStr for ShareAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(both) = text.parse::<SocketAddr>() {
            return Ok(Self { address: both.ip(), port: Some(both.port()) });
        }
        let alone = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match alone.parse() {
            Ok(address) => Ok(Self { address, port: None }),
            Err(_) => {
                Err("this is no address such as 192.0.2.1, 192.0.2.1:4433 or [2001:db8::1]:4433".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_a_port() {
        for (text, address, port) in [
            ("192.0.2.1", "192.0.2.1", None),
            ("192.0.2.1:4433", "192.0.2.1", Some(4433)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
        ] {
            let address = address.parse().expect("is one");
            assert_eq!(text.parse(), Ok(ShareAddress { address, port }), "{text}");
        }
        for text in ["", "host", "host:1", "192.0.2.1:", "192.0.2.1:99999", "192.0.2"] {
            assert!(text.parse::<ShareAddress>().is_err(), "{text}");
        }
    }
}
