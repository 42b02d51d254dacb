//! Machines of other programs: what of them maps to ours, and what does not.
//!
//! Nothing is decided here: a plan holds hints for the document, which the caller writes, and the disks to convert.

mod appliance;
mod extract;
mod kind;
mod note;
mod ovf;
mod plist;
mod sums;
mod utm;

pub use kind::{MachineFile, machine_file};
pub use note::{DriveFault, ImportNote};
pub use ovf::parse_ovf;
pub use utm::parse_utm;

use crate::archive::tar_failed;
use crate::block::{BlockLayer, OnProgress};
use crate::bundle::Sections;
use crate::clone::{Share, temporary};
use crate::disks::Target;
use crate::error::{Error, Result, damaged, io};
use crate::fault::ArchiveFault;
use crate::fs::open_regular;
use crate::id::{DriveId, short};
use crate::library::Library;
use crate::locked::Locked;
use crate::space;
use appliance::Appliance;
use extract::Extract;
pub(crate) use note::word;
use percent_encoding::percent_decode_str;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The most bytes of a description (`config.plist`, `.ovf`).
pub const MAX_DESCRIPTION: u64 = 1 << 20;
/// The most disks, network devices and notes of a plan.
pub(crate) const MAX_PARTS: usize = 64;

/// What another program's machine becomes here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportPlan {
    /// Its name, cleaned to what a name may be.
    pub name: Option<String>,
    /// QEMU's name of the processor's architecture: `x86_64`, `aarch64`, …
    pub arch: Option<String>,
    /// QEMU's name of the machine type, where the other program is built on QEMU.
    pub machine: Option<String>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// CPUs.
    pub cpus: Option<u32>,
    /// Whether it starts by UEFI; by BIOS if not.
    pub uefi: Option<bool>,
    /// Its disks.
    pub disks: Vec<DiskPlan>,
    /// Its network devices.
    pub nics: Vec<NicPlan>,
    /// The file of its UEFI variables, below the folder of the description, if it has one.
    pub uefi_variables: Option<String>,
    /// What did not map.
    pub notes: Vec<ImportNote>,
}

/// A disk to be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// The id it will have.
    pub drive: DriveId,
    /// Its file: below the folder of the description, or a member of the archive.
    pub file: String,
    /// What it is attached to.
    pub bus: Bus,
    /// A removable medium: it is not converted, add it to the media.
    pub cdrom: bool,
    /// It was read-only.
    pub read_only: bool,
    /// Virtual size in bytes, as described.
    pub size: Option<u64>,
    /// The file is compressed with gzip.
    pub gzip: bool,
}

/// What a disk is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk.
    Virtio,
    /// NVMe.
    Nvme,
    /// IDE.
    Ide,
    /// SATA (AHCI).
    Sata,
    /// SCSI of any controller.
    Scsi,
    /// USB.
    Usb,
    /// A floppy drive.
    Floppy,
    /// Something else, or not said.
    Other,
}

/// A network device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NicPlan {
    /// The device: QEMU's name (UTM) or the description's (OVF: `E1000`, `VmxNet3`).
    pub model: Option<String>,
    /// Its MAC address, `aa:bb:cc:dd:ee:ff`.
    pub mac: Option<String>,
}

impl ImportPlan {
    pub(crate) fn note(&mut self, note: ImportNote) {
        if self.notes.len() < MAX_PARTS {
            self.notes.push(note);
        }
    }

    /// Memory in MiB; it is told if that cannot be.
    pub(crate) fn memory(&mut self, mib: Option<u64>) {
        self.memory_mib = mib.filter(|m| (1..=1 << 24).contains(m));
        if let (None, Some(mib)) = (self.memory_mib, mib) {
            self.note(ImportNote::Memory(mib));
        }
    }

    /// CPUs; it is told if so many cannot be.
    pub(crate) fn cpus(&mut self, count: Option<u64>) {
        let fitting = count.filter(|n| (1..=1024).contains(n));
        self.cpus = fitting.and_then(|n| u32::try_from(n).ok());
        if let (None, Some(count)) = (self.cpus, count) {
            self.note(ImportNote::Cpus(count));
        }
    }

