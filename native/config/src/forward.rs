//! Ports of the host that lead to the guest.

use crate::finding::Concern;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// The most ports of one forward: each is a socket of the host.
pub const MAX_FORWARD_PORTS: u16 = 256;
/// The first port that needs no privilege on Linux.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// Ports of the host, one after the other, that lead to as many of the guest's.
///
/// ```
/// let forward: sampan_config::Forward = "tcp:8000-8003:80-83".parse()?;
/// assert_eq!((forward.host_port, forward.guest_port, forward.count), (8000, 80, 4));
/// # Ok::<(), sampan_config::ForwardError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Protocol,
    /// The host's address to listen on. QEMU's forwards know IPv4 alone (`slirp_hostfwd` in `net/slirp.c`).
    #[serde(default = "loopback")]
    pub address: Ipv4Addr,
    /// The host's first port.
    pub host_port: u16,
    /// The guest's first port.
    pub guest_port: u16,
    /// How many.
    #[serde(default = "one")]
    pub count: u16,
}

fn loopback() -> Ipv4Addr {
    Ipv4Addr::LOCALHOST
}

fn one() -> u16 {
    1
}

/// Why a forward cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Not of that form.
    #[error(
        "{0:?} is no forward: write [tcp:|udp:][ADDRESS:]HOST-PORT:GUEST-PORT, as in tcp:2222:22 or 8000-8003:80-83"
    )]
    Form(String),
    /// An address of IPv6.
    #[error(
        "{0:?}: forwards listen on addresses of IPv4 alone, which is all that QEMU's network offers: write 127.0.0.1 for this machine, or leave the address out"
    )]
    Ipv6(String),
    /// Two ranges of unequal length.
    #[error("{host} ports of the host cannot lead to {guest} of the guest: make the ranges equally long")]
    Unequal {
        /// How many of the host's.
        host: u32,
        /// How many of the guest's.
        guest: u32,
    },
    /// Too many.
    #[error("{0} ports in one forward are too many: use 1 to {MAX_FORWARD_PORTS}")]
    Count(u32),
    /// A port that is none.
    #[error("ports {first} and the {count} from there on are not all ports: use 1 to 65535")]
    Port {
        /// The first.
        first: u16,
        /// How many.
        count: u16,
    },
}

impl Forward {
    /// One port of this machine alone.
    pub fn tcp(host_port: u16, guest_port: u16) -> Self {
        Self { protocol: Protocol::Tcp, address: loopback(), host_port, guest_port, count: 1 }
    }

    /// Whether it can be at all.
    ///
    /// # Errors
    /// What is wrong with its numbers.
    pub fn check(&self) -> Result<(), ForwardError> {
        if !(1..=MAX_FORWARD_PORTS).contains(&self.count) {
            return Err(ForwardError::Count(self.count.into()));
        }
        for first in [self.host_port, self.guest_port] {
            if first == 0 || first.checked_add(self.count - 1).is_none() {
                return Err(ForwardError::Port { first, count: self.count });
            }
        }
        Ok(())
    }

    /// Whether both want a port of the host. An address and "any address" conflict, as the kernel has it.
    pub fn conflicts(&self, other: &Self) -> bool {
        let same_address = self.address == other.address
            || self.address == Ipv4Addr::UNSPECIFIED
            || other.address == Ipv4Addr::UNSPECIFIED;
        let end = |f: &Self| u32::from(f.host_port) + u32::from(f.count);
        self.protocol == other.protocol
            && same_address
            && u32::from(self.host_port) < end(other)
            && u32::from(other.host_port) < end(self)
    }

