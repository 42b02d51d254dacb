//! What a description from elsewhere may not bring along.

use super::{Document, DocumentError, FirmwareKind};
use crate::DriveKind;
use std::collections::BTreeMap;

/// The most of what was left out that is told one by one: whoever declares more wants to tire the reader.
const MAX_TOLD: usize = 100;
/// The most characters of a foreign text in a sentence.
const MAX_WORD: usize = 200;

impl Document {
    /// Reads the description of a machine that somebody else made: as [`Document::from_files`], without all that reaches
    /// out of the machine into this host. That is for its new owner to say: ports of the host that lead into the guest, a
    /// VNC server, shared folders, media and kernels (which are names in this library's store, of files that the
    /// description does not bring), the microphone, and arguments for QEMU, which can do anything.
    ///
    /// What was left out is told in words, one sentence for each, with the way to have it again.
    ///
    /// # Errors
    /// [`DocumentError`]: what cannot be read is not taken over.
    pub fn from_foreign(files: &BTreeMap<String, String>) -> Result<(Self, Vec<String>), DocumentError> {
        let mut document = Self::from_files(files)?;
        let mut told = Vec::new();
        for card in &mut document.network.cards {
            for forward in card.forwards.drain(..) {
                told.push(format!(
                    "the forwarded port {forward} was left out: add it by `sampan forward add` if you want it"
                ));
            }
        }
        if let Some(vnc) = document.displays.vnc.take() {
            told.push(format!(
                "its VNC server on {}, port {}, was left out: `sampan vnc … on` makes one",
                vnc.address, vnc.port
            ));
        }
        for share in document.shares.shares.drain(..) {
            told.push(format!(
                "the shared folder {} was left out: `sampan share add` shares one of yours",
                quoted(&share.tag)
            ));
        }
        for drive in &mut document.drives.drives {
            let Some(medium) = drive.media.take() else { continue };
            let what = if drive.kind == DriveKind::Floppy { "floppy disk" } else { "CD" };
            told.push(format!(
                "the {what} {} in the drive {} was left out: `sampan set … cdrom=MEDIUM` puts one of yours in",
                quoted(&medium),
                quoted(&drive.id)
            ));
        }
        if let Some(direct) = document.firmware.kernel.take() {
            let initrd =
                direct.initrd.map_or_else(String::new, |initrd| format!(" with {}", quoted(&initrd)));
            let instead = match document.firmware.kind {
                FirmwareKind::None => {
                    "it does not start until `sampan set … firmware.kernel=…` names one of yours"
                }
                FirmwareKind::Bios | FirmwareKind::Uefi => "it starts from its disk",
            };
            let kernel = quoted(&direct.kernel);
            told.push(format!("the kernel {kernel}{initrd} was left out: {instead}"));
        }
        if std::mem::take(&mut document.sound.microphone) {
            told.push(
                "the microphone was left out: `sampan set … sound.microphone=true` lets the guest listen"
                    .into(),
            );
        }
        for argument in document.extra.arguments.drain(..) {
            told.push(format!("the argument for QEMU {} was left out", quoted(&argument)));
        }
        if let Some(more @ 1..) = told.len().checked_sub(MAX_TOLD) {
            told.truncate(MAX_TOLD);
            told.push(format!("so were {more} more"));
        }
        Ok((document, told))
    }
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(MAX_WORD).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("“{short}{more}”")
}
