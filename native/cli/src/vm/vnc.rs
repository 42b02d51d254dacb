//! `sampan vnc …`. The document says that there is a VNC server, and where; the password is this host's matter, as folders
//! that are shared are.

use super::place::library;
use super::{Answer, document};
use crate::app::App;
use crate::args::{VncAction, VncArgs};
use crate::text::first_line;
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_config::{Vnc, VncPassword};
use sampan_control::Request;
use sampan_library::{Library, Locked, VmId};
use serde_json::json;
use std::net::IpAddr;
use std::path::Path;

/// Keeps the password on this host.
fn keep(locked: &Locked, password: &str) -> Result<()> {
    let mut host = locked.host()?;
    host.vnc_password = Some(password.to_owned());
    Ok(locked.set_host(&host)?)
}

/// The first line of a file or of stdin. Never an argument: every user of the host can read those.
fn read(file: &Path) -> Result<String> {
    let (password, _) = first_line(file).context("the password")?;
    VncPassword::new(password.as_str())?;
    Ok(password)
}

/// Eight characters by 48 random bits.
fn made_up() -> String {
    let random = VmId::random().to_string();
    // The first six bytes of a UUID of version 4 are random as a whole (RFC 9562, 5.4).
    let digits: Vec<u32> = random.chars().filter_map(|c| c.to_digit(16)).take(12).collect();
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8)).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `sampan vnc …`.
pub fn vnc(args: &VncArgs) -> Result<Answer> {
    let library = library()?;
    let id = library.find(&args.vm.vm)?;
    match &args.action {
        None => show(&library, id),
        Some(VncAction::On { port, address, password_file }) => {
            on(&library, id, *port, *address, password_file.as_deref())
        }
        Some(VncAction::Off) => {
            let mut locked = library.lock(id)?;
            not_suspended(locked.suspended().is_some())?;
            let mut document = document::of(&locked)?;
            document.displays.vnc = None;
            locked.set_document(&document.to_files())?;
            let mut host = locked.host()?;
            host.vnc_password = None;
            locked.set_host(&host)?;
            Ok(Answer::new(json!({ "vnc": null }), "no VNC from the next start on"))
        }
        Some(VncAction::Password { password_file }) => {
            let password = read(password_file)?;
            let app = App::open()?;
            let machine = app.machine(&args.vm.vm)?;
            // A running machine keeps it, too.
            app.wait(machine.tell(Request::VncPassword { password }))?;
            Ok(match machine.runs() {
                true => Answer::new(json!({ "when": "now" }), "it counts from now on"),
                false => Answer::new(json!({ "when": "next start" }), "it counts from the next start on"),
            })
        }
    }
}

fn show(library: &Library, id: VmId) -> Result<Answer> {
    let bundle = library.read(id)?;
    let Some(vnc) = document::of(&bundle)?.displays.vnc else {
        return Ok(Answer::new(json!({ "vnc": null }), "no VNC"));
    };
    let password = bundle.host()?.vnc_password.is_some();
    let mut text = format!("VNC at {}, port {}", vnc.address, vnc.port);
    if !password {
        text += "; nobody gets in, for there is no password on this host: `sampan vnc VM password`";
    }
    Ok(Answer::new(json!({ "vnc": vnc, "password": password, "warnings": vnc.warnings() }), text))
}

fn on(library: &Library, id: VmId, port: u16, address: IpAddr, file: Option<&Path>) -> Result<Answer> {
    let given = file.map(read).transpose()?;
    let mut locked = library.lock(id)?;
    not_suspended(locked.suspended().is_some())?;
    let mut document = document::of(&locked)?;
    let vnc = Vnc { address, port };
    document.displays.vnc = Some(vnc);
    if let Some(fault) = document.check().into_iter().next() {
        bail!("{fault}");
    }
    // A server without a password lets nobody in; a password without a server does no harm.
    let mut told = None;
    match given {
        Some(password) => keep(&locked, &password)?,
        None if locked.host()?.vnc_password.is_some() => {}
        None => {
            let password = made_up();
            keep(&locked, &password)?;
            told = Some(password);
        }
    }
    locked.set_document(&document.to_files())?;
    let mut text = format!("VNC at {address}, port {port}, from the next start on");
    if let Some(password) = &told {
        text += &format!("\npassword: {password}");
    }
    for warning in vnc.warnings() {
        text += &format!("\nnote: {warning}");
    }
    let json = json!({ "vnc": vnc, "new_password": told, "warnings": vnc.warnings() });
    Ok(Answer::new(json, text))
}

fn not_suspended(suspended: bool) -> Result<()> {
    if suspended {
        bail!("it is suspended, and its saved state fits it as it is: start it and shut it down first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_and_never_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        for (content, password) in [
            ("pass 1\r\nmore", Some("pass 1")),
            ("\u{feff}pass 1\r\n", Some("pass 1")),
            ("123456789", None),
            ("\n", None),
            ("", None),
        ] {
            std::fs::write(&file, content).expect("is written");
            assert_eq!(read(&file).ok().as_deref(), password, "{content:?}");
        }
    }

    #[test]
    fn passwords_that_are_made_up_are_good_ones() {
        let made: std::collections::BTreeSet<String> = (0..50).map(|_| made_up()).collect();
        assert_eq!(made.len(), 50);
        assert!(
            made.iter().all(|password| password.len() == 8 && VncPassword::new(password.as_str()).is_ok())
        );
    }
}
