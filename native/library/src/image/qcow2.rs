//! qcow2, versions 2 and 3 (QEMU's `docs/interop/qcow2.txt`).

use super::read::Numbers;
use super::{Header, ImageFault, ImageFeature, ProbeError, ReadAt, damaged, printable};
use crate::format::SourceFormat::Qcow2 as FORMAT;

/// Incompatible features of the header, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorruptionBits {
    /// Bit 0: reference counts may be wrong.
    pub dirty: bool,
    /// Bit 1: metadata is corrupt.
    pub corrupt: bool,
}

/// A qcow2 header with what lies behind it in the first cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qcow2 {
    /// 2 or 3.
    pub version: u32,
    /// Virtual size in bytes.
    pub virtual_size: u64,
    /// Bytes of a cluster, 512 to 2 MiB.
    pub cluster_size: u64,
    /// The base that it names.
    pub backing_file: Option<String>,
    /// The base's format, from the header extension.
    pub backing_format: Option<String>,
    /// The file with its data, from the header extension; empty if it has one that is not named.
    pub data_file: Option<String>,
    /// `aes` or `luks`.
    pub encryption: Option<&'static str>,
    /// Dirty and corrupt.
    pub bits: CorruptionBits,
    /// Snapshots inside the file.
    pub internal_snapshots: u32,
}

const DATA_FILE: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const KNOWN: u64 = 0b1_1111;
/// Autoclear features: bitmaps are valid, the data file is raw.
const BITMAPS_VALID: u64 = 1;
const DATA_FILE_RAW: u64 = 1 << 1;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE_NAME: u32 = 0x4441_5441;
const CRYPTO_HEADER: u32 = 0x0537_be77;
const BITMAPS: u32 = 0x2385_2875;
/// Header extensions end at the first cluster's end; images have some five.
const MAX_EXTENSIONS: usize = 64;
/// The most bytes of a reference count table, of an L1 table, and of a snapshot table (`block/qcow2.h`).
const MAX_REFCOUNT_TABLE: u64 = 8 << 20;
const MAX_L1: u64 = 32 << 20;
const MAX_SNAPSHOT_TABLE: u64 = 64 << 20;
const MAX_SNAPSHOTS: u32 = 65536;
/// The most extra bytes of an entry of the snapshot table.
const MAX_EXTRA: u64 = 1024;

