//! What a clipboard holds: text or a picture, checked and bounded.

use std::fmt;
use std::sync::Arc;

/// The most bytes that are shared at once, either way.
pub const MAX_CONTENT: usize = 16 << 20;

/// The most pixels of a picture: what a guest says of its picture's size is what a program that shows it makes room for.
pub const MAX_PIXELS: u64 = 1 << 26;

/// What a PNG begins with (RFC 2083, section 3.1), and the header of its first chunk: 13 bytes, `IHDR`.
const PNG: [u8; 16] = *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Text in UTF-8, with line feeds between its lines.
    Text,
    /// A picture as PNG.
    Png,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Text, Self::Png];

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Png => "png",
        }
    }

    /// The kind of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Png => "picture",
        })
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Text.
    pub text: bool,
    /// A picture.
    pub png: bool,
}

impl Kinds {
    /// None.
    pub const NONE: Self = Self { text: false, png: false };

    /// Whether a kind is in it.
    pub fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Text => self.text,
            Kind::Png => self.png,
        }
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

/// Why something is no content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Too many bytes.
    #[error(
        "{size} bytes are more than a clipboard takes ({MAX_CONTENT}): copy a part of it, or share it as a file"
    )]
    TooLarge {
        /// How many.
        size: usize,
    },
    /// It is not UTF-8.
    #[error("the text is not UTF-8")]
    NotText,
    /// It is no PNG.
    #[error("the picture is not a PNG")]
    NotPng,
    /// More pixels than any screen has.
    #[error("the picture has {width}×{height} pixels, more than a clipboard takes ({MAX_PIXELS} in all)")]
    TooManyPixels {
        /// From left to right.
        width: u32,
        /// From top to bottom.
        height: u32,
    },
}

/// A content of one kind. A clone shares its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    kind: Kind,
    bytes: Arc<[u8]>,
}

impl Content {
    /// Checks bytes of a kind. Of a text, `\r\n` becomes `\n` and NULs at the end are left out, as Windows has them.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn new(kind: Kind, bytes: &[u8]) -> Result<Self, ContentError> {
        if bytes.len() > MAX_CONTENT {
            return Err(ContentError::TooLarge { size: bytes.len() });
        }
        match kind {
            Kind::Text => {
                let text = std::str::from_utf8(bytes).map_err(|_| ContentError::NotText)?;
                let text = text.trim_end_matches('\0');
                let bytes: Arc<[u8]> = if text.contains("\r\n") {
                    text.replace("\r\n", "\n").into_bytes().into()
                } else {
                    text.as_bytes().into()
                };
                Ok(Self { kind, bytes })
            }
            Kind::Png => {
                check_png(bytes)?;
                Ok(Self { kind, bytes: bytes.into() })
            }
        }
    }

    /// A text.
    ///
    /// # Errors
    /// [`ContentError::TooLarge`].
    pub fn text(text: &str) -> Result<Self, ContentError> {
        Self::new(Kind::Text, text.as_bytes())
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Its bytes as a guest wants them whose lines end with `\r\n`, where it is one.
    pub(crate) fn for_guest(&self, crlf: bool) -> Arc<[u8]> {
        if self.kind != Kind::Text || !crlf || !self.bytes.contains(&b'\n') {
            return Arc::clone(&self.bytes);
        }
        let lines = self.bytes.iter().filter(|byte| **byte == b'\n').count();
        let mut bytes = Vec::with_capacity(self.bytes.len() + lines);
        for &byte in self.bytes.iter() {
            if byte == b'\n' {
                bytes.push(b'\r');
            }
            bytes.push(byte);
        }
        bytes.into()
    }
}

impl fmt::Debug for Content {
    /// A clipboard may hold a secret, and a log lasts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({}, {} bytes)", self.kind.name(), self.bytes.len())
    }
}

fn check_png(bytes: &[u8]) -> Result<(), ContentError> {
    let sides = bytes.strip_prefix(&PNG).and_then(|rest| rest.split_first_chunk::<4>());
    let (width, rest) = sides.ok_or(ContentError::NotPng)?;
    let (height, _) = rest.split_first_chunk::<4>().ok_or(ContentError::NotPng)?;
    let (width, height) = (u32::from_be_bytes(*width), u32::from_be_bytes(*height));
    match u64::from(width) * u64::from(height) {
        0 => Err(ContentError::NotPng),
        pixels if pixels > MAX_PIXELS => Err(ContentError::TooManyPixels { width, height }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [&PNG[..], &width.to_be_bytes(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat()
    }

    #[test]
    fn lines_end_as_their_side_has_them() {
        let content = Content::new(Kind::Text, "eins\r\nzwei\n中\0\0".as_bytes()).expect("a text");
        assert_eq!(&**content.bytes(), "eins\nzwei\n中".as_bytes());
        assert_eq!(&*content.for_guest(true), "eins\r\nzwei\r\n中".as_bytes());
        assert_eq!(&*content.for_guest(false), "eins\nzwei\n中".as_bytes());
        assert_eq!(Content::new(Kind::Text, b"\xff"), Err(ContentError::NotText));
    }

    #[test]
    fn a_picture_says_its_size_and_is_believed_within_bounds() {
        assert!(Content::new(Kind::Png, &png(1920, 1080)).is_ok());
        for (bytes, error) in [
            (png(0, 5), ContentError::NotPng),
            (png(1 << 16, 1 << 16), ContentError::TooManyPixels { width: 1 << 16, height: 1 << 16 }),
            (b"BM......".to_vec(), ContentError::NotPng),
            (png(1, 1)[..20].to_vec(), ContentError::NotPng),
            (vec![0; MAX_CONTENT + 1], ContentError::TooLarge { size: MAX_CONTENT + 1 }),
        ] {
            assert_eq!(Content::new(Kind::Png, &bytes), Err(error));
        }
    }

    #[test]
    fn what_is_in_it_is_not_logged() {
        let content = Content::text("geheim").expect("a text");
        assert_eq!(format!("{content:?}"), "Content(text, 6 bytes)");
    }
}
