//! As much XML as an answer file needs: elements, attributes, escaped text.

use std::fmt::Write;

/// Writes elements, each on a line of its own.
pub(crate) struct Xml {
    out: String,
    open: Vec<&'static str>,
}

impl Xml {
    pub fn new() -> Self {
        Self { out: "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".into(), open: Vec::new() }
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.open.len()));
    }

    /// An element with others in it.
    pub fn element(
        &mut self,
        name: &'static str,
        attributes: &[(&str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.indent();
        let _ = write!(self.out, "<{name}");
        for (key, value) in attributes {
            let _ = write!(self.out, " {key}=\"{}\"", escaped(value));
        }
        self.out.push_str(">\n");
        self.open.push(name);
        inside(self);
        self.open.pop();
        self.indent();
        let _ = writeln!(self.out, "</{name}>");
    }

    /// An element of a list, which Setup wants marked so.
    pub fn item(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.element(name, &[("wcm:action", "add")], inside);
    }

    /// An element with text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.indent();
        let _ = writeln!(self.out, "<{name}>{}</{name}>", escaped(text));
    }

    pub fn finish(self) -> String {
        self.out
    }
}

/// Whether XML can hold the character at all (XML 1.0 section 2.2).
pub(crate) fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Spaces other than the common one would be made equal to it in attributes.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if allowed(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_back(text: String) {
            let mut xml = Xml::new();
            xml.element("a", &[("b", &text)], |xml| xml.text("c", &text));
            let written = xml.finish();
            let read = roxmltree::Document::parse(&written).unwrap();
            let expected: String = text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect();
            prop_assert_eq!(read.root_element().attribute("b"), Some(expected.as_str()));
            let inner: Vec<_> = read.root_element().children().filter(|n| n.is_element()).collect();
            prop_assert_eq!(inner.len(), 1);
            prop_assert_eq!(inner[0].text().unwrap_or_default(), expected.as_str());
        }
    }
}