impl Qcow2 {
    /// Reads the first cluster's header, and the table of the snapshots inside.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Damaged`] for what QEMU itself would refuse (`block/qcow2.c`, `qcow2_do_open`),
    /// [`ProbeError::Unsupported`] for features unknown here.
    pub fn read(file: &impl ReadAt) -> Result<Self, ProbeError> {
        let head = file.exactly(0, 72)?;
        if !head.starts_with(b"QFI\xfb") {
            return Err(damaged(FORMAT, ImageFault::NoQcow2Signature));
        }
        let version = head.be32(4);
        if !(2..=3).contains(&version) {
            return Err(ProbeError::Unsupported { format: FORMAT, what: ImageFeature::Version { version } });
        }
        let cluster_bits = head.be32(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(damaged(FORMAT, ImageFault::ClusterBits { bits: cluster_bits }));
        }
        let cluster_size = 1u64 << cluster_bits;
        let length = usize::try_from(cluster_size).unwrap_or(1 << 21);
        let mut first = file.up_to(0, length)?;
        // What lies behind the file's end is zero, for QEMU too.
        let present = first.len();
        first.resize(length, 0);
        let (incompatible, autoclear, refcount_order, header_length) = match version {
            2 => (0, 0, 4, 72),
            _ if present < 104 => return Err(damaged(FORMAT, ImageFault::EndsInHeader)),
            _ => (first.be64(72), first.be64(88), first.be32(96), first.be32(100)),
        };
        if incompatible & !KNOWN != 0 {
            return Err(ProbeError::Unsupported {
                format: FORMAT,
                what: ImageFeature::Bits { bits: format!("{:#x}", incompatible & !KNOWN) },
            });
        }
        let header_length = usize::try_from(header_length).unwrap_or(usize::MAX);
        if (version == 3 && header_length < 104) || header_length > present {
            return Err(damaged(FORMAT, ImageFault::HeaderLength { bytes: header_length }));
        }
        // The bit stands for every compression but the first.
        match (if header_length > 104 { first.get(104) } else { None }, incompatible & COMPRESSION != 0) {
            (None | Some(0), false) | (Some(1), true) => {}
            (Some(2..), _) => {
                let what = ImageFeature::UnknownCompression;
                return Err(ProbeError::Unsupported { format: FORMAT, what });
            }
            _ => return Err(damaged(FORMAT, ImageFault::CompressionContradicts)),
        }
        let extended_l2 = incompatible & EXTENDED_L2 != 0;
        if extended_l2 && cluster_bits < 14 {
            return Err(damaged(FORMAT, ImageFault::SmallSubclusters));
        }
        let encryption = match head.be32(32) {
            0 => None,
            1 => Some("aes"),
            2 => Some("luks"),
            method => return Err(damaged(FORMAT, ImageFault::EncryptionMethod { method })),
        };
        if refcount_order > 6 {
            return Err(damaged(FORMAT, ImageFault::RefcountBits { order: refcount_order }));
        }
        let virtual_size = head.be64(24);
        check_tables(&head, cluster_bits, extended_l2, virtual_size)?;
        let backing_file = backing_name(&head, first.get(..present).unwrap_or_default())?;
        let found = Extensions::read(&first, present, header_length, &head)?;
        if found.crypto_header && encryption != Some("luks") {
            return Err(damaged(FORMAT, ImageFault::EncryptionHeader));
        }
        if found.bitmaps && autoclear & BITMAPS_VALID != 0 {
            let what = ImageFeature::Bitmaps;
            return Err(ProbeError::Unsupported { format: FORMAT, what });
        }
        // A name without the bit is refused with the others: nothing that QEMU makes has it.
        let data_file = match (incompatible & DATA_FILE != 0, found.data_file) {
            (true, name) => Some(name.unwrap_or_default()),
            (false, Some(name)) => Some(name),
            (false, None) if autoclear & DATA_FILE_RAW != 0 => {
                return Err(damaged(FORMAT, ImageFault::RawDataFile));
            }
            (false, None) => None,
        };
        let internal_snapshots = head.be32(60);
        check_snapshots(file, head.be64(64), internal_snapshots, cluster_size)?;
        Ok(Self {
            version,
            virtual_size,
            cluster_size,
            backing_file,
            backing_format: found.backing_format,
            data_file,
            encryption,
            bits: CorruptionBits { dirty: incompatible & 1 != 0, corrupt: incompatible & 2 != 0 },
            internal_snapshots,
        })
    }

    pub(crate) fn into_header(self) -> Header {
        Header {
            backing_file: self.backing_file,
            backing_format: self.backing_format,
            external_data: self
                .data_file
                .into_iter()
                .map(|f| if f.is_empty() { "not named".into() } else { f })
                .collect(),
            encryption: self.encryption.map(str::to_owned),
            dirty: self.bits.dirty,
            corrupt: self.bits.corrupt,
            internal_snapshots: self.internal_snapshots,
            ..Header::new(FORMAT, self.virtual_size)
        }
    }
}

/// Whether a table of `entries` of `length` bytes may be there (`qcow2_validate_table`).
fn table_fits(offset: u64, entries: u64, length: u64, most: u64, cluster_size: u64) -> bool {
    let bytes = entries.saturating_mul(length);
    bytes <= most && offset.is_multiple_of(cluster_size) && offset <= i64::MAX.unsigned_abs() - bytes
}

