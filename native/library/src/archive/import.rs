//! Reading a machine from one file.

use super::{ARCHIVE_VERSION, Contents, HEADER, MAX_HEADER, SUMS, TarError, TarReader};
use crate::block::{OnProgress, Progress, SourceFormat};
use crate::bundle::{DISKS, MAX_SECTION, MAX_SECTIONS, Sections};
use crate::chain::Unfinished;
use crate::disks::check_existing_size;
use crate::error::{Error, Result, damaged, io, unsupported};
use crate::fs::open_regular;
use crate::id::{DriveId, FileName, check_name};
use crate::image;
use crate::library::Library;
use crate::locked::Locked;
use crate::manifest::{Image, ImageFormat, MAX_DRIVES};
use crate::space;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A disk that was taken out of an archive and belongs to no machine yet.
struct Extracted {
    name: FileName,
    image: Image,
    unfinished: Unfinished,
}

/// What makes the document of a machine from one of elsewhere; in words why it will not.
pub type Adopt<'a> = &'a mut dyn FnMut(&str, Sections) -> std::result::Result<Sections, String>;

impl Contents {
    /// Reads the first member, and checks all it declares.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Versioned {
            sampanvm: u32,
        }
        let Versioned { sampanvm } =
            serde_json::from_slice(bytes).map_err(|e| format!("its header is wrong: {e}"))?;
        if sampanvm == 0 || sampanvm > ARCHIVE_VERSION {
            return Err(format!(
                "its version {sampanvm} is not known (up to {ARCHIVE_VERSION}): update the program"
            ));
        }
        let contents: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("its header is wrong: {e}"))?;
        check_name(&contents.name).map_err(|e| e.to_string())?;
        if contents.document.len() > MAX_SECTIONS || contents.drives.len() > MAX_DRIVES {
            return Err("it declares more sections or drives than a machine can have".into());
        }
        for (name, bytes) in &contents.document {
            name.parse::<FileName>().map_err(|e| e.to_string())?;
            if *bytes > MAX_SECTION {
                return Err(format!(
                    "the section {name} has {bytes} bytes, at most {MAX_SECTION} are possible"
                ));
            }
        }
        for (drive, disk) in &contents.drives {
            check_existing_size(disk.size).map_err(|e| format!("the drive {drive}: {e}"))?;
            if disk.format != ImageFormat::Qcow2 {
                return Err(format!("the drive {drive} is not qcow2"));
            }
            // A full qcow2 is a little larger than its disk: tables, and one cluster at least of each kind.
            if disk.bytes > disk.size.saturating_add(disk.size / 8).saturating_add(64 << 20) {
                return Err(format!("the drive {drive} has more bytes than its size explains"));
            }
        }
        Ok(contents)
    }
}

impl Library {
    /// Reads what a `.sampanvm` file declares, without its disks.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`].
    pub fn read_archive(&self, path: &Path) -> Result<Contents> {
        Ok(Reading::open(path)?.1)
    }

    /// Makes a machine of a `.sampanvm` file, under its own name or another. Every checksum is verified, every disk's header
    /// read, and all must be as declared; otherwise nothing is left.
    ///
    /// `adopt` makes the document that the machine has here of the name it will have and the one in the file, which
    /// somebody else wrote and which nobody has looked at: only what it gives back is kept.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`] with the reason, which may be that of `adopt`; [`Error::NameTaken`], [`Error::NoSpace`],
    /// [`Error::Cancelled`].
    pub fn import(
        &self,
        path: &Path,
        name: Option<&str>,
        time: u64,
        adopt: Adopt<'_>,
        progress: OnProgress<'_>,
    ) -> Result<Locked> {
        let (mut reading, contents) = Reading::open(path)?;
        let name = name.unwrap_or(&contents.name).to_owned();
        let total = contents.drives.values().fold(0u64, |sum, d| sum.saturating_add(d.bytes));
        space::check(self.home(), total)?;
        let mut draft = self.draft(&name, &Sections::new(), time)?;
        let mut document = Sections::new();
        let mut disks: BTreeMap<DriveId, Extracted> = BTreeMap::new();
        reading.total = total;
        while let Some(member) = reading.next()? {
            if member == SUMS {
                reading.verify()?;
                break;
            }
            if let Some(section) = member.strip_prefix("document/") {
                let declared = contents.document.get(section).copied();
                document.insert(section.to_owned(), reading.text(&member, declared)?);
            } else if let Some(drive) = member.strip_prefix("disks/").and_then(|n| n.strip_suffix(".qcow2")) {
                let drive: DriveId = drive.parse().map_err(|e: Error| reading.refuse(e.to_string()))?;
                let declared = contents.drives.get(&drive);
                let disk = declared.ok_or_else(|| reading.refuse(format!("“{member}” is not declared")))?;
                let extracted = reading.disk(draft.machine(), &drive, &member, disk, progress)?;
                disks.insert(drive, extracted);
            } else {
                return Err(reading.refuse(format!("“{member}” does not belong into it")));
            }
        }
        if !reading.verified {
            return Err(reading.refuse("it is not complete: get it anew".into()));
        }
        if document.len() != contents.document.len() || disks.len() != contents.drives.len() {
            return Err(reading.refuse("something that it declares is missing".into()));
        }
        let document = adopt(&name, document).map_err(|why| unsupported(path, why))?;
        let machine = draft.machine();
        machine.sync_disks()?;
        let mut kept = Vec::new();
        machine.commit(|m| {
            for (drive, Extracted { name, image, unfinished }) in disks {
                m.images.insert(name.clone(), image);
                m.drives.insert(drive, name);
                kept.push(unfinished);
            }
            Ok(())
        })?;
        kept.into_iter().for_each(Unfinished::keep);
        machine.set_document(&document)?;
        draft.publish()
    }
}

