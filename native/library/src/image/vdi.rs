//! VirtualBox's VDI (QEMU's `block/vdi.c`).

use super::read::Numbers;
use super::{Header, ProbeError, ReadAt, damaged};
use crate::block::SourceFormat::Vdi as FORMAT;

const SIGNATURE: u32 = 0xbeda_107f;

pub(super) fn is_vdi(head: &[u8]) -> bool {
    head.le32(0x40) == SIGNATURE
}

pub(super) fn read(file: &impl ReadAt) -> Result<Header, ProbeError> {
    let head = file.exactly(0, 512)?;
    if !is_vdi(&head) {
        return Err(damaged(FORMAT, "its signature is wrong"));
    }
    let version = head.le32(0x44);
    if version != 0x0001_0001 {
        let what = format!("version {}.{}", version >> 16, version & 0xffff);
        return Err(ProbeError::Unsupported { format: FORMAT, what });
    }
    let (size, block, blocks) = (head.le64(0x170), head.le32(0x178), head.le32(0x180));
    if block != 1 << 20 || head.le32(0x168) != 512 {
        return Err(ProbeError::Unsupported { format: FORMAT, what: format!("blocks of {block} bytes") });
    }
    if size > u64::from(block) * u64::from(blocks) {
        return Err(damaged(FORMAT, format!("{size} bytes do not fit into {blocks} blocks")));
    }
    let mut header = Header::new(FORMAT, size.next_multiple_of(512));
    let is_set = |at: usize| head.array::<16>(at) != [0; 16];
    match head.le32(0x4c) {
        1 | 2 if !is_set(0x1a8) && !is_set(0x1b8) => {}
        // A differencing image names its parent by its UUID.
        1 | 2 | 4 => {
            header.backing_file = Some(format!("UUID {:032x}", u128::from_le_bytes(head.array(0x1a8))))
        }
        kind => {
            return Err(ProbeError::Unsupported { format: FORMAT, what: format!("the image type {kind}") });
        }
    }
    Ok(header)
}
