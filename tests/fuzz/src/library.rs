//! Images, archives and descriptions of machines from elsewhere.

use crate::Source;
use sampan_library::image::{
    Content, MAX_VIRTUAL_SIZE, ReadAt, identify, probe_import, read_header, recognise,
};
use sampan_library::{
    Contents, DescriptionFault, ImportPlan, Manifest, SourceFormat, TarReader, check_member, parse_ovf,
    parse_utm,
};
use std::io::Read;
use std::path::Path;

/// A file with holes, of a few pieces.
struct Sparse {
    pieces: Vec<(u64, Vec<u8>)>,
    size: u64,
}

impl Sparse {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        self.size = self.size.max(at + bytes.len() as u64);
        self.pieces.push((at, bytes.to_vec()));
    }
}

impl ReadAt for Sparse {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let length =
            usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        buffer[..length].fill(0);
        let end = offset.saturating_add(length as u64);
        for (at, bytes) in &self.pieces {
            let (from, to) = (offset.max(*at), end.min(at + bytes.len() as u64));
            if from < to {
                let place = |p: u64, base: u64| usize::try_from(p - base).unwrap_or(usize::MAX);
                buffer[place(from, offset)..place(to, offset)]
                    .copy_from_slice(&bytes[place(from, *at)..place(to, *at)]);
            }
        }
        Ok(length)
    }

    fn size(&self) -> std::io::Result<u64> {
        Ok(self.size)
    }
}

const FORMATS: [SourceFormat; 6] = [
    SourceFormat::Qcow2,
    SourceFormat::Raw,
    SourceFormat::Vmdk,
    SourceFormat::Vdi,
    SourceFormat::Vhdx,
    SourceFormat::Vpc,
];

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    !crc
}

/// Makes the checksums fit, so that what they protect is reached, too.
fn seal(file: &mut Sparse, format: SourceFormat) {
    let blocks: &[(u64, usize)] = match format {
        SourceFormat::Vhdx => &[(64 << 10, 4096), (192 << 10, 64 << 10)],
        SourceFormat::Vpc => &[(file.size.saturating_sub(512), 512), (512, 1024)],
        _ => return,
    };
    for &(at, length) in blocks {
        let Ok(mut block) = file.up_to(at, length) else { continue };
        if block.len() < length {
            continue;
        }
        if format == SourceFormat::Vhdx {
            block[4..8].fill(0);
            file.put(at + 4, &crc32c(&block).to_le_bytes());
        } else {
            let field = if length == 512 { 64 } else { 36 };
            block[field..field + 4].fill(0);
            let sum = block.iter().fold(0u32, |sum, b| sum.wrapping_add(u32::from(*b)));
            file.put(at + field as u64, &(!sum).to_be_bytes());
        }
    }
}

/// Any header: it is refused, or what it says is within bounds; what may be imported needs nothing but its file.
pub(crate) fn image_headers(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.u8();
    let format = FORMATS[usize::from(choice) % FORMATS.len()];
    let mut file = Sparse { pieces: Vec::new(), size: 0 };
    while !source.is_empty() && file.pieces.len() < 32 {
        let (at, length) = (u64::from(source.u32()), usize::from(source.u16()));
        file.put(at, source.bytes(length));
    }
    if choice < 128 {
        seal(&mut file, format);
    }
    if let Ok(header) = read_header(&file, format) {
        assert!(header.virtual_size <= MAX_VIRTUAL_SIZE);
        let names = header.backing_file.iter().chain(&header.backing_format).chain(&header.external_data);
        assert!(names.into_iter().all(|n| !n.contains(char::is_control) && n.len() <= 1000));
    }
    let _ = recognise(&file);
    for said in [None, Some(format)] {
        if let Ok(header) = probe_import(&file, said) {
            assert!(
                header.backing_file.is_none()
                    && header.external_data.is_empty()
                    && header.encryption.is_none()
            );
            let raw = said.is_none() && header.format == SourceFormat::Raw;
            assert!(!raw || matches!(identify(&file), Ok(Content::Disk)), "raw is what shows a disk");
        }
    }
}

/// Any archive: its names stay below their folder, and no more is read than there is.
pub(crate) fn tar(data: &[u8]) {
    let mut reader = TarReader::new(data);
    let mut read = 0;
    while let Ok(Some(member)) = reader.next_member() {
        if !member.folder {
            check_member(&member.name).expect("a name that stays below its folder");
        }
        if member.stored < member.size {
            // Holes may be as large as they like.
            let mut bytes = Vec::new();
            let _ = reader.by_ref().take(1 << 16).read_to_end(&mut bytes);
            assert!(bytes.len() as u64 <= member.size);
        } else if member.size % 3 == 0 {
            let mut bytes = Vec::new();
            let _ = reader.read_to_end(&mut bytes);
            read += bytes.len();
        } else {
            read += reader.small_member(1 << 16).map_or(0, |b| b.len());
        }
    }
    assert!(read <= data.len());
}

/// Any manifest: refused, or read again as it is written.
pub(crate) fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data, Path::new("manifest.json")) {
        let text = serde_json::to_vec(&manifest).expect("it serialises");
        let again = Manifest::parse(&text, Path::new("manifest.json")).expect("it reads what it writes");
        assert_eq!(again, manifest);
    }
}

/// Any first member of a `.sampanvm` file.
pub(crate) fn sampanvm(data: &[u8]) {
    if let Ok(contents) = Contents::parse(data) {
        let text = serde_json::to_vec(&contents).expect("it serialises");
        assert_eq!(Contents::parse(&text), Ok(contents));
    }
}

fn plan(plan: Result<ImportPlan, DescriptionFault>) {
    let Ok(plan) = plan else { return };
    for disk in &plan.disks {
        check_member(&disk.file).expect("a file below its folder");
    }
    assert!(plan.disks.len() <= 64 && plan.nics.len() <= 64 && plan.notes.len() <= 64);
    let mut notes = plan.notes.iter().map(ToString::to_string);
    assert!(notes.all(|n| n.len() <= 1200 && !n.contains(char::is_control)));
    assert!(plan.name.iter().all(|n| sampan_library::check_name(n).is_ok()));
    assert!(plan.nics.iter().flat_map(|n| &n.mac).all(|m| m.len() == 17));
}

/// Any `config.plist`.
pub(crate) fn utm(data: &[u8]) {
    plan(parse_utm(&String::from_utf8_lossy(data)));
}

/// Any `.ovf`.
pub(crate) fn ovf(data: &[u8]) {
    plan(parse_ovf(&String::from_utf8_lossy(data)));
}
