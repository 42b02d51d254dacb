//! What belongs to a machine on this host alone: it is in the bundle, and goes into no copy and no export.

use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::fault::ManifestFault;
use crate::fs::read_own;
use crate::locked::Locked;
use sampan_config::HostKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub(crate) const HOST: &str = "host.json";

/// A file as large as no list of folders.
const MAX: u64 = 1 << 20;

/// Folders of this host, and secrets that are told to nobody else.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostSettings {
    /// Where the folders are that it shares, by the tags of its document.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<String, PathBuf>,
    /// What VNC clients must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnc_password: Option<String>,
    /// Programs of the guest that a person wants at hand, by their ids, with their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pinned: BTreeMap<String, String>,
    /// In what kind of process its QEMU runs, where a person chose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<HostKind>,
}

impl fmt::Debug for HostSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.vnc_password.as_ref().map(|_| "…");
        f.debug_struct("HostSettings")
            .field("shares", &self.shares)
            .field("vnc_password", &password)
            .field("pinned", &self.pinned)
            .field("process", &self.process)
            .finish()
    }
}

impl Bundle {
    /// What belongs to it on this host; nothing where nothing was set.
    ///
    /// # Errors
    ///
    /// When the file is none of ours.
    pub fn host(&self) -> Result<HostSettings> {
        let path = self.path().join(HOST);
        let bytes = match read_own(&path, MAX) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(HostSettings::default());
            }
            other => other?,
        };
        // Not in its words, which could quote the password.
        serde_json::from_slice(&bytes).map_err(|_| Error::HostSettings(path))
    }
}

impl Locked {
    /// Sets what belongs to it on this host, at once and for its owner alone to read. Works while the machine runs, which
    /// learns of it at its next start.
    ///
    /// # Errors
    ///
    /// What the system says; what was set before stays.
    pub fn set_host(&self, settings: &HostSettings) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(settings)
            .map_err(|e| Error::BadChange { why: ManifestFault::Unreadable { why: e.to_string() } })?;
        if bytes.len() as u64 > MAX {
            return Err(Error::TooLong { path: self.path().join(HOST), limit: MAX });
        }
        self.fs().replace(self.path(), HOST, &bytes)
    }
}
