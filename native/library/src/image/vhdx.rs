//! Hyper-V's VHDX (\[MS-VHDX\]; QEMU's `block/vhdx.c`, `vhdx_open`).

use super::read::{Numbers, pieces};
use super::{Header, ImageFault, ImageFeature, ProbeError, ReadAt, damaged};
use crate::format::SourceFormat::Vhdx as FORMAT;
use std::cmp::Ordering;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The most regions: two are defined, and every block is compared with each.
const MAX_REGIONS: usize = 64;
/// GUIDs as they are stored: the first three fields little-endian (\[MS-VHDX\] 2.2.3.2, 2.6.2).
const METADATA: [u8; 16] = guid(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);
const BAT: [u8; 16] = guid(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
const FILE_PARAMETERS: [u8; 16] = guid(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
const VIRTUAL_SIZE: [u8; 16] = guid(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);
const PAGE_83: [u8; 16] = guid(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746);
const LOGICAL_SECTOR: [u8; 16] = guid(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f);
const PHYSICAL_SECTOR: [u8; 16] = guid(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556);
const PARENT_LOCATOR: [u8; 16] = guid(0xa8d3_5f2d, 0xb30b, 0x454d, 0xabf7_d3d8_4834_ab0c);
/// What every image must tell (QEMU's `META_ALL_PRESENT`).
const REQUIRED: [[u8; 16]; 5] = [FILE_PARAMETERS, VIRTUAL_SIZE, PAGE_83, LOGICAL_SECTOR, PHYSICAL_SECTOR];

const fn guid(a: u32, b: u16, c: u16, d: u64) -> [u8; 16] {
    let (a, b, c, d) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_be_bytes());
    [a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]]
}

/// CRC-32C, reflected, by bytes.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

/// Whether the CRC-32C at offset 4 is the block's, with its own bytes counted as zero.
fn checksum_fits(block: &[u8]) -> bool {
    let bytes = block.iter().enumerate().map(|(i, b)| if (4..8).contains(&i) { 0 } else { *b });
    // The index is a byte, and the table has an entry for each.
    let crc = bytes.fold(u32::MAX, |crc, b| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ b)]);
    !crc == block.le32(4)
}

pub(super) fn read(file: &impl ReadAt) -> Result<Header, ProbeError> {
    if !file.exactly(0, 8)?.starts_with(b"vhdxfile") {
        return Err(damaged(FORMAT, ImageFault::Signature));
    }
    let head = current_header(file)?;
    let (log_length, log) = (u64::from(head.le32(68)), head.le64(72));
    if head.le16(64) != 0 {
        let what = ImageFeature::LogVersion { version: head.le16(64) };
        return Err(ProbeError::Unsupported { format: FORMAT, what });
    }
    if log < MIB || !log.is_multiple_of(MIB) {
        return Err(damaged(FORMAT, ImageFault::LogPlace { at: log }));
    }
    let regions = Regions::read(file, Region::new(log, log_length)?)?;
    let metadata = Metadata::read(file, regions.metadata.start)?;
    let parameters = metadata.item(file, FILE_PARAMETERS, 8)?;
    let (block, flags) = (u64::from(parameters.le32(0)), parameters.le32(4));
    let size = metadata.item(file, VIRTUAL_SIZE, 8)?.le64(0);
    let mut header = Header::new(FORMAT, size);
    header.needs_replay = head.array::<16>(48) != [0; 16];
    if flags & 2 != 0 || metadata.offset(PARENT_LOCATOR).is_some() {
        header.backing_file = Some("the parent of a differencing disk".into());
        return Ok(header);
    }
    let sector = metadata.item(file, LOGICAL_SECTOR, 4)?.le32(0);
    if sector != 512 {
        let what = ImageFeature::SectorSize { bytes: sector };
        return Err(ProbeError::Unsupported { format: FORMAT, what });
    }
    if !block.is_power_of_two() || !(MIB..=256 * MIB).contains(&block) {
        return Err(damaged(FORMAT, ImageFault::BlockSize { bytes: block }));
    }
    if size == 0 || !size.is_multiple_of(512) || size > super::MAX_VIRTUAL_SIZE {
        return Err(ProbeError::Size(size));
    }
    metadata.item(file, PHYSICAL_SECTOR, 4)?;
    if !header.needs_replay {
        regions.check_blocks(file, size, block)?;
    }
    Ok(header)
}

