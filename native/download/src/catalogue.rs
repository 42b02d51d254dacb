//! System images that can be downloaded, and where their checksums stand.
//!
//! The built-in catalogue is `catalogue.json`; a user may replace it by a file of the same form. Entries name a folder,
//! a file in it and the distribution's own checksum file, so that a point release needs no new catalogue.

use crate::checksums::Pattern;
use crate::error::DownloadError;
use crate::fault::{BadAddress, CatalogueFault, EntryFault};
use crate::request::{Request, Source};
use sampan_message::Message;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

/// The largest catalogue that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
const MAX_ENTRIES: usize = 1000;
const MAX_TEXT: usize = 2000;
/// The most entries that are featured for one processor: more are a list again, and no help to choose.
const MAX_FEATURED: usize = 6;
pub(crate) const VERSION: u32 = 1;
const BUILT_IN: &str = include_str!("catalogue.json");

/// The processor that an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Arch {
    /// PCs.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// As the catalogue writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// What an entry gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A CD that installs the system to a disk.
    Installer,
    /// A disk with the system on it.
    Disk,
    /// Nothing to download from here: the user brings a file or a link, from the vendor's page.
    BringYourOwn,
}

/// How an image is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A CD or DVD.
    Iso,
    /// QEMU's disk format.
    Qcow2,
    /// A disk as it is.
    Raw,
}

impl Format {
    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Iso => "iso",
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }
}

/// What an image boots with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// A PC's BIOS alone.
    Bios,
    /// UEFI alone.
    Uefi,
    /// Whatever its processor's machines have.
    Any,
}

/// Who can log in to a new system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// The user and password that are chosen while installing.
    Chosen,
    /// root without a password, on the console alone.
    RootConsole,
    /// root without a password, of a system that runs from its CD.
    RootLive,
    /// This user, with what a seed gives it.
    User(String),
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Names the image, together with `arch`: lower-case letters, digits, `.` and `-`.
    pub id: String,
    /// For people.
    pub name: String,
    /// The system's version.
    pub version: String,
    /// Its processor.
    pub arch: Arch,
    /// What it gives.
    pub kind: Kind,
    /// How it is written.
    pub format: Format,
    /// Where it comes from; none for [`Kind::BringYourOwn`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// About how large the download is, in MiB.
    pub about_mib: u32,
    /// The preset that fits a machine for it.
    pub preset: String,
    /// What it boots with.
    pub firmware: Firmware,
    /// Whether cloud-init in it reads a seed.
    pub cloud_init: bool,
    /// Whether it is one of the few that a new person is shown first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub featured: bool,
    /// How to log in first, in English.
    pub login: String,
    /// The same, where it is one of the usual ways: a face in another language says it by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The system's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// What the user has to do, for [`Kind::BringYourOwn`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

impl Entry {
    /// How to log in first: codes of the usual ways, `login` with the catalogue's words for another.
    pub fn login(&self) -> Message {
        let words = format!("login: {}", self.login.trim_end_matches('.'));
        match &self.account {
            Some(Account::Chosen) => Message::new("login_chosen", words),
            Some(Account::RootConsole) => Message::new("login_root", words),
            Some(Account::RootLive) => Message::new("login_live", words),
            Some(Account::User(user)) => Message::new("login_user", words).with("user", &**user),
            None => Message::new("login", words).with("login", &*self.login),
        }
    }
}

/// A catalogue of images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    version: u32,
    /// The day on which it was last looked through, `YYYY-MM-DD`.
    pub date: String,
    /// The images.
    pub entries: Vec<Entry>,
}

/// Why a file is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Too large.
    #[error("the catalogue has {bytes} bytes, and at most {MAX_BYTES} are read; remove entries")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not of this form.
    #[error("the catalogue cannot be read: {why}; compare it with the built-in one")]
    Malformed {
        /// What is wrong with it, or what the reader says.
        why: CatalogueFault,
    },
    /// Of another version.
    #[error("the catalogue is of version {found}, this program reads version {VERSION}; {}", if *.found > VERSION { "update Sampan" } else { "write it anew" })]
    Version {
        /// Its version.
        found: u32,
    },
    /// An entry that cannot work.
    #[error("the catalogue's entry {id:?} ({arch}) cannot be used: {why}")]
    Entry {
        /// Its id.
        id: String,
        /// Its processor.
        arch: &'static str,
        /// What does not fit.
        why: EntryFault,
    },
}

