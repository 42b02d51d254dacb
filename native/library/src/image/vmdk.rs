//! VMware's VMDK: a sparse extent with its descriptor inside, or a descriptor alone (the "Virtual Disk Format" note;
//! QEMU's `block/vmdk.c`).
//!
//! A descriptor names files, and QEMU opens them. So the only images that are taken are those in which QEMU opens none:
//! one sparse extent whose header has a capacity. Everything that QEMU reads of such a file is read here at the same
//! place, which is not always the place that the header tells.

use super::read::Numbers;
use super::{Header, ImageFault, ImageFeature, ProbeError, ReadAt, damaged, printable};
use crate::format::SourceFormat::Vmdk as FORMAT;

const SECTOR: u64 = 512;
/// A descriptor in a file of its own has some 600 bytes.
const MAX_DESCRIPTOR: usize = 64 << 10;
/// Where QEMU reads the descriptor inside an extent (`desc_offset` in `vmdk_open`), and how much (`DESC_SIZE`).
const INSIDE_AT: u64 = SECTOR;
const INSIDE_SIZE: usize = 20 * 512;
/// The grain directory's offset in a stream-optimised image: a footer tells it.
const AT_END: u64 = u64::MAX;
/// Bit 1 of the flags: there is a second grain directory.
const REDUNDANT: u32 = 1 << 1;
/// The most entries of a grain directory (`vmdk_add_extent`).
const MAX_DIRECTORY: u64 = 32 << 20;

pub(super) fn is_descriptor(head: &[u8]) -> bool {
    let mark = b"# Disk DescriptorFile";
    head.get(..mark.len()).is_some_and(|h| h.eq_ignore_ascii_case(mark))
}

pub(super) fn read(file: &impl ReadAt) -> Result<Header, ProbeError> {
    let head = file.up_to(0, 512)?;
    if is_descriptor(&head) {
        let text = file.up_to(0, MAX_DESCRIPTOR + 1)?;
        if text.len() > MAX_DESCRIPTOR {
            return Err(damaged(FORMAT, ImageFault::NoDescriptorEnd));
        }
        let descriptor = Descriptor::parse(&text)?;
        let sectors = descriptor.extents.iter().fold(0u64, |sum, e| sum.saturating_add(e.sectors));
        let mut header = descriptor.header(sectors)?;
        // Alone, it has no data of its own.
        header.external_data = descriptor.names();
        if header.external_data.is_empty() {
            return Err(damaged(FORMAT, ImageFault::NoExtent));
        }
        return Ok(header);
    }
    if head.len() < 512 || !head.starts_with(b"KDMV") {
        return Err(damaged(FORMAT, ImageFault::NoVmdkSignature));
    }
    sparse(file, &head)
}