/// An archive as it is read.
struct Reading<'a> {
    path: &'a Path,
    tar: TarReader<BufReader<File>>,
    /// The digests of the members so far.
    sums: BTreeMap<String, String>,
    seen: BTreeSet<String>,
    size: u64,
    done: u64,
    total: u64,
    verified: bool,
}

impl<'a> Reading<'a> {
    fn open(path: &'a Path) -> Result<(Self, Contents)> {
        let real = path.canonicalize().map_err(io("find", path))?;
        let tar = TarReader::new(BufReader::with_capacity(1 << 20, open_regular(&real)?));
        let mut reading = Self {
            path,
            tar,
            sums: BTreeMap::new(),
            seen: BTreeSet::new(),
            size: 0,
            done: 0,
            total: 0,
            verified: false,
        };
        if reading.next()?.as_deref() != Some(HEADER) {
            return Err(reading.refuse(format!("it does not begin with {HEADER}: it is no .sampanvm file")));
        }
        let bytes = reading.tar.small_member(MAX_HEADER).map_err(|e| reading.failed(e))?;
        reading.sums.insert(HEADER.into(), hex::encode(Sha256::digest(&bytes)));
        let contents = Contents::parse(&bytes).map_err(|why| reading.refuse(why))?;
        Ok((reading, contents))
    }

    fn refuse(&self, why: String) -> Error {
        damaged(self.path, why)
    }

    fn failed(&self, e: TarError) -> Error {
        match e {
            TarError::Io(source) => io("read", self.path)(source),
            other => self.refuse(other.to_string()),
        }
    }

    /// The next member's name; each name once, and only as many as a machine can have.
    fn next(&mut self) -> Result<Option<String>> {
        let member = self.tar.next_member().map_err(|e| self.failed(e))?;
        let Some(member) = member else { return Ok(None) };
        if member.folder {
            return Err(self.refuse(format!("it holds the folder “{}”", member.name)));
        }
        if !self.seen.insert(member.name.clone()) {
            return Err(self.refuse(format!("it holds “{}” twice", member.name)));
        }
        if self.seen.len() > MAX_SECTIONS + MAX_DRIVES + 2 {
            return Err(self.refuse("it has more members than a machine can have".into()));
        }
        self.size = member.size;
        Ok(Some(member.name))
    }

    fn text(&mut self, member: &str, declared: Option<u64>) -> Result<String> {
        if declared != Some(self.size) {
            return Err(self.refuse(format!("“{member}” is not as long as declared, or not declared")));
        }
        let bytes = self.tar.small_member(MAX_SECTION).map_err(|e| self.failed(e))?;
        self.sums.insert(member.to_owned(), hex::encode(Sha256::digest(&bytes)));
        String::from_utf8(bytes).map_err(|_| self.refuse(format!("“{member}” is no text")))
    }

    fn disk(
        &mut self,
        machine: &Locked,
        drive: &DriveId,
        member: &str,
        disk: &super::Disk,
        progress: OnProgress<'_>,
    ) -> Result<Extracted> {
        if disk.bytes != self.size {
            return Err(self.refuse(format!("“{member}” is not as long as declared")));
        }
        let name = FileName::fresh(drive.as_str(), "qcow2");
        let path = machine.path().join(DISKS).join(name.as_str());
        let unfinished = Unfinished::new(machine.fs(), &path);
        let mut options = OpenOptions::new();
        let mut to = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("make the file", &path))?;
        let (mut buffer, mut digest) = (vec![0; 1 << 20], Sha256::new());
        let mut left = disk.bytes;
        while left > 0 {
            if progress(Progress { done: self.done, total: self.total }).is_break() {
                return Err(Error::Cancelled);
            }
            let n = self.tar.read(&mut buffer).map_err(io("read", self.path))?;
            let read = buffer.get(..n).unwrap_or_default();
            if read.is_empty() {
                return Err(self.refuse("it is not complete: get it anew".into()));
            }
            digest.update(read);
            to.write_all(read).map_err(io("write", &path))?;
            left -= n as u64;
            self.done += n as u64;
        }
        machine.fs().sync_file(&path)?;
        self.sums.insert(member.to_owned(), hex::encode(digest.finalize()));
        let header = image::probe_import(&open_regular(&path)?, Some(SourceFormat::Qcow2));
        let header = header.map_err(|e| self.refuse(format!("“{member}”: {e}")))?;
        if header.virtual_size != disk.size {
            return Err(self.refuse(format!("“{member}” has {} bytes, not as declared", header.virtual_size)));
        }
        Ok(Extracted {
            name,
            image: Image { format: ImageFormat::Qcow2, size: disk.size, base: None },
            unfinished,
        })
    }

    /// Compares the sums of all members before with what the current one says.
    fn verify(&mut self) -> Result<()> {
        let bytes = self.tar.small_member(MAX_HEADER).map_err(|e| self.failed(e))?;
        let text = String::from_utf8(bytes).map_err(|_| self.refuse("its checksums are no text".into()))?;
        let said: BTreeMap<String, String> = text
            .lines()
            .filter_map(|l| l.split_once("  "))
            .map(|(sum, name)| (name.into(), sum.into()))
            .collect();
        for (name, sum) in &self.sums {
            if said.get(name) != Some(sum) {
                return Err(self.refuse(format!(
                    "the checksum of “{name}” is wrong: it was damaged on its way, get it anew"
                )));
            }
        }
        if said.len() != self.sums.len() {
            return Err(self.refuse("it names checksums of what it does not hold".into()));
        }
        self.verified = true;
        Ok(())
    }
}
