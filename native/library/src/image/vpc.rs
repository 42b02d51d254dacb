//! Virtual PC's VHD (the "Virtual Hard Disk Image Format Specification"; QEMU calls it vpc: `block/vpc.c`, `vpc_open`).

use super::read::{Numbers, pieces};
use super::{Header, ImageFault, ImageFeature, ProbeError, ReadAt, damaged, printable};
use crate::format::SourceFormat::Vpc as FORMAT;

const MAGIC: &[u8] = b"conectix";
const SECTOR: u64 = 512;
/// The largest geometry, in sectors: what has it is as large as it says (`VHD_MAX_GEOMETRY`).
const MAX_GEOMETRY: u64 = 65535 * 16 * 255;
/// 2040 GiB in sectors (`VHD_MAX_SECTORS`).
const MAX_SECTORS: u64 = 0xff00_0000;
/// The most entries of a block allocation table: 2040 GiB in blocks of 128 KiB. Images have blocks of 2 MiB, or 512 KiB.
const MAX_ENTRIES: u32 = 16 << 20;
/// An entry of the block allocation table for a block that is not there.
const NOT_THERE: u32 = u32::MAX;

/// Whether the last 512 bytes are a footer: a fixed VHD begins with the disk's own bytes.
pub(super) fn has_footer(file: &impl ReadAt) -> Result<bool, ProbeError> {
    Ok(footer(file)?.is_some_and(|f| checksum_fits(&f, 64)))
}

fn footer(file: &impl ReadAt) -> Result<Option<Vec<u8>>, ProbeError> {
    let Some(at) = file.size()?.checked_sub(512) else { return Ok(None) };
    let footer = file.up_to(at, 512)?;
    Ok((footer.len() == 512 && footer.starts_with(MAGIC)).then_some(footer))
}

/// The one's complement of the sum of all bytes but its own four.
fn checksum_fits(bytes: &[u8], at: usize) -> bool {
    let others = bytes.iter().enumerate().filter(|(i, _)| !(at..at + 4).contains(i));
    !others.fold(0u32, |sum, (_, b)| sum.wrapping_add(u32::from(*b))) == bytes.be32(at)
}

pub(super) fn read(file: &impl ReadAt) -> Result<Header, ProbeError> {
    let head = file.up_to(0, 512)?;
    // A dynamic image has a copy of its footer in front, and QEMU reads no other. Without one it is fixed.
    let (footer, in_front) = match head.starts_with(MAGIC) && head.len() == 512 {
        true => (head, true),
        false => (footer(file)?.ok_or_else(|| damaged(FORMAT, ImageFault::NoFooter))?, false),
    };
    if !checksum_fits(&footer, 64) {
        return Err(damaged(FORMAT, ImageFault::FooterChecksum));
    }
    let size = virtual_size(&footer)?;
    let mut header = Header::new(FORMAT, size);
    header.dirty = footer.get(84) == Some(&1);
    match (footer.be32(60), in_front) {
        (2, false) => {
            if !file.size()?.is_multiple_of(SECTOR) {
                return Err(damaged(FORMAT, ImageFault::FooterNotLast));
            }
            if file.size()? < size {
                return Err(damaged(FORMAT, ImageFault::EndsBefore { bytes: size }));
            }
        }
        (kind @ (3 | 4), true) => {
            let sparse = file.exactly(footer.be64(16), 1024)?;
            if !sparse.starts_with(b"cxsparse") || !checksum_fits(&sparse, 36) {
                return Err(damaged(FORMAT, ImageFault::SecondHeader));
            }
            check_blocks(file, &sparse, size)?;
            if kind == 4 {
                let name = sparse.get(64..576).unwrap_or_default();
                let units =
                    name.as_chunks::<2>().0.iter().map(|b| u16::from_be_bytes(*b)).take_while(|u| *u != 0);
                let name: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
                header.backing_file = Some(printable(name.as_bytes()));
            }
        }
        (2, true) => return Err(damaged(FORMAT, ImageFault::FixedWithFooterInFront)),
        (3 | 4, false) => return Err(damaged(FORMAT, ImageFault::NoFooterCopy)),
        (kind, _) => {
            return Err(ProbeError::Unsupported { format: FORMAT, what: ImageFeature::DiskType { kind } });
        }
    }
    Ok(header)
}