    /// Adds a disk under an id of its own: the first one is `disk0`.
    pub(crate) fn disk(
        &mut self,
        file: &str,
        bus: Bus,
        cdrom: bool,
        read_only: bool,
        size: Option<u64>,
        gzip: bool,
    ) {
        if crate::archive::check_member(file).is_err() {
            return self.note(ImportNote::Drive(DriveFault::Name(word(file))));
        }
        if self.disks.len() >= MAX_PARTS {
            let fault = DriveFault::TooMany { file: word(file), most: MAX_PARTS };
            return self.note(ImportNote::Drive(fault));
        }
        let before = self.disks.iter().filter(|disk| disk.cdrom == cdrom).count();
        let id = format!("{}{before}", if cdrom { "cd" } else { "disk" });
        if let Ok(drive) = id.parse() {
            self.disks.push(DiskPlan { drive, file: file.to_owned(), bus, cdrom, read_only, size, gzip });
        }
    }

    /// Finds the disks' files, which are named by URIs relative to a folder: as they are written, or with `%20` for a space.
    /// One that is not there keeps its name.
    pub(crate) fn find_files(&mut self, folder: &str, there: &dyn Fn(&str) -> bool) {
        for disk in &mut self.disks {
            let decoded = percent_decode_str(&disk.file).decode_utf8().ok();
            let names = [Some(disk.file.clone()), decoded.map(|name| name.into_owned())];
            let below = |name: String| match folder {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            let mut names = names.into_iter().flatten().map(below);
            if let Some(name) = names.find(|name| crate::archive::check_member(name).is_ok() && there(name)) {
                disk.file = name;
            }
        }
    }

    pub(crate) fn nic(&mut self, model: Option<String>, mac: Option<&str>) {
        if self.nics.len() < MAX_PARTS {
            let mac = mac.map(str::to_ascii_lowercase).filter(|mac| is_mac(mac));
            self.nics.push(NicPlan { model: model.map(|m| clean(&m, 60)), mac });
        }
    }

    pub(crate) fn named(&mut self, name: &str) {
        let name: String = clean(name, 100).replace(['/', '\\'], "-");
        let name = name.trim().trim_start_matches('-').to_owned();
        self.name = crate::id::check_name(&name).is_ok().then_some(name);
    }
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Foreign text for a person to read: one line, bounded.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect()
}

/// A word that names something of QEMU's: nothing that could be anything else.
pub(crate) fn token(text: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!text.is_empty() && text.len() <= 60 && text.bytes().all(fits)).then(|| text.to_owned())
}

/// Where the parts of a plan are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A folder in which the disks' files are.
    Folder(PathBuf),
    /// A description with the disks' files beside it.
    Ovf(PathBuf),
    /// An OVA archive.
    Ova(PathBuf),
}

/// Reads a machine of another program: a UTM bundle (a folder), an appliance (OVA), or a description of one (OVF, with its
/// disks beside it) or the folder that it lies in. Which of them it is, its content says.
///
/// # Errors
///
/// [`Error::Archive`] with the reason.
pub fn plan_import(path: &Path) -> Result<(Origin, ImportPlan)> {
    let real = path.canonicalize().map_err(io("find", path))?;
    match kind::foreign(&real)? {
        kind::Foreign::Utm => utm::read(&real).map(|(folder, plan)| (Origin::Folder(folder), plan)),
        kind::Foreign::Ovf(ovf) => appliance::plan_beside(&ovf).map(|plan| (Origin::Ovf(ovf), plan)),
        kind::Foreign::Ova => Appliance::open(&real)?.plan().map(|plan| (Origin::Ova(real), plan)),
    }
}