    /// What a person should know before it is used.
    pub fn warnings(&self) -> Vec<String> {
        self.concerns().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn concerns(&self) -> Vec<Concern> {
        let (port, address) = (self.host_port, self.address.into());
        let privileged = Concern::PrivilegedPort { port, first: FIRST_UNPRIVILEGED };
        let reachable = Concern::PortReachable { port, address };
        let privileged = (port < FIRST_UNPRIVILEGED).then_some(privileged);
        privileged.into_iter().chain((!self.address.is_loopback()).then_some(reachable)).collect()
    }

    /// QEMU's form, one rule for each port: as after `hostfwd=` and `hostfwd_add net0`.
    pub fn rules(&self) -> impl Iterator<Item = String> + '_ {
        self.ports().map(|(host, guest)| format!("{}:{}:{host}-:{guest}", self.protocol, self.address))
    }

    /// The monitor's lines that add it to the network `nic` of a running machine. There is no QMP command for that: they
    /// go as [`human_monitor_command`].
    pub fn add_lines(&self, nic: &str) -> Vec<String> {
        self.rules().map(|rule| format!("hostfwd_add {nic} {rule}")).collect()
    }

    /// The monitor's lines that remove it.
    pub fn remove_lines(&self, nic: &str) -> Vec<String> {
        self.ports()
            .map(|(host, _)| format!("hostfwd_remove {nic} {}:{}:{host}", self.protocol, self.address))
            .collect()
    }

    fn ports(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        // Saturating: what `check` refuses still does not panic.
        (0..self.count).map(|i| (self.host_port.saturating_add(i), self.guest_port.saturating_add(i)))
    }
}

/// Pairs of forwards that want the same port of the host, by their places in the list.
pub fn forward_conflicts(forwards: &[Forward]) -> Vec<(usize, usize)> {
    let mut conflicts = Vec::new();
    for (i, a) in forwards.iter().enumerate() {
        let later = forwards.iter().enumerate().skip(i + 1);
        conflicts.extend(later.filter(|(_, b)| a.conflicts(b)).map(|(j, _)| (i, j)));
    }
    conflicts
}

/// The QMP command for one of the human monitor's lines. Its answer is text: empty when `hostfwd_add` worked, and
/// ending in `removed` when `hostfwd_remove` did (`net/slirp.c`).
pub fn human_monitor_command(line: &str) -> serde_json::Value {
    serde_json::json!({ "execute": "human-monitor-command", "arguments": { "command-line": line } })
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |first: u16| match self.count {
            0 | 1 => first.to_string(),
            count => format!("{first}-{}", u32::from(first) + u32::from(count) - 1),
        };
        write!(f, "{}:{}:{}:{}", self.protocol, self.address, range(self.host_port), range(self.guest_port))
    }
}

impl FromStr for Forward {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let excerpt = || text.chars().take(80).collect();
        let form = || ForwardError::Form(excerpt());
        if names_ipv6(text) {
            return Err(ForwardError::Ipv6(excerpt()));
        }
        let mut parts: Vec<&str> = text.split(':').collect();
        let protocol = match parts.first() {
            Some(&"tcp") => Some(Protocol::Tcp),
            Some(&"udp") => Some(Protocol::Udp),
            _ => None,
        };
        if protocol.is_some() {
            parts.remove(0);
        }
        let (address, host, guest) = match parts[..] {
            [host, guest] => (loopback(), host, guest),
            [address, host, guest] => (address.parse().map_err(|_| form())?, host, guest),
            _ => return Err(form()),
        };
        let (host, guest) = (range(host).ok_or_else(form)?, range(guest).ok_or_else(form)?);
        if host.1 != guest.1 {
            return Err(ForwardError::Unequal { host: host.1, guest: guest.1 });
        }
        let count = u16::try_from(host.1).map_err(|_| ForwardError::Count(host.1))?;
        let forward = Self {
            protocol: protocol.unwrap_or_default(),
            address,
            host_port: host.0,
            guest_port: guest.0,
            count,
        };
        forward.check()?;
        Ok(forward)
    }
}

/// Whether an address of IPv6 stands in it, in brackets as it should or without.
fn names_ipv6(text: &str) -> bool {
    let rest = text.strip_prefix("tcp:").or_else(|| text.strip_prefix("udp:")).unwrap_or(text);
    if let Some(rest) = rest.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    }
    // The ports are the last two.
    let address = rest.rsplitn(3, ':').nth(2);
    address.is_some_and(|address| address.contains(':') && address.parse::<Ipv6Addr>().is_ok())
}

