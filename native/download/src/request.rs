//! What to download, where to, and how it is proven.

use crate::checksums::{ChecksumError, Pattern, find};
use crate::digest::Digest;
use crate::error::DownloadError;
use crate::fault::BadAddress;
use crate::http::address;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use url::Url;

/// The largest file that is taken unless a request says otherwise, in bytes. Full installers have some 20 GiB.
pub const DEFAULT_MAX_SIZE: u64 = 64 << 30;

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// One address, and the digest that its content must have; without one nothing is verified but the length.
    Address {
        /// An https address, or an http one where the request allows it.
        url: String,
        /// The digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A file that a checksum file names. The checksum file is loaded anew on each start, over https.
    Listed {
        /// The address of the folder that the file is in, ending with `/`.
        folder: String,
        /// The file's name, in which `{version}` stands for the highest version of digits and dots.
        file: String,
        /// The checksum file's address, relative to the folder or whole; `{file}` in it stands for `file`.
        sums: String,
    },
}

/// One file to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it comes from.
    pub source: Source,
    /// Its final name. Nothing a server says has a part in it.
    pub to: PathBuf,
    /// The largest size that is taken, in bytes.
    pub max_size: u64,
    /// Whether plain http is fine: anybody on the way may read and change what comes, but for a known digest.
    pub allow_http: bool,
}

impl Request {
    /// Downloads `url` to the file `to`.
    pub fn new(url: impl Into<String>, to: impl Into<PathBuf>) -> Self {
        Self::from(Source::Address { url: url.into(), digest: None }, to)
    }

    /// Downloads from `source` to the file `to`.
    pub fn from(source: Source, to: impl Into<PathBuf>) -> Self {
        Self { source, to: to.into(), max_size: DEFAULT_MAX_SIZE, allow_http: false }
    }

    /// The content must have this digest. It has no effect on a listed file.
    #[must_use]
    pub fn digest(mut self, expected: Digest) -> Self {
        if let Source::Address { digest, .. } = &mut self.source {
            *digest = Some(expected);
        }
        self
    }

    /// Allows plain http.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Takes at most so many bytes.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// What can be said before anything is sent.
    ///
    /// # Errors
    /// An address that cannot be used, or a final name without a file name.
    pub fn check(&self) -> Result<(), DownloadError> {
        if self.to.file_name().is_none() {
            return Err(DownloadError::file("download to", &self.to, &"it names no file"));
        }
        match &self.source {
            Source::Address { url, digest } => {
                address(url, self.allow_http || digest.is_some())?;
            }
            Source::Listed { .. } => {
                self.sums()?;
            }
        }
        Ok(())
    }

    /// The checksum file's address, for a listed file.
    pub(crate) fn sums(&self) -> Result<Option<Url>, DownloadError> {
        let Source::Listed { folder, file, sums } = &self.source else { return Ok(None) };
        let folder = address(folder, self.allow_http)?;
        let relative = sums.replace("{file}", file);
        let wrong = |why| DownloadError::Url { url: relative.clone(), why };
        let url = folder.join(&relative).map_err(|e| wrong(BadAddress::Parser { why: e.to_string() }))?;
        // `{version}` would arrive at the server as it is.
        if url.as_str().contains("%7Bversion%7D") {
            return Err(wrong(BadAddress::NoSums));
        }
        address(url.as_str(), self.allow_http).map(Some)
    }

    /// The file's address and digest, given the text of the checksum file for a listed one.
    pub(crate) fn resolve(&self, sums: Option<&str>) -> Result<(Url, Option<Digest>), DownloadError> {
        match &self.source {
            Source::Address { url, digest } => {
                Ok((address(url, self.allow_http || digest.is_some())?, *digest))
            }
            Source::Listed { folder, file, sums: named } => {
                let refuse = |why: ChecksumError| DownloadError::Checksums { url: named.clone(), why };
                let (name, digest) = find(sums.unwrap_or_default(), &Pattern::new(file)).map_err(refuse)?;
                let folder = address(folder, self.allow_http)?;
                // The name matched the pattern, so it holds nothing of the server's but digits and dots.
                let wrong = |why: String| BadAddress::Parser { why };
                let url = folder
                    .join(&name)
                    .map_err(|e| DownloadError::Url { url: name, why: wrong(e.to_string()) })?;
                // The digest proves the content, so its own address may be plain http only if that was allowed.
                Ok((address(url.as_str(), self.allow_http)?, Some(digest)))
            }
        }
    }

    /// The final name with more behind it.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.to, suffix)
    }
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(file: &str, sums: &str) -> Request {
        let folder = "https://example.org/pub/".to_owned();
        Request::from(Source::Listed { folder, file: file.into(), sums: sums.into() }, "/x/a.iso")
    }

    #[test]
    fn a_listed_file_gets_its_address_from_the_checksum_file() {
        let request = listed("a-{version}.iso", "SHA256SUMS");
        assert_eq!(request.sums().unwrap().unwrap().as_str(), "https://example.org/pub/SHA256SUMS");
        let sums = format!("{}  a-1.2.iso\n", "0".repeat(64));
        let (url, digest) = request.resolve(Some(&sums)).unwrap();
        assert_eq!(url.as_str(), "https://example.org/pub/a-1.2.iso");
        assert_eq!(digest, Some(Digest::Sha256([0; 32])));
        assert!(matches!(request.resolve(Some("")), Err(DownloadError::Checksums { .. })));
        let own = listed("a.iso", "{file}.sha256").sums().unwrap().unwrap();
        assert_eq!(own.as_str(), "https://example.org/pub/a.iso.sha256");
    }

    #[test]
    fn requests_that_cannot_work_are_refused_at_once() {
        assert!(matches!(
            Request::new("http://example.org/a", "/x/a").check(),
            Err(DownloadError::PlainHttp { .. })
        ));
        assert!(Request::new("http://example.org/a", "/x/a").allow_http().check().is_ok());
        let known = Request::new("http://example.org/a", "/x/a").digest(Digest::Sha256([0; 32]));
        assert!(known.check().is_ok(), "a digest proves the content");
        assert!(matches!(
            Request::new("https://example.org/a", "/").check(),
            Err(DownloadError::File { .. })
        ));
        let hopeless = listed("a-{version}.iso", "{file}.sha256").check();
        assert!(matches!(hopeless, Err(DownloadError::Url { .. })), "{hopeless:?}");
        assert!(listed("a.iso", "http://example.org/SUMS").check().is_err(), "sums come over https");
    }
}
