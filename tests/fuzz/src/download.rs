//! What servers, checksum files and catalogues may hold.

use sampan_download::catalogue::Catalogue;
use sampan_download::checksums::{Pattern, find};
use std::path::{Component, Path};

/// A pattern in the first line, a checksum file behind it: what is found fits the pattern.
pub(crate) fn checksums(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, list) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok((name, digest)) = find(list, &Pattern::new(pattern)) {
        match pattern.split_once("{version}") {
            None => assert_eq!(name, pattern),
            Some((before, after)) => {
                assert!(name.starts_with(before) && name.ends_with(after));
                let version = &name[before.len()..name.len() - after.len()];
                assert!(version.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
            }
        }
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}

/// Every entry of a catalogue that is taken stays in the folder that it is downloaded to.
pub(crate) fn catalogue(data: &[u8]) {
    let Ok(catalogue) = Catalogue::parse(data) else { return };
    let folder = Path::new("/images");
    for entry in &catalogue.entries {
        let Ok(request) = entry.resolve(folder) else { continue };
        assert!(!request.allow_http && request.check().is_ok());
        let below: Vec<_> = request.to.strip_prefix(folder).into_iter().flat_map(Path::components).collect();
        assert!(matches!(below.as_slice(), [Component::Normal(_)]), "{:?}", request.to);
        assert_eq!(catalogue.find(&entry.id, entry.arch), Some(entry));
    }
}
