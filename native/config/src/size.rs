//! Bytes: the amounts of free space that matter, and how a person reads one.

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;
/// Below this much free space a machine is paused, in bytes: enough for what is on its way to the disk.
pub const PAUSE_BELOW: u64 = 512 * MIB;
/// Below this much free space it is said, in bytes.
pub const WARN_BELOW: u64 = 4 * GIB;

/// Bytes for people: in MiB up to 10 GiB.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 10 * GIB { format!("{} MiB", bytes / MIB) } else { format!("{} GiB", bytes / GIB) }
}