/// The bytes that a guest sees. Images of Virtual PC, and of QEMU unless told otherwise, are as large as their geometry,
/// all others as large as they say.
fn virtual_size(footer: &[u8]) -> Result<u64, ProbeError> {
    let byte = |at: usize| u64::from(footer.array::<1>(at)[0]);
    let geometry = u64::from(footer.be16(56)) * byte(58) * byte(59);
    let by_geometry = matches!(&footer.array::<4>(28), b"vpc " | b"qemu") && geometry != MAX_GEOMETRY;
    let size = footer.be64(48);
    if !by_geometry && !size.is_multiple_of(SECTOR) {
        return Err(damaged(FORMAT, ImageFault::NoWholeSectors { bytes: size }));
    }
    let sectors = if by_geometry { geometry } else { size / SECTOR };
    if sectors > MAX_SECTORS {
        return Err(ProbeError::Size(sectors.saturating_mul(SECTOR)));
    }
    Ok(sectors * SECTOR)
}

/// The block allocation table: it has a place for all of the disk, and what it names is there.
fn check_blocks(file: &impl ReadAt, sparse: &[u8], size: u64) -> Result<(), ProbeError> {
    let (table, entries, block) = (sparse.be64(16), sparse.be32(28), u64::from(sparse.be32(32)));
    if !block.is_power_of_two() || !(512..=256 << 20).contains(&block) {
        return Err(damaged(FORMAT, ImageFault::BlockSize { bytes: block }));
    }
    if size > u64::from(entries) * block {
        return Err(damaged(FORMAT, ImageFault::Blocks { bytes: size, blocks: entries }));
    }
    let (end, length) = (file.size()?.next_multiple_of(SECTOR), u64::from(entries) * 4);
    let incomplete = || damaged(FORMAT, ImageFault::TableBeyondEnd);
    if entries > MAX_ENTRIES {
        return Err(damaged(FORMAT, ImageFault::BlockTable { entries }));
    }
    if table.checked_add(length).is_none_or(|after| after > end) {
        return Err(incomplete());
    }
    // Each block has a bitmap of its sectors in front.
    let whole = (block / (8 * SECTOR)).next_multiple_of(SECTOR) + block;
    pieces(file, table, length, |piece| {
        let mut there = piece.as_chunks::<4>().0.iter().map(|e| u32::from_be_bytes(*e));
        match there.all(|entry| entry == NOT_THERE || u64::from(entry) * SECTOR + whole <= end) {
            true => Ok(()),
            false => Err(incomplete()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, probe_import};
    use super::*;

    fn seal(bytes: &mut [u8], at: usize) {
        bytes[at..at + 4].fill(0);
        let sum = bytes.iter().fold(0u32, |sum, b| sum.wrapping_add(u32::from(*b)));
        bytes[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
    }

    fn footer(kind: u32, creator: &[u8; 4], size: u64, geometry: [u8; 4]) -> Vec<u8> {
        let mut footer = vec![0; 512];
        footer[..8].copy_from_slice(MAGIC);
        footer[16..24].copy_from_slice(&512u64.to_be_bytes());
        footer[28..32].copy_from_slice(creator);
        footer[48..56].copy_from_slice(&size.to_be_bytes());
        footer[56..60].copy_from_slice(&geometry);
        footer[60..64].copy_from_slice(&kind.to_be_bytes());
        seal(&mut footer, 64);
        footer
    }

    /// Two blocks of 512 KiB, the second of which is there, in a disk of this size.
    fn dynamic(creator: &[u8; 4], size: u64, geometry: [u8; 4]) -> Vec<u8> {
        let footer = footer(3, creator, size, geometry);
        let mut sparse = vec![0; 1024];
        sparse[..8].copy_from_slice(b"cxsparse");
        sparse[16..24].copy_from_slice(&1536u64.to_be_bytes());
        sparse[28..32].copy_from_slice(&2u32.to_be_bytes());
        sparse[32..36].copy_from_slice(&(512u32 << 10).to_be_bytes());
        seal(&mut sparse, 36);
        let mut image = [footer.clone(), sparse, vec![0xff; 512]].concat();
        image[1540..1544].copy_from_slice(&4u32.to_be_bytes());
        image.resize(2048 + 512 + (512 << 10), 0);
        [image, footer].concat()
    }

    fn size_of(image: &[u8]) -> Result<u64, String> {
        probe_import(&Bytes(image), Some(FORMAT)).map(|h| h.virtual_size).map_err(|e| e.to_string())
    }

    #[test]
    fn the_size_is_the_geometrys_where_qemu_takes_it_from_there() {
        let (size, geometry) = (1 << 20, [0, 100, 4, 4]);
        for (creator, expected) in
            [(b"vpc ", 1600 * 512), (b"qemu", 1600 * 512), (b"win ", size), (b"qem2", size)]
        {
            assert_eq!(size_of(&dynamic(creator, size, geometry)), Ok(expected));
        }
        assert_eq!(size_of(&dynamic(b"vpc ", size, [255, 255, 16, 255])), Ok(size), "the largest geometry");
        assert!(size_of(&dynamic(b"win ", size - 1, geometry)).expect_err("refused").contains("sectors"));
        assert!(size_of(&dynamic(b"win ", size + 512, geometry)).expect_err("refused").contains("fit"));
        assert!(size_of(&dynamic(b"win ", 1 << 45, geometry)).expect_err("refused").contains("beyond"));
    }

    #[test]
    fn the_copy_in_front_counts_and_a_fixed_disk_has_none() {
        let (size, geometry) = (1 << 20, [0, 100, 4, 4]);
        let fixed = |data: usize, kind| [vec![0; data], footer(kind, b"win ", size, geometry)].concat();
        assert_eq!(size_of(&fixed(1 << 20, 2)), Ok(size));
        assert!(size_of(&fixed((1 << 20) - 1024, 2)).expect_err("refused").contains("ends before"));
        assert!(size_of(&fixed((1 << 20) + 1, 2)).expect_err("refused").contains("last sector"));
        assert!(size_of(&fixed(1 << 20, 3)).expect_err("refused").contains("in front"));
        let mut both = dynamic(b"win ", size, geometry);
        let end = both.len() - 512;
        both[end..].copy_from_slice(&footer(2, b"win ", 512, geometry));
        assert_eq!(size_of(&both), Ok(size), "as QEMU has it");
        both[..512].copy_from_slice(&footer(2, b"win ", size, geometry));
        assert!(size_of(&both).expect_err("refused").contains("no fixed disk"));
    }

    #[test]
    fn a_table_that_leads_nowhere_is_refused() {
        let good = dynamic(b"win ", 1 << 20, [0, 100, 4, 4]);
        let with = |at: usize, bytes: &[u8]| {
            let mut image = good.clone();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            seal(&mut image[512..1536], 36);
            size_of(&image)
        };
        assert_eq!(with(0, b"c"), Ok(1 << 20));
        for (at, bytes) in
            [(1540, &[0, 0, 0, 6][..]), (1540, &[0x7f]), (528, &[0xff]), (531, &[1]), (541, &[0x10])]
        {
            assert!(with(at, bytes).expect_err("refused").contains("not complete"), "{at}");
        }
        for (at, bytes) in
            [(512, &b"x"[..]), (544, &[1]), (544, &[0x20, 0, 0, 0]), (547, &[1]), (543, &[1]), (540, &[1])]
        {
            with(at, bytes).expect_err("refused");
        }
        assert!(size_of(&good[..1600]).expect_err("refused").contains("not complete"));
    }
}
