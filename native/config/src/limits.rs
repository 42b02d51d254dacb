//! What a host can bear, before it is asked to.

use crate::{Document, MAX_CPUS};

/// A host's figures, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What new machines may have on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPUs to propose.
    pub cpus: u32,
    /// More than this only slows the guest down.
    pub most_cpus: u32,
    /// Memory to propose, in MiB.
    pub memory_mib: u32,
    /// More than this is refused now, in MiB.
    pub most_memory_mib: u32,
    /// The disk's size to propose, in bytes: what the guest sees, while its file grows with what is written.
    pub disk_bytes: u64,
    /// The largest disk that can be filled now, in bytes.
    pub most_disk_bytes: u64,
}

/// What one finding asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It would do damage: it is not started.
    Refuse,
    /// It might: a person must confirm it.
    Confirm,
}

/// Something that would, or might, exhaust the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it asks for.
    pub severity: Severity,
    /// Why, with the figures, and what to do.
    pub words: String,
}

/// What to do about the free space while a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Nothing.
    Enough,
    /// Say so.
    Low,
    /// Pause the machine before its writes fail, and say so.
    Pause,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What QEMU takes besides the guest's memory, in MiB: about 40 for an idle machine, the rest for translated code and
/// pictures.
const OVERHEAD_MIB: u64 = 192;
/// What translated code may grow to over hours, in MiB, or this part of all memory where that is less (`tcg/region.c`).
const TRANSLATED_MIB: u64 = 1024;
const TRANSLATED_PART: u64 = 8;
/// What the host's own programs need, in MiB, or this part of all memory where that is less.
const RESERVE_MIB: u64 = 512;
const RESERVE_PART: u64 = 8;
/// Below this much free space a machine is paused, in bytes: enough for what is on its way to the disk.
pub const PAUSE_BELOW: u64 = 512 * MIB;
/// Below this much free space it is said, in bytes.
pub const WARN_BELOW: u64 = 4 * GIB;

impl HostFigures {
    /// MiB that a machine's memory can have now.
    fn room_mib(&self) -> u64 {
        let reserve = RESERVE_MIB.min(self.memory_mib / RESERVE_PART);
        self.available_mib.min(self.memory_mib).saturating_sub(reserve + OVERHEAD_MIB)
    }

    /// MiB that leave it comfortable.
    fn comfortable_mib(&self) -> u64 {
        let (room, translated) = (self.room_mib(), TRANSLATED_MIB.min(self.memory_mib / TRANSLATED_PART));
        (room / 4 * 3).min(room.saturating_sub(translated))
    }

    /// Bytes that disks can have now.
    fn room_bytes(&self) -> u64 {
        self.free_disk.saturating_sub(PAUSE_BELOW)
    }
}

impl Limits {
    /// The limits of a host.
    pub fn for_host(host: &HostFigures) -> Self {
        let room = host.room_mib();
        let quarter = (host.memory_mib / 4).clamp(512, 8192).min(room);
        // A multiple that people like to read, where there is that much.
        let proposed = if quarter >= 256 { quarter / 256 * 256 } else { quarter };
        let disk = (host.room_bytes() / 2).clamp(8 * GIB, 64 * GIB) / GIB * GIB;
        Self {
            cpus: host.cores.clamp(1, 4),
            most_cpus: host.cores.clamp(1, MAX_CPUS),
            memory_mib: saturating(proposed),
            most_memory_mib: saturating(room),
            disk_bytes: disk,
            most_disk_bytes: host.room_bytes(),
        }
    }
}

fn saturating(mib: u64) -> u32 {
    mib.min(crate::MAX_MEMORY_MIB.into()) as u32
}

