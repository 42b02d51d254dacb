//! The VNC server of a machine. The description says that there is one, and where; the password is this host's matter, as
//! folders that are shared are.

use super::edit;
use crate::Manager;
use crate::error::Result;
use crate::machine::document;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_config::{Vnc, VncPassword};
use sampan_control::Request;
use sampan_library::VmId;

/// The VNC server of a machine, and whether anybody can get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VncInfo {
    /// Where it listens.
    pub vnc: Vnc,
    /// Whether there is a password on this host; without one nobody gets in.
    pub has_password: bool,
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

impl Manager {
    /// The VNC server of a machine, if it has one.
    ///
    /// # Errors
    /// The bundle cannot be read.
    pub async fn vnc(&self, id: VmId) -> Result<Option<VncInfo>> {
        let bundle = self.bundle(id).await?;
        let has_password = bundle.host()?.vnc_password.is_some();
        Ok(document(&bundle)?.displays.vnc.map(|vnc| VncInfo { vnc, has_password }))
    }

    /// Turns the VNC server on from the next start on. Without a password the one from before counts, else one is made up and
    /// given back, the only time that it is told.
    ///
    /// # Errors
    /// The machine is in use or suspended; the description refuses it.
    pub async fn enable_vnc(
        &self,
        id: VmId,
        vnc: Vnc,
        password: Option<VncPassword>,
    ) -> Result<Option<String>> {
        self.with_locked(id, move |locked| {
            // A server without a password lets nobody in.
            edit(locked, |document| {
                document.displays.vnc = Some(vnc);
                Ok(())
            })?;
            let mut host = locked.host()?;
            let made = match (&password, &host.vnc_password) {
                (None, Some(_)) => return Ok(None),
                (Some(_), _) => None,
                (None, None) => Some(made_up()),
            };
            host.vnc_password =
                password.map(|password| password.as_str().to_owned()).or_else(|| made.clone());
            locked.set_host(&host)?;
            Ok(made)
        })
        .await
    }

    /// Turns it off from the next start on; the password is forgotten.
    ///
    /// # Errors
    /// The machine is in use or suspended.
    pub async fn disable_vnc(&self, id: VmId) -> Result<()> {
        self.with_locked(id, |locked| {
            edit(locked, |document| {
                document.displays.vnc = None;
                Ok(())
            })?;
            let mut host = locked.host()?;
            host.vnc_password = None;
            Ok(locked.set_host(&host)?)
        })
        .await
    }

    /// Changes the password: of a running machine at once. Whether it counts now, else from the next start on.
    ///
    /// # Errors
    /// The running machine has no VNC server.
    pub async fn set_vnc_password(&self, id: VmId, password: &VncPassword) -> Result<bool> {
        let machine = self.machine(id).await?;
        machine.tell(Request::VncPassword { password: password.as_str().to_owned() }).await?;
        Ok(machine.runs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_made_up_are_good_ones() {
        let made: std::collections::BTreeSet<String> = (0..50).map(|_| made_up()).collect();
        assert_eq!(made.len(), 50);
        assert!(
            made.iter().all(|password| password.len() == 8 && VncPassword::new(password.as_str()).is_ok())
        );
    }
}
