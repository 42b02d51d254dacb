//! qcow2, versions 2 and 3 (QEMU's `docs/interop/qcow2.txt`).

use super::read::Numbers;
use super::{Header, ProbeError, ReadAt, damaged, printable};
use crate::block::SourceFormat::Qcow2 as FORMAT;

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
const BACKING_FORMAT: u32 = 0xe279_2aca;
const DATA_FILE_NAME: u32 = 0x4441_5441;
/// Header extensions end at the first cluster's end; images have some five.
const MAX_EXTENSIONS: usize = 64;

impl Qcow2 {
    /// Reads the first cluster's header.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Damaged`] for what QEMU itself would refuse (`block/qcow2.c`, `qcow2_do_open`),
    /// [`ProbeError::Unsupported`] for features unknown here.
    pub fn read(file: &impl ReadAt) -> Result<Self, ProbeError> {
        let head = file.exactly(0, 72)?;
        if !head.starts_with(b"QFI\xfb") {
            return Err(damaged(FORMAT, "it does not begin with QFI\\xfb"));
        }
        let version = head.be32(4);
        if !(2..=3).contains(&version) {
            return Err(ProbeError::Unsupported { format: FORMAT, what: format!("version {version}") });
        }
        let cluster_bits = head.be32(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(damaged(
                FORMAT,
                format!("clusters of 2^{cluster_bits} bytes; 2^9 to 2^21 are possible"),
            ));
        }
        let cluster_size = 1u64 << cluster_bits;
        let first = file.up_to(0, usize::try_from(cluster_size).unwrap_or(1 << 21))?;
        let (incompatible, header_length) = match version {
            2 => (0, 72),
            _ if first.len() < 104 => return Err(damaged(FORMAT, "it ends within its header")),
            _ => (first.be64(72), first.be32(100)),
        };
        if incompatible & !KNOWN != 0 {
            return Err(ProbeError::Unsupported {
                format: FORMAT,
                what: format!("features of a later version (bits {:#x})", incompatible & !KNOWN),
            });
        }
        let header_length = usize::try_from(header_length).unwrap_or(usize::MAX);
        if (version == 3 && header_length < 104) || header_length as u64 > cluster_size {
            return Err(damaged(FORMAT, format!("a header of {header_length} bytes")));
        }
        if incompatible & COMPRESSION != 0 && first.get(104).is_none_or(|kind| *kind > 1) {
            return Err(ProbeError::Unsupported { format: FORMAT, what: "an unknown compression".into() });
        }
        if incompatible & EXTENDED_L2 != 0 && cluster_bits < 14 {
            return Err(damaged(FORMAT, "subclusters in clusters of less than 16 KiB"));
        }
        let encryption = match head.be32(32) {
            0 => None,
            1 => Some("aes"),
            2 => Some("luks"),
            n => return Err(damaged(FORMAT, format!("encryption method {n}"))),
        };
        let backing_file = backing_name(&head, &first)?;
        let (backing_format, named) = extensions(&first, header_length, &head)?;
        let data_file = (incompatible & DATA_FILE != 0).then(|| named.unwrap_or_default());
        Ok(Self {
            version,
            virtual_size: head.be64(24),
            cluster_size,
            backing_file,
            backing_format,
            data_file,
            encryption,
            bits: CorruptionBits { dirty: incompatible & 1 != 0, corrupt: incompatible & 2 != 0 },
            internal_snapshots: head.be32(60),
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

fn backing_name(head: &[u8], first: &[u8]) -> Result<Option<String>, ProbeError> {
    let (offset, length) = (head.be64(8), head.be32(16) as usize);
    if offset == 0 {
        return Ok(None);
    }
    // At most 1023 bytes, within the first cluster: both by the specification.
    if length > 1023 {
        return Err(damaged(
            FORMAT,
            format!("the name of its base has {length} bytes, at most 1023 are possible"),
        ));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let name = start.checked_add(length).and_then(|end| first.get(start..end));
    let name = name.ok_or_else(|| damaged(FORMAT, "the name of its base lies beyond the first cluster"))?;
    Ok(Some(printable(name)))
}

/// The base's format and the data file's name.
type Names = (Option<String>, Option<String>);

fn extensions(first: &[u8], start: usize, head: &[u8]) -> Result<Names, ProbeError> {
    let (mut names, mut at): (Names, usize) = (Default::default(), start);
    // The extensions end where the name of the base begins, or with the cluster.
    let end = match usize::try_from(head.be64(8)) {
        Ok(offset) if offset != 0 => offset.min(first.len()),
        _ => first.len(),
    };
    for _ in 0..MAX_EXTENSIONS {
        let Some(body) = at.checked_add(8).filter(|body| *body <= end) else { return Ok(names) };
        let (kind, length) = (first.be32(at), first.be32(at + 4) as usize);
        if kind == 0 {
            return Ok(names);
        }
        let Some(value) = body.checked_add(length).filter(|e| *e <= end).and_then(|e| first.get(body..e))
        else {
            return Err(damaged(FORMAT, "a header extension lies beyond the first cluster"));
        };
        match kind {
            BACKING_FORMAT => names.0 = Some(printable(value)),
            DATA_FILE_NAME => names.1 = Some(printable(value)),
            _ => {}
        }
        at = body + length.next_multiple_of(8);
    }
    Err(damaged(FORMAT, format!("more than {MAX_EXTENSIONS} header extensions")))
}

#[cfg(test)]
mod tests {
    use super::super::Bytes;
    use super::*;
    use proptest::prelude::*;

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    proptest! {
        #[test]
        fn a_header_reads_as_it_was_written(
            cluster_bits in 9u32..=21,
            size in any::<u64>(),
            backing in proptest::option::of("[a-z/.]{1,100}"),
            data_file in proptest::option::of("[a-z/.]{1,40}"),
            (dirty, corrupt) in any::<(bool, bool)>(),
            snapshots in any::<u32>(),
            cut in 0usize..512,
        ) {
            let mut head = vec![0u8; 512];
            put(&mut head, 0, b"QFI\xfb\0\0\0\x03");
            put(&mut head, 20, &cluster_bits.to_be_bytes());
            put(&mut head, 24, &size.to_be_bytes());
            put(&mut head, 60, &snapshots.to_be_bytes());
            let bits = u64::from(dirty) | u64::from(corrupt) << 1 | u64::from(data_file.is_some()) << 2;
            put(&mut head, 72, &bits.to_be_bytes());
            put(&mut head, 100, &104u32.to_be_bytes());
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
            prop_assert_eq!((read.bits.dirty, read.bits.corrupt, read.internal_snapshots), (dirty, corrupt, snapshots));
            // Cut off, it is refused, or no name is lost.
            if let Ok(read) = Qcow2::read(&Bytes(&head[..cut])) {
                prop_assert_eq!(&read.backing_file, &backing);
            }
        }
    }
}