/// Of the two headers, the valid one with the higher sequence number.
fn current_header(file: &impl ReadAt) -> Result<Vec<u8>, ProbeError> {
    let (mut valid, mut later) = (Vec::new(), None);
    for at in [64 * KIB, 128 * KIB] {
        let head = file.up_to(at, 4096)?;
        if head.len() < 4096 || !head.starts_with(b"head") || !checksum_fits(&head) {
            continue;
        }
        match head.le16(66) {
            1 => valid.push(head),
            version => later = Some(version),
        }
    }
    let mut valid = valid.into_iter();
    match (valid.next(), valid.next(), later) {
        (Some(first), Some(second), _) => match first.le64(8).cmp(&second.le64(8)) {
            Ordering::Greater => Ok(first),
            Ordering::Less => Ok(second),
            // Microsoft's Disk2VHD writes the same header twice.
            Ordering::Equal if first.get(..80) == second.get(..80) => Ok(first),
            Ordering::Equal => Err(damaged(FORMAT, ImageFault::HeadersContradict)),
        },
        (Some(only), None, _) => Ok(only),
        (None, _, Some(version)) => Err(ProbeError::Unsupported {
            format: FORMAT,
            what: ImageFeature::Version { version: version.into() },
        }),
        (None, ..) => Err(damaged(FORMAT, ImageFault::NoHeader)),
    }
}

/// A part of the file, from a byte on to before another.
#[derive(Clone, Copy)]
struct Region {
    start: u64,
    end: u64,
}

impl Region {
    fn new(start: u64, length: u64) -> Result<Self, ProbeError> {
        let end = start.checked_add(length);
        end.map(|end| Self { start, end }).ok_or_else(|| damaged(FORMAT, ImageFault::RegionNowhere))
    }

    /// As `vhdx_region_check` has it.
    fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

struct Regions {
    all: Vec<Region>,
    metadata: Region,
    blocks: Region,
}

impl Regions {
    /// Reads the first region table: the second is a copy that QEMU never looks at.
    fn read(file: &impl ReadAt, log: Region) -> Result<Self, ProbeError> {
        let table = file.exactly(192 * KIB, 64 << 10)?;
        if !table.starts_with(b"regi") || !checksum_fits(&table) {
            return Err(damaged(FORMAT, ImageFault::RegionTable));
        }
        let count = table.le32(8) as usize;
        if count > MAX_REGIONS {
            return Err(damaged(FORMAT, ImageFault::Regions { count }));
        }
        let (mut all, mut metadata, mut blocks) = (vec![log], None, None);
        for entry in (0..count).map(|n| 16 + n * 32) {
            let region = Region::new(table.le64(entry + 16), table.le32(entry + 24).into())?;
            if all.iter().any(|other| region.overlaps(*other)) {
                return Err(damaged(FORMAT, ImageFault::RegionsOverlap));
            }
            all.push(region);
            let known = match table.array::<16>(entry) {
                METADATA => &mut metadata,
                BAT => &mut blocks,
                _ if table.le32(entry + 28) & 1 != 0 => {
                    let what = ImageFeature::Region;
                    return Err(ProbeError::Unsupported { format: FORMAT, what });
                }
                _ => continue,
            };
            if known.replace(region).is_some() {
                return Err(damaged(FORMAT, ImageFault::RegionTwice));
            }
        }
        match (metadata, blocks) {
            (Some(metadata), Some(blocks)) => Ok(Self { all, metadata, blocks }),
            (None, _) => Err(damaged(FORMAT, ImageFault::NoMetadata)),
            (_, None) => Err(damaged(FORMAT, ImageFault::NoBlockTable)),
        }
    }

