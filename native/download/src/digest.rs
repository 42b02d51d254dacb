//! SHA-256 and SHA-512 digests (FIPS 180-4), as checksum files write them.

use ring::digest::{Context, SHA256, SHA512};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A digest that a file must have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// 32 bytes.
    Sha256([u8; 32]),
    /// 64 bytes.
    Sha512([u8; 64]),
}

/// Text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a checksum is 64 (SHA-256) or 128 (SHA-512) hexadecimal digits, optionally behind `sha256:` or `sha512:`"
)]
pub struct NotADigest;

impl Digest {
    /// `SHA-256` or `SHA-512`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Sha512(_) => "SHA-512",
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The digits alone, in lower case.
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let (length, digits) = match text.split_once(':') {
            Some(("sha256", digits)) => (Some(64), digits),
            Some(("sha512", digits)) => (Some(128), digits),
            Some(_) => return Err(NotADigest),
            None => (None, text),
        };
        if length.is_some_and(|length| digits.len() != length) {
            return Err(NotADigest);
        }
        match digits.len() {
            64 => bytes(digits).map(Self::Sha256),
            128 => bytes(digits).map(Self::Sha512),
            _ => Err(NotADigest),
        }
    }
}

fn bytes<const N: usize>(digits: &str) -> Result<[u8; N], NotADigest> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotADigest)?;
    Ok(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        };
        write!(f, "{name}:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes the kind of digest that is expected.
pub struct Hasher(Context);

impl Hasher {
    /// Starts a digest of the same kind as `expected`.
    pub fn like(expected: &Digest) -> Self {
        Self(Context::new(match expected {
            Digest::Sha256(_) => &SHA256,
            Digest::Sha512(_) => &SHA512,
        }))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest.
    pub fn finish(self) -> Digest {
        let digest = self.0.finish();
        match <[u8; 32]>::try_from(digest.as_ref()) {
            Ok(bytes) => Digest::Sha256(bytes),
            Err(_) => {
                let mut bytes = [0; 64];
                bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
                Digest::Sha512(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4's example "abc".
    const ABC_256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ABC_512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                           2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn the_standard_example_hashes_to_its_digest() {
        for text in [ABC_256, ABC_512] {
            let expected: Digest = text.parse().unwrap();
            let mut hasher = Hasher::like(&expected);
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), expected);
            assert_eq!(expected.to_string().parse(), Ok(expected));
            assert_eq!(text.to_uppercase().parse(), Ok(expected), "upper case is the same digest");
        }
    }

    #[test]
    fn other_text_is_no_digest() {
        let signed = format!("+{}", &ABC_256[1..]);
        for bad in [
            "",
            "abc",
            &ABC_256[1..],
            &format!("{ABC_256}0"),
            &format!("md5:{ABC_256}"),
            &format!("sha512:{ABC_256}"),
            &signed,
            &"é".repeat(32),
            &"é".repeat(64),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(NotADigest), "{bad:?}");
        }
    }
}