fn sparse(file: &impl ReadAt, head: &[u8]) -> Result<Header, ProbeError> {
    let (capacity, size) = (head.le64(12), file.size()?);
    if capacity == 0 {
        // QEMU then takes the descriptor for the image, wherever its offset points, and opens what it names.
        return Err(damaged(FORMAT, ImageFault::NoCapacity));
    }
    if head.le64(56) == AT_END {
        // The second last sector has the header that counts, the whole of it; markers stand around it.
        let at = size.checked_sub(3 * SECTOR).filter(|at| at.is_multiple_of(SECTOR));
        let at = at.ok_or_else(|| damaged(FORMAT, ImageFault::NotEndingWithFooter))?;
        let footer = file.exactly(at, 3 * 512)?;
        let ends = footer.le64(1024) == 0 && footer.le32(1032) == 0 && footer.le32(1036) == 0;
        if footer.get(512..516) != Some(b"KDMV") || footer.le32(8) != 0 || footer.le32(12) != 3 || !ends {
            return Err(damaged(FORMAT, ImageFault::FooterMissing));
        }
        if footer.le64(512 + 12) != capacity {
            return Err(damaged(FORMAT, ImageFault::FooterSize));
        }
        check_extent(footer.get(512..1024).unwrap_or_default(), size)?;
    } else {
        check_extent(head, size)?;
    }
    let (offset, sectors) = (head.le64(28), head.le64(36));
    // One of several files of a disk has no descriptor, or an empty one: alone it is a slice of a disk.
    let part =
        || ProbeError::ExternalData(vec!["its descriptor is another file: this is a part of a disk".into()]);
    if offset == 0 || sectors == 0 {
        return Err(part());
    }
    if offset != INSIDE_AT / SECTOR {
        let what = ImageFeature::DescriptorPlace { sector: offset };
        return Err(ProbeError::Unsupported { format: FORMAT, what });
    }
    if sectors > (MAX_DESCRIPTOR as u64) / SECTOR {
        return Err(damaged(FORMAT, ImageFault::DescriptorLength { sectors }));
    }
    let room = usize::try_from(sectors * SECTOR).unwrap_or(INSIDE_SIZE).min(INSIDE_SIZE);
    let text = file.up_to(INSIDE_AT, room)?;
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    if text.len() == room {
        // QEMU would read on in whatever follows.
        return Err(damaged(FORMAT, ImageFault::NoDescriptorEnd));
    }
    let descriptor = Descriptor::parse(text)?;
    if descriptor.extents.is_empty() {
        return Err(part());
    }
    let mut header = descriptor.header(capacity)?;
    if !matches!(descriptor.extents.as_slice(), [only] if only.is_this_file()) {
        header.external_data = descriptor.names();
    }
    if content_id(text, b"CID").is_none() || content_id(text, b"parentCID").is_none() {
        return Err(damaged(FORMAT, ImageFault::NoContentIds));
    }
    Ok(header)
}

/// Where the data of a sparse extent are. Its header, or its footer, has been checked.
pub(super) struct Sparse {
    /// Sectors that a guest sees.
    pub capacity: u64,
    /// Sectors of a grain.
    pub grain: u64,
    /// Entries of a grain table.
    pub entries: u64,
    /// The grain directory's first byte.
    pub directory: u64,
    /// Each grain is compressed, and has its length in front.
    pub compressed: bool,
}

/// Bit 16 of the flags: grains are compressed.
const COMPRESSED: u32 = 1 << 16;

/// The sparse extent in a file, or `None` for a descriptor alone.
pub(super) fn extent(file: &impl ReadAt) -> Result<Option<Sparse>, ProbeError> {
    let mut head = file.up_to(0, 512)?;
    if !head.starts_with(b"KDMV") {
        return Ok(None);
    }
    if head.le64(56) == AT_END {
        head = file.exactly(file.size()?.saturating_sub(2 * SECTOR), 512)?;
    }
    Ok(Some(Sparse {
        capacity: head.le64(12),
        grain: head.le64(20).max(1),
        entries: u64::from(head.le32(44)).max(1),
        directory: head.le64(56).saturating_mul(SECTOR),
        compressed: head.le32(8) & COMPRESSED != 0,
    }))
}

/// What `vmdk_open_vmdk4` asks of a header, or of the one in the footer, in a file of `size` bytes.
fn check_extent(header: &[u8], size: u64) -> Result<(), ProbeError> {
    let version = header.le32(4);
    if !(1..=3).contains(&version) {
        return Err(ProbeError::Unsupported { format: FORMAT, what: ImageFeature::Version { version } });
    }
    let (capacity, grain, entries) = (header.le64(12), header.le64(20), u64::from(header.le32(44)));
    if !grain.is_power_of_two() || !(8..=1 << 16).contains(&grain) {
        return Err(damaged(FORMAT, ImageFault::GrainSize { sectors: grain }));
    }
    if !(1..=512).contains(&entries) {
        return Err(damaged(FORMAT, ImageFault::GrainTable { entries }));
    }
    let compression = header.le16(77);
    if compression > 1 {
        return Err(ProbeError::Unsupported {
            format: FORMAT,
            what: ImageFeature::Compression { method: compression },
        });
    }
    // QEMU counts in 32 bits here.
    let directory = capacity.div_ceil(grain * entries);
    if directory > MAX_DIRECTORY {
        return Err(damaged(FORMAT, ImageFault::GrainDirectory { entries: directory }));
    }
    let sectors = size.div_ceil(SECTOR);
    let fits = |at: u64, bytes: u64| at.checked_add(bytes.div_ceil(SECTOR)).is_some_and(|end| end <= sectors);
    let second = header.le64(48);
    let second_fits = header.le32(8) & REDUNDANT == 0 || second == 0 || fits(second, directory * 4);
    if !fits(header.le64(56), directory * 4) || !second_fits || !fits(header.le64(64), 0) {
        return Err(damaged(FORMAT, ImageFault::EndsBeforeGrains));
    }
    Ok(())
}

