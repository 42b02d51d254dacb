//! An appliance's manifest: a digest of each of its files (OVF 2.1, 7.1: `SHA256(name)= 0123…`).

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeMap;

/// What a manifest says of its files.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<String, Sum>);

/// One digest, in small hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    algorithm: String,
    digits: String,
}

impl Sums {
    /// Reads a manifest; lines that are no digests are passed over. The files are in its own `folder`.
    pub(super) fn parse(folder: &str, text: &str) -> Self {
        let line = |line: &str| {
            let (algorithm, rest) = line.trim().split_once('(')?;
            // A file's name may hold brackets itself.
            let (name, digits) = rest.rsplit_once(')')?;
            let digits = digits.trim_start().strip_prefix('=')?.trim().to_ascii_lowercase();
            let algorithm = algorithm.trim().replace('-', "").to_ascii_uppercase();
            let name = match folder {
                "" => name.trim().to_owned(),
                folder => format!("{folder}/{}", name.trim()),
            };
            Some((name, Sum { algorithm, digits }))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// Whether the file has a digest, and by which algorithm if it is none that is known.
    pub(super) fn of(&self, name: &str) -> Found<'_> {
        match self.0.get(name) {
            None => Found::None,
            Some(sum) => match Hasher::of(&sum.algorithm) {
                Some(_) => Found::Known,
                None => Found::Unknown(&sum.algorithm),
            },
        }
    }

    /// What compares a file as it is read.
    pub(super) fn check(&self, name: &str) -> Check {
        let sum = self.0.get(name);
        let hasher = sum.and_then(|sum| Hasher::of(&sum.algorithm));
        Check(hasher.zip(sum.map(|sum| sum.digits.clone())))
    }
}

/// What a manifest has of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Known,
    Unknown(&'a str),
    None,
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn of(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            // It finds damage; nobody's work of forging two files of one digest is kept out by any unsigned manifest.
            "SHA1" => Self::Sha1(Sha1::new()),
            "SHA256" => Self::Sha256(Sha256::new()),
            "SHA512" => Self::Sha512(Sha512::new()),
            _ => return None,
        })
    }
}

/// A file's comparison with its digest; one without is well.
#[derive(Default)]
pub(super) struct Check(Option<(Hasher, String)>);

impl Check {
    /// Whether there is a digest to compare with.
    pub(super) fn compares(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Some((Hasher::Sha1(hasher), _)) => hasher.update(bytes),
            Some((Hasher::Sha256(hasher), _)) => hasher.update(bytes),
            Some((Hasher::Sha512(hasher), _)) => hasher.update(bytes),
            None => {}
        }
    }

    pub(super) fn agrees(self) -> bool {
        match self.0 {
            Some((Hasher::Sha1(hasher), sum)) => hex::encode(hasher.finalize()) == sum,
            Some((Hasher::Sha256(hasher), sum)) => hex::encode(hasher.finalize()) == sum,
            Some((Hasher::Sha512(hasher), sum)) => hex::encode(hasher.finalize()) == sum,
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_each_kind_are_compared() {
        // By `printf abc | sha1sum` and so on.
        let text = "SHA1(a (1).vmdk)= A9993E364706816ABA3E25717850C26C9CD0D89D\r\n\
            SHA256(b)=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n\
            SHA512(c)= ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\n\
            MD5(d)= 900150983cd24fb0d6963f7d28e17f72\nnonsense\n";
        let sums = Sums::parse("", text);
        for name in ["a (1).vmdk", "b", "c"] {
            assert_eq!(sums.of(name), Found::Known);
            for (bytes, right) in [(b"abc", true), (b"abd", false)] {
                let mut check = sums.check(name);
                bytes.chunks(2).for_each(|part| check.update(part));
                assert_eq!(check.agrees(), right, "{name}");
            }
        }
        assert_eq!((sums.of("d"), sums.of("e")), (Found::Unknown("MD5"), Found::None));
        assert!(sums.check("e").agrees());
    }
}
