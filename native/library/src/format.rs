//! The formats of images, and the layers that a chain of them is made of: below everything that reads, writes or names one.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How the images of a bundle are written. Everything else is converted when it is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// QEMU's own format: grows as it is filled, and may have a base.
    Qcow2,
    /// The bytes of the disk as they are.
    Raw,
}

impl ImageFormat {
    /// QEMU's name of the block driver.
    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }
}

/// A format that images may be imported from. The names are QEMU's block drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceFormat {
    /// QEMU's own.
    Qcow2,
    /// The bytes of the disk.
    Raw,
    /// VMware's, one file.
    Vmdk,
    /// VirtualBox's.
    Vdi,
    /// Hyper-V's.
    Vhdx,
    /// Virtual PC's and older Hyper-V's (VHD).
    Vpc,
}

impl SourceFormat {
    /// QEMU's name of the block driver.
    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Vhdx => "vhdx",
            Self::Vpc => "vpc",
        }
    }
}

impl From<ImageFormat> for SourceFormat {
    fn from(format: ImageFormat) -> Self {
        match format {
            ImageFormat::Qcow2 => Self::Qcow2,
            ImageFormat::Raw => Self::Raw,
        }
    }
}

/// One image of a chain: what it does not hold is read from the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    /// Its format: never to be guessed, what a guest wrote would decide.
    pub format: SourceFormat,
}
