//! What a machine wants of this host, tried before QEMU is called: QEMU's words name neither the port that a person wrote nor the way
//! out.

use super::{PortUser, VmError};
use sampan_config::{Forward, Protocol, VmConfig};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

/// Refuses to start a machine whose ports are taken or whose folders are gone.
pub(super) fn check(document: &VmConfig, folders: &BTreeMap<String, PathBuf>) -> Result<(), VmError> {
    for forward in document.network.cards.iter().flat_map(|card| &card.forwards) {
        check_forward(forward)?;
    }
    if let Some(vnc) = &document.displays.vnc
        && let Err(error) = TcpListener::bind((vnc.address, vnc.port))
    {
        return Err(refused(error, vnc.address, vnc.port, PortUser::Vnc));
    }
    for share in &document.shares.shares {
        let Some(folder) = folders.get(&share.tag) else { continue };
        let (tag, path) = (share.tag.clone(), folder.clone());
        return Err(match folder.metadata() {
            Ok(there) if there.is_dir() => continue,
            Ok(_) => VmError::ShareNotAFolder { tag, path },
            Err(e) if e.kind() == ErrorKind::NotFound => VmError::ShareMissing { tag, path },
            Err(source) => VmError::ShareUnreadable { tag, path, source },
        });
    }
    Ok(())
}

/// Whether all of a forward's ports can be listened on.
pub(super) fn check_forward(forward: &Forward) -> Result<(), VmError> {
    for port in (forward.host_port..).take(forward.count.into()) {
        let at = SocketAddr::from((forward.address, port));
        let bound = match forward.protocol {
            Protocol::Tcp => TcpListener::bind(at).map(drop),
            Protocol::Udp => UdpSocket::bind(at).map(drop),
        };
        if let Err(error) = bound {
            match refused(error, forward.address.into(), port, PortUser::Forward(*forward)) {
                // Of whatever else there is QEMU decides, which may reach what we cannot.
                VmError::PortUnusable { .. } => {}
                known => return Err(known),
            }
        }
    }
    Ok(())
}

fn refused(source: std::io::Error, address: IpAddr, port: u16, what: PortUser) -> VmError {
    match source.kind() {
        ErrorKind::AddrInUse => VmError::PortInUse { port, address, what },
        ErrorKind::PermissionDenied => VmError::PortPrivileged { port, address, what },
        ErrorKind::AddrNotAvailable => VmError::NoSuchAddress { port, address, what },
        _ => VmError::PortUnusable { port, address, what, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Preset, ShareSection, ShareSecurity, Vnc};
    use std::net::Ipv4Addr;

    fn refused(document: &VmConfig, folders: &BTreeMap<String, PathBuf>) -> VmError {
        check(document, folders).expect_err("is refused")
    }

    #[test]
    fn a_taken_port_is_told_as_it_was_written() {
        // One whose neighbour nobody has.
        let (taken, port) = loop {
            let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let port = taken.local_addr().expect("its address").port();
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port - 1)).is_ok() {
                break (taken, port);
            }
        };
        let none = BTreeMap::new();
        let mut document = VmConfig::new("my VM", Preset::Linux, Arch::X86_64);
        check(&document, &none).expect("it wants nothing");
        let forward = Forward::tcp(port, 22);
        document.network.cards[0].forwards.push(forward);
        let error = refused(&document, &none);
        let told = |error: &VmError, user: PortUser| matches!(error, VmError::PortInUse { port: told, what, .. } if (*told, *what) == (port, user));
        assert!(told(&error, PortUser::Forward(forward)), "{error}");
        // The one of several that is taken.
        let range = Forward { host_port: port - 1, count: 2, ..forward };
        let error = check_forward(&range).expect_err("is taken");
        assert!(told(&error, PortUser::Forward(range)), "{error}");
        document.network.cards[0].forwards.clear();
        document.displays.vnc = Some(Vnc { address: Ipv4Addr::LOCALHOST.into(), port });
        let error = refused(&document, &none);
        assert!(told(&error, PortUser::Vnc), "{error}");
        drop(taken);
        check(&document, &none).expect("is free");
    }

    #[test]
    fn a_port_of_datagrams_is_looked_at_too() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("its address").port();
        let forward = Forward { protocol: Protocol::Udp, ..Forward::tcp(port, 53) };
        assert!(matches!(check_forward(&forward), Err(VmError::PortInUse { .. })));
        let elsewhere = Forward { address: Ipv4Addr::new(192, 0, 2, 1), ..Forward::tcp(2222, 22) };
        let error = check_forward(&elsewhere).expect_err("no such address");
        assert!(matches!(error, VmError::NoSuchAddress { .. }) && error.to_string().contains("192.0.2.1"));
    }

    #[test]
    fn a_folder_that_is_gone_is_told_with_the_way_out() {
        let home = tempfile::tempdir().expect("a folder");
        let folders = BTreeMap::from([("files".to_owned(), home.path().join("gone"))]);
        let mut document = VmConfig::new("vm", Preset::Linux, Arch::X86_64);
        let share = ShareSection { tag: "files".into(), read_only: true, security: ShareSecurity::None };
        document.shares.shares.push(share);
        let error = refused(&document, &folders);
        assert!(matches!(&error, VmError::ShareMissing { tag, .. } if tag == "files"), "{error}");
        std::fs::write(home.path().join("gone"), "").expect("writes");
        assert!(matches!(refused(&document, &folders), VmError::ShareNotAFolder { .. }));
        let folders = BTreeMap::from([("files".to_owned(), home.path().to_owned())]);
        check(&document, &folders).expect("is there");
    }
}
