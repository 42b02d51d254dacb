//! The journal beside a part file: which bytes of it may be trusted, and of which file on which server they are.

use crate::digest::Digest;
use crate::http::Validator;
use crate::ranges::Ranges;
use crate::request::{Request, Source, beside};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const VERSION: u32 = 1;
/// Larger journals are not ours: 4096 ranges of 40 characters, and addresses.
const MAX_BYTES: u64 = 256 << 10;
/// A download has about as many ranges as connections.
const MAX_RANGES: usize = 4096;

pub(crate) const PART: &str = ".part";
pub(crate) const JOURNAL: &str = ".part.json";
pub(crate) const BAD: &str = ".bad";

/// Which file the loaded bytes belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// After all redirects: mirrors behind one name have one file under different tags.
    pub url: String,
    pub validator: Option<Validator>,
    pub length: Option<u64>,
    pub digest: Option<Digest>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    version: u32,
    pub source: Source,
    pub max_size: u64,
    pub allow_http: bool,
    pub identity: Option<Identity>,
    done: Vec<(u64, u64)>,
}

impl Journal {
    pub fn new(request: &Request, identity: Option<Identity>, done: &Ranges) -> Self {
        Self {
            version: VERSION,
            source: request.source.clone(),
            max_size: request.max_size,
            allow_http: request.allow_http,
            identity,
            done: done.iter().map(|r| (r.start, r.end)).collect(),
        }
    }

    pub fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::default();
        self.done.iter().for_each(|&(start, end)| ranges.insert(start..end));
        ranges
    }

    /// Reads a journal; whatever is odd about it makes it none, and the download starts over.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let journal: Self = serde_json::from_slice(bytes).ok()?;
        let sound = journal.version == VERSION
            && journal.done.len() <= MAX_RANGES
            && journal.done.iter().all(|(start, end)| start < end)
            && match &journal.identity {
                // Bytes can be joined only when both are known.
                Some(Identity { validator: Some(_), length: Some(length), .. }) => {
                    journal.done.iter().all(|(_, end)| end <= length)
                }
                _ => journal.done.is_empty(),
            };
        sound.then_some(journal)
    }

    pub fn read(path: &Path) -> Option<Self> {
        let file = OpenOptions::new().read(true).custom_flags(nofollow()).open(path).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > MAX_BYTES { None } else { Self::parse(&bytes) }
    }

    /// Replaces the journal: after a crash at any moment the old or the new one is there, whole.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = beside(path, ".new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).custom_flags(nofollow()).open(&new)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        sync_folder(path)
    }
}

/// Makes renames and removals in the folder of `path` last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// The folder that `path` is in.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A link in the place of our file would write through to another one.
pub(crate) fn nofollow() -> i32 {
    // The flag's bits are those of open(2)'s int.
    OFlags::NOFOLLOW.bits().cast_signed()
}

/// The downloads in `folder` that were not finished, as requests that go on with them; for the time after a
/// crash or a restart. At most 1000 are found. What is no journal of ours is passed over.
///
/// # Errors
/// When the folder cannot be read.
pub fn unfinished(folder: &Path) -> io::Result<Vec<Request>> {
    let mut requests = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(100_000) {
        let entry = entry?;
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(JOURNAL)).filter(|s| !s.is_empty()) else {
            continue;
        };
        if let Some(journal) = Journal::read(&entry.path()) {
            let Journal { source, max_size, allow_http, .. } = journal;
            requests.push(Request { source, to: folder.join(stem), max_size, allow_http });
        }
        if requests.len() == 1000 {
            break;
        }
    }
    requests.sort_by(|a, b| a.to.cmp(&b.to));
    Ok(requests)
}

/// The bytes of a request that an earlier run loaded and synced, and the file's length, if known.
pub fn loaded(request: &Request) -> (u64, Option<u64>) {
    let Some(journal) = Journal::read(&request.beside(JOURNAL)) else { return (0, None) };
    let bytes = journal.ranges().iter().map(|range| range.end - range.start).sum();
    (bytes, journal.identity.and_then(|identity| identity.length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity() -> Identity {
        let validator = Some(Validator::Etag("\"a\"".into()));
        Identity { url: "https://example.org/a".into(), validator, length: Some(100), digest: None }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_that_cannot_be() {
        let request = Request::new("https://example.org/a", "/x/a");
        let mut done = Ranges::default();
        done.insert(0..10);
        done.insert(20..100);
        let bytes = serde_json::to_vec(&Journal::new(&request, Some(identity()), &done)).unwrap();
        assert_eq!(Journal::parse(&bytes).unwrap().ranges(), done);
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("[20,100]", "[20,101]"),
            ("[0,10]", "[10,0]"),
            ("\"etag\":\"\\\"a\\\"\"", "\"x\":\"a\""),
            ("\"length\":100", "\"length\":null"),
            ("\"version\"", "\"more\":1,\"version\""),
        ] {
            assert!(text.contains(from), "{text}");
            assert!(Journal::parse(text.replace(from, to).as_bytes()).is_none(), "{to}");
        }
    }

    #[test]
    fn unfinished_downloads_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let request = Request::new("https://example.org/a", folder.path().join("a.iso")).max_size(7);
        Journal::new(&request, None, &Ranges::default()).write(&request.beside(JOURNAL)).unwrap();
        std::fs::write(folder.path().join("b.part.json"), "{}").unwrap();
        std::fs::write(folder.path().join(".part.json"), "{}").unwrap();
        assert_eq!(loaded(&request), (0, None));
        assert_eq!(unfinished(folder.path()).unwrap(), std::slice::from_ref(&request));
        let mut done = Ranges::default();
        done.insert(0..10);
        done.insert(20..25);
        Journal::new(&request, Some(identity()), &done).write(&request.beside(JOURNAL)).unwrap();
        assert_eq!(loaded(&request), (15, Some(100)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Journal::parse(&bytes).is_none());
        }
    }
}
