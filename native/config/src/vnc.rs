//! A VNC server besides the machine's own display.

use crate::finding::Concern;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// QEMU counts displays from this port on (`ui/vnc.c`).
const FIRST_PORT: u16 = 5900;
/// The most characters of a password: the protocol's cipher takes no more (RFC 6143, 7.2.2).
pub const MAX_VNC_PASSWORD: usize = 8;
/// What must be said where it is switched on.
pub const VNC_WARNING: &str = "VNC encrypts nothing: whoever is on the way sees the screen and every key, and of the password \
     at most 8 characters count; use it on this machine alone, or through an encrypted tunnel";

/// Where any VNC client may connect, with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vnc {
    /// The host's address to listen on.
    #[serde(default = "loopback")]
    pub address: IpAddr,
    /// The port, 5900 or above.
    #[serde(default = "first_port")]
    pub port: u16,
}

fn loopback() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

fn first_port() -> u16 {
    FIRST_PORT
}

impl Default for Vnc {
    fn default() -> Self {
        Self { address: loopback(), port: FIRST_PORT }
    }
}

impl Vnc {
    /// The value of `-vnc`; `None` for a port below 5900. A password is asked for, and until
    /// [one is set](VncPassword::command) nobody gets in.
    pub(crate) fn argument(&self) -> Option<String> {
        let display = self.port.checked_sub(FIRST_PORT)?;
        Some(match self.address {
            IpAddr::V4(v4) => format!("{v4}:{display},password=on"),
            IpAddr::V6(v6) => format!("[{v6}]:{display},password=on"),
        })
    }

    /// What a person should know before it is used.
    pub fn warnings(&self) -> Vec<String> {
        self.concerns().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn concerns(&self) -> Vec<Concern> {
        let reachable = Concern::VncReachable(self.address);
        [Concern::VncPlain].into_iter().chain((!self.address.is_loopback()).then_some(reachable)).collect()
    }
}

/// A VNC password. It is told to the running machine and never stands among its arguments, which every user of the
/// host can read.
#[derive(Clone, PartialEq, Eq)]
pub struct VncPassword(String);

/// A text that cannot be a VNC password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this cannot be a VNC password, with {0} characters: use 1 to {MAX_VNC_PASSWORD} letters without accents, digits or signs"
)]
pub struct BadVncPassword(pub(crate) usize);

impl VncPassword {
    /// A password that every client understands.
    ///
    /// # Errors
    /// When it is empty, longer than 8 characters (what is beyond would silently not count), or not printable ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, BadVncPassword> {
        let text = text.into();
        let good =
            (1..=MAX_VNC_PASSWORD).contains(&text.len()) && text.bytes().all(|c| (0x20..0x7f).contains(&c));
        if good { Ok(Self(text)) } else { Err(BadVncPassword(text.chars().count())) }
    }

    /// The password itself: for whoever keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The QMP command that sets it (`set_password` in `qapi/ui.json`).
    pub fn command(&self) -> serde_json::Value {
        serde_json::json!({ "execute": "set_password", "arguments": { "protocol": "vnc", "password": self.0 } })
    }
}

impl fmt::Debug for VncPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VncPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_this_machine_and_asks_for_a_password() {
        assert_eq!(Vnc::default().argument().as_deref(), Some("127.0.0.1:0,password=on"));
        let other = Vnc { address: "::".parse().expect("an address"), port: 5907 };
        assert_eq!(other.argument().as_deref(), Some("[::]:7,password=on"));
        assert_eq!(Vnc { port: 80, ..Vnc::default() }.argument(), None);
        assert_eq!((Vnc::default().warnings().len(), other.warnings().len()), (1, 2));
    }

    #[test]
    fn a_password_is_never_cut_in_silence() {
        for bad in ["", "123456789", "äöü", "a\0"] {
            assert!(VncPassword::new(bad).is_err(), "{bad}");
        }
        let password = VncPassword::new("\"12,34\\").expect("printable");
        assert_eq!(password.command()["arguments"]["password"], "\"12,34\\");
        assert_eq!(format!("{password:?}"), "VncPassword(…)");
    }
}