fn check_tables(head: &[u8], cluster_bits: u32, extended_l2: bool, size: u64) -> Result<(), ProbeError> {
    let cluster_size = 1u64 << cluster_bits;
    let (refcounts, clusters) = (head.be64(48), u64::from(head.be32(56)));
    if clusters == 0 || !table_fits(refcounts, clusters, cluster_size, MAX_REFCOUNT_TABLE, cluster_size) {
        return Err(damaged(FORMAT, ImageFault::RefcountTable { clusters, at: refcounts }));
    }
    let (l1, entries) = (head.be64(40), u64::from(head.be32(36)));
    // An entry stands for a cluster of entries of 8 bytes each, or 16, each of which stands for a cluster.
    let covered = 1u64 << (2 * cluster_bits - if extended_l2 { 4 } else { 3 });
    if !table_fits(l1, entries, 8, MAX_L1, cluster_size) || entries < size.div_ceil(covered) {
        return Err(damaged(FORMAT, ImageFault::L1Table { entries, at: l1, bytes: size }));
    }
    Ok(())
}

/// The table of the snapshots inside, as far as QEMU reads it when it opens the image (`qcow2_do_read_snapshots`).
fn check_snapshots(file: &impl ReadAt, offset: u64, count: u32, cluster_size: u64) -> Result<(), ProbeError> {
    const FIXED: u64 = 40;
    if count > MAX_SNAPSHOTS || !table_fits(offset, u64::from(count), FIXED, MAX_SNAPSHOT_TABLE, cluster_size)
    {
        return Err(damaged(FORMAT, ImageFault::SnapshotTable));
    }
    let (size, mut at) = (file.size()?, offset);
    for _ in 0..count {
        at = at.next_multiple_of(8);
        let entry = file.exactly(at, 40)?;
        let (id, name, extra) = (entry.be16(12), entry.be16(14), u64::from(entry.be32(36)));
        at += FIXED + extra + u64::from(id) + u64::from(name);
        if extra > MAX_EXTRA || at > size || at - offset > MAX_SNAPSHOT_TABLE {
            return Err(damaged(FORMAT, ImageFault::SnapshotTableSize));
        }
    }
    Ok(())
}

