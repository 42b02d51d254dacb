//! Events: what QEMU says without being asked.

use serde::Deserialize;
use serde_json::Value;

/// An event as QEMU sent it, kept untyped so that events of newer QEMUs pass through.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    /// The event's name, e.g. `SHUTDOWN`, `RESET`, `STOP`.
    #[serde(rename = "event")]
    pub name: String,
    /// Its data, an object; `Null` where it has none.
    #[serde(default)]
    pub data: Value,
}

impl Event {
    /// A text member of the event's data.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.data.get(member)?.as_str()
    }

    /// A truth value of the event's data.
    pub fn flag(&self, member: &str) -> Option<bool> {
        self.data.get(member)?.as_bool()
    }
}
