//! Property lists in XML, as Apple's programs write them (`PropertyList-1.0.dtd`).

use crate::fault::DescriptionFault;
use roxmltree::{Document, Node, ParsingOptions};

/// The most elements.
const MAX_NODES: u32 = 20_000;

/// Reads a property list's text; what `read` makes of its one value.
pub(super) fn with_root<T>(
    text: &str,
    read: impl FnOnce(Value<'_, '_>) -> Result<T, DescriptionFault>,
) -> Result<T, DescriptionFault> {
    if text.starts_with("bplist") {
        return Err(DescriptionFault::BinaryPlist);
    }
    // Every property list names its DTD. roxmltree fetches nothing and bounds what entities expand to.
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|e| DescriptionFault::BadPlist { why: e.to_string() })?;
    let root = document.root_element();
    match root.children().find(Node::is_element).filter(|_| root.has_tag_name("plist")) {
        Some(value) => read(Value(value)),
        None => Err(DescriptionFault::NoPlist),
    }
}

/// One value. What is absent or of another type reads as nothing.
#[derive(Clone, Copy)]
pub(super) struct Value<'a, 'input>(Node<'a, 'input>);

impl<'a, 'input> Value<'a, 'input> {
    /// A dictionary's value.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let mut elements = self.0.children().filter(Node::is_element).take(4096);
        if !self.0.has_tag_name("dict") {
            return None;
        }
        while let Some(name) = elements.next() {
            let value = elements.next()?;
            if name.text().unwrap_or_default() == key {
                return Some(Self(value));
            }
        }
        None
    }

    pub(super) fn at(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    pub(super) fn text(self) -> Option<&'a str> {
        self.0.has_tag_name("string").then(|| self.0.text().unwrap_or_default())
    }

    pub(super) fn number(self) -> Option<u64> {
        self.0.has_tag_name("integer").then(|| self.0.text()?.trim().parse().ok()).flatten()
    }

    pub(super) fn flag(self) -> bool {
        self.0.has_tag_name("true")
    }

    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let is_array = self.0.has_tag_name("array");
        self.0.children().filter(move |n| is_array && n.is_element()).take(super::MAX_PARTS).map(Self)
    }
}
