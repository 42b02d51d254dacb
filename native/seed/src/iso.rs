//! A CD image with a few files in its root, for seeds.
//!
//! ISO 9660 (ECMA-119) with two sets of names, because `user-data` is no name of plain ISO 9660: Rock Ridge (IEEE P1282)
//! for Linux and the BSDs, Joliet for Windows. Rock Ridge also gives the files to root alone (mode 0400): a seed
//! holds a password's hash. Equal contents give equal bytes: all dates are the same.

use crate::error::{Misfit, SeedError};
use crate::rule::ValueRule;

/// A CD's block, in bytes.
pub const BLOCK: usize = 2048;
/// Files on one image: their records must fit one block.
pub const MAX_FILES: usize = 8;
/// The largest file, in bytes.
pub const MAX_FILE: usize = 1 << 20;

const PRIMARY: u32 = 16;
const JOLIET: u32 = 17;
const END: u32 = 18;
const PRIMARY_PATHS: (u32, u32) = (19, 20);
const JOLIET_PATHS: (u32, u32) = (21, 22);
const PRIMARY_ROOT: u32 = 23;
const JOLIET_ROOT: u32 = 24;
const FIRST_FILE: u32 = 25;
/// Size of a path table that holds the root alone (ECMA-119 section 9.4).
const PATHS_BYTES: u32 = 10;
/// 2020-01-01 00:00:00 GMT in a directory record (section 9.1.5) and in a volume descriptor (section 8.4.26.1).
const RECORD_DATE: [u8; 7] = [120, 1, 1, 0, 0, 0, 0];
const VOLUME_DATE: &[u8; 17] = b"2020010100000000\0";

struct Extent<'a> {
    name: &'a str,
    block: u32,
    data: &'a [u8],
}

/// Makes an image whose volume has this label, with these files: names and contents.
///
/// # Errors
/// [`SeedError::File`] or [`SeedError::TooMany`] for what does not fit; [`SeedError::Value`] for a label that is not of 1 to
/// 16 letters, digits, `_` and `-`.
pub fn image(label: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>, SeedError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let sound = (1..=16).contains(&label.len()) && label.bytes().all(plain);
    crate::error::demand("the volume's label", label, ValueRule::VolumeLabel, sound)?;
    crate::error::few("files", files.len(), MAX_FILES)?;
    let mut extents = Vec::new();
    let mut block = FIRST_FILE;
    for &(name, data) in files {
        let refuse = |why| SeedError::File { name: name.chars().take(60).collect(), why };
        if !(1..=32).contains(&name.len())
            || !name.bytes().all(|b| plain(b) || b == b'.')
            || name.starts_with('.')
        {
            return Err(refuse(Misfit::Name));
        }
        if data.len() > MAX_FILE {
            return Err(refuse(Misfit::Size));
        }
        extents.push(Extent { name, block, data });
        // At most 8 files of 512 blocks.
        block += blocks(data.len());
    }
    let primary = directory(PRIMARY_ROOT, &extents, primary_name, rock_ridge)?;
    let joliet = directory(JOLIET_ROOT, &extents, joliet_name, |_| Vec::new())?;
    let total = block;
    let mut out = vec![0; PRIMARY as usize * BLOCK];
    push(&mut out, &descriptor(label, total, false));
    push(&mut out, &descriptor(label, total, true));
    push(&mut out, b"\xffCD001\x01");
    for (paths, root) in [(PRIMARY_PATHS, PRIMARY_ROOT), (JOLIET_PATHS, JOLIET_ROOT)] {
        debug_assert!(paths.1 == paths.0 + 1);
        push(&mut out, &path_table(root.to_le_bytes(), 1_u16.to_le_bytes()));
        push(&mut out, &path_table(root.to_be_bytes(), 1_u16.to_be_bytes()));
    }
    push(&mut out, &primary);
    push(&mut out, &joliet);
    for extent in &extents {
        push(&mut out, extent.data);
    }
    debug_assert_eq!(out.len(), total as usize * BLOCK);
    Ok(out)
}

const _: () = assert!(END + 1 == PRIMARY_PATHS.0 && JOLIET == PRIMARY + 1 && END == JOLIET + 1);

fn blocks(bytes: usize) -> u32 {
    // Files are bounded by a mebibyte.
    bytes.div_ceil(BLOCK) as u32
}

