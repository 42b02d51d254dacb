//! What a file is, by its content: an image, a disk's own bytes, a CD, or something that people take for one of these.
//!
//! A name says nothing: a web page is saved as `debian.iso`, a qcow2 image is called `disk.img`. Magic numbers come from the
//! formats' own specifications; where none is published, from the Linux kernel's `include/uapi/linux/magic.h` and util-linux'
//! `libblkid`.

use super::read::{Numbers, ReadAt};
use super::{ProbeError, vdi, vmdk, vpc};
use crate::file_kind::FileKind;
use crate::format::SourceFormat;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A disk image with a header.
    Image(SourceFormat),
    /// The bytes of a disk: a boot sector, a partition table or a file system.
    Disk,
    /// The bytes of a CD or DVD: ISO 9660 or UDF.
    Cd,
    /// A disk image that is encrypted as a whole (LUKS), or whose format cannot be read.
    Unsupported(FileKind),
    /// An archive in tar format, as an appliance (OVA) is.
    Tar,
    /// Something that is neither.
    Other(FileKind),
    /// Text, as a server's answer that was saved in place of an image.
    Text(FileKind),
    /// Not one byte.
    Empty,
    /// Nothing that is known.
    Unknown,
}

impl Content {
    /// Which kind of file it is, if it is known and neither an image nor a disk nor a CD.
    #[must_use]
    pub fn kind(self) -> Option<FileKind> {
        Some(match self {
            Self::Image(_) | Self::Disk | Self::Cd | Self::Unknown => return None,
            Self::Tar => FileKind::Tar,
            Self::Unsupported(kind) | Self::Other(kind) | Self::Text(kind) => kind,
            Self::Empty => FileKind::Empty,
        })
    }

    /// The same in words: what it is, with its article, and what to do with it.
    #[must_use]
    pub fn strange(self) -> Option<(&'static str, &'static str)> {
        self.kind().map(|kind| (kind.words(), kind.remedy()))
    }

    /// Why no guest can read it in a CD drive; `None` for a CD.
    #[must_use]
    pub fn why_no_cd(self) -> Option<NotACd> {
        Some(match (self, self.kind()) {
            (Self::Cd, _) => return None,
            (_, Some(kind)) => NotACd::Other(kind),
            (Self::Image(format), _) => NotACd::Image(format),
            (Self::Disk, _) => NotACd::Disk,
            _ => NotACd::Unknown,
        })
    }
}

/// Why no guest can read a file in its CD drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotACd {
    /// Neither a CD nor a disk.
    #[error("this is {}: {}", .0.words(), .0.remedy())]
    Other(FileKind),
    /// A disk image with a header.
    #[error("this is a disk image ({}): make a disk of it", .0.driver())]
    Image(SourceFormat),
    /// The bytes of a disk.
    #[error("this is a disk's image without a CD's file system: make a disk of it")]
    Disk,
    /// Nothing that is known.
    #[error("this has no file system of a CD (ISO 9660 or UDF): get it anew if it is damaged")]
    Unknown,
}

/// Bytes that are looked at from a file's start: the place of btrfs' superblock is the furthest.
const HEAD: usize = 65_536 + 4096;

/// Images of formats that are not read here, by what they begin with.
const UNSUPPORTED: [(&[u8], FileKind); 7] = [
    (b"QED\0", FileKind::Qed),
    (b"COWD", FileKind::Cowd),
    (b"WithoutFreeSpace", FileKind::Parallels),
    (b"WithouFreSpacExt", FileKind::Parallels),
    (b"Bochs Virtual HD Image", FileKind::Bochs),
    (b"sprs", FileKind::AppleSparse),
    (b"CISO", FileKind::Cso),
];

