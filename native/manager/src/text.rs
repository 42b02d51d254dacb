//! Files of text that people bring: keys, user-data, catalogues. They come from any editor of any system, so a mark at the
//! beginning and the ends of lines are not what a person wrote, and what is no UTF-8 is told as what it is.
//!
//! What is in such a file may be secret: it is in no message.

use sampan_message::{Params, io_code};
use std::io::Read;

/// UTF-8's mark of byte order, which has one order alone: Windows' editors write it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file's text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// It is longer than anything of its kind.
    #[error("it has more than {most} bytes")]
    TooLong {
        /// How many bytes are read.
        most: u64,
    },
    /// Windows' “Unicode”.
    #[error(
        "it is text in UTF-16, as Windows' “Unicode” is: save it as UTF-8 (`iconv -f UTF-16 -t UTF-8` converts it)"
    )]
    Utf16,
    /// An older encoding, or no text.
    #[error("it is no UTF-8 text: save it as UTF-8 (`iconv -t UTF-8` converts others)")]
    NotUtf8,
    /// The system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl TextError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::TooLong { most } => ("text_too_long", Params::of("most", *most)),
            Self::Utf16 | Self::NotUtf8 => ("not_utf8", Params::new()),
            Self::Io(error) => (io_code(error), Params::of("why", error.to_string())),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::TooLong { .. } => Self::Utf16,
            Self::Utf16 => Self::NotUtf8,
            Self::NotUtf8 => Self::Io(std::io::ErrorKind::PermissionDenied.into()),
            Self::Io(_) => return None,
        })
    }

    pub(crate) fn samples() -> Vec<sampan_message::Message> {
        sampan_message::samples(Self::TooLong { most: 4096 }, Self::after)
    }
}

sampan_message::coded!(TextError);

/// The bytes of a file.
///
/// # Errors
/// What the system says; it has more than `most`.
pub fn read(source: impl Read, most: u64) -> Result<Vec<u8>, TextError> {
    let mut bytes = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(TextError::TooLong { most });
    }
    Ok(bytes)
}

/// Their text: without a mark, lines end with `\n`.
///
/// # Errors
/// They are no UTF-8.
pub fn decode(bytes: Vec<u8>) -> Result<String, TextError> {
    let text = String::from_utf8(unmarked(bytes)?).map_err(|_| TextError::NotUtf8)?;
    // Windows' ends of lines, and old Macs'.
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The same bytes without a mark, of what may also be no text.
///
/// # Errors
/// They are text in UTF-16.
pub fn unmarked(mut bytes: Vec<u8>) -> Result<Vec<u8>, TextError> {
    // By its mark; without one by its zeros, which no text in UTF-8 has.
    let zeros = |odd: usize| {
        bytes.len() >= 2
            && bytes.len().is_multiple_of(2)
            && bytes.chunks_exact(2).all(|pair| pair.get(odd) == Some(&0))
    };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || zeros(0) || zeros(1) {
        return Err(TextError::Utf16);
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_its_writer_saw() {
        for (bytes, words) in [
            (&b"\xef\xbb\xbfbom\n"[..], "bom\n"),
            (b"a\r\nb\r\n", "a\nb\n"),
            (b"a\rb", "a\nb"),
            ("ü 密码".as_bytes(), "ü 密码"),
            // Within a text it is a character, if a useless one.
            (b"a\xef\xbb\xbf", "a\u{feff}"),
            (b"", ""),
        ] {
            assert_eq!(decode(bytes.to_vec()).expect("is text"), words, "{bytes:?}");
        }
        let utf16 = |little: bool, mark: bool| -> Vec<u8> {
            let text = if mark { "\u{feff}secret" } else { "secret" };
            text.encode_utf16()
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect()
        };
        for bytes in [utf16(true, true), utf16(false, true), utf16(true, false), utf16(false, false)] {
            let words = decode(bytes.clone()).expect_err("is UTF-16").to_string();
            assert!(
                words.contains("UTF-16") && words.contains("UTF-8") && !words.contains("secret"),
                "{words}"
            );
            assert!(matches!(unmarked(bytes), Err(TextError::Utf16)));
        }
        let words = decode(b"se\xffcret".to_vec()).expect_err("is Latin-1").to_string();
        assert!(words.contains("no UTF-8") && !words.contains("cret"), "{words}");
        assert_eq!(unmarked(b"\x1f\x8b\xff\r\n".to_vec()).expect("is no text"), b"\x1f\x8b\xff\r\n");
        assert!(matches!(read(&b"12345"[..], 4), Err(TextError::TooLong { most: 4 })));
        assert_eq!(read(&b"1234"[..], 4).expect("fits"), b"1234");
    }
}
