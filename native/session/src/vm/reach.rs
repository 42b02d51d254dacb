//! What a machine wants of this host, tried before QEMU is called: QEMU's words name neither the port that a person wrote nor the way
//! out.

use super::VmError;
use sampan_config::{Document, Forward, Protocol};
use sampan_library::shell_word;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

/// Refuses to start a machine whose ports are taken or whose folders are gone.
pub(super) fn check(document: &Document, folders: &BTreeMap<String, PathBuf>) -> Result<(), VmError> {
    let name = shell_word(&document.system.name);
    for forward in document.network.cards.iter().flat_map(|card| &card.forwards) {
        check_forward(forward).map_err(|why| {
            VmError::Refused(format!("{why}, or take it away with `sampan forward remove {name} {forward}`"))
        })?;
    }
    if let Some(vnc) = &document.displays.vnc
        && let Err(error) = TcpListener::bind((vnc.address, vnc.port))
    {
        let why = words(error.kind(), vnc.address, vnc.port, "VNC").unwrap_or_else(|| error.to_string());
        return Err(VmError::Refused(format!("{why}, by `sampan vnc {name} on --port N`")));
    }
    for share in &document.shares.shares {
        let Some(folder) = folders.get(&share.tag) else { continue };
        let gone = match folder.metadata() {
            Ok(there) if there.is_dir() => continue,
            Ok(_) => "is no folder any more".to_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => "is not there any more".to_owned(),
            Err(e) => format!("cannot be looked at ({e})"),
        };
        let (shown, tag) = (folder.display(), &share.tag);
        return Err(VmError::Refused(format!(
            "the folder {shown}, which the machine shares as {tag:?}, {gone}: bring it back, or share it no more with \
             `sampan share remove {name} {}`",
            shell_word(tag)
        )));
    }
    Ok(())
}

/// Whether all of a forward's ports can be listened on.
///
/// # Errors
/// Why not, and the beginning of what to do.
pub(super) fn check_forward(forward: &Forward) -> Result<(), String> {
    for port in (forward.host_port..).take(forward.count.into()) {
        let at = SocketAddr::from((forward.address, port));
        let bound = match forward.protocol {
            Protocol::Tcp => TcpListener::bind(at).map(drop),
            Protocol::Udp => UdpSocket::bind(at).map(drop),
        };
        // What else there is QEMU tells.
        if let Some(why) = bound.err().and_then(|error| {
            words(error.kind(), forward.address.into(), port, &format!("the forward {forward}"))
        }) {
            return Err(why);
        }
    }
    Ok(())
}

fn words(why: ErrorKind, address: IpAddr, port: u16, what: &str) -> Option<String> {
    Some(match why {
        ErrorKind::AddrInUse => {
            format!(
                "port {port} of this host, which {what} wants, is taken by another program: end that, choose another port"
            )
        }
        ErrorKind::PermissionDenied => format!(
            "port {port} of this host, which {what} wants, is for administrators alone: choose one from 1024 on"
        ),
        ErrorKind::AddrNotAvailable => {
            format!(
                "this host has no address {address}, at which {what} wants port {port}: choose another one"
            )
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Preset, ShareSection, ShareSecurity, Vnc};
    use std::net::Ipv4Addr;

    fn refused(document: &Document, folders: &BTreeMap<String, PathBuf>) -> String {
        check(document, folders).expect_err("is refused").to_string()
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
        let mut document = Document::new("my VM", Preset::Linux, Arch::X86_64);
        check(&document, &none).expect("it wants nothing");
        let forward = Forward::tcp(port, 22);
        document.network.cards[0].forwards.push(forward);
        let words = refused(&document, &none);
        for part in [
            &format!("port {port} "),
            "taken",
            &format!("sampan forward remove 'my VM' tcp:127.0.0.1:{port}:22"),
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        // The one of several that is taken.
        let range = Forward { host_port: port - 1, count: 2, ..forward };
        assert!(check_forward(&range).expect_err("is taken").contains(&format!("port {port} ")));
        document.network.cards[0].forwards.clear();
        document.displays.vnc = Some(Vnc { address: Ipv4Addr::LOCALHOST.into(), port });
        let words = refused(&document, &none);
        assert!(
            words.contains(&format!("port {port} ")) && words.contains("sampan vnc 'my VM' on --port"),
            "{words}"
        );
        drop(taken);
        check(&document, &none).expect("is free");
    }

    #[test]
    fn a_port_of_datagrams_is_looked_at_too() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("its address").port();
        let forward = Forward { protocol: Protocol::Udp, ..Forward::tcp(port, 53) };
        assert!(check_forward(&forward).expect_err("is taken").contains("taken"));
        let elsewhere = Forward { address: Ipv4Addr::new(192, 0, 2, 1), ..Forward::tcp(2222, 22) };
        assert!(check_forward(&elsewhere).expect_err("no such address").contains("192.0.2.1"));
    }

    #[test]
    fn a_folder_that_is_gone_is_told_with_the_way_out() {
        let home = tempfile::tempdir().expect("a folder");
        let folders = BTreeMap::from([("files".to_owned(), home.path().join("gone"))]);
        let mut document = Document::new("vm", Preset::Linux, Arch::X86_64);
        let share = ShareSection { tag: "files".into(), read_only: true, security: ShareSecurity::None };
        document.shares.shares.push(share);
        let words = refused(&document, &folders);
        assert!(
            words.contains("not there any more") && words.contains("sampan share remove vm files"),
            "{words}"
        );
        std::fs::write(home.path().join("gone"), "").expect("writes");
        assert!(refused(&document, &folders).contains("no folder any more"));
        let folders = BTreeMap::from([("files".to_owned(), home.path().to_owned())]);
        check(&document, &folders).expect("is there");
    }
}