fn backing_name(head: &[u8], first: &[u8]) -> Result<Option<String>, ProbeError> {
    let (offset, length) = (head.be64(8), head.be32(16) as usize);
    if offset == 0 {
        return Ok(None);
    }
    // At most 1023 bytes, within the first cluster: both by the specification.
    if length > 1023 {
        return Err(damaged(FORMAT, ImageFault::BaseNameLength { bytes: length }));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let name = start.checked_add(length).and_then(|end| first.get(start..end));
    let name = name.ok_or_else(|| damaged(FORMAT, ImageFault::BaseNameBeyond))?;
    Ok(Some(printable(name)))
}

/// What the header extensions say.
#[derive(Default)]
struct Extensions {
    backing_format: Option<String>,
    data_file: Option<String>,
    crypto_header: bool,
    bitmaps: bool,
}

impl Extensions {
    /// Reads them as `qcow2_read_extensions` does, from the cluster `first`, of which the file has `present` bytes.
    fn read(first: &[u8], present: usize, start: usize, head: &[u8]) -> Result<Self, ProbeError> {
        let (mut found, mut at) = (Self::default(), start);
        // The extensions end where the name of the base begins, or with the cluster.
        let end = match usize::try_from(head.be64(8)) {
            Ok(offset) if offset != 0 => offset.min(first.len()),
            _ => first.len(),
        };
        let beyond = || damaged(FORMAT, ImageFault::ExtensionBeyond);
        for _ in 0..MAX_EXTENSIONS {
            if at >= end {
                return Ok(found);
            }
            let body = at.checked_add(8).filter(|body| *body <= end).ok_or_else(beyond)?;
            let (kind, length) = (first.be32(at), first.be32(at + 4) as usize);
            let after = body.checked_add(length).filter(|after| *after <= end).ok_or_else(beyond)?;
            if kind == 0 {
                return Ok(found);
            }
            let value = first.get(body..after).filter(|_| after <= present);
            let value = value.ok_or_else(|| damaged(FORMAT, ImageFault::EndsInHeader))?;
            match kind {
                BACKING_FORMAT if length > 15 => {
                    return Err(damaged(FORMAT, ImageFault::BaseFormatLength));
                }
                BACKING_FORMAT => found.backing_format = Some(printable(value)),
                DATA_FILE_NAME => found.data_file = Some(printable(value)),
                CRYPTO_HEADER => found.crypto_header = true,
                BITMAPS if length != 24 => {
                    return Err(damaged(FORMAT, ImageFault::BitmapExtension));
                }
                BITMAPS => found.bitmaps = true,
                _ => {}
            }
            at = body + length.next_multiple_of(8);
        }
        Err(damaged(FORMAT, ImageFault::Extensions { most: MAX_EXTENSIONS }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bytes;
    use super::*;
    use proptest::prelude::*;

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    /// A header of version 3 with tables for `size` bytes, and what lies behind it.
    fn header(cluster_bits: u32, size: u64) -> Vec<u8> {
        let (mut head, cluster) = (vec![0u8; 512], 1u64 << cluster_bits);
        let entries = u32::try_from(size.div_ceil(1 << (2 * cluster_bits - 3))).expect("few");
        put(&mut head, 0, b"QFI\xfb\0\0\0\x03");
        put(&mut head, 20, &cluster_bits.to_be_bytes());
        put(&mut head, 24, &size.to_be_bytes());
        put(&mut head, 36, &entries.to_be_bytes());
        put(&mut head, 40, &(2 * cluster).to_be_bytes());
        put(&mut head, 48, &cluster.to_be_bytes());
        put(&mut head, 56, &1u32.to_be_bytes());
        put(&mut head, 96, &4u32.to_be_bytes());
        put(&mut head, 100, &104u32.to_be_bytes());
        head
    }

    fn refused(head: &[u8]) -> String {
        Qcow2::read(&Bytes(head)).expect_err("refused").to_string()
    }

    #[test]
    fn what_qemu_refuses_to_open_is_refused() {
        Qcow2::read(&Bytes(&header(16, 1 << 30))).expect("sound");
        let cases: [(usize, &[u8], &str); 22] = [
            (4, &[0, 0, 0, 4], "version 4"),
            (20, &[0, 0, 0, 8], "clusters"),
            (20, &[0, 0, 0, 22], "clusters"),
            (24, &[0, 0, 1], "L1 table"),
            (32, &[0, 0, 0, 3], "encryption"),
            (36, &[0, 0, 0, 1], "L1 table"),
            (36, &[0xff], "L1 table"),
            (40, &[0, 0, 0, 0, 0, 2, 2], "L1 table"),
            (40, &[0x80], "L1 table"),
            (48, &[0x80], "reference counts"),
            (55, &[1], "reference counts"),
            (56, &[0, 0, 0, 0], "reference counts"),
            (56, &[1], "reference counts"),
            (60, &[0, 1, 0, 1], "snapshots"),
            (68, &[0, 0, 1, 1], "snapshots"),
            (72, &[1], "later version"),
            (79, &[1 << 3], "compression"),
            (79, &[1 << 5], "later version"),
            (88, &[0, 0, 0, 0, 0, 0, 0, 2], "raw data file"),
            (96, &[0, 0, 0, 7], "reference counts"),
            (100, &[0, 0, 0, 103], "header of 103"),
            (100, &[0, 1, 0, 1], "header of 65537"),
        ];
        for (at, bytes, word) in cases {
            let mut head = header(16, 8 << 30);
            put(&mut head, 60, &u32::from(at == 68).to_be_bytes());
            put(&mut head, at, bytes);
            let said = refused(&head);
            assert!(said.contains(word), "{at}: {said}");
        }
    }

    #[test]
    fn extensions_are_read_to_their_end_and_no_further() {
        let with = |kind: u32, length: u32| {
            let mut head = header(16, 1 << 30);
            put(&mut head, 104, &kind.to_be_bytes());
            put(&mut head, 108, &length.to_be_bytes());
            head
        };
        let data = Qcow2::read(&Bytes(&with(DATA_FILE_NAME, 8))).expect("read").into_header().external_data;
        assert_eq!(data.len(), 1, "the name counts without the bit, too");
        // The end has a length as well; a name of a format has 15 bytes at most.
        for (kind, length) in
            [(0, u32::MAX), (1, 65536), (1, 500), (BACKING_FORMAT, 16), (BITMAPS, 23), (CRYPTO_HEADER, 16)]
        {
            refused(&with(kind, length));
        }
        let mut bitmaps = with(BITMAPS, 24);
        Qcow2::read(&Bytes(&bitmaps)).expect("bitmaps that are not valid do not count");
        bitmaps[95] = 1;
        assert!(refused(&bitmaps).contains("bitmap"));
        // Nothing but the first half of an extension fits before the name of the base.
        let mut half = with(1, 0);
        put(&mut half, 8, &108u64.to_be_bytes());
        refused(&half);
        let mut beyond = with(0, 0);
        put(&mut beyond, 8, &u64::MAX.to_be_bytes());
        refused(&beyond);
    }

    #[test]
    fn compression_is_what_the_features_say() {
        let with = |bit: u8, length: u8, kind: u8| {
            let mut head = header(16, 1 << 30);
            (head[79], head[103], head[104]) = (bit << 3, length, kind);
            Qcow2::read(&Bytes(&head)).is_ok()
        };
        assert!(with(0, 112, 0) && with(1, 112, 1) && with(0, 104, 0));
        assert!(
            !with(0, 112, 1) && !with(1, 112, 0) && !with(1, 112, 2) && !with(0, 112, 2) && !with(1, 104, 1)
        );
    }

    #[test]
    fn snapshots_are_counted_as_qemu_reads_them() {
        let table = |count: u32, extra: u32, name: u16| {
            let mut image = header(9, 1 << 20);
            put(&mut image, 60, &count.to_be_bytes());
            put(&mut image, 64, &1024u64.to_be_bytes());
            image.resize(1024, 0);
            for _ in 0..2 {
                let mut entry = vec![0; 40];
                put(&mut entry, 14, &name.to_be_bytes());
                put(&mut entry, 36, &extra.to_be_bytes());
                entry.resize((40 + extra as usize + usize::from(name)).next_multiple_of(8), 0);
                image.extend(entry);
            }
            Qcow2::read(&Bytes(&image)).map(|read| read.internal_snapshots)
        };
        assert_eq!(table(2, 24, 5).expect("read"), 2);
        assert_eq!(table(2, 1024, 0).expect("read"), 2);
        table(3, 24, 5).expect_err("beyond the end");
        table(2, 1025, 5).expect_err("more than QEMU takes");
    }

    proptest! {
        #[test]
        fn a_header_reads_as_it_was_written(
            cluster_bits in 9u32..=21,
            size in 0..=super::super::MAX_VIRTUAL_SIZE,
            backing in proptest::option::of("[a-z/.]{1,100}"),
            data_file in proptest::option::of("[a-z/.]{1,40}"),
            (dirty, corrupt) in any::<(bool, bool)>(),
            cut in 0usize..512,
        ) {
            // An L1 table of 32 MiB stands for no more.
            let size = size % (1 << (2 * cluster_bits - 3 + 22));
            let mut head = header(cluster_bits, size);
            let bits = u64::from(dirty) | u64::from(corrupt) << 1 | u64::from(data_file.is_some()) << 2;
            put(&mut head, 72, &bits.to_be_bytes());
            if let Some(name) = &data_file {
                put(&mut head, 104, &DATA_FILE_NAME.to_be_bytes());
                put(&mut head, 108, &u32::try_from(name.len()).expect("short").to_be_bytes());
                put(&mut head, 112, name.as_bytes());
            }
            if let Some(name) = &backing {
                put(&mut head, 8, &300u64.to_be_bytes());
                put(&mut head, 16, &u32::try_from(name.len()).expect("short").to_be_bytes());
                put(&mut head, 300, name.as_bytes());
            }
            let read = Qcow2::read(&Bytes(&head)).expect("a sound header");
            prop_assert_eq!((read.virtual_size, read.cluster_size), (size, 1 << cluster_bits));
            prop_assert_eq!((&read.backing_file, &read.data_file), (&backing, &data_file));
            prop_assert_eq!((read.bits.dirty, read.bits.corrupt), (dirty, corrupt));
            // Cut off, it is refused, or no name is lost.
            if let Ok(read) = Qcow2::read(&Bytes(&head[..cut])) {
                prop_assert_eq!(&read.backing_file, &backing);
            }
        }
    }
}
