//! Checksum files, as distributions publish them: what digest has which file?
//!
//! Three notations are read, line by line, mixed as they come:
//!
//! - `DIGEST  NAME` and `DIGEST *NAME`: coreutils' `sha256sum`, `sha512sum` (`SHA256SUMS` of Debian, Ubuntu, …);
//! - `SHA256 (NAME) = DIGEST`: the BSDs' `sha256` and coreutils' `--tag` (Fedora's and Rocky's `CHECKSUM`, FreeBSD);
//! - a lone `DIGEST`, the whole file: openSUSE's and others' `NAME.sha256` in its shortest form.
//!
//! Anything else, such as comments and an OpenPGP signature around it, is passed over. The signature is **not**
//! checked: a checksum file is as trustworthy as the https server it comes from.

use crate::digest::Digest;
use std::cmp::Ordering;

/// The largest checksum file that is read, in bytes. FreeBSD's and Debian's have a few kilobytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Lines that are looked at.
const MAX_LINES: usize = 20_000;

/// Why a checksum file does not tell a file's digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// It is not in it.
    #[error("it has {entries} checksums, none of them for {file}")]
    Missing {
        /// The name or pattern that was looked for.
        file: String,
        /// How many checksums there are.
        entries: usize,
    },
    /// One name, two digests.
    #[error("it has two different checksums for {file}")]
    Ambiguous {
        /// The name.
        file: String,
    },
}

/// A file's name in a checksum file. `{version}` in it stands for a version of digits and dots, and the highest
/// one is found: `debian-{version}-amd64-netinst.iso` finds `debian-13.2.0-amd64-netinst.iso` but not
/// `debian-edu-13.2.0-amd64-netinst.iso`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern<'a>(&'a str);

const VERSION: &str = "{version}";

impl<'a> Pattern<'a> {
    /// A name, or one with `{version}` in it.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether it names a file, and one alone: of letters, digits and `._+-`, with `{version}` once at most.
    pub(crate) fn is_sound(&self) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
        let (before, after) = self.0.split_once(VERSION).unwrap_or((self.0, ""));
        self.0.len() <= 200
            && !before.starts_with('.')
            && before.len() + after.len() > 0
            && before.bytes().chain(after.bytes()).all(plain)
    }

    /// The version in `name`, or an empty one if the pattern has none; `None` if `name` is another file.
    fn version<'n>(&self, name: &'n str) -> Option<&'n str> {
        let Some((before, after)) = self.0.split_once(VERSION) else {
            return (self.0 == name).then_some("");
        };
        let version = name.strip_prefix(before)?.strip_suffix(after)?;
        let digits = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        // At most 8 parts of at most 9 digits: each fits u32, and the name a URL.
        (version.split('.').count() <= 8 && version.split('.').all(digits)).then_some(version)
    }
}

fn newer(a: &str, b: &str) -> Ordering {
    let numbers = |v: &str| v.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    numbers(a).cmp(&numbers(b))
}

/// The name and digest of the file that `wanted` names.
///
/// # Errors
/// [`ChecksumError`]: not there, or there twice with different digests.
pub fn find(text: &str, wanted: &Pattern<'_>) -> Result<(String, Digest), ChecksumError> {
    let mut entries = 0;
    let mut best: Option<(&str, Vec<Digest>)> = None;
    let mut lone = Vec::new();
    for line in text.lines().take(MAX_LINES) {
        let Some((name, digest)) = parse(line) else { continue };
        entries += 1;
        let Some(name) = name else {
            lone.push(digest);
            continue;
        };
        let Some(version) = wanted.version(name) else { continue };
        match &mut best {
            Some((found, digests)) => match newer(version, wanted.version(found).unwrap_or_default()) {
                Ordering::Greater => best = Some((name, vec![digest])),
                Ordering::Equal => digests.push(digest),
                Ordering::Less => {}
            },
            None => best = Some((name, vec![digest])),
        }
    }
    // A lone digest is of the one file whose checksum file this is.
    if let (None, [digest], 1, false) = (&best, lone.as_slice(), entries, wanted.0.contains(VERSION)) {
        return Ok((wanted.0.to_owned(), *digest));
    }
    let missing = || ChecksumError::Missing { file: wanted.0.to_owned(), entries };
    let (name, digests) = best.ok_or_else(missing)?;
    // A file may list both a SHA-256 and a SHA-512; the longer one is taken.
    let longest = digests.iter().find(|d| matches!(d, Digest::Sha512(_))).or(digests.first());
    let longest = *longest.ok_or_else(missing)?;
    let differs = |d: &&Digest| d.algorithm() == longest.algorithm() && **d != longest;
    if digests.iter().any(|d| differs(&d)) {
        return Err(ChecksumError::Ambiguous { file: name.to_owned() });
    }
    Ok((name.to_owned(), longest))
}

