//! What a description from elsewhere may not bring along.

use super::{FirmwareKind, VmConfig, VmConfigError};
use crate::{DriveKind, Forward, Vnc};
use std::collections::BTreeMap;

/// The most of what was left out that is told one by one: whoever declares more wants to tire the reader.
const MAX_TOLD: usize = 100;
/// The most characters of a foreign text in a sentence.
const MAX_WORD: usize = 200;

/// Something that was left out, with what it means and the way to have it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// A port of the host that led to the guest.
    #[error("the forwarded port {0} was left out: add it if you want it")]
    Forward(Forward),
    /// The VNC server.
    #[error("its VNC server on {}, port {}, was left out: switch one on if you want it", .0.address, .0.port)]
    Vnc(Vnc),
    /// A shared folder, by its tag.
    #[error("the shared folder {} was left out: share one of yours", quoted(.0))]
    Share(String),
    /// A medium in a drive.
    #[error(
        "the {} {} in the drive {} was left out: put one of yours in",
        if *.floppy { "floppy disk" } else { "CD" }, quoted(.medium), quoted(.drive)
    )]
    Medium {
        /// Which.
        medium: String,
        /// Where.
        drive: String,
        /// Whether it is a floppy disk; otherwise it is a CD.
        floppy: bool,
    },
    /// A kernel that was started instead of a boot loader.
    #[error(
        "the kernel {}{} was left out: {}", quoted(.kernel),
        .initrd.as_ref().map_or_else(String::new, |initrd| format!(" with {}", quoted(initrd))),
        if *.needed { "it does not start until a kernel of yours is chosen" } else { "it starts from its disk" }
    )]
    Kernel {
        /// Its file's name.
        kernel: String,
        /// The name of its initial RAM disk.
        initrd: Option<String>,
        /// Whether nothing starts without one.
        needed: bool,
    },
    /// The microphone.
    #[error("the microphone was left out: switch it on if the guest may listen")]
    Microphone,
    /// An argument for QEMU.
    #[error("the argument for QEMU {} was left out", quoted(.0))]
    Argument(String),
    /// More than is told one by one.
    #[error("so were {0} more")]
    More(usize),
}

impl VmConfig {
    /// Reads the description of a machine that somebody else made: as [`VmConfig::from_files`], without all that reaches
    /// out of the machine into this host. That is for its new owner to say: ports of the host that lead into the guest, a
    /// VNC server, shared folders, media and kernels (which are names in this library's store, of files that the
    /// description does not bring), the microphone, and arguments for QEMU, which can do anything.
    ///
    /// What was left out is told one by one.
    ///
    /// # Errors
    /// [`VmConfigError`]: what cannot be read is not taken over.
    pub fn from_foreign(files: &BTreeMap<String, String>) -> Result<(Self, Vec<LeftOut>), VmConfigError> {
        let mut document = Self::from_files(files)?;
        let mut left_out = Vec::new();
        for card in &mut document.network.cards {
            left_out.extend(card.forwards.drain(..).map(LeftOut::Forward));
        }
        left_out.extend(document.displays.vnc.take().map(LeftOut::Vnc));
        left_out.extend(document.shares.shares.drain(..).map(|share| LeftOut::Share(share.tag)));
        for drive in &mut document.drives.drives {
            let Some(medium) = drive.media.take() else { continue };
            let floppy = drive.kind == DriveKind::Floppy;
            left_out.push(LeftOut::Medium { medium, drive: drive.id.clone(), floppy });
        }
        if let Some(direct) = document.firmware.kernel.take() {
            let needed = document.firmware.kind == FirmwareKind::None;
            left_out.push(LeftOut::Kernel { kernel: direct.kernel, initrd: direct.initrd, needed });
        }
        if std::mem::take(&mut document.sound.microphone) {
            // The card stays as it is.
            document.sound.input = true;
            left_out.push(LeftOut::Microphone);
        }
        left_out.extend(document.extra.arguments.drain(..).map(LeftOut::Argument));
        if let Some(more @ 1..) = left_out.len().checked_sub(MAX_TOLD) {
            left_out.truncate(MAX_TOLD);
            left_out.push(LeftOut::More(more));
        }
        Ok((document, left_out))
    }
}

fn quoted(text: &str) -> String {
    format!("“{}”", shortened(text))
}

/// A foreign text for a message.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_WORD).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
