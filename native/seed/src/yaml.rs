//! JSON that every YAML reader reads alike.
//!
//! cloud-init reads YAML 1.1 (PyYAML). JSON is nearly a subset of it: PyYAML takes U+0085, U+2028 and U+2029 in a
//! quoted text for line breaks, refuses U+007F and U+FEFF, and does not join JSON's surrogate pairs. So all but
//! printable ASCII is escaped, beyond the basic plane as YAML does it (`\U0001F600`).

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

#[derive(Default)]
struct Escaping<'a>(PrettyFormatter<'a>);

impl Formatter for Escaping<'_> {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            match c {
                ' '..='~' => write!(writer, "{c}")?,
                '\u{10000}'.. => write!(writer, "\\U{:08X}", u32::from(c))?,
                _ => write!(writer, "\\u{:04X}", u32::from(c))?,
            }
        }
        Ok(())
    }

    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// Writes a value behind a first line.
pub(crate) fn document(first_line: &str, value: &impl Serialize) -> String {
    let mut out = first_line.as_bytes().to_vec();
    let mut serializer = Serializer::with_formatter(&mut out, Escaping::default());
    // Writing to memory does not fail, and the values have neither odd keys nor numbers.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok());
    out.push(b'\n');
    // All but ASCII is escaped.
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use yaml_rust2::YamlLoader;

    proptest! {
        #[test]
        fn any_text_stays_one_value(key in "\\PC{1,10}", text: String, odd in "[\u{7f}\u{85}\u{2028}\u{feff}\u{1f600}\n\"\\\\:#{}'-]{0,9}") {
            let text = text + &odd;
            let value = std::collections::BTreeMap::from([(key.clone(), vec![text.clone()])]);
            let document = document("#cloud-config\n", &value);
            prop_assert!(document.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)));
            let read = YamlLoader::load_from_str(&document).unwrap();
            prop_assert_eq!(read.len(), 1);
            let entries = read[0].as_hash().unwrap();
            prop_assert_eq!(entries.len(), 1);
            let (read_key, read_value) = entries.iter().next().unwrap();
            prop_assert_eq!(read_key.as_str(), Some(key.as_str()));
            prop_assert_eq!(read_value.as_vec().map(Vec::len), Some(1));
            prop_assert_eq!(read_value[0].as_str(), Some(text.as_str()));
        }
    }
}