    /// The block allocation table: it has a place for all of the disk, and what it names is there (`vhdx_check_bat_entries`).
    fn check_blocks(&self, file: &impl ReadAt, size: u64, block: u64) -> Result<(), ProbeError> {
        let (payload, file_size) = (size.div_ceil(block), file.size()?.next_multiple_of(512));
        // An entry for a bitmap of sectors stands behind each chunk but the last: 2^23 sectors.
        let chunk = (512 << 23) / block;
        let entries = payload + (payload - 1) / chunk;
        if entries > (self.blocks.end - self.blocks.start) / 8 {
            return Err(damaged(FORMAT, ImageFault::BlockTableSize { bytes: size }));
        }
        let mut before = 0;
        pieces(file, self.blocks.start, entries * 8, |piece| {
            for entry in piece.as_chunks::<8>().0.iter().map(|e| u64::from_le_bytes(*e)) {
                // The last block may be a part of one.
                let length = size.checked_sub(before).map_or(block, |left| left.min(block));
                before += block;
                // Fully present.
                if entry & 7 != 6 {
                    continue;
                }
                let at = entry & !(MIB - 1);
                let present = at < file_size && at.checked_add(length).is_some_and(|end| end <= file_size);
                if !present || at > i64::MAX.unsigned_abs() - block {
                    return Err(damaged(FORMAT, ImageFault::BlockBeyondEnd));
                }
                if self.all.iter().any(|other| Region { start: at, end: at + block }.overlaps(*other)) {
                    return Err(damaged(FORMAT, ImageFault::BlockInMetadata));
                }
            }
            Ok(())
        })
    }
}

/// The table of metadata.
struct Metadata {
    start: u64,
    /// The items that are known, with their offsets from the region's start.
    items: Vec<([u8; 16], u32)>,
}

impl Metadata {
    fn read(file: &impl ReadAt, start: u64) -> Result<Self, ProbeError> {
        let table = file.exactly(start, 64 << 10)?;
        if !table.starts_with(b"metadata") {
            return Err(damaged(FORMAT, ImageFault::NoMetadataTable));
        }
        let count = usize::from(table.le16(10));
        if count > 2047 {
            return Err(damaged(FORMAT, ImageFault::MetadataEntries { count }));
        }
        let mut found = Self { start, items: Vec::new() };
        for entry in (0..count).map(|n| 32 + n * 32) {
            let item = table.array::<16>(entry);
            if REQUIRED.contains(&item) || item == PARENT_LOCATOR {
                if found.offset(item).is_some() {
                    return Err(damaged(FORMAT, ImageFault::MetadataTwice));
                }
                found.items.push((item, table.le32(entry + 16)));
            } else if table.le32(entry + 24) & 4 != 0 {
                let what = ImageFeature::Metadata;
                return Err(ProbeError::Unsupported { format: FORMAT, what });
            }
        }
        match REQUIRED.iter().all(|item| found.offset(*item).is_some()) {
            true => Ok(found),
            false => Err(damaged(FORMAT, ImageFault::MetadataMissing)),
        }
    }

    fn offset(&self, item: [u8; 16]) -> Option<u32> {
        self.items.iter().find(|(known, _)| *known == item).map(|(_, offset)| *offset)
    }

