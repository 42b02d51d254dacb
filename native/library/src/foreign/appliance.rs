//! An OVA: a tar archive with a description, its disks, and sums of them.

use super::{ImportPlan, MAX_DESCRIPTION, parse_ovf};
use crate::archive::{Member, TarError, TarReader};
use crate::clone::Share;
use crate::error::{Error, Result, io};
use crate::fs::open_regular;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
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
        let (mut plan, mut names) = (None, Vec::new());
        while let Some(member) = self.next()? {
            if plan.is_none() && member.name.to_ascii_lowercase().ends_with(".ovf") {
                let bytes = self.tar.small_member(MAX_DESCRIPTION).map_err(|e| self.failed(e))?;
                let text =
                    String::from_utf8(bytes).map_err(|_| self.refuse("its description is no UTF-8 text"))?;
                plan = Some(parse_ovf(&text).map_err(|why| self.refuse(why))?);
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
        if !names.iter().any(|n| n.to_ascii_lowercase().ends_with(".mf")) {
            plan.note("it has no checksums: damage on its way would not be noticed");
        }
        Ok(plan)
    }

    /// The SHA-256 sums of its manifest: `SHA256(name)= 0123…`. Other digests are passed over.
    pub(super) fn sums(&mut self) -> Result<BTreeMap<String, String>> {
        let mut sums = BTreeMap::new();
        while let Some(member) = self.next()? {
            if !member.name.to_ascii_lowercase().ends_with(".mf") {
                continue;
            }
            let bytes = self.tar.small_member(MAX_DESCRIPTION).map_err(|e| self.failed(e))?;
            for line in String::from_utf8_lossy(&bytes).lines() {
                let named = line.trim().strip_prefix("SHA256(").and_then(|l| l.split_once(')'));
                if let Some((name, sum)) = named {
                    let sum = sum.trim_start().trim_start_matches('=').trim().to_ascii_lowercase();
                    sums.insert(name.to_owned(), sum);
                }
            }
        }
        Ok(sums)
    }

    /// Copies the current member to a file, and compares its sum if there is one.
    pub(super) fn extract(
        &mut self,
        member: &Member,
        to: &mut File,
        sum: Option<&String>,
        share: &mut Share<'_>,
    ) -> Result<()> {
        let (mut buffer, mut digest, mut left) = (vec![0; 1 << 20], Sha256::new(), member.size);
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
            digest.update(read);
            to.write_all(read).map_err(io("unpack from", &self.path))?;
            left -= n as u64;
        }
        let found: String = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
        match sum {
            Some(sum) if *sum != found => Err(self.refuse(format!(
                "the checksum of “{}” is wrong: it was damaged on its way, get it anew",
                member.name
            ))),
            _ => Ok(()),
        }
    }
}
