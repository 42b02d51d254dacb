//! Files of text that people bring: passwords, keys, user-data, catalogues. They come from any editor of any system, so a mark at
//! the beginning and the ends of lines are not what a person wrote, and what is no UTF-8 is told as what it is.
//!
//! What is in such a file may be secret: it is in no message.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The most that is read of a file with one line in it, in bytes.
const MAX_LINE: u64 = 4 << 10;

/// UTF-8's mark of byte order, which has one order alone: Windows' editors write it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// All of a file's text, or of stdin's where it is called `-`: without a mark, lines end with `\n`.
///
/// # Errors
/// What the system says; it has more than `most` bytes, or is no UTF-8 text.
pub fn read(file: &Path, most: u64) -> Result<String> {
    text(bytes(file, most)?)
}

/// The same of a file that may also be no text.
///
/// # Errors
/// What the system says; it has more than `most` bytes, or is text in UTF-16.
pub fn read_bytes(file: &Path, most: u64) -> Result<Vec<u8>> {
    let bytes = bytes(file, most)?;
    refuse_utf16(&bytes)?;
    Ok(unmarked(bytes))
}

/// The first line of a file, or of stdin, and whether there are more.
///
/// # Errors
/// See [`read`].
pub fn first_line(file: &Path) -> Result<(String, bool)> {
    let text = if file == Path::new("-") {
        // No more than a line of a terminal.
        let mut line = Vec::new();
        BufReader::new(io::stdin().lock().take(MAX_LINE)).read_until(b'\n', &mut line)?;
        text(line)?
    } else {
        read(file, MAX_LINE).with_context(|| file.display().to_string())?
    };
    let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
    Ok((line.to_owned(), !rest.is_empty()))
}

/// The only line of a file with a secret, or the first of stdin.
///
/// # Errors
/// See [`read`]; it has several lines.
pub fn only_line(file: &Path) -> Result<String> {
    let (line, more) = first_line(file)?;
    if more {
        bail!("it has several lines: one is wanted");
    }
    Ok(line)
}

fn bytes(file: &Path, most: u64) -> Result<Vec<u8>> {
    let source: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file)?),
    };
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        bail!("it has more than {most} bytes");
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    refuse_utf16(&bytes)?;
    let text = String::from_utf8(unmarked(bytes))
        .ok()
        .context("it is no UTF-8 text: save it as UTF-8 (`iconv -t UTF-8` converts others)")?;
    // Windows' ends of lines, and old Macs'.
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

fn unmarked(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    bytes
}

/// By its mark; without one by its zeros, which no text in UTF-8 has.
fn refuse_utf16(bytes: &[u8]) -> Result<()> {
    let zeros = |odd: usize| {
        bytes.len() >= 2
            && bytes.len().is_multiple_of(2)
            && bytes.chunks_exact(2).all(|pair| pair.get(odd) == Some(&0))
    };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || zeros(0) || zeros(1) {
        bail!(
            "it is text in UTF-16, as Windows' “Unicode” is: save it as UTF-8 (`iconv -f UTF-16 -t UTF-8` converts it)"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("writes");
        file
    }

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
            assert_eq!(read(file(bytes).path(), 100).expect("is text"), words, "{bytes:?}");
        }
        let utf16 = |little: bool, mark: bool| -> Vec<u8> {
            let text = if mark { "\u{feff}secret" } else { "secret" };
            text.encode_utf16()
                .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect()
        };
        for bytes in [utf16(true, true), utf16(false, true), utf16(true, false), utf16(false, false)] {
            for words in [
                format!("{:#}", read(file(&bytes).path(), 100).expect_err("is UTF-16")),
                format!("{:#}", read_bytes(file(&bytes).path(), 100).expect_err("is UTF-16")),
            ] {
                assert!(
                    words.contains("UTF-16") && words.contains("UTF-8") && !words.contains("secret"),
                    "{words}"
                );
            }
        }
        let words = format!("{:#}", read(file(b"se\xffcret").path(), 100).expect_err("is Latin-1"));
        assert!(words.contains("no UTF-8") && !words.contains("cret"), "{words}");
        assert_eq!(
            read_bytes(file(b"\x1f\x8b\xff\r\n").path(), 100).expect("is no text"),
            b"\x1f\x8b\xff\r\n"
        );
        assert!(read(file(b"12345").path(), 4).is_err(), "more than is read");
    }

    #[test]
    fn a_secret_is_a_line_without_its_end() {
        for bytes in
            [&b"open sesame"[..], b"open sesame\n", b"open sesame\r\n", b"\xef\xbb\xbfopen sesame\r\n"]
        {
            assert_eq!(only_line(file(bytes).path()).expect("a line"), "open sesame", "{bytes:?}");
        }
        let two = file(b"open sesame\r\nmore");
        assert_eq!(first_line(two.path()).expect("lines"), ("open sesame".into(), true));
        let words = format!("{:#}", only_line(two.path()).expect_err("two lines"));
        assert!(!words.contains("sesame"), "{words}");
        assert!(first_line(file(&[b'x'; 5000]).path()).is_err());
    }
}
