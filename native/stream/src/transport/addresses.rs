//! This host's own addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Addresses to which a way out is looked for; nothing is sent there (RFC 5737 and RFC 3849 keep them for documents).
const OUTSIDE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

/// The addresses by which other devices may reach this host, the likeliest first: those of its networks, without loopback and those
/// of one link alone.
pub fn addresses() -> Vec<IpAddr> {
    let found = nix::ifaddrs::getifaddrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let mut all: Vec<IpAddr> = found
        .iter()
        .filter_map(|interface| {
            let address = interface.address.as_ref()?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        })
        .filter(|address| match address {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
        })
        .collect();
    let leads_out: Vec<IpAddr> = OUTSIDE.iter().filter_map(|outside| way_to(outside)).collect();
    all.sort_by_key(|address| (!leads_out.contains(address), address.is_ipv6(), *address));
    all.dedup();
    all
}

/// The address of ours that the system would send from to another one.
pub fn way_to(outside: &str) -> Option<IpAddr> {
    let outside: SocketAddr = outside.parse().ok()?;
    let any: SocketAddr = if outside.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().ok()?;
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(outside).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The likeliest address of each family.
pub(super) fn one_of_each() -> Vec<IpAddr> {
    let all = addresses();
    let first = |v4: bool| all.iter().find(|address| address.is_ipv4() == v4).copied();
    [first(true), first(false)].into_iter().flatten().collect()
}
