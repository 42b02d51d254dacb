//! Shared folders: what a person should know.

use crate::{ShareSection, ShareSecurity};

/// Why `none` is not the default of a folder that the guest writes.
pub const PLAIN_SHARE_WARNING: &str = "with none the guest decides over modes and links of files on this host, which lead other programs of the host where it \
     wants; use mapped-xattr unless the folder's file system has no extended attributes, or the host is to follow the guest's links";

impl ShareSection {
    /// What a person should know before it is used.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.read_only && self.security == ShareSecurity::None).then_some(PLAIN_SHARE_WARNING)
    }
}
