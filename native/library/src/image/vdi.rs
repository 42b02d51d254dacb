//! VirtualBox's VDI (QEMU's `block/vdi.c`, `vdi_open`).

use super::read::Numbers;
use super::{Header, ImageFault, ImageFeature, ProbeError, ReadAt, damaged};
use crate::format::SourceFormat::Vdi as FORMAT;

const SIGNATURE: u32 = 0xbeda_107f;
/// The only size of a block that QEMU reads, in bytes.
const BLOCK: u32 = 1 << 20;
/// The most blocks (`VDI_BLOCKS_IN_IMAGE_MAX`).
const MAX_BLOCKS: u32 = 0x1fff_ff80;

pub(super) fn is_vdi(head: &[u8]) -> bool {
    head.le32(0x40) == SIGNATURE
}

pub(super) fn read(file: &impl ReadAt) -> Result<Header, ProbeError> {
    let head = file.exactly(0, 512)?;
    if !is_vdi(&head) {
        return Err(damaged(FORMAT, ImageFault::Signature));
    }
    let version = head.le32(0x44);
    if version != 0x0001_0001 {
        let what = ImageFeature::VersionOfTwo { version: version >> 16, minor: version & 0xffff };
        return Err(ProbeError::Unsupported { format: FORMAT, what });
    }
    let (size, block, blocks) = (head.le64(0x170), head.le32(0x178), head.le32(0x180));
    if block != BLOCK || head.le32(0x168) != 512 {
        return Err(ProbeError::Unsupported { format: FORMAT, what: ImageFeature::Blocks { bytes: block } });
    }
    if blocks > MAX_BLOCKS || size > u64::from(block) * u64::from(blocks) {
        return Err(damaged(FORMAT, ImageFault::Blocks { bytes: size, blocks }));
    }
    let (map, data) = (head.le32(0x154), head.le32(0x158));
    if !map.is_multiple_of(512) || !data.is_multiple_of(512) {
        return Err(damaged(FORMAT, ImageFault::Places { map, data }));
    }
    if file.size()? < u64::from(map) + 4 * u64::from(blocks) {
        return Err(damaged(FORMAT, ImageFault::EndsInMap));
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
            return Err(ProbeError::Unsupported { format: FORMAT, what: ImageFeature::ImageType { kind } });
        }
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, probe_import};
    use super::*;

    /// Four blocks, none of them there.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 1024];
        let numbers = [
            (0x40, SIGNATURE),
            (0x44, 0x0001_0001),
            (0x4c, 1),
            (0x154, 512),
            (0x158, 1024),
            (0x168, 512),
            (0x170, 4 << 20),
            (0x178, BLOCK),
            (0x180, 4),
        ];
        for (at, value) in numbers {
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        image[512..].fill(0xff);
        image
    }

    #[test]
    fn what_qemu_refuses_to_open_is_refused() {
        assert_eq!(probe_import(&Bytes(&image()), None).expect("sound").virtual_size, 4 << 20);
        let cases: [(usize, &[u8], &str); 12] = [
            (0x44, &[2], "version 1.2"),
            (0x4c, &[3], "image type 3"),
            (0x4c, &[4], "overlay"),
            (0x154, &[1], "start sectors"),
            (0x158, &[1], "start sectors"),
            (0x168, &[1], "blocks of"),
            (0x170, &[1], "do not fit"),
            (0x178, &[1], "blocks of"),
            (0x180, &[0xff, 0xff, 0xff, 0x1f], "do not fit"),
            (0x180, &[0, 1], "not complete"),
            (0x1a8, &[1], "overlay"),
            (0x1b8, &[1], "overlay"),
        ];
        for (at, bytes, word) in cases {
            let mut wrong = image();
            wrong[at..at + bytes.len()].copy_from_slice(bytes);
            let said = probe_import(&Bytes(&wrong), None).expect_err("refused").to_string();
            assert!(said.contains(word), "{at:#x}: {said}");
        }
    }
}
