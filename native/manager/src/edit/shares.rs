//! Folders of this host that machines share. The description has their tags; where they are is this host's matter.

use super::{EditError, check};
use crate::Manager;
use crate::error::{Error, Result};
use crate::findings::{Confirmed, confirm};
use crate::machine::document;
use sampan_config::{Finding, Severity, ShareSection, ShareSecurity};
use sampan_download::{Digest, Hasher};
use sampan_emulator::keeps_attributes;
use sampan_library::VmId;
use sampan_message::Message;
use std::path::{Path, PathBuf};

/// The longest tag that is made of a folder's name.
const MADE_TAG: usize = 20;

/// A folder to share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShare {
    /// The folder.
    pub folder: PathBuf,
    /// The name by which the guest mounts it; else it is made of the folder's.
    pub tag: Option<String>,
    /// Whether the guest may write.
    pub writable: bool,
    /// How owners and modes of the guest's files are kept; else as fits.
    pub security: Option<ShareSecurity>,
}

/// A folder that a machine shares.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareInfo {
    /// Its tag and rights.
    pub share: ShareSection,
    /// Where it is on this host; `None` for a machine that came from another one.
    pub folder: Option<PathBuf>,
}

impl ShareInfo {
    /// The command that mounts it in a Linux guest.
    pub fn mount(&self) -> String {
        format!("mount -t 9p -o trans=virtio,version=9p2000.L {} /mnt", self.share.tag)
    }
}

impl Manager {
    /// The folders that a machine shares.
    ///
    /// # Errors
    /// The bundle cannot be read.
    pub async fn shares(&self, id: VmId) -> Result<Vec<ShareInfo>> {
        let bundle = self.bundle(id).await?;
        let folders = bundle.host()?.shares;
        let shares = document(&bundle)?.shares.shares.into_iter();
        Ok(shares.map(|share| ShareInfo { folder: folders.get(&share.tag).cloned(), share }).collect())
    }

    /// Shares a folder from the machine's next start on.
    ///
    /// # Errors
    /// [`Error::NeedsConfirm`] for a folder that gives everything away; [`EditError`]; the machine is in use or suspended.
    pub async fn add_share(&self, id: VmId, new: NewShare, confirmed: &Confirmed) -> Result<ShareInfo> {
        let (home, confirmed) = (self.library().home().to_owned(), confirmed.clone());
        self.with_locked(id, move |locked| {
            let shown = new.folder.display().to_string();
            let folder = new.folder.canonicalize().map_err(Error::io(shown))?;
            if !folder.is_dir() {
                return Err(EditError::NotAFolder { path: folder }.into());
            }
            confirm(Vec::from_iter(doubt(&folder, &home)), &confirmed)?;
            let tag = new.tag.unwrap_or_else(|| tag_of(&folder));
            let mut document = document(locked)?;
            if document.shares.shares.iter().any(|share| share.tag == tag) {
                return Err(EditError::TagTaken { tag }.into());
            }
            let read_only = !new.writable;
            let security = new.security.unwrap_or(ShareSecurity::of(read_only));
            if security == ShareSecurity::MappedXattr
                && !keeps_attributes(&folder).map_err(Error::io(folder.display().to_string()))?
            {
                return Err(EditError::NoAttributes { path: folder }.into());
            }
            let share = ShareSection { tag: tag.clone(), read_only, security };
            document.shares.shares.push(share.clone());
            check(&document)?;
            // A tag without a folder is refused at the start; a folder without a tag does no harm.
            let mut host = locked.host()?;
            host.shares.insert(tag, folder.clone());
            locked.set_host(&host)?;
            locked.set_document(&document.to_files())?;
            Ok(ShareInfo { share, folder: Some(folder) })
        })
        .await
    }

    /// Shares a folder no more.
    ///
    /// # Errors
    /// [`EditError::NoShare`]; the machine is in use or suspended.
    pub async fn remove_share(&self, id: VmId, tag: String) -> Result<()> {
        self.with_locked(id, move |locked| {
            let mut document = document(locked)?;
            let before = document.shares.shares.len();
            document.shares.shares.retain(|share| share.tag != tag);
            if document.shares.shares.len() == before {
                return Err(EditError::NoShare { tag }.into());
            }
            locked.set_document(&document.to_files())?;
            let mut host = locked.host()?;
            host.shares.remove(&tag);
            Ok(locked.set_host(&host)?)
        })
        .await
    }
}

/// What a person may not have meant. The folder is without links.
fn doubt(folder: &Path, home: &Path) -> Option<Finding> {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    let shown = folder.display();
    let words = if folder == Path::new("/") {
        "/ is the whole of this host: the guest would see every file of yours".to_owned()
    } else if folder == home {
        format!("{shown} is the library itself: the guest would see every machine's disks")
    } else if home.starts_with(folder) {
        format!("{shown} contains the library {}: the guest would see every machine's disks", home.display())
    } else if folder.starts_with(&home) {
        format!("{shown} is a part of the library, where machines' own files are")
    } else {
        return None;
    };
    let message = Message::new("share_gives_all", words).with("path", folder);
    Some(Finding::new(Severity::Confirm, "shares", message))
}

/// A tag as the description takes it, by the folder's name: always the same for a name, and another one for names of which
/// little is left when only a to z and digits are.
fn tag_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut tag = String::new();
    for c in name.chars() {
        match c {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => tag.push(c),
            c if c.is_ascii() => tag.push('_'),
            // It is told by the digits below.
            _ => {}
        }
    }
    if !tag.starts_with(|c: char| c.is_ascii_lowercase()) {
        tag = format!("share_{tag}");
    }
    // All of it is ASCII.
    tag.truncate(MADE_TAG);
    if name.is_ascii() {
        return tag;
    }
    let mut hash = Hasher::like(&Digest::Sha256([0; 32]));
    hash.update(name.as_bytes());
    let digits: String = hash.finish().hex().chars().take(8).collect();
    format!("{}_{digits}", tag.trim_end_matches('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_has_a_tag_of_its_own() {
        let tag = |name: &str| tag_of(&Path::new("/home/ada").join(name));
        assert_eq!(tag("My Files"), "my_files");
        assert_eq!(tag("2024"), "share_2024");
        let names = ["文档", "图片", "下载", "Fotos 图片", "Fotos 文档", "Übung", "übung", "é", "2024年"];
        let tags: std::collections::BTreeSet<String> = names.iter().map(|name| tag(name)).collect();
        // Small and capital letters are one.
        assert_eq!(tags.len(), names.len() - 1, "{tags:?}");
        assert_eq!(tag("文档"), tag("文档"));
        assert!(tag("Fotos 图片").starts_with("fotos_"));
        for tag in tags {
            let share = ShareSection { tag: tag.clone(), read_only: true, security: ShareSecurity::None };
            let mut document =
                sampan_config::VmConfig::new("x", sampan_config::Preset::Linux, sampan_config::Arch::X86_64);
            document.shares.shares.push(share);
            assert!(document.check().is_empty(), "{tag}: {:?}", document.check());
        }
    }

    #[test]
    fn what_gives_all_away_is_asked_about() {
        let home = Path::new("/home/ada/.local/share/sampan");
        for doubtful in [
            "/",
            "/home",
            "/home/ada",
            "/home/ada/.local/share/sampan",
            "/home/ada/.local/share/sampan/media",
        ] {
            assert!(doubt(Path::new(doubtful), home).is_some(), "{doubtful}");
        }
        for fine in ["/home/ada/files", "/home/adam", "/srv", "/home/ada/.local/share/sampan2"] {
            assert_eq!(doubt(Path::new(fine), home), None, "{fine}");
        }
    }
}