    fn item(&self, file: &impl ReadAt, item: [u8; 16], length: usize) -> Result<Vec<u8>, ProbeError> {
        let at = self.offset(item).and_then(|offset| self.start.checked_add(offset.into()));
        let at = at.ok_or_else(|| damaged(FORMAT, ImageFault::MetadataNowhere))?;
        Ok(file.exactly(at, length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, probe_import};
    use super::*;

    /// A change to the image before its checksums are made.
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

    const ITEMS: usize = 3 << 20;
    const BLOCKS: usize = 2 << 20;

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    /// 6 MiB in blocks of 2 MiB, the second of which is there.
    fn image(change: Change<'_>) -> Vec<u8> {
        let mut image = vec![0; 6 << 20];
        put(&mut image, 0, b"vhdxfile");
        for (n, at) in [64 << 10, 128 << 10].into_iter().enumerate() {
            put(&mut image, at, b"head");
            put(&mut image, at + 8, &[u8::try_from(n).expect("two"), 1]);
            put(&mut image, at + 66, &[1]);
            put(&mut image, at + 68, &(1u32 << 20).to_le_bytes());
            put(&mut image, at + 72, &(1u64 << 20).to_le_bytes());
        }
        for (n, (region, at)) in [(BAT, BLOCKS), (METADATA, ITEMS)].into_iter().enumerate() {
            let entry = (192 << 10) + 16 + n * 32;
            put(&mut image, entry, &region);
            put(&mut image, entry + 16, &(at as u64).to_le_bytes());
            put(&mut image, entry + 24, &(1u32 << 20).to_le_bytes());
            put(&mut image, entry + 28, &[1]);
        }
        put(&mut image, 192 << 10, b"regi\0\0\0\0\x02");
        put(&mut image, ITEMS, b"metadata\0\0\x05");
        for (n, item) in REQUIRED.into_iter().enumerate() {
            put(&mut image, ITEMS + 32 + n * 32, &item);
            put(&mut image, ITEMS + 48 + n * 32, &(65536 + n as u32 * 16).to_le_bytes());
            put(&mut image, ITEMS + 56 + n * 32, &[4]);
        }
        let values = [(0, 2u64 << 20), (16, 6 << 20), (48, 512), (64, 4096)];
        for (at, value) in values {
            put(&mut image, ITEMS + 65536 + at, &value.to_le_bytes());
        }
        put(&mut image, BLOCKS + 8, &((4u64 << 20) | 6).to_le_bytes());
        change(&mut image);
        for (at, length) in [(64 << 10, 4096), (128 << 10, 4096), (192 << 10, 64 << 10)] {
            let Some(block) = image.get_mut(at..at + length) else { continue };
            block[4..8].fill(0);
            let crc =
                block.iter().fold(u32::MAX, |c, b| (c >> 8) ^ TABLE[usize::from(c.to_le_bytes()[0] ^ b)]);
            put(block, 4, &(!crc).to_le_bytes());
        }
        image
    }

    fn with(at: usize, bytes: &[u8]) -> Result<u64, String> {
        let image = image(&|image| put(image, at, bytes));
        probe_import(&Bytes(&image), Some(FORMAT)).map(|h| h.virtual_size).map_err(|e| e.to_string())
    }

    #[test]
    fn what_qemu_refuses_to_open_is_refused() {
        assert_eq!(with(0, b"v"), Ok(6 << 20));
        assert_eq!(with(ITEMS + 10, &[6]), Ok(6 << 20), "an entry that nobody knows and nobody needs");
        let (second, entry, later) = (128 << 10, (192 << 10) + 16, ITEMS + 65536);
        let cases: [(usize, &[u8], &str); 25] = [
            (second + 64, &[1], "version 1 of the log"),
            (second + 72, &[1], "a log at"),
            (second + 74, &[0], "a log at 0"),
            (second + 48, &[1], "journal"),
            (192 << 10, b"x", "region table"),
            ((192 << 10) + 8, &[65], "65 regions"),
            ((192 << 10) + 8, &[1], "no region of metadata"),
            (entry, &[0], "later version"),
            (entry + 16, &[0, 0, 0x10], "overlap"),
            (entry + 16, &[0, 0, 0x30], "overlap"),
            (entry + 16, &[0xff; 8], "lies nowhere"),
            (entry + 32, &BAT, "twice"),
            (ITEMS, b"x", "table of metadata"),
            (ITEMS + 10, &[4], "missing"),
            (ITEMS + 32, &VIRTUAL_SIZE, "twice"),
            (ITEMS + 32, &PARENT_LOCATOR, "missing"),
            (ITEMS + 32, &[0], "later version"),
            (later + 4, &[2], "overlay"),
            (later, &[1], "blocks of"),
            (later + 18, &[0], "0 bytes"),
            (later + 16, &[1], "whole"),
            (later + 48, &[0, 0x10], "sectors of 4096"),
            (BLOCKS + 10, &[0x50], "beyond its end"),
            (BLOCKS + 10, &[0x30], "in its metadata"),
            (BLOCKS + 15, &[0x80], "beyond its end"),
        ];
        for (at, bytes, word) in cases {
            let said = with(at, bytes).expect_err(word);
            assert!(said.contains(word), "{at:#x}: {said}");
        }
    }

    #[test]
    fn a_parents_locator_makes_it_an_overlay() {
        let image = image(&|image| {
            put(image, ITEMS + 10, &[6]);
            put(image, ITEMS + 32 + 5 * 32, &PARENT_LOCATOR);
        });
        let said = probe_import(&Bytes(&image), None).expect_err("refused").to_string();
        assert!(said.contains("overlay"), "{said}");
    }

    #[test]
    fn the_header_that_counts_is_the_one_that_qemu_takes() {
        // The log of the first one is wrong: only the second counts.
        assert_eq!(with((64 << 10) + 72, &[1]), Ok(6 << 20));
        assert!(with((64 << 10) + 8, &[9]).is_ok(), "the first one counts");
        let same = |n: u8| {
            move |image: &mut Vec<u8>| {
                put(image, (64 << 10) + 8, &[1]);
                put(image, (64 << 10) + 16, &[n]);
            }
        };
        let read = |image: &[u8]| probe_import(&Bytes(image), None).map(|h| h.virtual_size);
        assert_eq!(read(&image(&same(0))).expect("the same twice"), 6 << 20);
        assert!(read(&image(&same(1))).expect_err("refused").to_string().contains("contradict"));
        assert!(with(second_version(), &[2]).is_ok(), "the first one counts");
        let neither = image(&|image| {
            put(image, (64 << 10) + 66, &[2]);
            put(image, second_version(), &[2]);
        });
        assert!(read(&neither).expect_err("refused").to_string().contains("version 2"));
        // The copy of the region table does not stand in for it.
        let mut copied = image(&|_| ());
        copied.copy_within((192 << 10)..(256 << 10), 256 << 10);
        copied[(192 << 10) + 100] ^= 1;
        assert!(read(&copied).expect_err("refused").to_string().contains("region table"));
    }

    fn second_version() -> usize {
        (128 << 10) + 66
    }
}
