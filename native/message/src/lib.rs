//! What a person is told when something fails or needs a decision: a stable code, the values that belong to it, and
//! English beside them.
//!
//! Programs decide by the code and never by the text. A face that speaks another language looks the code up in its own
//! resources and fills in the values; one that speaks English, and every log, uses the text.
//!
//! Errors stay what they are in Rust, an enum of their crate. [`Coded`] gives each of them its code and its values;
//! [`Coded::message`] is all three together, as they go over a socket, to a page or to the app.
//!
//! **Invariant:** pure: no clock, no I/O; a code is never renamed.
//!
//! ```
//! use sampan_message::{Coded, Params};
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the disk has {free} bytes left, {needed} are needed: free some space")]
//! struct NoSpace { free: u64, needed: u64 }
//!
//! impl Coded for NoSpace {
//!     fn code(&self) -> &'static str { "no_space" }
//!     fn params(&self) -> Params { Params::new().with("free", self.free).with("needed", self.needed) }
//! }
//!
//! let message = NoSpace { free: 10, needed: 20 }.message();
//! assert_eq!(
//!     serde_json::to_string(&message).unwrap(),
//!     r#"{"code":"no_space","params":{"free":10,"needed":20},"message":"the disk has 10 bytes left, 20 are needed: free some space"}"#
//! );
//! ```
#![forbid(unsafe_code)]

mod reason;

pub use reason::{Reason, are_distinct};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// One value of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A count or a size. Sizes are in bytes where the name of the value does not say otherwise.
    Number(u64),
    /// A name, a path, or what another program said.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&std::path::Path> for Value {
    fn from(path: &std::path::Path) -> Self {
        Self::Text(path.display().to_string())
    }
}

/// The values of a message, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(BTreeMap<Cow<'static, str>, Value>);

impl Params {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// One value. Its name is in snake case.
    pub fn of(name: &'static str, value: impl Into<Value>) -> Self {
        Self::new().with(name, value)
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(Cow::Borrowed(name), value.into());
        self
    }

    /// The same with all of these.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

/// A code, its values, and English beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The kind, in snake case: `port_in_use`. It is never renamed.
    pub code: Cow<'static, str>,
    /// What the text is made of.
    #[serde(default)]
    pub params: Params,
    /// The text in English.
    pub message: String,
}

impl Message {
    /// A message without values.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: code.into(), params: Params::new(), message: message.into() }
    }

    /// A reason as a message of its own: its code is the message's.
    pub fn of(reason: &impl Reason) -> Self {
        Self { code: reason.code().into(), params: reason.params(), message: reason.to_string() }
    }

    /// A sentence of ours that stands by itself and completes no other: its code is the message's, and no value says it again.
    pub fn saying(sentence: &impl Reason) -> Self {
        Self { code: sentence.code().into(), params: sentence.values(), message: sentence.to_string() }
    }

    /// The values of an error that this message is the reason of: its own, and its code as `reason`.
    pub fn as_reason(&self) -> Params {
        self.params.clone().with("reason", &*self.code)
    }

    /// A message whose text is a reason's.
    pub fn because(code: &'static str, reason: &impl Reason) -> Self {
        Self { code: code.into(), params: reason.params(), message: reason.to_string() }
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.params = self.params.with(name, value);
        self
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Message {}

/// An error with a stable code.
pub trait Coded: std::error::Error {
    /// Its kind, in snake case. Two errors have the same code if a person does the same about them.
    fn code(&self) -> &'static str;

    /// What its text is made of.
    fn params(&self) -> Params {
        Params::new()
    }

    /// All of it; the text is that of the error and its sources, each once.
    fn message(&self) -> Message {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let words = error.to_string();
            // Some errors quote their source already.
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            source = error.source();
        }
        Message { code: self.code().into(), params: self.params(), message: text }
    }
}

/// The code for what the system says: those that a person can do something about have one of their own.
pub fn io_code(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => "no_space",
        NotFound => "file_missing",
        PermissionDenied => "no_permission",
        _ => "io",
    }
}

/// A number of bytes as people read it: `1.5 GiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = UNITS[0];
    for larger in UNITS.into_iter().skip(1) {
        // What would be rounded to 1000 is of the next unit already.
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let digits = if unit == UNITS[0] || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$} {unit}")
}

/// Implements [`Coded`] by a method `parts(&self) -> (&'static str, Params)`, so that an enum has one match for both.
#[macro_export]
macro_rules! coded {
    ($($error:ty),+ $(,)?) => {$(
        impl $crate::Coded for $error {
            fn code(&self) -> &'static str {
                self.parts().0
            }

            fn params(&self) -> $crate::Params {
                self.parts().1
            }
        }
    )+};
}

/// The messages of one sample for each variant of an error, for the list of all codes in `docs/errors.md`: `next` names
/// the variant that follows, so that its match forgets none.
pub fn samples<E: Coded>(first: E, next: impl FnMut(&E) -> Option<E>) -> Vec<Message> {
    std::iter::successors(Some(first), next).map(|error| error.message()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the door is shut")]
    struct Shut(#[source] std::io::Error);

    impl Coded for Shut {
        fn code(&self) -> &'static str {
            "shut"
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the window is shut: {0}")]
    struct Quoting(#[source] std::io::Error);

    impl Coded for Quoting {
        fn code(&self) -> &'static str {
            "shut"
        }
    }

    #[test]
    fn a_source_is_told_once() {
        let cause = || std::io::Error::other("it is stuck");
        assert_eq!(Shut(cause()).message().message, "the door is shut: it is stuck");
        assert_eq!(Quoting(cause()).message().message, "the window is shut: it is stuck");
    }

    #[test]
    fn it_comes_back_as_it_went() {
        let sent = Message::new("port_in_use", "port 2222 is taken").with("port", 2222_u16).with("by", "web");
        let text = serde_json::to_string(&sent).expect("serializes");
        assert_eq!(serde_json::from_str::<Message>(&text).expect("parses"), sent);
        let without: Message = serde_json::from_str(r#"{"code":"x","message":"y"}"#).expect("parses");
        assert_eq!(without, Message::new("x", "y"));
    }
}
