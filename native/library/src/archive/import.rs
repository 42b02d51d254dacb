//! Reading a machine from one file.

use super::{ARCHIVE_VERSION, Contents, HEADER, MAX_HEADER, SUMS, TarError, TarReader, tar_failed};
use crate::block::{OnProgress, Progress};
use crate::bundle::{DISKS, MAX_SECTION, MAX_SECTIONS, Sections};
use crate::chain::Unfinished;
use crate::disks::check_existing_size;
use crate::error::{ArchiveError, Error, Result, damaged, io, refused};
use crate::fault::ArchiveFault;
use crate::format::{ImageFormat, SourceFormat};
use crate::fs::open_regular;
use crate::id::{DriveId, FileName, check_name};
use crate::image;
use crate::library::Library;
use crate::locked::Locked;
use crate::manifest::{Image, MAX_DRIVES};
use crate::name_rule::NameError;
use crate::space;
use sampan_message::{Coded, Message};
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

/// What makes the document of a machine from one of elsewhere; why it will not.
pub type Adopt<'a> = &'a mut dyn FnMut(&str, Sections) -> std::result::Result<Sections, Message>;

impl Contents {
    /// Reads the first member, and checks all it declares.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, ArchiveFault> {
        let header = |e: serde_json::Error| ArchiveFault::Header { why: e.to_string() };
        let bad_name = |e: NameError| ArchiveFault::BadName { name: e.name, rule: e.why };
        #[derive(serde::Deserialize)]
        struct Versioned {
            sampanvm: u32,
        }
        let Versioned { sampanvm } = serde_json::from_slice(bytes).map_err(header)?;
        if sampanvm == 0 || sampanvm > ARCHIVE_VERSION {
            return Err(ArchiveFault::Version { found: sampanvm, known: ARCHIVE_VERSION });
        }
        let contents: Self = serde_json::from_slice(bytes).map_err(header)?;
        check_name(&contents.name).map_err(bad_name)?;
        if contents.document.len() > MAX_SECTIONS || contents.drives.len() > MAX_DRIVES {
            return Err(ArchiveFault::Declares);
        }
        for (name, bytes) in &contents.document {
            name.parse::<FileName>().map_err(bad_name)?;
            if *bytes > MAX_SECTION {
                let section = name.clone();
                return Err(ArchiveFault::SectionLength { section, bytes: *bytes, most: MAX_SECTION });
            }
        }
        for (drive, disk) in &contents.drives {
            let drive = || drive.to_string();
            check_existing_size(disk.size)
                .map_err(|_| ArchiveFault::DriveSize { drive: drive(), bytes: disk.size })?;
            if disk.format != ImageFormat::Qcow2 {
                return Err(ArchiveFault::DriveFormat { drive: drive() });
            }
            // A full qcow2 is a little larger than its disk: tables, and one cluster at least of each kind.
            if disk.bytes > disk.size.saturating_add(disk.size / 8).saturating_add(64 << 20) {
                return Err(ArchiveFault::DriveBytes { drive: drive() });
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
                let drive: DriveId = drive.parse().map_err(|e: NameError| {
                    reading.refuse(ArchiveFault::BadName { name: e.name, rule: e.why })
                })?;
                let declared = contents.drives.get(&drive);
                let disk = declared
                    .ok_or_else(|| reading.refuse(ArchiveFault::Undeclared { name: member.clone() }))?;
                let extracted = reading.disk(draft.machine(), &drive, &member, disk, progress)?;
                disks.insert(drive, extracted);
            } else {
                return Err(reading.refuse(ArchiveFault::Stray { name: member }));
            }
        }
        if !reading.verified {
            return Err(reading.refuse(ArchiveFault::Incomplete));
        }
        if document.len() != contents.document.len() || disks.len() != contents.drives.len() {
            return Err(reading.refuse(ArchiveFault::Missing));
        }
        let document = adopt(&name, document).map_err(|why| refused(path, ArchiveError::Description(why)))?;
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
            return Err(reading.refuse(ArchiveFault::NoMachineFile { name: HEADER.into() }));
        }
        let bytes = reading.tar.small_member(MAX_HEADER).map_err(|e| reading.failed(e))?;
        reading.sums.insert(HEADER.into(), hex::encode(Sha256::digest(&bytes)));
        let contents = Contents::parse(&bytes).map_err(|why| reading.refuse(why))?;
        Ok((reading, contents))
    }

    fn refuse(&self, why: ArchiveFault) -> Error {
        damaged(self.path, why)
    }

    fn failed(&self, e: TarError) -> Error {
        tar_failed("read", e, self.path)
    }

    /// The next member's name; each name once, and only as many as a machine can have.
    fn next(&mut self) -> Result<Option<String>> {
        let member = self.tar.next_member().map_err(|e| self.failed(e))?;
        let Some(member) = member else { return Ok(None) };
        if member.folder {
            return Err(self.refuse(ArchiveFault::Folder { name: member.name }));
        }
        if !self.seen.insert(member.name.clone()) {
            return Err(self.refuse(ArchiveFault::Twice { name: member.name }));
        }
        if self.seen.len() > MAX_SECTIONS + MAX_DRIVES + 2 {
            return Err(self.refuse(ArchiveFault::MachineMembers));
        }
        self.size = member.size;
        Ok(Some(member.name))
    }

    fn text(&mut self, member: &str, declared: Option<u64>) -> Result<String> {
        if declared != Some(self.size) {
            return Err(self.refuse(ArchiveFault::SectionLengthDiffers { name: member.into() }));
        }
        let bytes = self.tar.small_member(MAX_SECTION).map_err(|e| self.failed(e))?;
        self.sums.insert(member.to_owned(), hex::encode(Sha256::digest(&bytes)));
        String::from_utf8(bytes).map_err(|_| self.refuse(ArchiveFault::NoText { name: member.into() }))
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
            return Err(self.refuse(ArchiveFault::DiskLength { name: member.into() }));
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
                return Err(self.refuse(ArchiveFault::Incomplete));
            }
            digest.update(read);
            to.write_all(read).map_err(io("write", &path))?;
            left -= n as u64;
            self.done += n as u64;
        }
        machine.fs().sync_file(&path)?;
        self.sums.insert(member.to_owned(), hex::encode(digest.finalize()));
        let header = image::probe_import(&open_regular(&path)?, Some(SourceFormat::Qcow2));
        let header = header.map_err(|e| {
            refused(self.path, ArchiveError::Image { member: member.into(), source: Box::new(e.message()) })
        })?;
        if header.virtual_size != disk.size {
            let (name, bytes) = (member.into(), header.virtual_size);
            return Err(self.refuse(ArchiveFault::DiskSize { name, bytes }));
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
        let text = String::from_utf8(bytes).map_err(|_| self.refuse(ArchiveFault::SumsNotUtf8))?;
        let said: BTreeMap<String, String> = text
            .lines()
            .filter_map(|l| l.split_once("  "))
            .map(|(sum, name)| (name.into(), sum.into()))
            .collect();
        for (name, sum) in &self.sums {
            if said.get(name) != Some(sum) {
                return Err(self.refuse(ArchiveFault::Checksum { name: name.clone() }));
            }
        }
        if said.len() != self.sums.len() {
            return Err(self.refuse(ArchiveFault::StraySums));
        }
        self.verified = true;
        Ok(())
    }
}