impl Catalogue {
    /// The catalogue that this program was built with.
    pub fn built_in() -> Self {
        // A unit test parses and checks it.
        Self::parse(BUILT_IN.as_bytes()).unwrap_or(Self {
            version: VERSION,
            date: String::new(),
            entries: Vec::new(),
        })
    }

    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// What does not fit, see [`CatalogueError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CatalogueError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if bytes.len() > MAX_BYTES {
            return Err(CatalogueError::TooLarge { bytes: bytes.len() });
        }
        let malformed = |e: serde_json::Error| CatalogueError::Malformed {
            why: CatalogueFault::Parser { why: e.to_string() },
        };
        let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != VERSION {
            return Err(CatalogueError::Version { found: version });
        }
        let catalogue: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if catalogue.entries.len() > MAX_ENTRIES {
            let why = CatalogueFault::TooMany { entries: catalogue.entries.len(), most: MAX_ENTRIES };
            return Err(CatalogueError::Malformed { why });
        }
        let mut seen = HashSet::new();
        for entry in &catalogue.entries {
            let fault = |why| CatalogueError::Entry { id: entry.id.clone(), arch: entry.arch.name(), why };
            entry.check().map_err(fault)?;
            if !seen.insert((&entry.id, entry.arch)) {
                return Err(fault(EntryFault::Twice));
            }
            let featured = catalogue.entries.iter().filter(|e| e.featured && e.arch == entry.arch).count();
            if entry.featured && featured > MAX_FEATURED {
                return Err(fault(EntryFault::TooManyFeatured { featured, most: MAX_FEATURED }));
            }
        }
        Ok(catalogue)
    }

    /// The entry with this id and processor.
    pub fn find(&self, id: &str, arch: Arch) -> Option<&Entry> {
        self.entries.iter().find(|e| e.id == id && e.arch == arch)
    }

    /// Entries for a processor (or any), of a kind (or any), in whose id, name or version every word of `text` occurs.
    pub fn filter(&self, text: &str, arch: Option<Arch>, kind: Option<Kind>) -> Vec<&Entry> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let fits = |entry: &&Entry| {
            let haystack = format!("{} {} {}", entry.id, entry.name, entry.version).to_lowercase();
            arch.is_none_or(|arch| entry.arch == arch)
                && kind.is_none_or(|kind| entry.kind == kind)
                && words.iter().all(|word| haystack.contains(word))
        };
        self.entries.iter().filter(fits).collect()
    }
}

impl Entry {
    /// The name of the downloaded file, which depends on the catalogue alone.
    pub fn file_name(&self) -> String {
        format!("{}-{}.{}", self.id, self.arch.name(), self.format.extension())
    }

    /// The download of this image into `folder`.
    ///
    /// # Errors
    /// [`DownloadError::Url`] for what the user has to bring.
    pub fn resolve(&self, folder: &Path) -> Result<Request, DownloadError> {
        let Some(source) = self.source.clone() else {
            let why = BadAddress::Brought { words: self.words.clone().unwrap_or_default() };
            return Err(DownloadError::Url { url: self.page.clone().unwrap_or_default(), why });
        };
        Ok(Request::from(source, folder.join(self.file_name())))
    }

    fn check(&self) -> Result<(), EntryFault> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        if !(1..=64).contains(&self.id.len())
            || !self.id.chars().all(plain)
            || self.id.starts_with(['.', '-'])
        {
            return Err(EntryFault::Id);
        }
        let texts = [&self.name, &self.version, &self.preset, &self.login];
        let user = match &self.account {
            Some(Account::User(user)) => Some(user),
            _ => None,
        };
        let texts = texts.into_iter().chain(&self.page).chain(&self.words).chain(user);
        for text in texts {
            if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
                return Err(EntryFault::Text { most: MAX_TEXT });
            }
        }
        if self.page.as_ref().is_some_and(|page| !page.starts_with("https://")) {
            return Err(EntryFault::Page);
        }
        if self.featured && self.kind == Kind::BringYourOwn {
            return Err(EntryFault::FeaturedToBring);
        }
        match (&self.source, self.kind) {
            (None, Kind::BringYourOwn) if self.page.is_some() && self.words.is_some() => Ok(()),
            (_, Kind::BringYourOwn) => Err(EntryFault::Bring),
            (None, _) => Err(EntryFault::NoSource),
            (Some(source), _) => check_source(self, source),
        }
    }
}

