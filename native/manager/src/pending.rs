//! Stands in until the crates below have codes of their own.
use sampan_message::{Message, Params};
pub trait Pending: std::fmt::Display {
    fn code(&self) -> &'static str {
        "refused"
    }
    fn params(&self) -> Params {
        Params::new()
    }
    fn message(&self) -> Message {
        Message::new(self.code(), self.to_string())
    }
}
impl Pending for sampan_session::agent::AgentError {}
impl Pending for sampan_config::BadVncPassword {}
impl Pending for sampan_config::ForwardError {}
impl Pending for sampan_config::Fault {}
impl Pending for sampan_config::DocumentError {}
impl Pending for sampan_emulator::LaunchError {}
impl Pending for sampan_library::Error {
    fn code(&self) -> &'static str {
        if matches!(self, Self::Cancelled) { "cancelled" } else { "library" }
    }
}
