//! What a host can bear, before it is asked to.

use crate::finding::{Concern, Finding, Severity};
use crate::size::{GIB, MIB, PAUSE_BELOW, WARN_BELOW};
use crate::{MAX_CPUS, MAX_MEMORY_MIB, MIN_MEMORY_MIB, VmConfig};
use serde::{Deserialize, Serialize};

/// A host's figures, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFigures {
    /// Cores that programs may use.
    pub cores: u32,
    /// All memory, in MiB.
    pub memory_mib: u64,
    /// Memory that can be had without swapping, in MiB (`MemAvailable` in proc_meminfo(5)).
    pub available_mib: u64,
    /// Free space where the machines are, in bytes.
    pub free_disk: u64,
}

/// What one figure of a new machine may be on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// What to propose. On a host without room it is less than `min`.
    pub proposed: u64,
    /// More than this must be confirmed now ([`Severity::Confirm`]).
    pub comfortable: u64,
    /// More than this is refused now ([`Severity::Refuse`]), but for disks see [`Limits::disk`].
    pub max: u64,
    /// What to go up or down by. The other figures need not be multiples of it.
    pub step: u64,
}

/// What new machines may have on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many CPUs.
    pub cpus: Range,
    /// Memory, in MiB.
    pub memory: Range,
    /// The disk's size, in bytes: what the guest sees, while its file grows with what is written. A disk that takes its
    /// space at once is refused above `comfortable`.
    pub disk: Range,
}

/// What to do about the free space while a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Nothing.
    Enough,
    /// Say so.
    Low,
    /// Pause the machine before its writes fail, and say so.
    Pause,
}

/// What QEMU takes besides the guest's memory, in MiB: about 40 for an idle machine, the rest for translated code and
/// pictures.
const OVERHEAD_MIB: u64 = 192;
/// What translated code may grow to over hours, in MiB, or this part of all memory where that is less (`tcg/region.c`).
const TRANSLATED_MIB: u64 = 1024;
const TRANSLATED_PART: u64 = 8;
/// What the host's own programs need, in MiB, or this part of all memory where that is less.
const RESERVE_MIB: u64 = 512;
const RESERVE_PART: u64 = 8;

/// The smallest disk, in bytes: less holds no partition of today.
pub const MIN_DISK_BYTES: u64 = MIB;
/// The largest disk, in bytes (64 TiB): QEMU's qcow2 with its usual clusters and refcounts goes no further.
pub const MAX_DISK_BYTES: u64 = 64 << 40;
/// Memory goes up and down by this much, in MiB.
const MEMORY_STEP: u64 = 256;
const MEMORY: &str = "memory.mib";

impl HostFigures {
    /// MiB that a machine's memory can have now.
    fn room_mib(&self) -> u64 {
        let reserve = RESERVE_MIB.min(self.memory_mib / RESERVE_PART);
        self.available_mib.min(self.memory_mib).saturating_sub(reserve + OVERHEAD_MIB)
    }

    /// MiB that leave it comfortable: the host's caches keep a quarter, and the translated code of a machine that runs
    /// for hours has its room.
    fn comfortable_mib(&self) -> u64 {
        let (room, translated) = (self.room_mib(), TRANSLATED_MIB.min(self.memory_mib / TRANSLATED_PART));
        (room / 4 * 3).min(room.saturating_sub(translated))
    }

    /// CPUs that each have a core: more only take turns, and wait for one another's locks.
    fn comfortable_cpus(&self) -> u32 {
        self.cores.clamp(1, MAX_CPUS)
    }

    /// Bytes that disks can have now.
    fn room_bytes(&self) -> u64 {
        self.free_disk.saturating_sub(PAUSE_BELOW)
    }
}

impl Limits {
    /// The limits of a host.
    pub fn for_host(host: &HostFigures) -> Self {
        let room = host.room_mib().min(MAX_MEMORY_MIB.into());
        // A guest's memory is taken from the host page by page: a quarter leaves room for a second machine.
        let quarter = (host.memory_mib / 4).clamp(512, 8192).min(room);
        // A multiple that people like to read, where there is that much.
        let proposed = if quarter >= MEMORY_STEP { quarter / MEMORY_STEP * MEMORY_STEP } else { quarter };
        Self {
            cpus: Range {
                min: 1,
                // More than four rarely help a desktop, and all of them would make the host itself slow.
                proposed: host.cores.clamp(1, 4).into(),
                comfortable: host.comfortable_cpus().into(),
                max: MAX_CPUS.into(),
                step: 1,
            },
            memory: Range {
                min: MIN_MEMORY_MIB.into(),
                proposed,
                comfortable: host.comfortable_mib().min(room),
                max: room,
                step: MEMORY_STEP,
            },
            disk: Range {
                min: MIN_DISK_BYTES,
                // Half of what is free, but what a system needs; it takes that only as the guest writes.
                proposed: (host.room_bytes() / 2).clamp(8 * GIB, 64 * GIB) / GIB * GIB,
                comfortable: host.room_bytes().min(MAX_DISK_BYTES),
                max: MAX_DISK_BYTES,
                step: GIB,
            },
        }
    }