fn check_source(entry: &Entry, source: &Source) -> Result<(), EntryFault> {
    match source {
        Source::Address { digest: None, .. } => {
            return Err(EntryFault::NoDigest);
        }
        Source::Address { .. } => {}
        Source::Listed { folder, file, .. } => {
            if !folder.ends_with('/') {
                return Err(EntryFault::Folder);
            }
            if !Pattern::new(file).is_sound() {
                return Err(EntryFault::FileName);
            }
        }
    }
    let wrong = |error: DownloadError| EntryFault::Address { why: error.to_string() };
    entry.resolve(Path::new("/")).and_then(|request| request.check()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_sound_and_has_both_processors() {
        let parsed = Catalogue::parse(BUILT_IN.as_bytes()).unwrap();
        assert_eq!(parsed, Catalogue::built_in());
        for name in ["debian", "ubuntu", "fedora", "alpine", "openeuler", "rocky", "freebsd", "windows 11"] {
            for arch in [Arch::X86_64, Arch::Aarch64] {
                assert!(!parsed.filter(name, Some(arch), None).is_empty(), "{name} {arch:?}");
            }
        }
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let featured = parsed.entries.iter().filter(|entry| entry.featured && entry.arch == arch);
            let featured: Vec<_> = featured.collect();
            assert!((3..=MAX_FEATURED).contains(&featured.len()), "{arch:?}");
            assert!(featured.iter().all(|entry| entry.kind == Kind::Disk && entry.about_mib < 1000));
        }
        for entry in &parsed.entries {
            let Ok(request) = entry.resolve(Path::new("/images")) else {
                assert_eq!(entry.kind, Kind::BringYourOwn);
                continue;
            };
            assert!(request.to.starts_with("/images") && !request.allow_http);
            let Source::Listed { file, .. } = &request.source else { panic!("{entry:?}") };
            assert!(file.ends_with(".img") || file.ends_with(entry.format.extension()), "{file}");
        }
    }

    #[test]
    fn images_are_found_by_words() {
        let catalogue = Catalogue::built_in();
        let debian = catalogue.filter("Debian INSTALLER", Some(Arch::Aarch64), Some(Kind::Installer));
        assert_eq!(debian.len(), 1);
        assert_eq!(catalogue.find("debian-13-installer", Arch::Aarch64), debian.first().copied());
        assert_eq!(debian[0].file_name(), "debian-13-installer-aarch64.iso");
        assert!(catalogue.find("debian", Arch::X86_64).is_none());
        assert_eq!(catalogue.filter("", None, None).len(), catalogue.entries.len());
    }

    #[test]
    fn a_catalogue_that_could_do_harm_is_refused() {
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"date\"", "\"dates\""),
            ("\"id\": \"debian-13-installer\"", "\"id\": \"../debian\""),
            ("\"id\": \"debian-13-console\"", "\"id\": \"debian-13-installer\""),
            ("https://cdimage.debian.org/", "http://cdimage.debian.org/"),
            ("https://cdimage.debian.org/", "https://me:x@cdimage.debian.org/"),
            ("debian-13.{version}-amd64-netinst.iso", "../{version}"),
            ("debian-13.{version}-amd64-netinst.iso", "{version}{version}.iso"),
            ("/amd64/iso-cd/", "/amd64/iso-cd"),
            ("\"SHA512SUMS\"", "\"http://example.org/SHA512SUMS\""),
            ("\"kind\": \"bring-your-own\"", "\"kind\": \"installer\""),
            ("\"kind\": \"installer\"", "\"kind\": \"bring-your-own\""),
            ("\"login\": \"The", "\"login\": \"\\u001bThe"),
            ("\"featured\": true", "\"featured\": 1"),
            ("\"kind\": \"bring-your-own\"", "\"featured\": true, \"kind\": \"bring-your-own\""),
        ] {
            assert!(BUILT_IN.contains(from), "{from}");
            let changed = BUILT_IN.replacen(from, to, 1);
            assert!(Catalogue::parse(changed.as_bytes()).is_err(), "{to}");
        }
        let all_featured = BUILT_IN.replace("\"kind\": \"disk\"", "\"kind\": \"disk\", \"featured\": true");
        let all_featured = all_featured.replace("      \"featured\": true,\n", "");
        let refused = Catalogue::parse(all_featured.as_bytes()).expect_err("too many").to_string();
        assert!(refused.contains("are featured"), "{refused}");
        let large = vec![b' '; MAX_BYTES + 1];
        assert!(matches!(Catalogue::parse(&large), Err(CatalogueError::TooLarge { .. })));
    }
}
