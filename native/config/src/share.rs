//! Shared folders: what a person should know.

use crate::{ShareSection, ShareSecurity};

/// Why `mapped-xattr` is not the default.
pub const MAPPED_SHARE_WARNING: &str = "mapped-xattr keeps owners and modes in extended attributes, which the folder's file system \
     must have (many downloads folders, FAT and network folders do not); use none unless the guest's owners must be kept";

impl ShareSection {
    /// What a person should know before it is used.
    pub fn warning(&self) -> Option<&'static str> {
        (self.security == ShareSecurity::MappedXattr).then_some(MAPPED_SHARE_WARNING)
    }
}
