//! A row of the table of keys.

/// One key, with its codes and names in each world.
pub(crate) struct Entry {
    pub(crate) evdev: u16,
    pub(crate) qnum: u8,
    pub(crate) names: &'static [&'static str],
    pub(crate) dom: &'static [&'static str],
}
