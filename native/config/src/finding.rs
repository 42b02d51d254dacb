//! What a person should know or decide before a machine is made, changed or started.

use crate::size::{PAUSE_BELOW, size};
use crate::{PLAIN_SHARE_WARNING, VNC_WARNING, VmConfig};
use sampan_message::{Coded, Message, Params};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What one finding asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It would do damage: it is not started.
    Refuse,
    /// It might do damage: a person must confirm it.
    Confirm,
    /// Good to know.
    Note,
}

/// Something about a machine that would exhaust the host, might do so, or is good to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it asks for.
    pub severity: Severity,
    /// What it is about: the way to a field of the description, such as `memory.mib`, or a drive with its image, such as
    /// `drives.disk0`.
    pub field: String,
    /// Why, with the figures, and what to do.
    pub message: Message,
    /// A value of the field without this finding, as JSON text; of a drive it is the size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// A finding without a fix.
    pub fn new(severity: Severity, field: impl Into<String>, message: Message) -> Self {
        Self { severity, field: field.into(), message, fix: None }
    }

    /// The same with a fix.
    #[must_use]
    pub fn fixed_by(mut self, value: impl Into<serde_json::Value>) -> Self {
        self.fix = Some(value.into().to_string());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// What there is to find.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Concern {
    #[error(
        "the machine's {wanted} MiB would exhaust the memory: of {memory} MiB, {available} are available and {room} can be the machine's; give it at most {room}, or close other programs"
    )]
    MemoryExhausted { wanted: u64, memory: u64, available: u64, room: u64 },
    #[error(
        "the machine's {wanted} MiB leave other programs {} of the {available} MiB that are available: they may be slow or be ended by the system",
        .available.saturating_sub(*.wanted)
    )]
    MemoryTight { wanted: u64, available: u64 },
    #[error("the machine's {cpus} CPUs share {cores} cores: it is slower so than with {cores}")]
    CpusShared { cpus: u32, cores: u32 },
    #[error(
        "{} are free on the disk: the machine is paused when less than {} are left",
        size(*.free), size(PAUSE_BELOW)
    )]
    SpaceLow { free: u64 },
    #[error("{} are free on the disk, and {} are needed: make room first", size(*.free), size(PAUSE_BELOW))]
    NoSpace { free: u64 },
    #[error(
        "{} do not fit: {} are free, of which {} can be used; make room, or choose a dynamic disk",
        size(*.needed), size(*.free), size(*.room)
    )]
    DiskTooLarge { needed: u64, free: u64, room: u64 },
    #[error(
        "a disk of {} may outgrow the {} that are free: the machine is paused when less than {} are left",
        size(*.disk), size(*.free), size(PAUSE_BELOW)
    )]
    DiskMayOutgrow { disk: u64, free: u64 },
    #[error("{VNC_WARNING}")]
    VncPlain,
    #[error("the screen can be reached from other devices, at {0}: use 127.0.0.1 unless that is wanted")]
    VncReachable(IpAddr),
    #[error(
        "port {port} of the host is below {first}, which most systems keep for administrators: if the start fails, use a higher one"
    )]
    PrivilegedPort { port: u16, first: u16 },
    #[error(
        "port {port} can be reached from other devices, at {address}: use 127.0.0.1 unless that is wanted"
    )]
    PortReachable { port: u16, address: IpAddr },
    #[error("{PLAIN_SHARE_WARNING}")]
    PlainShare,
    #[error(
        "its guest sees the CPU of an earlier version, which is slow without KVM: the tuning {newest} of its CPU gives it the faster one from the next start on"
    )]
    OldTuning { newest: u32 },
}