    /// What starting a machine would do to a host. Nothing found means: start it.
    pub fn check(document: &VmConfig, host: &HostFigures) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (wanted, room, comfortable) =
            (u64::from(document.memory.mib), host.room_mib(), host.comfortable_mib());
        let HostFigures { memory_mib: memory, available_mib: available, cores, free_disk: free } = *host;
        let memory = if wanted > room {
            Some(Concern::MemoryExhausted { wanted, memory, available, room }.at(Severity::Refuse, MEMORY))
        } else if wanted > comfortable {
            Some(Concern::MemoryTight { wanted, available }.at(Severity::Confirm, MEMORY))
        } else {
            None
        };
        // No machine starts with less than the least.
        let fix = Some(comfortable).filter(|&fix| fix >= u64::from(MIN_MEMORY_MIB));
        findings.extend(memory.map(|finding| match fix {
            Some(fix) => {
                finding.fixed_by(if fix >= MEMORY_STEP { fix / MEMORY_STEP * MEMORY_STEP } else { fix })
            }
            None => finding,
        }));
        let cpus = document.cpu.count;
        if cpus > host.comfortable_cpus() {
            let finding = Concern::CpusShared { cpus, cores }.at(Severity::Confirm, "cpu.count");
            findings.push(finding.fixed_by(host.comfortable_cpus()));
        }
        // Of the whole machine: all its drives are there.
        match Space::of(free) {
            Space::Enough => {}
            Space::Low => findings.push(Concern::SpaceLow { free }.at(Severity::Confirm, "drives")),
            Space::Pause => findings.push(Concern::NoSpace { free }.at(Severity::Refuse, "drives")),
        }
        findings
    }

    /// What creating, importing or growing the disk of a drive by `bytes` would do. `fixed` ones take them at once, dynamic
    /// ones as the guest writes. A fix is what could be there in place of `bytes`.
    pub fn check_disk(drive: &str, bytes: u64, fixed: bool, host: &HostFigures) -> Vec<Finding> {
        let (free, room) = (host.free_disk, host.room_bytes());
        if bytes <= room {
            return Vec::new();
        }
        let field = format!("drives.{drive}");
        let finding = match fixed {
            true => Concern::DiskTooLarge { needed: bytes, free, room }.at(Severity::Refuse, field),
            false => Concern::DiskMayOutgrow { disk: bytes, free }.at(Severity::Confirm, field),
        };
        // Whole GiB, as people choose them.
        vec![if room >= GIB { finding.fixed_by(room / GIB * GIB) } else { finding }]
    }
}

