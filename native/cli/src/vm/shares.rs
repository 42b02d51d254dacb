//! Folders of this host that machines share. The document has their tags; where they are is this host's matter.

use super::answer::table;
use super::{Answer, document, library};
use crate::args::ShareAction;
use anyhow::{Context, Result, bail};
use sampan_config::{ShareSection, ShareSecurity};
use sampan_download::{Digest, Hasher};
use sampan_emulator::keeps_attributes;
use serde_json::json;
use std::path::Path;

/// `sampan share …`.
pub fn share(action: &ShareAction) -> Result<Answer> {
    let library = library()?;
    match action {
        ShareAction::List { vm } => {
            let bundle = library.read(library.find(&vm.vm)?)?;
            let folders = bundle.host()?.shares;
            let mut rows = vec![["TAG", "ACCESS", "FOLDER"].map(String::from).to_vec()];
            let mut list = Vec::new();
            for share in document::of(&bundle)?.shares.shares {
                let folder = folders.get(&share.tag);
                let access = if share.read_only { "read" } else { "write" };
                list.push(json!({ "tag": share.tag, "access": access, "folder": folder }));
                let folder = folder.map_or("(not on this host)".into(), |f| f.display().to_string());
                rows.push(vec![share.tag, access.into(), folder]);
            }
            let text = if list.is_empty() { "no shared folders".into() } else { table(&rows) };
            Ok(Answer::new(list.into(), text))
        }
        ShareAction::Add { vm, folder, tag, writable, security, yes } => {
            let mut locked = library.lock(library.find(&vm.vm)?)?;
            let folder = folder.canonicalize().with_context(|| format!("{}", folder.display()))?;
            if !folder.is_dir() {
                bail!("{} is no folder", folder.display());
            }
            if let Some(doubt) = doubt(&folder, library.home()).filter(|_| !yes) {
                bail!("{doubt}. If that is what you want, say --yes");
            }
            let tag = tag.clone().unwrap_or_else(|| tag_of(&folder));
            let mut document = document::of(&locked)?;
            if document.shares.shares.iter().any(|share| share.tag == tag) {
                bail!("the machine has a share called {tag:?} already: choose another --tag");
            }
            let read_only = !writable;
            let security = security.unwrap_or(ShareSecurity::of(read_only));
            if security == ShareSecurity::MappedXattr && !keeps_attributes(&folder)? {
                bail!(
                    "the file system of {} has no extended attributes, in which owners and modes of the guest's files would be kept: share it \
                     for reading, or with --security none",
                    folder.display()
                );
            }
            let share = ShareSection { tag: tag.clone(), read_only, security };
            let warning = share.warning();
            document.shares.shares.push(share);
            if let Some(fault) = document.check().into_iter().next() {
                bail!("{fault}");
            }
            // A tag without a folder is refused at the start; a folder without a tag does no harm.
            let mut host = locked.host()?;
            host.shares.insert(tag.clone(), folder);
            locked.set_host(&host)?;
            locked.set_document(&document.to_files())?;
            let warning = warning.map_or(String::new(), |words| format!("{words}\n"));
            let text =
                format!("{warning}in the guest: mount -t 9p -o trans=virtio,version=9p2000.L {tag} /mnt");
            Ok(Answer::new(json!({ "tag": tag }), text))
        }
        ShareAction::Remove { vm, tag } => {
            let mut locked = library.lock(library.find(&vm.vm)?)?;
            let mut document = document::of(&locked)?;
            let before = document.shares.shares.len();
            document.shares.shares.retain(|share| share.tag != *tag);
            if document.shares.shares.len() == before {
                bail!("the machine has no share {tag:?}: `sampan share list` shows those it has");
            }
            locked.set_document(&document.to_files())?;
            let mut host = locked.host()?;
            host.shares.remove(tag);
            locked.set_host(&host)?;
            Ok(Answer::done())
        }
    }
}

/// What a person may not have meant. Both folders are without links.
fn doubt(folder: &Path, home: &Path) -> Option<String> {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    let shown = folder.display();
    if folder == Path::new("/") {
        return Some("/ is the whole of this host: the guest would see every file of yours".into());
    }
    if folder == home {
        return Some(format!("{shown} is the library itself: the guest would see every machine's disks"));
    }
    if home.starts_with(folder) {
        let home = home.display();
        return Some(format!(
            "{shown} contains the library {home}: the guest would see every machine's disks"
        ));
    }
    folder
        .starts_with(&home)
        .then(|| format!("{shown} is a part of the library, where machines' own files are"))
}

/// A tag as the document takes it, by the folder's name: always the same for a name, and another one for names of which little
/// is left when only a to z and digits are.
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
    tag.truncate(20);
    if name.is_ascii() {
        return tag;
    }
    let mut hash = Hasher::like(&Digest::Sha256([0; 32]));
    hash.update(name.as_bytes());
    let digest = hash.finish().to_string();
    let digits: String = digest.trim_start_matches("sha256:").chars().take(8).collect();
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
                sampan_config::Document::new("x", sampan_config::Preset::Linux, sampan_config::Arch::X86_64);
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