/// The first port and how many.
fn range(text: &str) -> Option<(u16, u32)> {
    let port = |t: &str| t.parse::<u16>().ok().filter(|_| t.bytes().all(|c| c.is_ascii_digit()));
    match text.split_once('-') {
        None => Some((port(text)?, 1)),
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            (first <= last).then(|| (first, u32::from(last) - u32::from(first) + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_a_person_writes() {
        assert_eq!("2222:22".parse(), Ok(Forward::tcp(2222, 22)));
        let forward: Forward = "udp:0.0.0.0:53-55:1053-1055".parse().expect("a forward");
        assert_eq!(
            forward.rules().collect::<Vec<_>>(),
            ["udp:0.0.0.0:53-:1053", "udp:0.0.0.0:54-:1054", "udp:0.0.0.0:55-:1055"]
        );
        assert_eq!(forward.warnings().len(), 2);
        assert_eq!("1-2:5-9".parse::<Forward>(), Err(ForwardError::Unequal { host: 2, guest: 5 }));
        assert_eq!("1-65535:1-65535".parse::<Forward>(), Err(ForwardError::Count(65535)));
        assert_eq!("0:1".parse::<Forward>(), Err(ForwardError::Port { first: 0, count: 1 }));
        for bad in ["", ":", "22", "tcp:22", "a:b", "2-1:2-1", "+1:2", "[::1:22:22", "1:2,x=y", "65536:1"] {
            assert!(matches!(bad.parse::<Forward>(), Err(ForwardError::Form(_))), "{bad}");
        }
    }

    #[test]
    fn an_address_of_ipv6_is_told_as_such() {
        for text in
            ["[::1]:2222:22", "tcp:[::1]:2222:22", "udp:[::]:53:53", "::1:22:22", "fe80::1:8000-8001:80-81"]
        {
            let error = text.parse::<Forward>().expect_err("is IPv6");
            assert!(matches!(error, ForwardError::Ipv6(_)), "{text}: {error}");
            assert!(error.to_string().contains("IPv4 alone") && error.to_string().contains("127.0.0.1"));
        }
    }

    #[test]
    fn a_running_machine_is_told_in_the_monitors_words() {
        let forward = Forward::tcp(2222, 22);
        assert_eq!(forward.add_lines("net0"), ["hostfwd_add net0 tcp:127.0.0.1:2222-:22"]);
        assert_eq!(forward.remove_lines("net0"), ["hostfwd_remove net0 tcp:127.0.0.1:2222"]);
    }

    #[test]
    fn the_same_port_twice_is_found() {
        let any = Forward { address: Ipv4Addr::UNSPECIFIED, ..Forward::tcp(2221, 80) };
        let list = [
            Forward::tcp(2220, 22),
            Forward { count: 3, ..any },
            Forward::tcp(2223, 1),
            Forward::tcp(2224, 1),
        ];
        assert_eq!(forward_conflicts(&list), [(1, 2)]);
        assert!(!Forward::tcp(1, 1).conflicts(&Forward { protocol: Protocol::Udp, ..Forward::tcp(1, 1) }));
    }

    proptest! {
        #[test]
        fn text_and_forward_go_both_ways(host in 1u16..60000, guest in 1u16..60000, count in 1u16..=MAX_FORWARD_PORTS, address: [u8; 4], udp: bool) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let forward = Forward { protocol, address: address.into(), host_port: host, guest_port: guest, count };
            prop_assert_eq!(forward.to_string().parse(), Ok(forward));
            prop_assert!(forward.rules().all(|rule| !rule.contains(',')));
        }

        #[test]
        fn no_text_panics(text in "[tcpud0-9:., -]{0,40}") {
            let _ = text.parse::<Forward>();
        }
    }
}