impl Space {
    /// What to do when so many bytes are free where a running machine's disks are.
    pub fn of(free_disk: u64) -> Self {
        match free_disk {
            0..PAUSE_BELOW => Self::Pause,
            PAUSE_BELOW..WARN_BELOW => Self::Low,
            _ => Self::Enough,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, Preset};
    use proptest::prelude::*;

    const TABLET: HostFigures =
        HostFigures { cores: 8, memory_mib: 12_000, available_mib: 7_000, free_disk: 100 * GIB };

    fn document(mib: u32, cpus: u32) -> VmConfig {
        let mut document = VmConfig::new("x", Preset::Linux, Arch::Aarch64);
        (document.memory.mib, document.cpu.count) = (mib, cpus);
        document
    }

    #[test]
    fn a_tablet_is_asked_for_a_part_of_itself() {
        let limits = Limits::for_host(&TABLET);
        assert_eq!(limits.cpus, Range { min: 1, proposed: 4, comfortable: 8, max: 255, step: 1 });
        let memory = Range { min: 16, proposed: 2816, comfortable: 4722, max: 7000 - 512 - 192, step: 256 };
        assert_eq!(limits.memory, memory);
        assert_eq!((limits.disk.proposed, limits.disk.comfortable), (49 * GIB, 100 * GIB - PAUSE_BELOW));
    }

    #[test]
    fn what_would_exhaust_it_is_refused_and_what_might_is_asked() {
        let findings = |mib, cpus, host| {
            Limits::check(&document(mib, cpus), &host).iter().map(|f| f.severity).collect::<Vec<_>>()
        };
        assert_eq!(findings(2048, 8, TABLET), []);
        assert_eq!(findings(5000, 9, TABLET), [Severity::Confirm, Severity::Confirm]);
        assert_eq!(findings(6296, 1, TABLET), [Severity::Confirm]);
        assert_eq!(findings(6297, 1, TABLET), [Severity::Refuse]);
        let full = HostFigures { free_disk: 100 * MIB, ..TABLET };
        assert_eq!(findings(512, 1, full), [Severity::Refuse]);
        let message = &Limits::check(&document(512, 1), &full)[0].message;
        assert_eq!(
            message.to_string(),
            "100 MiB are free on the disk, and 512 MiB are needed: make room first"
        );
        assert_eq!(message.params.get("free"), Some(&(100 * MIB).into()));
        let found = &Limits::check(&document(6297, 1), &TABLET)[0];
        let words = found.message.to_string();
        assert!(words.contains("of 12000 MiB, 7000 are available and 6296 can be the machine's"), "{words}");
        assert_eq!((&*found.message.code, &*found.field), ("no_memory", "memory.mib"));
        assert_eq!(found.fix.as_deref(), Some("4608"));
        assert_eq!(
            serde_json::to_string(found).expect("serializes"),
            format!(
                r#"{{"severity":"refuse","field":"memory.mib","message":{},"fix":"4608"}}"#,
                serde_json::to_string(&found.message).expect("serializes")
            )
        );
    }

    #[test]
    fn a_disk_that_does_not_fit_is_refused_when_fixed_and_asked_about_when_dynamic() {
        let check = |bytes, fixed| Limits::check_disk("disk0", bytes, fixed, &TABLET);
        assert_eq!(check(90 * GIB, true), []);
        let refused = &check(100 * GIB, true)[0];
        assert_eq!((refused.severity, &*refused.field), (Severity::Refuse, "drives.disk0"));
        assert_eq!(refused.fix, Some((99 * GIB).to_string()));
        assert_eq!(check(100 * GIB, false)[0].severity, Severity::Confirm);
        assert_eq!(
            [Space::of(5 * GIB), Space::of(GIB), Space::of(0)],
            [Space::Enough, Space::Low, Space::Pause]
        );
    }

    proptest! {
        /// Whatever a host tells: what is proposed is not refused unless the disk is full, no more than `comfortable` needs
        /// to be confirmed, `max` is the last that is not refused, and a fix is one.
        #[test]
        fn the_limits_are_those_of_the_check(cores: u32, memory_mib: u64, available_mib: u64, free_disk: u64) {
            let host = HostFigures { cores, memory_mib, available_mib, free_disk };
            let limits = Limits::for_host(&host);
            let find = |mib: u64, cpus: u64| {
                let document = document(mib.try_into().expect("bounded"), cpus.try_into().expect("bounded"));
                let found = Limits::check(&document, &host);
                found.into_iter().filter(|finding| finding.field != "drives").collect::<Vec<_>>()
            };
            let Limits { cpus, memory, disk } = limits;
            for range in [cpus, memory, disk] {
                prop_assert!(range.comfortable <= range.max, "{range:?}");
            }
            prop_assert!(memory.proposed <= memory.max && cpus.proposed <= cpus.comfortable);
            prop_assert!(find(memory.proposed, 1).iter().all(|finding| finding.severity == Severity::Confirm));
            prop_assert_eq!(find(memory.comfortable, cpus.comfortable), []);
            let severities = |found: Vec<Finding>| found.iter().map(|finding| finding.severity).collect::<Vec<_>>();
            if memory.max < MAX_MEMORY_MIB.into() {
                prop_assert_eq!(severities(find(memory.max + 1, 1)), [Severity::Refuse]);
            }
            if cpus.comfortable < cpus.max {
                prop_assert_eq!(severities(find(memory.comfortable, cpus.comfortable + 1)), [Severity::Confirm]);
            }
            for finding in find(MAX_MEMORY_MIB.into(), cpus.max) {
                let fix = finding.fix.as_deref().map(|fix| fix.parse().expect("a number"));
                match (fix, &*finding.field) {
                    (Some(fix), MEMORY) => prop_assert_eq!(find(fix, 1), []),
                    (Some(fix), _) => prop_assert_eq!(find(memory.comfortable, fix), []),
                    (None, _) => prop_assert!(memory.comfortable < memory.min),
                }
            }
        }
    }
}
