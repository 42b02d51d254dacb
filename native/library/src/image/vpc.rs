//! Virtual PC's VHD (the "Virtual Hard Disk Image Format Specification"; QEMU calls it vpc).

use super::read::Numbers;
use super::{Header, ProbeError, ReadAt, damaged, printable};
use crate::block::SourceFormat::Vpc as FORMAT;

const MAGIC: &[u8] = b"conectix";

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
    let copy = || file.up_to(0, 512).map(|h| (h.len() == 512 && h.starts_with(MAGIC)).then_some(h));
    let footer = match footer(file)? {
        Some(footer) => footer,
        // The footer was cut off; a dynamic image has a copy in front.
        None => copy()?.ok_or_else(|| damaged(FORMAT, "it has no footer"))?,
    };
    if !checksum_fits(&footer, 64) {
        return Err(damaged(FORMAT, "the checksum of its footer is wrong"));
    }
    let (size, offset) = (footer.be64(48), footer.be64(16));
    let mut header = Header::new(FORMAT, size.checked_next_multiple_of(512).unwrap_or(u64::MAX));
    header.dirty = footer.get(84) == Some(&1);
    match footer.be32(60) {
        2 => {
            if file.size()? < size {
                return Err(damaged(FORMAT, format!("it ends before its {size} bytes")));
            }
        }
        kind @ (3 | 4) => {
            let sparse = file.exactly(offset, 1024)?;
            if !sparse.starts_with(b"cxsparse") || !checksum_fits(&sparse, 36) {
                return Err(damaged(FORMAT, "its second header is wrong"));
            }
            let (entries, block) = (sparse.be32(28), sparse.be32(32));
            if !block.is_power_of_two() || !(512..=256 << 20).contains(&block) {
                return Err(damaged(FORMAT, format!("blocks of {block} bytes")));
            }
            if size > u64::from(entries) * u64::from(block) {
                return Err(damaged(FORMAT, format!("{size} bytes do not fit into {entries} blocks")));
            }
            if kind == 4 {
                let name = sparse.get(64..576).unwrap_or_default();
                let units =
                    name.as_chunks::<2>().0.iter().map(|b| u16::from_be_bytes(*b)).take_while(|u| *u != 0);
                let name: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
                header.backing_file = Some(printable(name.as_bytes()));
            }
        }
        kind => {
            return Err(ProbeError::Unsupported { format: FORMAT, what: format!("the disk type {kind}") });
        }
    }
    Ok(header)
}