impl Limits {
    /// What starting a machine would do to a host. Nothing found means: start it.
    pub fn check(document: &Document, host: &HostFigures) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |severity, words| findings.push(Finding { severity, words });
        let (wanted, room) = (u64::from(document.memory.mib), host.room_mib());
        let HostFigures { memory_mib, available_mib, cores, free_disk } = *host;
        if wanted > room {
            find(
                Severity::Refuse,
                format!(
                    "the machine's {wanted} MiB would exhaust the memory: of {memory_mib} MiB, {available_mib} are available and {room} can be the machine's; give it at most {room}, or close other programs"
                ),
            );
        } else if wanted > host.comfortable_mib() {
            find(
                Severity::Confirm,
                format!(
                    "the machine's {wanted} MiB leave other programs {} of the {available_mib} MiB that are available: they may be slow or be ended by the system",
                    available_mib.saturating_sub(wanted)
                ),
            );
        }
        let cpus = document.cpu.count;
        if cpus > cores {
            find(
                Severity::Confirm,
                format!("the machine's {cpus} CPUs share {cores} cores: it is slower so than with {cores}"),
            );
        }
        match Space::of(free_disk) {
            Space::Enough => {}
            Space::Low => find(
                Severity::Confirm,
                format!(
                    "{} are free on the disk: the machine is paused when less than {} are left",
                    size(free_disk),
                    size(PAUSE_BELOW)
                ),
            ),
            Space::Pause => find(
                Severity::Refuse,
                format!(
                    "{} are free on the disk, and {} are needed: make room first",
                    size(free_disk),
                    size(PAUSE_BELOW)
                ),
            ),
        }
        findings
    }

    /// What creating, importing or growing a disk by `bytes` would do. `fixed` ones take them at once, dynamic ones as the
    /// guest writes.
    pub fn check_disk(bytes: u64, fixed: bool, host: &HostFigures) -> Vec<Finding> {
        let (free, room) = (host.free_disk, host.room_bytes());
        let finding = |severity, words| vec![Finding { severity, words }];
        if bytes <= room {
            return Vec::new();
        }
        if fixed {
            return finding(
                Severity::Refuse,
                format!(
                    "{} do not fit: {} are free, of which {} can be used; make room, or choose a dynamic disk",
                    size(bytes),
                    size(free),
                    size(room)
                ),
            );
        }
        finding(
            Severity::Confirm,
            format!(
                "a disk of {} may outgrow the {} that are free: the machine is paused when less than {} are left",
                size(bytes),
                size(free),
                size(PAUSE_BELOW)
            ),
        )
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

/// Bytes for people: in MiB up to 10 GiB.
fn size(bytes: u64) -> String {
    if bytes < 10 * GIB { format!("{} MiB", bytes / MIB) } else { format!("{} GiB", bytes / GIB) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, Preset};
    use proptest::prelude::*;

    const TABLET: HostFigures =
        HostFigures { cores: 8, memory_mib: 12_000, available_mib: 7_000, free_disk: 100 * GIB };

    fn document(mib: u32, cpus: u32) -> Document {
        let mut document = Document::new("x", Preset::Linux, Arch::Aarch64);
        (document.memory.mib, document.cpu.count) = (mib, cpus);
        document
    }

    #[test]
    fn a_tablet_is_asked_for_a_part_of_itself() {
        let limits = Limits::for_host(&TABLET);
        assert_eq!((limits.cpus, limits.most_cpus), (4, 8));
        assert_eq!((limits.memory_mib, limits.most_memory_mib), (2816, 7000 - 512 - 192));
        assert_eq!(limits.disk_bytes, 49 * GIB);
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
        let words = &Limits::check(&document(512, 1), &full)[0].words;
        assert_eq!(words, "100 MiB are free on the disk, and 512 MiB are needed: make room first");
        let words = &Limits::check(&document(6297, 1), &TABLET)[0].words;
        assert!(words.contains("of 12000 MiB, 7000 are available and 6296 can be the machine's"), "{words}");
    }

    #[test]
    fn a_disk_that_does_not_fit_is_refused_when_fixed_and_asked_about_when_dynamic() {
        assert_eq!(Limits::check_disk(90 * GIB, true, &TABLET), []);
        assert_eq!(Limits::check_disk(100 * GIB, true, &TABLET)[0].severity, Severity::Refuse);
        assert_eq!(Limits::check_disk(100 * GIB, false, &TABLET)[0].severity, Severity::Confirm);
        assert_eq!(
            [Space::of(5 * GIB), Space::of(GIB), Space::of(0)],
            [Space::Enough, Space::Low, Space::Pause]
        );
    }

    proptest! {
        /// Whatever a host tells, what is proposed is not refused, unless not even the least machine fits.
        #[test]
        fn what_is_proposed_is_not_refused(cores: u32, memory_mib: u64, available_mib: u64, free_disk: u64) {
            let host = HostFigures { cores, memory_mib, available_mib, free_disk };
            let limits = Limits::for_host(&host);
            prop_assert!(limits.memory_mib <= limits.most_memory_mib && limits.cpus <= limits.most_cpus);
            let found = Limits::check(&document(limits.memory_mib, limits.cpus), &host);
            let refused = |finding: &Finding| finding.severity == Severity::Refuse;
            prop_assert_eq!(found.iter().any(refused), free_disk < PAUSE_BELOW);
            let one_more = document(limits.most_memory_mib.saturating_add(1), 1);
            prop_assert!(limits.most_memory_mib == crate::MAX_MEMORY_MIB || Limits::check(&one_more, &host).iter().any(refused));
        }
    }
}