impl Library {
    /// Makes a machine of a plan: converts its disks, all but removable media. The document is the caller's, written by the
    /// plan's hints; `finish` adds what else it needs before it is there. What of the disks was left out is told.
    ///
    /// # Errors
    ///
    /// [`Error::Probe`] when a disk needs more than its own file or is none, [`Error::Archive`] when one is missing or its
    /// checksum wrong, [`Error::NoSpace`], [`Error::Cancelled`]; nothing is left.
    #[expect(clippy::too_many_arguments, reason = "each is one thing that a person decides")]
    pub fn import_plan(
        &self,
        layer: &dyn BlockLayer,
        origin: &Origin,
        plan: &ImportPlan,
        name: &str,
        time: u64,
        document: &Sections,
        finish: &mut dyn FnMut(&mut Locked) -> Result<()>,
        progress: OnProgress<'_>,
    ) -> Result<(Locked, Vec<ImportNote>)> {
        let mut draft = self.draft(name, document, time)?;
        let wanted: Vec<&DiskPlan> = plan.disks.iter().filter(|d| !d.cdrom).collect();
        // Disks differ in size; for a bar that never goes back each counts by what is described, or as one GiB.
        let total = wanted.iter().fold(0u64, |sum, disk| sum.saturating_add(weight(disk)));
        let share = Share { progress, before: 0, total };
        let mut work = Conversion { layer, share, notes: Vec::new() };
        match origin {
            Origin::Folder(folder) => {
                for disk in wanted {
                    work.convert(draft.machine(), disk, &below(folder, &disk.file)?)?;
                }
            }
            Origin::Ovf(ovf) => {
                let folder = ovf.parent().unwrap_or(Path::new("/"));
                let sums = appliance::sums_beside(ovf)?;
                for disk in wanted {
                    let path = below(folder, &disk.file)?;
                    let check = sums.check(&disk.file);
                    if disk.gzip || check.compares() {
                        let file = open_regular(&path)?;
                        let mut from = Extract { from: file, path: &path, name: &disk.file, check };
                        match disk.gzip {
                            true => work.unpack(draft.machine(), disk, &mut from)?,
                            false => {
                                from.verify(&mut work.share)?;
                                work.convert(draft.machine(), disk, &path)?;
                            }
                        }
                    } else {
                        work.convert(draft.machine(), disk, &path)?;
                    }
                }
            }
            Origin::Ova(path) => {
                let sums = Appliance::open(path)?.sums()?;
                let mut left = wanted;
                let mut reading = Appliance::open(path)?;
                while let Some(member) = reading.next()? {
                    let Some(at) = left.iter().position(|d| d.file == member.name) else { continue };
                    let disk = left.swap_remove(at);
                    space::check(draft.machine().path(), member.stored)?;
                    let (from, check) = (reading.member(), sums.check(&member.name));
                    work.unpack(
                        draft.machine(),
                        disk,
                        &mut Extract { from, path, name: &member.name, check },
                    )?;
                }
                if let Some(missing) = left.first() {
                    let name = missing.file.clone();
                    return Err(damaged(path, ArchiveFault::DiskMissing { name }));
                }
            }
        }
        finish(draft.machine())?;
        Ok((draft.publish()?, work.notes))
    }
}

/// What a disk counts in a bar over all disks.
fn weight(disk: &DiskPlan) -> u64 {
    disk.size.unwrap_or(1 << 30)
}

/// Disks that become drives, one after the other.
struct Conversion<'a> {
    layer: &'a dyn BlockLayer,
    share: Share<'a>,
    notes: Vec<ImportNote>,
}

impl Conversion<'_> {
    /// Converts an image that is a file of its own. Which format it has, its content says: these programs do not.
    fn convert(&mut self, machine: &mut Locked, disk: &DiskPlan, path: &Path) -> Result<()> {
        let share = &mut self.share;
        let mut tell = |p| share.tell(weight(disk), p);
        let done = machine.import_drive(self.layer, &disk.drive, path, None, Target::default(), &mut tell);
        let header = done.map_err(|error| match error {
            // The name of what was unpacked says nothing to anybody.
            Error::Probe { source, .. } => Error::Probe { path: PathBuf::from(&disk.file), source },
            other => other,
        })?;
        self.notes.extend(ImportNote::of_snapshots(&header, &disk.file));
        self.share.before = self.share.before.saturating_add(weight(disk));
        Ok(())
    }

    /// Unpacks an image into a file of its own first.
    fn unpack(
        &mut self,
        machine: &mut Locked,
        disk: &DiskPlan,
        from: &mut Extract<'_, impl Read>,
    ) -> Result<()> {
        let (temporary, _unfinished) = temporary(machine, "appliance");
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&temporary);
        let mut file = file.map_err(io("make the file", &temporary))?;
        match disk.gzip {
            true => from.unzip_to(&mut file, disk.size, &mut self.share)?,
            false => from.copy_to(&mut file, &mut self.share)?,
        }
        self.convert(machine, disk, &temporary)
    }
}

/// A file below a folder, with no link on the way.
fn below(folder: &Path, name: &str) -> Result<PathBuf> {
    crate::archive::check_member(name).map_err(|e| tar_failed("read", e, folder))?;
    let mut path = folder.to_path_buf();
    for part in name.split('/') {
        path.push(part);
        let meta = path.symlink_metadata().map_err(io("find", &path))?;
        if meta.is_symlink() {
            return Err(Error::NotAFile(path));
        }
    }
    Ok(path)
}

/// A name for a machine whose description has none.
#[must_use]
pub fn name_from(path: &Path) -> String {
    let mut plan = ImportPlan::default();
    plan.named(path.file_stem().and_then(|s| s.to_str()).unwrap_or_default());
    plan.name.unwrap_or_else(|| format!("Imported {}", short()))
}
