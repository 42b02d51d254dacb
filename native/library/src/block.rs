//! What the library needs done to the data of images; whoever has QEMU's block layer does it.

use crate::block_error::BlockError;
use crate::checked::CheckedChain;
use crate::format::{ImageFormat, Layer, SourceFormat};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The arguments of `blockdev-add` for a chain, the top image first: every base is named by us and none is taken from a
/// header, which the guest's QEMU could have written. `None` for an empty chain.
///
/// `read_only` is about the top; everything below it is read-only always.
#[must_use]
pub fn blockdev(chain: &[Layer], read_only: bool) -> Option<Value> {
    let (last, above) = chain.split_last()?;
    let node = |layer: &Layer, backing: Option<Value>, read_only: bool| {
        let mut node = json!({
            "driver": layer.format.driver(),
            "read-only": read_only,
            "file": { "driver": "file", "filename": layer.path, "read-only": read_only },
        });
        // `null` forbids what a header may name.
        let takes_backing = matches!(layer.format, SourceFormat::Qcow2 | SourceFormat::Vmdk);
        if takes_backing && let Some(map) = node.as_object_mut() {
            map.insert("backing".into(), backing.unwrap_or(Value::Null));
        }
        node
    };
    let at_top = |n: usize| n > 0 || read_only;
    let bottom = node(last, None, at_top(above.len()));
    let layers = above.iter().enumerate().rev();
    Some(layers.fold(bottom, |below, (n, layer)| node(layer, Some(below), at_top(n))))
}

/// When the bytes of an image are taken from the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// As the guest writes.
    #[default]
    Dynamic,
    /// All at once, unwritten (`falloc`).
    Fixed,
}

/// The base that is named in an image's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// As it is written: relative to the folder of the image that names it.
    pub file: String,
    /// Its format, written beside it.
    pub format: ImageFormat,
}

/// An image to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// Where; there is nothing there yet.
    pub path: PathBuf,
    /// In which format.
    pub format: ImageFormat,
    /// Virtual size in bytes.
    pub size: u64,
    /// When its bytes are taken. Always [`Preallocation::Dynamic`] with a backing file.
    pub preallocation: Preallocation,
    /// What it is built on (qcow2 alone).
    pub backing: Option<Backing>,
}

/// How far a piece of work is, in bytes of whatever is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// In all; it may grow.
    pub total: u64,
}

/// Hears how far the work is and says whether to go on.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Work on the data of images, by QEMU's block layer. Every call blocks until the work is done, so it belongs on a
/// thread that may wait.
///
/// An implementation
/// - opens each file with the format it is told, and as base only what the chain names ([`blockdev`]);
/// - where it can confine itself, reaches the files that are pinned in the chain ([`CheckedChain::layers`]) and the new image,
///   and nothing else;
/// - never opens the backing file of an image it makes: that may be in use by a running machine;
/// - makes an image by [`new_image_file`](crate::new_image_file), so that it overwrites nothing and follows no link;
/// - has written everything to the file before it says it is done; making it durable is the caller's work, except where
///   an order is asked for;
/// - may leave an unfinished target behind when it fails or is cancelled: the caller removes it.
pub trait BlockLayer: Send + Sync {
    /// Makes empty images, in one go since each start of a block layer takes its time. When one cannot be made, those made
    /// before it may stay.
    ///
    /// # Errors
    ///
    /// [`BlockError`].
    fn create(&self, images: &[NewImage]) -> Result<(), BlockError>;

    /// Writes a new image with what is read from `source`, holes kept. With a backing file, which is then `source[1]`,
    /// it holds only what `source[0]` does.
    ///
    /// # Errors
    ///
    /// [`BlockError`].
    fn convert(
        &self,
        source: &CheckedChain,
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError>;

    /// Makes the image that is `chain[0]` larger.
    ///
    /// # Errors
    ///
    /// [`BlockError`].
    fn grow(&self, chain: &CheckedChain, size: u64) -> Result<(), BlockError>;

    /// Copies what `chain[0]` holds into `chain[1]`, which grows to its size if it is smaller. `chain[0]` stays as it
    /// is: broken off, the chain reads as before.
    ///
    /// # Errors
    ///
    /// [`BlockError`].
    fn commit(&self, chain: &CheckedChain, progress: OnProgress<'_>) -> Result<(), BlockError>;

    /// Copies into `chain[0]` what it reads from `chain[1..keep]`, then names `backing` (which is `chain[keep]`) in its
    /// header, or none. The header is written after the data are durable: broken off, the chain reads as before.
    ///
    /// # Errors
    ///
    /// [`BlockError`].
    fn flatten(
        &self,
        chain: &CheckedChain,
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError>;
}

impl Layer {
    pub(crate) fn new(path: impl AsRef<Path>, format: impl Into<SourceFormat>) -> Self {
        Self { path: path.as_ref().to_path_buf(), format: format.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_base_is_named_and_the_last_has_none() {
        let chain = [Layer::new("/a", ImageFormat::Qcow2), Layer::new("/b", ImageFormat::Qcow2)];
        let node = blockdev(&chain, false).expect("a chain");
        assert_eq!(node["file"]["filename"], "/a");
        assert_eq!(node["read-only"], false);
        assert_eq!(node["backing"]["file"]["filename"], "/b");
        assert_eq!(node["backing"]["read-only"], true);
        assert_eq!(node["backing"]["backing"], Value::Null);
        let raw = blockdev(&[Layer::new("/r", ImageFormat::Raw)], true).expect("a chain");
        assert_eq!(raw.get("backing"), None, "raw takes no such option");
        assert_eq!(blockdev(&[], true), None);
    }
}
