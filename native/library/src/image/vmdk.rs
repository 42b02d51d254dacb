//! VMware's VMDK: a sparse extent with its descriptor inside, or a descriptor alone (the "Virtual Disk Format" note;
//! QEMU's `block/vmdk.c`).

use super::read::Numbers;
use super::{Header, ProbeError, ReadAt, damaged, printable};
use crate::block::SourceFormat::Vmdk as FORMAT;

const SECTOR: u64 = 512;
/// Descriptors have some 600 bytes; VMware reserves 20 sectors for one inside an extent.
const MAX_DESCRIPTOR: usize = 64 << 10;
const AT_END: u64 = u64::MAX;

pub(super) fn is_descriptor(head: &[u8]) -> bool {
    let mark = b"# Disk DescriptorFile";
    head.get(..mark.len()).is_some_and(|h| h.eq_ignore_ascii_case(mark))
}

pub(super) fn read(file: &impl ReadAt) -> Result<Header, ProbeError> {
    let head = file.up_to(0, 512)?;
    if is_descriptor(&head) {
        let text = file.up_to(0, MAX_DESCRIPTOR + 1)?;
        if text.len() > MAX_DESCRIPTOR {
            return Err(damaged(FORMAT, "its descriptor has no end"));
        }
        let descriptor = Descriptor::parse(&text)?;
        let mut header = descriptor.header(descriptor.sectors)?;
        // Alone, it has no data of its own.
        header.external_data = descriptor.extents;
        if header.external_data.is_empty() {
            return Err(damaged(FORMAT, "its descriptor names no extent"));
        }
        return Ok(header);
    }
    if head.len() < 512 || !head.starts_with(b"KDMV") {
        return Err(damaged(FORMAT, "it begins neither with KDMV nor with a descriptor"));
    }
    sparse(file, &head)
}

fn sparse(file: &impl ReadAt, head: &[u8]) -> Result<Header, ProbeError> {
    let version = head.le32(4);
    if !(1..=3).contains(&version) {
        return Err(ProbeError::Unsupported { format: FORMAT, what: format!("version {version}") });
    }
    let (capacity, grain) = (head.le64(12), head.le64(20));
    if !grain.is_power_of_two() || !(8..=1 << 16).contains(&grain) {
        return Err(damaged(FORMAT, format!("grains of {grain} sectors")));
    }
    if head.le64(56) == AT_END {
        // A stream-optimised image: the header that counts is the second last sector but one.
        let at = file
            .size()?
            .checked_sub(3 * SECTOR)
            .ok_or_else(|| damaged(FORMAT, "it ends before its footer"))?;
        let footer = file.exactly(at, 3 * 512)?;
        if footer.get(512..516) != Some(b"KDMV") || footer.le32(8) != 0 || footer.le32(12) != 3 {
            return Err(damaged(FORMAT, "its footer is missing: the file is not complete"));
        }
        if footer.le64(512 + 12) != capacity {
            return Err(damaged(FORMAT, "its footer names another size than its header"));
        }
    }
    let (offset, sectors) = (head.le64(28), head.le64(36));
    // One of several files of a disk has no descriptor, or an empty one: alone it is a slice of a disk.
    let part =
        || ProbeError::ExternalData(vec!["its descriptor is another file: this is a part of a disk".into()]);
    if offset == 0 || sectors == 0 {
        return Err(part());
    }
    if sectors > (MAX_DESCRIPTOR as u64) / SECTOR {
        return Err(damaged(FORMAT, format!("a descriptor of {sectors} sectors")));
    }
    let at = offset.checked_mul(SECTOR).ok_or_else(|| damaged(FORMAT, "its descriptor lies nowhere"))?;
    let text = file.exactly(at, usize::try_from(sectors * SECTOR).unwrap_or(MAX_DESCRIPTOR))?;
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let descriptor = Descriptor::parse(text)?;
    let mut header = descriptor.header(capacity)?;
    match descriptor.extents.len() {
        0 => return Err(part()),
        1 => {}
        _ => header.external_data = descriptor.extents,
    }
    Ok(header)
}

#[derive(Default)]
struct Descriptor {
    sectors: u64,
    extents: Vec<String>,
    parent: Option<String>,
    encrypted: bool,
}

impl Descriptor {
    fn parse(text: &[u8]) -> Result<Self, ProbeError> {
        let mut found = Self::default();
        let (mut parent_cid, mut hint) = (false, None);
        for line in text.split(|b| matches!(b, b'\n' | b'\r')) {
            let line = line.trim_ascii();
            let lower = line.to_ascii_lowercase();
            if let Some((key, value)) = split_once(line, b'=') {
                let value = value.trim_ascii();
                match key.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"parentcid" => parent_cid = !value.eq_ignore_ascii_case(b"ffffffff"),
                    b"parentfilenamehint" => hint = Some(printable(unquoted(value))),
                    key if key.starts_with(b"encryption") => found.encrypted = true,
                    _ => {}
                }
            } else if [&b"rw "[..], b"rdonly ", b"noaccess "].iter().any(|a| lower.starts_with(a)) {
                found.extent(line)?;
            }
        }
        found.parent = match (parent_cid, hint) {
            (_, Some(hint)) => Some(hint),
            (true, None) => Some("a parent that is not named".into()),
            (false, None) => None,
        };
        Ok(found)
    }

    /// `RW 4192256 SPARSE "disk.vmdk"`, `RW 2048 FLAT "disk-flat.vmdk" 0`, `RW 63 ZERO`.
    fn extent(&mut self, line: &[u8]) -> Result<(), ProbeError> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).skip(1);
        let number =
            words.next().and_then(|w| std::str::from_utf8(w).ok()).and_then(|w| w.parse::<u64>().ok());
        let number = number.ok_or_else(|| damaged(FORMAT, "an extent without a size"))?;
        self.sectors = self.sectors.saturating_add(number);
        let name = line.splitn(3, |b| *b == b'"').nth(1).map_or_else(|| "no file".to_owned(), printable);
        if self.extents.len() >= 256 {
            return Err(damaged(FORMAT, "more than 256 extents"));
        }
        self.extents.push(name);
        Ok(())
    }

    fn header(&self, sectors: u64) -> Result<Header, ProbeError> {
        let size =
            sectors.checked_mul(SECTOR).ok_or_else(|| damaged(FORMAT, format!("{sectors} sectors")))?;
        let mut header = Header::new(FORMAT, size);
        header.backing_file.clone_from(&self.parent);
        header.encryption = self.encrypted.then(|| "VMware's encryption".to_owned());
        Ok(header)
    }
}

fn split_once(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = line.iter().position(|b| *b == at)?;
    Some((line.get(..found)?, line.get(found + 1..)?))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}