impl Concern {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::MemoryExhausted { wanted, memory, available, room } => (
                "no_memory",
                Params::of("wanted_mib", *wanted)
                    .with("memory_mib", *memory)
                    .with("available_mib", *available)
                    .with("room_mib", *room),
            ),
            Self::MemoryTight { wanted, available } => {
                ("memory_tight", Params::of("wanted_mib", *wanted).with("available_mib", *available))
            }
            Self::CpusShared { cpus, cores } => {
                ("cpus_shared", Params::of("cpus", *cpus).with("cores", *cores))
            }
            Self::SpaceLow { free } => {
                ("space_low", Params::of("free", *free).with("pause_below", PAUSE_BELOW))
            }
            Self::NoSpace { free } => ("no_space", Params::of("free", *free).with("needed", PAUSE_BELOW)),
            Self::DiskTooLarge { needed, free, room } => {
                ("disk_too_large", Params::of("needed", *needed).with("free", *free).with("room", *room))
            }
            Self::DiskMayOutgrow { disk, free } => (
                "disk_may_outgrow",
                Params::of("disk", *disk).with("free", *free).with("pause_below", PAUSE_BELOW),
            ),
            Self::VncPlain => ("vnc_plain", Params::new()),
            Self::VncReachable(address) => ("vnc_reachable", Params::of("address", address.to_string())),
            Self::PrivilegedPort { port, .. } => ("privileged_port", Params::of("port", *port)),
            Self::PortReachable { port, address } => {
                ("port_reachable", Params::of("port", *port).with("address", address.to_string()))
            }
            Self::PlainShare => ("plain_share", Params::new()),
            Self::OldTuning { newest } => ("old_tuning", Params::of("newest", *newest)),
        }
    }

    /// The finding that asks for so much.
    pub(crate) fn at(self, severity: Severity, field: impl Into<String>) -> Finding {
        Finding::new(severity, field, self.message())
    }

    pub(crate) fn samples() -> Vec<Message> {
        sampan_message::samples(
            Self::MemoryExhausted { wanted: 8192, memory: 8000, available: 6000, room: 5000 },
            |last| {
                Some(match last {
                    Self::MemoryExhausted { .. } => Self::MemoryTight { wanted: 4096, available: 5000 },
                    Self::MemoryTight { .. } => Self::CpusShared { cpus: 16, cores: 8 },
                    Self::CpusShared { .. } => Self::SpaceLow { free: 2 << 30 },
                    Self::SpaceLow { .. } => Self::NoSpace { free: 100 << 20 },
                    Self::NoSpace { .. } => {
                        Self::DiskTooLarge { needed: 64 << 30, free: 20 << 30, room: 19 << 30 }
                    }
                    Self::DiskTooLarge { .. } => Self::DiskMayOutgrow { disk: 64 << 30, free: 20 << 30 },
                    Self::DiskMayOutgrow { .. } => Self::VncPlain,
                    Self::VncPlain => Self::VncReachable([0, 0, 0, 0].into()),
                    Self::VncReachable(_) => Self::PrivilegedPort { port: 80, first: 1024 },
                    Self::PrivilegedPort { .. } => {
                        Self::PortReachable { port: 8080, address: [0, 0, 0, 0].into() }
                    }
                    Self::PortReachable { .. } => Self::PlainShare,
                    Self::PlainShare => Self::OldTuning { newest: crate::CURRENT_TUNING },
                    Self::OldTuning { .. } => return None,
                })
            },
        )
    }
}

sampan_message::coded!(Concern);

impl VmConfig {
    /// What a person should know, though it can be.
    pub fn warnings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut note = |field: &str, concerns: Vec<Concern>| {
            found.extend(concerns.into_iter().map(|concern| concern.at(Severity::Note, field)));
        };
        note("displays.vnc", self.displays.vnc.map_or_else(Vec::new, |vnc| vnc.concerns()));
        for (i, card) in self.network.cards.iter().enumerate() {
            for (j, forward) in card.forwards.iter().enumerate() {
                note(&format!("network.cards.{i}.forwards.{j}"), forward.concerns());
            }
        }
        for (i, share) in self.shares.shares.iter().enumerate() {
            let plain = share.warning().map(|_| Concern::PlainShare);
            note(&format!("shares.shares.{i}.security"), plain.into_iter().collect());
        }
        found
    }
}
