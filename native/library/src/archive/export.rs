//! Writing a machine into one file.

use super::{ARCHIVE_VERSION, Contents, Disk, HEADER, SUMS, TarError, TarWriter, tar_failed};
use crate::block::{BlockLayer, NewImage, OnProgress, Preallocation, Progress};
use crate::bundle::Sections;
use crate::chain::Unfinished;
use crate::checked::CheckedChain;
use crate::clone::Share;
use crate::error::{Error, Result, io};
use crate::fault::ImageChange;
use crate::format::{ImageFormat, SourceFormat};
use crate::fs::open_regular;
use crate::id::{DriveId, SnapshotId};
use crate::locked::Locked;
use crate::space;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Bytes of the file.
    pub bytes: u64,
    /// Its members.
    pub contents: Contents,
}

/// A drive's image as it will be written, and its temporary file, if it had to be flattened.
struct Ready {
    path: PathBuf,
    _flattened: Option<Unfinished>,
}

impl Locked {
    /// Writes the document and the drives of the current state, or of a snapshot, into one file: a tar archive with the
    /// SHA-256 of every member, so `tar` and `sha256sum -c` can read it, too. Drives with a base are flattened first into
    /// files beside the target, `<target>.<drive>.part`: the disk that a machine is exported to has the room, not always the
    /// one that it is on. Snapshots, suspended memory and removable media are not exported. The machine is stopped. Until it
    /// is whole the file is called `<target>.part`.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] for the target, [`Error::NoSpace`], [`Error::Cancelled`]; nothing is left.
    pub fn export(
        &self,
        layer: &dyn BlockLayer,
        at: Option<&SnapshotId>,
        target: &Path,
        progress: OnProgress<'_>,
    ) -> Result<Exported> {
        self.check_idle()?;
        if target.symlink_metadata().is_ok() {
            return Err(Error::Exists(target.to_path_buf()));
        }
        let (drives, document) = self.state_at(at)?;
        let mut sizes = BTreeMap::new();
        for (drive, image) in &drives {
            sizes.insert(drive.clone(), self.recorded(image)?.size);
        }
        // Each drive counts once for flattening and once for writing.
        let total = sizes.values().fold(0u64, |sum, size| sum.saturating_add(size.saturating_mul(2)));
        let mut share = Share { progress, before: 0, total };
        let (mut ready, mut disks) = (BTreeMap::new(), BTreeMap::new());
        for (drive, image) in &drives {
            let size = sizes.get(drive).copied().unwrap_or(0);
            let place = beside(target, &format!(".{drive}.part"));
            let file = self.flat(layer, &self.open_chain(image)?, size, place, &mut share)?;
            let bytes = open_regular(&file.path)?.metadata().map_err(io("look at", &file.path))?.len();
            disks.insert(drive.clone(), Disk { format: ImageFormat::Qcow2, size, bytes });
            ready.insert(drive.clone(), file);
            share.before = share.before.saturating_add(size);
        }
        let lengths = document.iter().map(|(name, text)| (name.clone(), text.len() as u64)).collect();
        let contents = Contents {
            sampanvm: ARCHIVE_VERSION,
            name: self.name().to_owned(),
            document: lengths,
            drives: disks,
        };
        self.write_archive(target, &contents, &document, &ready, &mut share)
    }

    /// One qcow2 file with all that a chain reads as.
    fn flat(
        &self,
        layer: &dyn BlockLayer,
        chain: &CheckedChain,
        size: u64,
        path: PathBuf,
        share: &mut Share<'_>,
    ) -> Result<Ready> {
        if let [only] = &**chain
            && only.format == SourceFormat::Qcow2
        {
            return Ok(Ready { path: only.path.clone(), _flattened: None });
        }
        let used = chain.iter().map(|l| space::used(&l.path)).sum::<Result<u64>>()?;
        space::check(folder_of(&path), used)?;
        // One that a kill has left.
        self.fs().unlink(&path)?;
        let unfinished = Unfinished::new(self.fs(), &path);
        let image = NewImage {
            path: path.clone(),
            format: ImageFormat::Qcow2,
            size,
            preallocation: Preallocation::Dynamic,
            backing: None,
        };
        layer.convert(chain, &image, &mut |p| share.tell(size, p))?;
        Ok(Ready { path, _flattened: Some(unfinished) })
    }