/// One line's name, if it has one, and digest.
fn parse(line: &str) -> Option<(Option<&str>, Digest)> {
    let line = line.trim();
    for algorithm in ["SHA256 (", "SHA512 ("] {
        if let Some(rest) = line.strip_prefix(algorithm) {
            let (name, digest) = rest.rsplit_once(") = ")?;
            let digest: Digest = digest.trim().parse().ok()?;
            let right = algorithm.starts_with("SHA256") == matches!(digest, Digest::Sha256(_));
            return right.then_some((Some(plain(name)), digest));
        }
    }
    match line.split_once([' ', '\t']) {
        None => Some((None, hex(line)?)),
        Some((digest, name)) => {
            let name = name.trim_start();
            Some((Some(plain(name.strip_prefix('*').unwrap_or(name))), hex(digest)?))
        }
    }
}

/// Bare digits: in these notations no prefix stands before them.
fn hex(text: &str) -> Option<Digest> {
    (!text.contains(':')).then(|| text.parse().ok()).flatten()
}

/// Some lists are made by `sha256sum ./*`.
fn plain(name: &str) -> &str {
    name.strip_prefix("./").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(fill: u8) -> Digest {
        Digest::Sha256([fill; 32])
    }

    #[test]
    fn every_notation_is_read() {
        let (a, b) = (digest(0xaa), Digest::Sha512([0xbb; 64]));
        for (text, name, expected) in [
            (format!("{}  a.iso\n{}  other.iso\n", a.hex(), digest(1).hex()), "a.iso", a),
            (format!("{} *a.iso\r\n", a.hex()), "a.iso", a),
            (format!("{}  ./a b.iso\n", b.hex()), "a b.iso", b),
            (format!("{}\n", a.hex()), "a.iso", a),
            (format!("SHA512 (a.iso) = {}\n", b.hex()), "a.iso", b),
            (
                format!(
                    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a.iso: 123 bytes\nSHA256 (a.iso) = {}\n\
                     -----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n",
                    a.hex()
                ),
                "a.iso",
                a,
            ),
        ] {
            assert_eq!(find(&text, &Pattern::new(name)), Ok((name.to_owned(), expected)), "{text}");
        }
    }

    #[test]
    fn the_highest_version_is_found_and_no_other_flavour() {
        let list: String = [
            "debian-13.9.0-amd64-netinst.iso",
            "debian-13.10.0-amd64-netinst.iso",
            "debian-edu-14.0.0-amd64-netinst.iso",
            "debian-13.2.0-amd64-netinst.iso",
        ]
        .iter()
        .zip(1..)
        .map(|(name, fill)| format!("{}  {name}\n", digest(fill).hex()))
        .collect();
        let found = find(&list, &Pattern::new("debian-{version}-amd64-netinst.iso"));
        assert_eq!(found, Ok(("debian-13.10.0-amd64-netinst.iso".to_owned(), digest(2))));
    }

    #[test]
    fn what_is_not_told_is_an_error() {
        let a = digest(1).hex();
        let twice = format!("{a}  a.iso\n{}  a.iso\n", digest(2).hex());
        assert!(matches!(find(&twice, &Pattern::new("a.iso")), Err(ChecksumError::Ambiguous { .. })));
        for text in [
            "<html>404</html>".to_owned(),
            format!("{a}  b.iso"),
            format!("{a}  sub/a.iso"),
            format!("SHA512 (a.iso) = {a}"),
            format!("MD5 (a.iso) = {}", &a[..32]),
            format!("{a}\n{a}\n"),
            format!("SHA256 (b.iso) = {a}\n{a}"),
        ] {
            let found = find(&text, &Pattern::new("a.iso"));
            assert!(matches!(found, Err(ChecksumError::Missing { .. })), "{text}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(
            names in prop::collection::btree_set("[a-zA-Z0-9][a-zA-Z0-9._ ()+-]{0,20}[a-zA-Z0-9]", 1..20),
            tagged: bool, star: bool, pick: prop::sample::Index,
        ) {
            let list: String = names.iter().zip(1u8..).map(|(name, fill)| {
                let hex = digest(fill).hex();
                if tagged { format!("SHA256 ({name}) = {hex}\n") } else { format!("{hex} {}{name}\n", if star { '*' } else { ' ' }) }
            }).collect();
            let at = pick.index(names.len());
            let name = names.iter().nth(at).unwrap();
            prop_assert_eq!(find(&list, &Pattern::new(name)), Ok((name.clone(), digest(at as u8 + 1))));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,300}", name in "\\PC{0,30}") {
            let _ = find(&text, &Pattern::new(&name));
        }
    }
}
