//! Appliances: a description, its disks, and a manifest of their digests, in a tar archive (OVA) or beside each other.

use super::note::word;
use super::sums::{Found, Sums};
use super::{ImportNote, ImportPlan, MAX_DESCRIPTION, parse_ovf};
use crate::archive::{Member, TarError, TarReader, tar_failed};
use crate::error::{ArchiveError, Error, Result, damaged, unsupported};
use crate::fault::{ArchiveFault, DescriptionFault};
use crate::fs::open_regular;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The most members of an appliance.
const MAX_MEMBERS: usize = 1024;

pub(super) struct Appliance {
    path: PathBuf,
    tar: TarReader<BufReader<File>>,
    count: usize,
}

impl Appliance {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let tar = TarReader::new(BufReader::with_capacity(1 << 20, open_regular(path)?));
        Ok(Self { path: path.to_path_buf(), tar, count: 0 })
    }

    fn refuse(&self, why: ArchiveFault) -> Error {
        damaged(&self.path, why)
    }

    fn failed(&self, e: TarError) -> Error {
        tar_failed("read", e, &self.path)
    }

    pub(super) fn next(&mut self) -> Result<Option<Member>> {
        loop {
            self.count += 1;
            if self.count > MAX_MEMBERS {
                return Err(self.refuse(ArchiveFault::ApplianceMembers));
            }
            match self.tar.next_member().map_err(|e| self.failed(e))? {
                Some(member) if is_of_macos(&member.name) => {}
                member => return Ok(member),
            }
        }
    }

    /// The current member's bytes.
    pub(super) fn member(&mut self) -> &mut impl Read {
        &mut self.tar
    }

    /// Reads the description and the names of all members.
    pub(super) fn plan(&mut self) -> Result<ImportPlan> {
        let (mut plan, mut names, mut sums) = (None, Vec::new(), None);
        let mut description = (String::new(), Vec::new());
        while let Some(member) = self.next()? {
            if plan.is_none() && has_extension(&member.name, "ovf") {
                let bytes = self.tar.small_member(MAX_DESCRIPTION).map_err(|e| self.failed(e))?;
                plan = Some(parse(&bytes).map_err(|why| unsupported(&self.path, why))?);
                description = (member.name.clone(), bytes);
            } else if sums.is_none() && has_extension(&member.name, "mf") {
                sums = Some(self.read_sums(&member.name)?);
            }
            if names.contains(&member.name) {
                return Err(self.refuse(ArchiveFault::Twice { name: member.name }));
            }
            names.push(member.name);
        }
        let mut plan = plan
            .ok_or_else(|| Error::Archive { path: self.path.clone(), source: ArchiveError::NoDescription })?;
        plan.find_files(folder_of(&description.0), &|name| names.iter().any(|n| n == name));
        if let Some(missing) = plan.disks.iter().find(|d| !names.contains(&d.file)) {
            return Err(self.refuse(ArchiveFault::DiskMissing { name: missing.file.clone() }));
        }
        check_sums(&mut plan, sums, &description.0, &description.1).map_err(|why| self.refuse(why))?;
        Ok(plan)
    }

    /// The digests of its manifest.
    pub(super) fn sums(&mut self) -> Result<Sums> {
        while let Some(member) = self.next()? {
            if has_extension(&member.name, "mf") {
                return self.read_sums(&member.name);
            }
        }
        Ok(Sums::default())
    }

    fn read_sums(&mut self, name: &str) -> Result<Sums> {
        let bytes = self.tar.small_member(MAX_DESCRIPTION).map_err(|e| self.failed(e))?;
        Ok(Sums::parse(folder_of(name), &String::from_utf8_lossy(&bytes)))
    }
}

/// Reads a description that lies in a folder of its own, with its disks and perhaps its manifest beside it.
pub(super) fn plan_beside(ovf: &Path) -> Result<ImportPlan> {
    let bytes = crate::fs::read_bounded(ovf, MAX_DESCRIPTION)?;
    let mut plan = parse(&bytes).map_err(|why| unsupported(ovf, why))?;
    let folder = ovf.parent().unwrap_or(Path::new("/"));
    plan.find_files("", &|name| folder.join(name).symlink_metadata().is_ok());
    let sums = manifest_beside(ovf).map(|_| sums_beside(ovf)).transpose()?;
    let name = ovf.file_name().unwrap_or_default().to_string_lossy();
    check_sums(&mut plan, sums, &name, &bytes).map_err(|why| damaged(ovf, why))?;
    Ok(plan)
}

/// The digests of the manifest beside a description; none without one.
pub(super) fn sums_beside(ovf: &Path) -> Result<Sums> {
    let Some(path) = manifest_beside(ovf) else { return Ok(Sums::default()) };
    let bytes = crate::fs::read_bounded(&path, MAX_DESCRIPTION)?;
    Ok(Sums::parse("", &String::from_utf8_lossy(&bytes)))
}

/// It is called as the description is (DSP0243, 6.2).
fn manifest_beside(ovf: &Path) -> Option<PathBuf> {
    let path = ovf.with_extension("mf");
    path.symlink_metadata().is_ok().then_some(path)
}

fn parse(bytes: &[u8]) -> std::result::Result<ImportPlan, DescriptionFault> {
    parse_ovf(std::str::from_utf8(bytes).map_err(|_| DescriptionFault::NotUtf8)?)
}

/// Compares the description with its digest, and notes which disks have none.
fn check_sums(
    plan: &mut ImportPlan,
    sums: Option<Sums>,
    name: &str,
    description: &[u8],
) -> std::result::Result<(), ArchiveFault> {
    let Some(sums) = sums else {
        plan.note(ImportNote::NoChecksums);
        return Ok(());
    };
    let mut check = sums.check(name);
    check.update(description);
    if !check.agrees() {
        return Err(disagrees(name));
    }
    let disks: Vec<String> = plan.disks.iter().filter(|d| !d.cdrom).map(|d| d.file.clone()).collect();
    for file in disks {
        match sums.of(&file) {
            Found::Known => {}
            Found::Unknown(algorithm) => {
                plan.note(ImportNote::UnknownChecksum { file: word(&file), algorithm: word(algorithm) });
            }
            Found::None => plan.note(ImportNote::NoChecksum(word(&file))),
        }
    }
    Ok(())
}

/// What is told of a file whose digest is another.
pub(super) fn disagrees(name: &str) -> ArchiveFault {
    ArchiveFault::Checksum { name: name.to_owned() }
}

fn has_extension(name: &str, wanted: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// The folder that a member lies in, without the slash; empty for one at the top.
fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What macOS adds to archives beside files: their attributes (AppleDouble), and pictures of folders.
fn is_of_macos(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    file.starts_with("._") || file == ".DS_Store" || name.starts_with("__MACOSX/")
}
