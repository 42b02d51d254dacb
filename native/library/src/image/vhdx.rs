//! Hyper-V's VHDX (\[MS-VHDX\]).

use super::read::Numbers;
use super::{Header, ProbeError, ReadAt, damaged};
use crate::block::SourceFormat::Vhdx as FORMAT;

const KIB: u64 = 1 << 10;
/// GUIDs as they are stored: the first three fields little-endian (\[MS-VHDX\] 2.2.3.2, 2.6.2).
const METADATA: [u8; 16] = guid(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);
const BAT: [u8; 16] = guid(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
const FILE_PARAMETERS: [u8; 16] = guid(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
const VIRTUAL_SIZE: [u8; 16] = guid(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);

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
        return Err(damaged(FORMAT, "its signature is wrong"));
    }
    let head = current_header(file)?;
    if head.le16(66) != 1 {
        return Err(ProbeError::Unsupported { format: FORMAT, what: format!("version {}", head.le16(66)) });
    }
    let metadata = metadata_region(file)?;
    let table = file.exactly(metadata, 64 << 10)?;
    if !table.starts_with(b"metadata") {
        return Err(damaged(FORMAT, "it has no table of metadata"));
    }
    let count = usize::from(table.le16(10));
    if count > 2047 {
        return Err(damaged(FORMAT, format!("{count} entries of metadata")));
    }
    let item = |wanted: [u8; 16], length: usize| -> Result<Vec<u8>, ProbeError> {
        let at = (0..count).map(|n| 32 + n * 32).find(|at| table.array::<16>(*at) == wanted);
        let at = at.ok_or_else(|| damaged(FORMAT, "an entry of its metadata is missing"))?;
        let offset = metadata.checked_add(u64::from(table.le32(at + 16)));
        let offset = offset.ok_or_else(|| damaged(FORMAT, "an entry of its metadata lies nowhere"))?;
        Ok(file.exactly(offset, length)?)
    };
    let size = item(VIRTUAL_SIZE, 8)?.le64(0);
    let flags = item(FILE_PARAMETERS, 8)?.le32(4);
    let mut header = Header::new(FORMAT, size.checked_next_multiple_of(512).unwrap_or(u64::MAX));
    if flags & 2 != 0 {
        header.backing_file = Some("the parent of a differencing disk".into());
    }
    header.needs_replay = head.array::<16>(48) != [0; 16];
    Ok(header)
}

/// Of the two headers, the valid one with the higher sequence number.
fn current_header(file: &impl ReadAt) -> Result<Vec<u8>, ProbeError> {
    let mut valid = Vec::new();
    for at in [64 * KIB, 128 * KIB] {
        let head = file.up_to(at, 4096)?;
        if head.len() == 4096 && head.starts_with(b"head") && checksum_fits(&head) {
            valid.push(head);
        }
    }
    valid
        .into_iter()
        .max_by_key(|h| h.le64(8))
        .ok_or_else(|| damaged(FORMAT, "neither of its headers is valid"))
}

/// Where the metadata are, by the first valid of the two region tables.
fn metadata_region(file: &impl ReadAt) -> Result<u64, ProbeError> {
    for at in [192 * KIB, 256 * KIB] {
        let table = file.up_to(at, 64 << 10)?;
        if table.len() != 64 << 10 || !table.starts_with(b"regi") || !checksum_fits(&table) {
            continue;
        }
        let count = table.le32(8) as usize;
        if count > 2047 {
            return Err(damaged(FORMAT, format!("{count} regions")));
        }
        let mut found = None;
        for entry in (0..count).map(|n| 16 + n * 32) {
            match table.array::<16>(entry) {
                METADATA => found = Some(table.le64(entry + 16)),
                BAT => {}
                _ if table.le32(entry + 28) & 1 != 0 => {
                    let what = "a region of a later version".to_owned();
                    return Err(ProbeError::Unsupported { format: FORMAT, what });
                }
                _ => {}
            }
        }
        return found.ok_or_else(|| damaged(FORMAT, "it has no region of metadata"));
    }
    Err(damaged(FORMAT, "neither of its region tables is valid"))
}