/// Other files, by what they begin with.
const OTHERS: [(&[u8], FileKind); 17] = [
    (b"\x1f\x8b", FileKind::Gzip),
    (b"\xfd7zXZ\0", FileKind::Xz),
    (b"BZh", FileKind::Bzip2),
    (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
    (b"\x04\x22\x4d\x18", FileKind::Lz4),
    (b"LZIP", FileKind::Lzip),
    (b"PK\x03\x04", FileKind::Zip),
    (b"PK\x05\x06", FileKind::EmptyZip),
    (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
    (b"Rar!\x1a\x07", FileKind::Rar),
    (b"MSCF", FileKind::Cabinet),
    (b"MSWIM\0\0\0", FileKind::Wim),
    (b"\x7fELF", FileKind::Elf),
    (b"MZ", FileKind::WindowsProgram),
    (b"%PDF-", FileKind::Pdf),
    (b"bplist00", FileKind::PropertyList),
    (b"d8:announce", FileKind::Torrent),
];

/// Kernels for PCs (Linux' Documentation/arch/x86/boot.rst) and for Arm (arch/arm64/booting.rst): where their magic number
/// stands.
const KERNELS: [(usize, &[u8]); 2] = [(0x202, b"HdrS"), (0x38, b"ARM\x64")];

/// File systems and partition tables: where their magic number stands.
const DISKS: [(usize, &[u8]); 21] = [
    (512, b"EFI PART"),
    (4096, b"EFI PART"),
    // Apple's partition map and its partitions.
    (512, b"PM\0\0"),
    // ext2, 3 and 4; the kernel's superblock begins at 1024.
    (1080, b"\x53\xef"),
    (0, b"XFSB"),
    (65_600, b"_BHRfS_M"),
    (1024, b"\x10\x20\xf5\xf2"),
    // HFS+ and HFSX, APFS.
    (1024, b"H+\0\x04"),
    (1024, b"HX\0\x05"),
    (32, b"NXSB"),
    (0, b"hsqs"),
    (1024, b"\xe2\xe1\xf5\xe0"),
    (4086, b"SWAPSPACE2"),
    (512, b"LABELONE"),
    (4096, b"\xfc\x4e\x2b\xa9"),
    // BSD's disk label, UFS 1 and 2.
    (512, b"\x57\x45\x56\x82"),
    (9564, b"\x54\x19\x01\x00"),
    (66_908, b"\x19\x01\x54\x19"),
    // JFS, ReiserFS, bcachefs.
    (32_768, b"JFS1"),
    (65_588, b"ReIsEr"),
    (4120, b"\xc6\x85\x73\xf6"),
];

/// Identifiers of the volume structure, in one of the first sectors of 2048 bytes behind the sixteenth (ECMA-119, ECMA-167).
const CD_MARKS: [&[u8]; 4] = [b"CD001", b"BEA01", b"NSR02", b"NSR03"];

/// Looks at a file's first bytes, and at its last ones.
///
/// # Errors
///
/// When it cannot be read.
pub fn identify(file: &impl ReadAt) -> Result<Content, ProbeError> {
    let head = file.up_to(0, HEAD)?;
    let has = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    let starts = |magic: &[u8]| has(0, magic);
    if head.is_empty() {
        return Ok(Content::Empty);
    }
    if starts(b"QFI\xfb") {
        return Ok(Content::Image(SourceFormat::Qcow2));
    }
    if starts(b"KDMV") || vmdk::is_descriptor(&head) {
        return Ok(Content::Image(SourceFormat::Vmdk));
    }
    if starts(b"vhdxfile") {
        return Ok(Content::Image(SourceFormat::Vhdx));
    }
    if vdi::is_vdi(&head) {
        return Ok(Content::Image(SourceFormat::Vdi));
    }
    if starts(b"LUKS\xba\xbe") {
        return Ok(Content::Unsupported(FileKind::Luks));
    }
    if starts(b"conectix") || vpc::has_footer(file)? {
        return Ok(Content::Image(SourceFormat::Vpc));
    }
    if let Some((_, kind)) = UNSUPPORTED.iter().find(|(magic, _)| starts(magic)) {
        return Ok(Content::Unsupported(*kind));
    }
    if has(257, b"ustar") {
        return Ok(Content::Tar);
    }
    // A CD that also starts from a stick has a partition table in front; it is a CD all the same.
    if (16..24).any(|sector| CD_MARKS.iter().any(|mark| has(sector * 2048 + 1, mark))) {
        return Ok(Content::Cd);
    }
    // A PC's kernel has a boot sector, which only says that it wants a boot loader.
    if KERNELS.iter().any(|(at, magic)| has(*at, magic)) {
        return Ok(Content::Other(FileKind::LinuxKernel));
    }
    // A boot sector may begin with any instruction, so its end comes before what other files begin with.
    if has(510, b"\x55\xaa") || DISKS.iter().any(|(at, magic)| has(*at, magic)) {
        return Ok(Content::Disk);
    }
    if has_trailer(file)? {
        return Ok(Content::Unsupported(FileKind::Dmg));
    }
    if let Some((_, kind)) = OTHERS.iter().find(|(magic, _)| starts(magic)) {
        return Ok(Content::Other(*kind));
    }
    Ok(text(&head).unwrap_or(Content::Unknown))
}

/// A DMG ends with a block of 512 bytes that begins with `koly`.
fn has_trailer(file: &impl ReadAt) -> Result<bool, ProbeError> {
    let Some(at) = file.size()?.checked_sub(512) else { return Ok(false) };
    Ok(file.up_to(at, 512)?.be32(0) == u32::from_be_bytes(*b"koly"))
}

/// Text of any kind, if the file begins with it.
fn text(head: &[u8]) -> Option<Content> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.get(..head.len().min(1024)).unwrap_or_default();
    if !head.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..)) {
        return None;
    }
    let first = head.trim_ascii_start();
    let begins =
        |word: &str| first.get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word.as_bytes()));
    Some(Content::Text(if begins("<!doctype html") || begins("<html") || begins("<head") {
        FileKind::WebPage
    } else if begins("<?xml") || begins("<") {
        FileKind::Xml
    } else if begins("version https://git-lfs") {
        FileKind::LfsPointer
    } else {
        FileKind::Text
    }))
}

