//! Whether all is there that an image's tables name: what was cut off on its way reads as zeros, and QEMU does not say so.
//!
//! The tables are read to their end, so this is for images that come from elsewhere, once. No more of them is read than the
//! file has bytes, however often its tables name the same place. VHDX and VHD are checked where their headers are read.

use super::read::{Numbers, pieces};
use super::{ImageFault, ProbeError, ReadAt, damaged, vmdk};
use crate::format::SourceFormat;

/// Bits 9 to 55 of an entry of qcow2's tables (`L1E_OFFSET_MASK`, `L2E_OFFSET_MASK`).
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 62 of an entry of a qcow2 L2 table: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// Bit 0: the cluster reads as zeros, whether or not it has a place.
const ZEROS: u64 = 1;
/// Incompatible feature: subclusters, whose bitmap makes an entry 16 bytes long.
const EXTENDED_L2: u64 = 1 << 4;
/// Entries of a VDI's block map from here on stand for blocks without data (`VDI_UNALLOCATED`, `VDI_DISCARDED`).
const NO_BLOCK: u32 = 0xffff_fffe;
const SECTOR: u64 = 512;

/// Refuses an image whose tables name places beyond the file's end. Its header has been read.
///
/// # Errors
///
/// [`ProbeError::Incomplete`]; [`ProbeError::Damaged`] for tables that lie one in another.
pub fn check_complete(file: &impl ReadAt, format: SourceFormat) -> Result<(), ProbeError> {
    let size = file.size()?;
    let needed = match format {
        SourceFormat::Qcow2 => qcow2(file, size)?,
        SourceFormat::Vmdk => grains(file, size)?,
        SourceFormat::Vdi => vdi(file)?,
        SourceFormat::Raw => disk(file, size)?,
        SourceFormat::Vhdx | SourceFormat::Vpc => 0,
    };
    match needed <= size {
        true => Ok(()),
        false => Err(ProbeError::Incomplete { format, needed, size }),
    }
}

/// What a raw disk's own table or file system says of its length.
fn disk(file: &impl ReadAt, size: u64) -> Result<u64, ProbeError> {
    let head = file.up_to(0, 2048)?;
    // The other header of a GPT is the disk's last sector (UEFI 2.10, table 5-5, AlternateLBA).
    if head.get(512..520) == Some(b"EFI PART") {
        return Ok(head.le64(512 + 32).saturating_add(1).saturating_mul(SECTOR));
    }
    // The superblock of ext2, 3 and 4: s_magic, s_blocks_count_lo, s_log_block_size.
    if head.get(1080..1082) == Some(b"\x53\xef") {
        return Ok(u64::from(head.le32(1028)) << (10 + head.le32(1048).min(6)));
    }
    if head.get(510..512) != Some(b"\x55\xaa") {
        return Ok(0);
    }
    let entries = (0..4).map(|n| head.get(446 + 16 * n..462 + 16 * n).unwrap_or_default());
    // A file system's boot sector has code where a disk's has its table.
    if !entries.clone().all(|entry| matches!(entry.first(), Some(0 | 0x80))) {
        return Ok(0);
    }
    let ends = entries.filter(|entry| entry.get(4).is_some_and(|kind| !matches!(kind, 0 | 0xee)));
    let end = ends.map(|entry| u64::from(entry.le32(8)) + u64::from(entry.le32(12))).max().unwrap_or(0);
    // Tables count whole cylinders, which the file need not have.
    let missing = (end * SECTOR).saturating_sub(size);
    Ok(if missing <= CYLINDER { 0 } else { end * SECTOR })
}

/// Bytes of the largest cylinder: 255 heads of 63 sectors.
const CYLINDER: u64 = 255 * 63 * SECTOR;

/// The bytes of tables that may still be read.
struct Budget {
    format: SourceFormat,
    left: u64,
}

impl Budget {
    fn take(&mut self, bytes: u64) -> Result<(), ProbeError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| damaged(self.format, ImageFault::TablesInTables))?;
        Ok(())
    }
}