    fn write_archive(
        &self,
        target: &Path,
        contents: &Contents,
        document: &Sections,
        ready: &BTreeMap<DriveId, Ready>,
        share: &mut Share<'_>,
    ) -> Result<Exported> {
        let folder = folder_of(target);
        let bytes = contents.drives.values().map(|d| d.bytes).sum();
        space::check(folder, bytes)?;
        let part = beside(target, ".part");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(crate::fs::NOFOLLOW);
        let file = options.open(&part).map_err(io("make the file", &part))?;
        let unfinished = Unfinished::new(self.fs(), &part);
        let mut out =
            Archive { tar: TarWriter::new(BufWriter::with_capacity(1 << 20, file)), sums: String::new() };
        let failed = |e: TarError| tar_failed("write", e, &part);
        let header = serde_json::to_vec_pretty(contents).map_err(|e| io("write", &part)(e.into()))?;
        out.small(HEADER, &header).map_err(failed)?;
        for (name, text) in document {
            out.small(&format!("document/{name}"), text.as_bytes()).map_err(failed)?;
        }
        for (drive, image) in ready {
            let disk = contents.drives.get(drive).ok_or_else(|| Error::no_drive(drive))?;
            let file = open_regular(&image.path)?;
            out.disk(&format!("disks/{drive}.qcow2"), file, disk, share, &part)?;
            share.before = share.before.saturating_add(disk.size);
        }
        let file = out.finish().map_err(failed)?;
        let bytes = file.metadata().map_err(io("look at", &part))?.len();
        self.fs().sync_file(&part)?;
        self.fs().rename(&part, target)?;
        unfinished.keep();
        self.fs().sync_dir(folder)?;
        Ok(Exported { bytes, contents: contents.clone() })
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(more);
    name.into()
}

struct Archive {
    tar: TarWriter<BufWriter<File>>,
    sums: String,
}

impl Archive {
    fn sum(&mut self, name: &str, digest: impl AsRef<[u8]>) {
        self.sums += &format!("{}  {name}\n", hex::encode(digest));
    }

    fn small(&mut self, name: &str, bytes: &[u8]) -> std::result::Result<(), TarError> {
        self.tar.begin(name, bytes.len() as u64)?;
        self.tar.write_all(bytes)?;
        self.sum(name, Sha256::digest(bytes));
        Ok(())
    }

    fn disk(
        &mut self,
        name: &str,
        mut from: File,
        disk: &Disk,
        share: &mut Share<'_>,
        part: &Path,
    ) -> Result<()> {
        self.tar.begin(name, disk.bytes).map_err(|e| tar_failed("write", e, part))?;
        let (mut buffer, mut digest, mut done) = (vec![0; 1 << 20], Sha256::new(), 0);
        while done < disk.bytes {
            if share.tell(disk.size, Progress { done, total: disk.bytes }).is_break() {
                return Err(Error::Cancelled);
            }
            let most = usize::try_from(disk.bytes - done).unwrap_or(usize::MAX).min(buffer.len());
            let n = from.read(buffer.get_mut(..most).unwrap_or_default()).map_err(io("read for", part))?;
            let read = buffer.get(..n).unwrap_or_default();
            if read.is_empty() {
                return Err(Error::ImageChanged { path: name.into(), why: ImageChange::Shorter });
            }
            digest.update(read);
            self.tar.write_all(read).map_err(io("write", part))?;
            done += n as u64;
        }
        self.sum(name, digest.finalize());
        Ok(())
    }

    fn finish(mut self) -> std::result::Result<File, TarError> {
        let sums = std::mem::take(&mut self.sums);
        self.tar.begin(SUMS, sums.len() as u64)?;
        self.tar.write_all(sums.as_bytes())?;
        self.tar.finish()?.into_inner().map_err(|e| e.into_error().into())
    }
}