#[cfg(test)]
mod tests {
    use super::super::Bytes;
    use super::*;

    fn content(at: usize, magic: &[u8]) -> Content {
        let mut bytes = vec![0; HEAD + 4096];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        identify(&Bytes(&bytes)).expect("is read")
    }

    #[test]
    fn disks_cds_and_images_are_told_apart() {
        for (at, magic) in DISKS {
            assert_eq!(content(at, magic), Content::Disk, "{at}");
        }
        assert_eq!(content(510, b"\x55\xaa"), Content::Disk);
        for mark in CD_MARKS {
            assert_eq!(content(17 * 2048 + 1, mark), Content::Cd);
        }
        for (magic, kind) in UNSUPPORTED {
            assert_eq!(content(0, magic), Content::Unsupported(kind));
        }
        for (magic, kind) in OTHERS {
            assert_eq!(content(0, magic), Content::Other(kind));
        }
        for (at, magic) in KERNELS {
            assert_eq!(content(at, magic), Content::Other(FileKind::LinuxKernel));
        }
        assert_eq!(content(257, b"ustar"), Content::Tar);
        assert_eq!(content(0, b"QFI\xfb"), Content::Image(SourceFormat::Qcow2));
        assert_eq!(content(0, b""), Content::Unknown, "zeros alone are nothing that is known");
    }

    #[test]
    fn a_boot_sector_that_begins_like_another_file_is_a_disk() {
        let mut sector = vec![0; 512];
        sector[..2].copy_from_slice(b"MZ");
        sector[510..].copy_from_slice(b"\x55\xaa");
        assert_eq!(identify(&Bytes(&sector)).expect("is read"), Content::Disk);
        // One with a kernel's header is a kernel's.
        sector.resize(4096, 0);
        sector[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(identify(&Bytes(&sector)).expect("is read"), Content::Other(FileKind::LinuxKernel));
    }

    #[test]
    fn only_a_cd_goes_into_a_cd_drive() {
        assert_eq!(content(16 * 2048 + 1, b"CD001").why_no_cd(), None);
        for (content, word) in [
            (Content::Empty, "empty"),
            (content(0, b"QFI\xfb"), "(qcow2): make a disk"),
            (content(510, b"\x55\xaa"), "make a disk"),
            (content(0, b"\xfd7zXZ\0"), "unxz"),
            (content(0, b""), "ISO 9660"),
        ] {
            assert!(content.why_no_cd().expect("no CD").to_string().contains(word), "{content:?}");
        }
    }

    #[test]
    fn text_is_named_for_what_it_is() {
        let what = |text: &str| match identify(&Bytes(text.as_bytes())).expect("is read") {
            Content::Text(kind) => kind.words(),
            other => panic!("{text:?}: {other:?}"),
        };
        for (text, word) in [
            ("\u{feff}\n <!DOCTYPE html><title>Login</title>", "HTML"),
            ("<HTML>", "HTML"),
            ("<?xml version=\"1.0\"?><Error/>", "XML"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
            ("Not Found", "text"),
            ("найдено", "text"),
        ] {
            assert!(what(text).contains(word), "{text:?}: {}", what(text));
        }
    }
}
