//! Folders of this host that machines share. The document has their tags; where they are is this host's matter.

use super::answer::table;
use super::{Answer, document, library};
use crate::args::ShareAction;
use anyhow::{Context, Result, bail};
use sampan_config::{ShareSection, ShareSecurity};
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
        ShareAction::Add { vm, folder, tag, writable, security } => {
            let mut locked = library.lock(library.find(&vm.vm)?)?;
            let folder = folder.canonicalize().with_context(|| format!("{}", folder.display()))?;
            if !folder.is_dir() {
                bail!("{} is no folder", folder.display());
            }
            let tag = tag.clone().unwrap_or_else(|| tag_of(&folder));
            let mut document = document::of(&locked)?;
            if document.shares.shares.iter().any(|share| share.tag == tag) {
                bail!("the machine has a share of that name already: choose another --tag");
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
                bail!("the machine has no share {tag:?}");
            }
            locked.set_document(&document.to_files())?;
            let mut host = locked.host()?;
            host.shares.remove(tag);
            locked.set_host(&host)?;
            Ok(Answer::done())
        }
    }
}

/// A tag as the document takes it, by the folder's name.
fn tag_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let tag: String = name
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
        .take(20)
        .collect();
    if tag.starts_with(|c: char| c.is_ascii_lowercase()) { tag } else { "share".into() }
}
