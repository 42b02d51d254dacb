//! `sampan vnc …`.

use super::Answer;
use super::place::shell_word;
use crate::app::App;
use crate::args::{VncAction, VncArgs};
use crate::text::first_line;
use anyhow::{Context, Result};
use sampan_config::{Vnc, VncPassword};
use serde_json::json;
use std::path::Path;

/// The first line of a file or of stdin. Never an argument: every user of the host can read those.
fn read(file: &Path) -> Result<VncPassword> {
    let (password, _) = first_line(file).context("the password")?;
    Ok(VncPassword::new(password)?)
}

/// `sampan vnc …`.
pub fn vnc(args: &VncArgs) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(&args.vm.vm)?;
    match &args.action {
        None => {
            let Some(info) = app.wait(app.manager.vnc(id))? else {
                return Ok(Answer::new(json!({ "vnc": null }), "no VNC"));
            };
            let (vnc, password) = (info.vnc, info.has_password);
            let mut text = format!("VNC at {}, port {}", vnc.address, vnc.port);
            if !password {
                text += &format!(
                    "; nobody gets in, for there is no password on this host: `sampan vnc {} password`",
                    shell_word(&args.vm.vm)
                );
            }
            Ok(Answer::new(json!({ "vnc": vnc, "password": password, "warnings": vnc.warnings() }), text))
        }
        Some(VncAction::On { port, address, password_file }) => {
            let given = password_file.as_deref().map(read).transpose()?;
            let vnc = Vnc { address: *address, port: *port };
            let made_up = app.wait(app.manager.enable_vnc(id, vnc, given))?;
            let mut text = format!("VNC at {}, port {}, from the next start on", vnc.address, vnc.port);
            if let Some(password) = &made_up {
                text += &format!("\npassword: {password}");
            }
            for warning in vnc.warnings() {
                text += &format!("\nnote: {warning}");
            }
            let json = json!({ "vnc": vnc, "new_password": made_up, "warnings": vnc.warnings() });
            Ok(Answer::new(json, text))
        }
        Some(VncAction::Off) => {
            app.wait(app.manager.disable_vnc(id))?;
            Ok(Answer::new(json!({ "vnc": null }), "no VNC from the next start on"))
        }
        Some(VncAction::Password { password_file }) => {
            let password = read(password_file)?;
            Ok(match app.wait(app.manager.set_vnc_password(id, &password))? {
                true => Answer::new(json!({ "when": "now" }), "it counts from now on"),
                false => Answer::new(json!({ "when": "next start" }), "it counts from the next start on"),
            })
        }
    }
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
            assert_eq!(read(&file).ok().as_ref().map(VncPassword::as_str), password, "{content:?}");
        }
    }
}
