//! Files of text that people bring, or stdin where they are called `-`.

use anyhow::{Context, Result, bail};
use sampan_manager::text::{self, TextError};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The most that is read of a file with one line in it, in bytes.
const MAX_LINE: u64 = 4 << 10;

/// All of a file's text: without a mark, lines end with `\n`.
///
/// # Errors
/// What the system says; it has more than `most` bytes, or is no UTF-8 text.
pub fn read(file: &Path, most: u64) -> Result<String> {
    Ok(text::decode(bytes(file, most)?)?)
}

/// The same of a file that may also be no text.
///
/// # Errors
/// What the system says; it has more than `most` bytes, or is text in UTF-16.
pub fn read_bytes(file: &Path, most: u64) -> Result<Vec<u8>> {
    Ok(text::unmarked(bytes(file, most)?)?)
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
        text::decode(line)?
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

fn bytes(file: &Path, most: u64) -> Result<Vec<u8>, TextError> {
    match file == Path::new("-") {
        true => text::read(io::stdin(), most),
        false => text::read(File::open(file)?, most),
    }
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
        assert_eq!(read(file(b"a\r\nb").path(), 100).expect("is text"), "a\nb");
        assert_eq!(read_bytes(file(b"a\r\n\xff").path(), 100).expect("is no text"), b"a\r\n\xff");
    }
}