struct Extent {
    sectors: u64,
    /// `SPARSE`, `FLAT`, `ZERO`, …
    kind: Vec<u8>,
    name: Option<String>,
}

impl Extent {
    /// Whether it is an extent like the one that the descriptor lies in. The name may be an older one of the same file;
    /// a path or something that QEMU takes for a protocol (`path_has_protocol`) never was one.
    fn is_this_file(&self) -> bool {
        let plain = |name: &String| !name.is_empty() && !name.contains(['/', ':']);
        self.kind.eq_ignore_ascii_case(b"SPARSE") && self.name.as_ref().is_some_and(plain)
    }
}

#[derive(Default)]
struct Descriptor {
    extents: Vec<Extent>,
    parent: Option<String>,
    encrypted: bool,
}

impl Descriptor {
    fn parse(text: &[u8]) -> Result<Self, ProbeError> {
        let mut found = Self::default();
        for line in text.split(|b| matches!(b, b'\n' | b'\r')) {
            let line = line.trim_ascii();
            let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            if [&b"RW"[..], b"RDONLY", b"NOACCESS"].iter().any(|access| word.eq_ignore_ascii_case(access)) {
                found.extent(line)?;
            } else if line.get(..10).is_some_and(|key| key.eq_ignore_ascii_case(b"encryption")) {
                found.encrypted = true;
            }
        }
        found.parent = parent(text);
        Ok(found)
    }

    /// `RW 4192256 SPARSE "disk.vmdk"`, `RW 2048 FLAT "disk-flat.vmdk" 0`, `RW 63 ZERO`.
    fn extent(&mut self, line: &[u8]) -> Result<(), ProbeError> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).skip(1);
        let number =
            words.next().and_then(|w| std::str::from_utf8(w).ok()).and_then(|w| w.parse::<u64>().ok());
        let sectors = number.ok_or_else(|| damaged(FORMAT, ImageFault::ExtentWithoutSize))?;
        if self.extents.len() >= 256 {
            return Err(damaged(FORMAT, ImageFault::Extents));
        }
        let kind = words.next().unwrap_or_default().to_vec();
        let name = line.splitn(3, |b| *b == b'"').nth(1).map(printable);
        self.extents.push(Extent { sectors, kind, name });
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.extents.iter().map(|e| e.name.clone().unwrap_or_else(|| "no file".into())).collect()
    }

    fn header(&self, sectors: u64) -> Result<Header, ProbeError> {
        let size =
            sectors.checked_mul(SECTOR).ok_or_else(|| damaged(FORMAT, ImageFault::Sectors { sectors }))?;
        let mut header = Header::new(FORMAT, size);
        header.backing_file.clone_from(&self.parent);
        header.encryption = self.encrypted.then(|| "VMware's encryption".to_owned());
        Ok(header)
    }
}