/// Of the last cluster a part is enough, as for QEMU: "may be semi-allocated" (`block/qcow2-refcount.c`, `qcow2_inc_refcounts_imrt`).
fn qcow2(file: &impl ReadAt, size: u64) -> Result<u64, ProbeError> {
    let head = file.up_to(0, 104)?;
    let bits = head.be32(20).clamp(9, 21);
    let cluster = 1u64 << bits;
    let extended = head.be32(4) >= 3 && head.be64(72) & EXTENDED_L2 != 0;
    let zeros = if head.be32(4) >= 3 { ZEROS } else { 0 };
    let mut budget = Budget { format: SourceFormat::Qcow2, left: size.saturating_add(cluster) };
    let (refcounts, length) = (head.be64(48), u64::from(head.be32(56)) * cluster);
    let (l1, entries) = (head.be64(40), u64::from(head.be32(36)));
    let mut needed = (refcounts + 1).max(if entries == 0 { 0 } else { l1 + entries * 8 });
    budget.take(length.saturating_add(entries * 8))?;
    // A table that is cut off is needed, and not read.
    let within = |at: u64, length: u64| length.min(size.saturating_sub(at)) & !7;
    pieces(file, refcounts, within(refcounts, length), |piece| {
        let blocks = piece.as_chunks::<8>().0.iter().map(|e| u64::from_be_bytes(*e) & OFFSET);
        needed = blocks.filter(|at| *at != 0).fold(needed, |most, at| most.max(at + 1));
        Ok::<_, ProbeError>(())
    })?;
    pieces(file, l1, within(l1, entries * 8), |piece| {
        for at in piece.as_chunks::<8>().0.iter().map(|e| u64::from_be_bytes(*e) & OFFSET) {
            if at == 0 {
                continue;
            }
            budget.take(cluster)?;
            needed = needed.max(at + 1);
            pieces(file, at, within(at, cluster), |piece| {
                let places = piece.as_chunks::<8>().0;
                let step = if extended { 2 } else { 1 };
                for (n, entry) in places.iter().enumerate().step_by(step) {
                    let (entry, next) = (u64::from_be_bytes(*entry), places.get(n + 1));
                    let bitmap = next.filter(|_| extended).map(|e| u64::from_be_bytes(*e));
                    needed = needed.max(data_end(entry, bitmap, bits, zeros));
                }
                Ok::<_, ProbeError>(())
            })?;
        }
        Ok::<_, ProbeError>(())
    })?;
    Ok(needed)
}

/// The place behind the first byte that an entry of an L2 table says is there; the last one's of what is compressed, up to
/// the sector that it ends in.
fn data_end(entry: u64, bitmap: Option<u64>, cluster_bits: u32, zeros: u64) -> u64 {
    if entry & COMPRESSED != 0 {
        // The offset has 62 bits less those of the count of further sectors (docs/interop/qcow2.txt).
        let shift = 62 - (cluster_bits - 8);
        let (at, sectors) = (entry & ((1 << shift) - 1), (entry & (COMPRESSED - 1)) >> shift);
        return (at & !(SECTOR - 1)) + sectors * SECTOR + 1;
    }
    let at = entry & OFFSET;
    // The low half of the bitmap stands for subclusters with data.
    let has_data = bitmap.map_or(entry & zeros == 0, |bits| bits & 0xffff_ffff != 0);
    if at == 0 || !has_data { 0 } else { at + 1 }
}

/// Grains of a VMDK's sparse extent. A compressed one begins with its own length (`VmdkGrainMarker`): of the last in the file
/// that is looked at.
fn grains(file: &impl ReadAt, size: u64) -> Result<u64, ProbeError> {
    let Some(extent) = vmdk::extent(file)? else { return Ok(0) };
    let mut budget = Budget { format: SourceFormat::Vmdk, left: size.saturating_add(SECTOR) };
    let directory = extent.capacity.div_ceil(extent.grain * extent.entries) * 4;
    budget.take(directory)?;
    let (grain, disk) = (extent.grain * SECTOR, extent.capacity.saturating_mul(SECTOR));
    let (mut needed, mut last, mut guest) = (0, 0, 0u64);
    let within = |at: u64, length: u64| length.min(size.saturating_sub(at)) & !3;
    pieces(file, extent.directory, within(extent.directory, directory), |piece| {
        for table in piece.as_chunks::<4>().0.iter().map(|e| u64::from(u32::from_le_bytes(*e)) * SECTOR) {
            let length = extent.entries * 4;
            if table == 0 {
                guest += extent.entries * grain;
                continue;
            }
            budget.take(length)?;
            needed = needed.max(table + length);
            pieces(file, table, within(table, length), |piece| {
                for at in piece.as_chunks::<4>().0.iter().map(|e| u64::from(u32::from_le_bytes(*e))) {
                    let left = disk.saturating_sub(guest).min(grain);
                    guest += grain;
                    // One means a grain of zeros, where a header allows it; no grain lies in the header.
                    if at <= 1 || left == 0 {
                        continue;
                    }
                    last = last.max(at * SECTOR);
                    needed = needed.max(at * SECTOR + if extent.compressed { 12 } else { left });
                }
                Ok::<_, ProbeError>(())
            })?;
        }
        Ok::<_, ProbeError>(())
    })?;
    if extent.compressed && last > 0 && needed <= size {
        needed = needed.max(last + 12 + u64::from(file.exactly(last, 12)?.le32(8)));
    }
    Ok(needed)
}

fn vdi(file: &impl ReadAt) -> Result<u64, ProbeError> {
    let head = file.exactly(0, 512)?;
    let (map, data) = (u64::from(head.le32(0x154)), u64::from(head.le32(0x158)));
    let (size, block, blocks) = (head.le64(0x170), u64::from(head.le32(0x178)), u64::from(head.le32(0x180)));
    let (mut needed, mut guest) = (0, 0u64);
    pieces(file, map, blocks * 4, |piece| {
        for place in piece.as_chunks::<4>().0.iter().map(|e| u32::from_le_bytes(*e)) {
            // The last block may be a part of one.
            let left = size.saturating_sub(guest).min(block);
            guest += block;
            if place < NO_BLOCK && left > 0 {
                needed = needed.max(data + u64::from(place) * block + left);
            }
        }
        Ok::<_, ProbeError>(())
    })?;
    Ok(needed)
}