/// Appends bytes and fills their last block.
fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// Both byte orders (section 7.3.3).
fn both32(value: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

/// Both byte orders (section 7.2.3).
fn both16(value: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (value.to_le_bytes(), value.to_be_bytes());
    [a, b, c, d]
}

/// A path table with the root alone (section 9.4).
fn path_table(root: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    [&[1, 0][..], &root, &parent, &[0, 0]].concat()
}

/// The primary volume descriptor, or Joliet's supplementary one (sections 8.4, 8.5).
fn descriptor(label: &str, total: u32, joliet: bool) -> Vec<u8> {
    let (paths, root) = if joliet { (JOLIET_PATHS, JOLIET_ROOT) } else { (PRIMARY_PATHS, PRIMARY_ROOT) };
    let text = |text: &str, width: usize| -> Vec<u8> {
        let mut bytes: Vec<u8> = if joliet {
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        } else {
            text.bytes().collect()
        };
        bytes.truncate(width);
        while bytes.len() + 1 < width || (!joliet && bytes.len() < width) {
            if joliet {
                bytes.extend([0, b' ']);
            } else {
                bytes.push(b' ');
            }
        }
        bytes.resize(width, 0);
        bytes
    };
    let mut out = vec![if joliet { 2 } else { 1 }];
    out.extend(b"CD001\x01\0");
    out.extend(text("", 32));
    out.extend(text(label, 32));
    out.extend([0; 8]);
    out.extend(both32(total));
    // Joliet's escape sequence: UCS-2 level 3.
    let mut escapes = [0; 32];
    if joliet {
        escapes = *b"%/E\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    }
    out.extend(escapes);
    out.extend(both16(1));
    out.extend(both16(1));
    out.extend(both16(BLOCK as u16));
    out.extend(both32(PATHS_BYTES));
    out.extend(paths.0.to_le_bytes());
    out.extend([0; 4]);
    out.extend(paths.1.to_be_bytes());
    out.extend([0; 4]);
    out.extend(record(&[0], root, BLOCK as u32, true, &[]));
    // Volume set, publisher, preparer, application.
    for _ in 0..4 {
        out.extend(text("", 128));
    }
    // Copyright, abstract and bibliographic file.
    for _ in 0..3 {
        out.extend(text("", 37));
    }
    out.extend(VOLUME_DATE);
    out.extend(VOLUME_DATE);
    // No expiration, effective at once.
    out.extend(b"0000000000000000\0");
    out.extend(VOLUME_DATE);
    out.extend([1, 0]);
    out
}

/// A directory record (section 9.1) with its system use field.
fn record(name: &[u8], block: u32, bytes: u32, folder: bool, system: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(both32(block));
    out.extend(both32(bytes));
    out.extend(RECORD_DATE);
    out.extend([if folder { 2 } else { 0 }, 0, 0]);
    out.extend(both16(1));
    // Names have at most 68 bytes, system use fields at most 100: a record fits its one-byte length.
    out.push(name.len() as u8);
    out.extend(name);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out.extend(system);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    let length = out.len() as u8;
    if let Some(first) = out.first_mut() {
        *first = length;
    }
    out
}

/// The root: itself, its parent, which it is too, and the files in the order of their names.
fn directory(
    root: u32,
    files: &[Extent<'_>],
    name: impl Fn(&str) -> Vec<u8>,
    system: impl Fn(&str) -> Vec<u8>,
) -> Result<Vec<u8>, SeedError> {
    let rock_ridge = !system("x").is_empty();
    let own = if rock_ridge { [sharing(), attributes(true), extension()].concat() } else { Vec::new() };
    let parent = if rock_ridge { attributes(true) } else { Vec::new() };
    let mut out = record(&[0], root, BLOCK as u32, true, &own);
    out.extend(record(&[1], root, BLOCK as u32, true, &parent));
    let mut named: Vec<_> = files.iter().map(|file| (name(file.name), file)).collect();
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    for pair in named.windows(2) {
        if let [(a, _), (b, file)] = pair
            && a == b
        {
            return Err(SeedError::File { name: file.name.to_owned(), why: Misfit::Alike });
        }
    }
    for (name, file) in named {
        out.extend(record(&name, file.block, file.data.len() as u32, false, &system(file.name)));
    }
    // Eight records of 150 bytes and the first two.
    debug_assert!(out.len() <= BLOCK);
    Ok(out)
}

/// Eight and three capitals (section 7.5): what a system sees that knows neither extension.
fn primary_name(name: &str) -> Vec<u8> {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let part = |text: &str, most: usize| -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_uppercase()).take(most).collect()
    };
    [part(stem, 8), b".".to_vec(), part(ending, 3), b";1".to_vec()].concat()
}

fn joliet_name(name: &str) -> Vec<u8> {
    format!("{name};1").encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A file's Rock Ridge fields: its attributes and its name (RRIP 4.1.1, 4.1.4).
fn rock_ridge(name: &str) -> Vec<u8> {
    let mut out = attributes(false);
    // Names have at most 32 bytes.
    out.extend([b'N', b'M', 5 + name.len() as u8, 1, 0]);
    out.extend(name.bytes());
    out
}

/// PX: mode, links, owner and group. Root's alone.
fn attributes(folder: bool) -> Vec<u8> {
    let (mode, links) = if folder { (0o040_500, 2) } else { (0o100_400, 1) };
    let mut out = b"PX\x24\x01".to_vec();
    [mode, links, 0, 0].iter().for_each(|&value| out.extend(both32(value)));
    out
}

/// SP: system use fields are in use (SUSP 5.3).
fn sharing() -> Vec<u8> {
    b"SP\x07\x01\xbe\xef\0".to_vec()
}

/// ER: and they are Rock Ridge's (SUSP 5.5, RRIP 4.3).
fn extension() -> Vec<u8> {
    const ID: &[u8] = b"RRIP_1991A";
    const ABOUT: &[u8] = b"THE ROCK RIDGE INTERCHANGE PROTOCOL";
    // 8, 10 and 35 bytes.
    let mut out =
        vec![b'E', b'R', (8 + ID.len() + ABOUT.len()) as u8, 1, ID.len() as u8, ABOUT.len() as u8, 0, 1];
    out.extend(ID);
    out.extend(ABOUT);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_parts_where_the_standard_wants_them() {
        let image =
            image("CIDATA", &[("user-data", b"abc"), ("empty", b""), ("meta-data", &[7; 3000])]).unwrap();
        assert_eq!(image.len() % BLOCK, 0);
        assert_eq!(image.len(), (FIRST_FILE as usize + 1 + 2) * BLOCK, "an empty file takes no block");
        let block = |at: u32| &image[at as usize * BLOCK..(at as usize + 1) * BLOCK];
        assert_eq!(&block(PRIMARY)[..7], b"\x01CD001\x01");
        assert_eq!(&block(PRIMARY)[40..72], format!("{:32}", "CIDATA").as_bytes());
        assert_eq!(&block(PRIMARY)[80..84], (image.len() as u32 / 2048).to_le_bytes());
        assert_eq!(&block(PRIMARY)[881..883], [1, 0]);
        assert_eq!(&block(JOLIET)[..7], b"\x02CD001\x01");
        assert_eq!(&block(JOLIET)[88..91], b"%/E");
        assert_eq!(&block(END)[..7], b"\xffCD001\x01");
        assert_eq!(&block(FIRST_FILE)[..4], b"abc\0");
    }

    #[test]
    fn equal_contents_are_equal_bytes() {
        let files: &[(&str, &[u8])] = &[("a", b"1"), ("b", b"2")];
        assert_eq!(image("X", files).unwrap(), image("X", files).unwrap());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let data: &[u8] = b"";
        for label in ["", "A LABEL", "ABCDEFGHIJKLMNOPQ", "é"] {
            assert!(matches!(image(label, &[]), Err(SeedError::Value { .. })), "{label}");
        }
        for name in ["", "..", "a/b", "a b", "é", &"n".repeat(33)] {
            assert!(matches!(image("X", &[(name, data)]), Err(SeedError::File { .. })), "{name}");
        }
        let large = vec![0; MAX_FILE + 1];
        assert!(matches!(image("X", &[("a", &large)]), Err(SeedError::File { .. })));
        assert!(matches!(image("X", &[("a", data); 9]), Err(SeedError::TooMany { .. })));
        assert!(
            image("X", &[("user-data-1", data), ("user-data-2", data)]).is_err(),
            "one name of 8 characters"
        );
        let names: Vec<String> = (0..8).map(|n| format!("{n}{}", "n".repeat(31))).collect();
        let full: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), data)).collect();
        assert!(image("X", &full).is_ok(), "the longest names fit the block");
    }
}