/// The parent that a descriptor names. QEMU looks for the words anywhere (`vmdk_parent_open`), in a comment, too.
fn parent(text: &[u8]) -> Option<String> {
    if let Some(at) = find(text, b"parentFileNameHint") {
        let rest = text.get(at..).unwrap_or_default();
        let name = rest.split(|b| *b == b'\n').next().unwrap_or_default().splitn(3, |b| *b == b'"').nth(1);
        return Some(name.map_or_else(|| "a parent".into(), printable));
    }
    let mut rest = text;
    while let Some(at) = find(rest, b"parentCID") {
        rest = rest.get(at..).unwrap_or_default();
        if content_id(rest, b"parentCID") != Some(u32::MAX) {
            return Some("a parent that is not named".into());
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    None
}

/// The number that QEMU reads behind the first `key` and one more character (`vmdk_read_cid`).
fn content_id(text: &[u8], key: &[u8]) -> Option<u32> {
    let at = text.windows(key.len()).position(|w| w == key)?;
    let value = text.get(at + key.len()..)?.strip_prefix(b"=")?;
    let end = value.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(value.len());
    let digits = std::str::from_utf8(value.get(..end)?).ok()?;
    // Nine digits do not fit.
    u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() <= 8)
}

/// Where `text` has `words`, in letters of either case.
fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|w| w.eq_ignore_ascii_case(words))
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, probe_import};
    use super::*;

    const EXTENT: &str = "RW 8192 SPARSE \"disk.vmdk\"";

    /// A sparse extent of 4 MiB as QEMU makes it, with these lines in its descriptor.
    fn image(extents: &str) -> Vec<u8> {
        described(&format!("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n{extents}\n"))
    }

    fn described(descriptor: &str) -> Vec<u8> {
        let mut image = vec![0; 64 << 10];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"KDMV\x01\0\0\0\x03\0\0\0");
        for (at, value) in [(12, 8192u64), (20, 128), (28, 1), (36, 20), (48, 21), (56, 26), (64, 128)] {
            put(at, &value.to_le_bytes());
        }
        put(44, &512u32.to_le_bytes());
        put(512, descriptor.as_bytes());
        image
    }

    fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut image = image(EXTENT);
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    }

    fn refused(image: &[u8]) -> String {
        let said = probe_import(&Bytes(image), Some(FORMAT)).expect_err("refused").to_string();
        assert_eq!(said, probe_import(&Bytes(image), None).expect_err("refused").to_string());
        said
    }

    #[test]
    fn an_extent_with_its_own_descriptor_is_read() {
        let header = probe_import(&Bytes(&image(EXTENT)), None).expect("sound");
        assert_eq!((header.format, header.virtual_size), (FORMAT, 4 << 20));
        probe_import(&Bytes(&image("RW 8192 SPARSE \"an older name.vmdk\"\r\n")), None).expect("renamed");
    }

    #[test]
    fn a_capacity_of_zero_hands_nothing_over_to_the_descriptor() {
        let mut hostile = image("createType=\"monolithicFlat\"\nRW 8192 FLAT \"/etc/shadow\" 0");
        hostile[12..20].fill(0);
        assert!(refused(&hostile).contains("capacity of 0"));
        // The descriptor in the header itself, behind its numbers.
        hostile[28..36].fill(0);
        hostile[80..100].copy_from_slice(b"RW 1 FLAT \"/etc/a\" 0");
        assert!(refused(&hostile).contains("capacity of 0"));
    }

    #[test]
    fn a_descriptor_elsewhere_or_none_is_refused() {
        for offset in [2u64, 20, 127, u64::MAX / 512, u64::MAX] {
            assert!(refused(&with(28, &offset.to_le_bytes())).contains("descriptor at sector"), "{offset}");
        }
        for at in [28, 36] {
            assert!(refused(&with(at, &0u64.to_le_bytes())).contains("part of a disk"));
        }
        assert!(refused(&with(36, &129u64.to_le_bytes())).contains("129 sectors"));
        // Only its first part is within the size that the header tells, or that QEMU reads.
        for (sectors, length) in [(1u64, 512), (20, 10240), (30, 12000)] {
            let mut long = described(&format!("CID=1\nparentCID=ffffffff\n{EXTENT}\n{}", "#".repeat(length)));
            long[36..44].copy_from_slice(&sectors.to_le_bytes());
            // Behind it, so that the extent is sound.
            long[48..72].copy_from_slice(&[100u64, 104, 128].map(u64::to_le_bytes).concat());
            assert!(refused(&long).contains("no end"), "{sectors}");
        }
    }

    #[test]
    fn an_extent_that_is_another_file_is_refused() {
        for line in [
            "RW 8192 FLAT \"/etc/shadow\" 0",
            "RW 8192 FLAT \"disk-flat.vmdk\" 0",
            "RW 8192 FLAT \"a=b\" 0",
            "rw\t8192\tFLAT\t\"a\"\t0",
            "RDONLY 8192 FLAT \"a\" 0",
            "RW 8192 VMFS \"a\"",
            "RW 8192 VMFSSPARSE \"a\"",
            "RW 8192 SESPARSE \"a\"",
            "RW 8192 VMFSRAW \"/dev/sda\"",
            "RW 8192 ZERO",
            "RW 8192 SPARSE",
            "RW 8192 SPARSE \"\"",
            "RW 8192 SPARSE \"/dev/sda\"",
            "RW 8192 SPARSE \"../disk.vmdk\"",
            "RW 8192 SPARSE \"/run/fifo\"",
            "RW 8192 SPARSE \"nbd:127.0.0.1:10809\"",
            "RW 8192 SPARSE \"nbd://host/export\"",
            "RW 8192 SPARSE \"http://host/disk\"",
            "RW 8192 SPARSE \"json:{}\"",
            "RW 4096 SPARSE \"a\"\nRW 4096 SPARSE \"b\"",
            "RW 8192 SPARSE \"a\"\r\nRW 4096 FLAT \"b\" 0",
        ] {
            assert!(refused(&image(line)).contains("other files"), "{line}");
        }
        assert!(refused(&image("")).contains("part of a disk"));
    }

    #[test]
    fn a_parent_is_found_wherever_qemu_finds_it() {
        for line in [
            "parentFileNameHint=\"/etc/shadow\"",
            "# parentFileNameHint=\"/etc/shadow\"",
            "ddb.x = \"parentFileNameHint=\"/etc/shadow\"\"",
            "parentCID=12345678",
            "ddb.parentCID=0",
        ] {
            assert!(refused(&image(&format!("{EXTENT}\n{line}"))).contains("overlay"), "{line}");
        }
        let changed = String::from_utf8(image(EXTENT)[512..700].to_vec()).expect("text");
        for (from, to) in
            [("CID=fffffffe", "CID=-"), ("CID=fffffffe", "CID=123456789"), ("parentCID=ffffffff", "")]
        {
            assert!(refused(&described(&changed.replacen(from, to, 1))).contains("CID"), "{to}");
        }
    }

    #[test]
    fn numbers_that_qemu_refuses_or_counts_otherwise_are_refused() {
        let cases: [(usize, &[u8]); 13] = [
            (4, &[0]),
            (4, &[4]),
            (20, &[0]),
            (20, &[129]),
            (44, &[0, 0]),
            (44, &[1, 2]),
            (77, &[2]),
            (12, &[0, 0, 0, 0, 0, 1]),
            (12, &[0xff; 8]),
            (56, &[0xff, 0xff, 0xff]),
            (56, &[0, 0, 0, 0, 0, 0, 0x80]),
            (48, &[0xff, 0xff]),
            (64, &[129]),
        ];
        for (at, bytes) in cases {
            refused(&with(at, bytes));
        }
    }

    #[test]
    fn the_footer_counts_in_place_of_the_header() {
        let mut stream = with(56, &[0xff; 8]);
        assert!(refused(&stream).contains("footer"));
        let header = image(EXTENT)[..512].to_vec();
        let mut marker = [0; 512];
        marker[12] = 3;
        let begins = stream.len();
        for part in [&marker[..], &header, &[0; 512]] {
            stream.extend_from_slice(part);
        }
        assert_eq!(probe_import(&Bytes(&stream), None).expect("sound").virtual_size, 4 << 20);
        // Version, capacity, entries, the directory in yet another footer, the marker's and the end's own numbers.
        for at in [516, 524, 556, 568 + 7, 8, 1024, 1032, 1036] {
            let mut wrong = stream.clone();
            wrong[begins + at] ^= 0xff;
            refused(&wrong);
        }
        stream.push(0);
        assert!(refused(&stream).contains("footer"));
    }
}
