//! An OVA: a tar archive with a description, its disks, and sums of them.

use super::sums::{Check, Found, Sums};
use super::{ImportPlan, MAX_DESCRIPTION, parse_ovf};
use crate::archive::{Member, TarError, TarReader};
use crate::clone::Share;
use crate::error::{Error, Result, io};
use crate::fs::open_regular;
use std::fs::File;
use std::io::{BufReader, Read, Write};
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

    fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Archive { path: self.path.clone(), why: why.into() }
    }

    fn failed(&self, e: TarError) -> Error {
        match e {
            TarError::Io(source) => io("read", &self.path)(source),
            other => self.refuse(other.to_string()),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Member>> {
        self.count += 1;
        if self.count > MAX_MEMBERS {
            return Err(self.refuse("it has more members than an appliance can have"));
        }
        self.tar.next_member().map_err(|e| self.failed(e))
    }

    /// Reads the description and the names of all members.
    pub(super) fn plan(&mut self) -> Result<ImportPlan> {
        let (mut plan, mut names, mut sums) = (None, Vec::new(), None);
        let mut description = (String::new(), Vec::new());
        while let Some(member) = self.next()? {
            if plan.is_none() && member.name.to_ascii_lowercase().ends_with(".ovf") {
                let bytes = self.tar.small_member(MAX_DESCRIPTION).map_err(|e| self.failed(e))?;
                let text = std::str::from_utf8(&bytes)
                    .map_err(|_| self.refuse("its description is no UTF-8 text"))?;
                plan = Some(parse_ovf(text).map_err(|why| self.refuse(why))?);
                description = (member.name.clone(), bytes);
            } else if sums.is_none() && is_manifest(&member.name) {
                sums = Some(self.read_sums()?);
            }
            if names.contains(&member.name) {
                return Err(self.refuse(format!("it holds “{}” twice", member.name)));
            }
            names.push(member.name);
        }
        let mut plan =
            plan.ok_or_else(|| self.refuse("it holds no description (.ovf): it is no appliance"))?;
        if let Some(missing) = plan.disks.iter().find(|d| !names.contains(&d.file)) {
            return Err(self.refuse(format!("it does not hold “{}”, a disk that it describes", missing.file)));
        }
        let Some(sums) = sums else {
            plan.note("it has no checksums: damage on its way would not be noticed");
            return Ok(plan);
        };
        let mut check = sums.check(&description.0);
        check.update(&description.1);
        if !check.agrees() {
            return Err(self.damaged(&description.0));
        }
        let disks: Vec<String> = plan.disks.iter().filter(|d| !d.cdrom).map(|d| d.file.clone()).collect();
        for file in disks {
            match sums.of(&file) {
                Found::Known => {}
                Found::Unknown(algorithm) => plan.note(format!(
                    "“{file}” has a checksum by {algorithm}, which is not known here: damage to it would not be noticed"
                )),
                Found::None => {
                    plan.note(format!("“{file}” has no checksum: damage to it would not be noticed"));
                }
            }
        }
        Ok(plan)
    }

    /// The digests of its manifest.
    pub(super) fn sums(&mut self) -> Result<Sums> {
        while let Some(member) = self.next()? {
            if is_manifest(&member.name) {
                return self.read_sums();
            }
        }
        Ok(Sums::default())
    }

    fn read_sums(&mut self) -> Result<Sums> {
        let bytes = self.tar.small_member(MAX_DESCRIPTION).map_err(|e| self.failed(e))?;
        Ok(Sums::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn damaged(&self, name: &str) -> Error {
        self.refuse(format!("the checksum of “{name}” is wrong: it was damaged on its way, get it anew"))
    }

    /// Copies the current member to a file, and compares its sum if there is one.
    pub(super) fn extract(
        &mut self,
        member: &Member,
        to: &mut File,
        mut check: Check,
        share: &mut Share<'_>,
    ) -> Result<()> {
        let (mut buffer, mut left) = (vec![0; 1 << 20], member.size);
        while left > 0 {
            // Unpacking is not counted: it only asks whether to go on.
            if share.tell(0, crate::block::Progress { done: 0, total: 1 }).is_break() {
                return Err(Error::Cancelled);
            }
            let n = self.tar.read(&mut buffer).map_err(io("read", &self.path))?;
            let read = buffer.get(..n).unwrap_or_default();
            if read.is_empty() {
                return Err(self.refuse("it is not complete: get it anew"));
            }
            check.update(read);
            to.write_all(read).map_err(io("unpack from", &self.path))?;
            left -= n as u64;
        }
        if check.agrees() { Ok(()) } else { Err(self.damaged(&member.name)) }
    }
}

fn is_manifest(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".mf")
}
