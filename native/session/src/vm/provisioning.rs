//! What a new machine's system is told at its first start: a small CD in a drive of its own.

use sampan_config::{Bus, DriveKind, DriveSection, KeyboardLayout, VmConfig};
use sampan_library::{Bundle, Library};
use sampan_message::{Message, reasons};
use sampan_seed::{Keyboard, Misfit, Seed, SeedError, WindowsAnswers, for_copy, iso};

/// The drive that the seed is in.
pub const SEED_DRIVE: &str = "cd1";

/// How a seed's file begins and ends in the store of media; the machine's number is between.
const BEFORE: &str = "seed-";
const AFTER: &str = ".iso";

/// Bytes of a seed that is read again: a person's own file has 1 MiB at most.
const MAX_SEED: u64 = 16 << 20;

/// What the system reads when it starts first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FirstStart {
    /// Nothing.
    #[default]
    None,
    /// A seed for cloud-init. Its `instance` is the new machine's number, whatever it says.
    Cloud(Box<Seed>),
    /// A person's own `user-data` for cloud-init.
    UserData {
        /// The host's name.
        hostname: String,
        /// The file's content, at most 1 MiB.
        bytes: Vec<u8>,
    },
    /// Answers for Windows Setup.
    Windows(Box<WindowsAnswers>),
}

reasons! {
    /// What a person may not have meant with a seed.
    pub enum SeedDoubt {
        UnknownComment => "unknown_comment", "cloud-init does not know the comment that the user-data begins with, and would pass all of it over: the first line is #cloud-config (without a space), #! and an interpreter, or another of its headers";
    }
}

impl SeedDoubt {
    /// It as a message, `seed_doubtful`.
    pub fn message(&self) -> Message {
        Message::because("seed_doubtful", self)
    }
}

impl FirstStart {
    /// What cannot be, before anything is made.
    ///
    /// # Errors
    /// [`SeedError`] names the field and the rule.
    pub fn check(&self) -> Result<(), SeedError> {
        match self {
            Self::None => Ok(()),
            // The number is given later, and is sound.
            Self::Cloud(seed) => Seed { instance: "new".into(), ..Seed::clone(seed) }.check(),
            Self::UserData { hostname, bytes } => {
                if !is_user_data(bytes) {
                    return Err(SeedError::File { name: "user-data".into(), why: Misfit::Header });
                }
                let (instance, hostname) = ("new".into(), hostname.clone());
                Seed { instance, hostname, ..Seed::default() }.check()
            }
            Self::Windows(answers) => answers.check(),
        }
    }

    /// What a person may not have meant.
    pub fn doubt(&self) -> Option<SeedDoubt> {
        matches!(self, Self::UserData { bytes, .. } if !is_known(bytes)).then_some(SeedDoubt::UnknownComment)
    }

    /// The seed's CD; none where there is nothing to tell.
    ///
    /// # Errors
    /// See [`FirstStart::check`].
    pub fn image(&self, instance: &str) -> Result<Option<Vec<u8>>, SeedError> {
        self.check()?;
        match self {
            Self::None => Ok(None),
            Self::Cloud(seed) => {
                Seed { instance: instance.to_owned(), ..Seed::clone(seed) }.image().map(Some)
            }
            Self::UserData { hostname, bytes } => {
                let (instance, hostname) = (instance.to_owned(), hostname.clone());
                let meta = Seed { instance, hostname, ..Seed::default() }.meta_data()?;
                iso::image("CIDATA", &[("user-data", bytes), ("meta-data", meta.as_bytes())]).map(Some)
            }
            Self::Windows(answers) => answers.image().map(Some),
        }
    }

    /// The keyboard that the system will be set to, where it is one that we know.
    pub(super) fn keyboard(&self) -> Option<KeyboardLayout> {
        match self {
            Self::None | Self::UserData { .. } => None,
            Self::Cloud(seed) => {
                let Keyboard { layout, variant } = seed.keyboard.as_ref()?;
                let with_variant =
                    variant.as_ref().and_then(|v| KeyboardLayout::named(&format!("{layout}-{v}")));
                with_variant.or_else(|| KeyboardLayout::of_locale(layout))
            }
            Self::Windows(answers) => KeyboardLayout::of_locale(&answers.keyboard),
        }
    }

    /// Gives the description the drive with the seed's medium, on the bus of its other CD drive.
    pub(super) fn add_drive(&self, document: &mut VmConfig, medium: &str) {
        if *self == Self::None {
            return;
        }
        let drives = &mut document.drives.drives;
        let bus =
            drives.iter().find(|drive| drive.kind == DriveKind::Cdrom).map_or(Bus::VirtioScsi, |cd| cd.bus);
        drives.push(DriveSection::cdrom(SEED_DRIVE, bus, None, Some(medium.to_owned())));
    }
}

/// Whether it may be for cloud-init: what it knows, or a comment, which may be of a later version of it.
fn is_user_data(bytes: &[u8]) -> bool {
    is_known(bytes) || bytes.trim_ascii_start().starts_with(b"#")
}

/// Whether cloud-init knows what it is: by its beginning, whatever its case (`INCLUSION_TYPES_MAP` and `type_from_starts_with` in
/// cloudinit/handlers/__init__.py), or as a message by a header that stands near the beginning (`convert_string` in
/// cloudinit/user_data.py); what gzip has packed is unpacked first.
fn is_known(bytes: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 7] = [
        b"#include",
        b"#!",
        b"#cloud-config",
        b"#upstart-job",
        b"#part-handler",
        b"#cloud-boothook",
        b"## template: jinja",
    ];
    let head = bytes.get(..4096).unwrap_or(bytes).to_ascii_lowercase();
    let text = head.trim_ascii_start();
    bytes.starts_with(b"\x1f\x8b")
        || BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || head.windows(MIME.len()).any(|window| window == MIME)
}

const MIME: &[u8] = b"mime-version:";

/// The name of a machine's seed in the store of media.
pub fn seed_medium(number: &str) -> String {
    format!("{BEFORE}{number}{AFTER}")
}

/// The seeds that a machine's description names: they hold secrets, and go when it goes for ever.
pub fn seeds_of(bundle: &Bundle) -> Vec<String> {
    let Some(document) = bundle.document().ok().and_then(|files| VmConfig::from_files(&files).ok()) else {
        return Vec::new();
    };
    let named = document.drives.drives.into_iter().filter_map(|drive| drive.media);
    named.filter(|name| name.starts_with(BEFORE) && name.ends_with(AFTER)).collect()
}

/// The seed of a copy with this number, by the original's document: its name and its bytes. cloud-init then sets the copy up as the
/// machine of its own that it is: with SSH host keys of its own, to begin with. `None` where there is nothing to tell,
/// and for Windows' answers, which know no instance: copies share those.
pub(super) fn seed_of_copy(
    library: &Library,
    document: &VmConfig,
    number: &str,
) -> Option<(String, Vec<u8>)> {
    let drive = document.drives.drives.iter().find(|drive| drive.id == SEED_DRIVE)?;
    let name = drive.media.as_deref()?;
    let old = name.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let medium = library.medium(name).ok().filter(|medium| medium.size <= MAX_SEED)?;
    let image = std::fs::read(&medium.path).inspect_err(|e| log::warn!("the seed {name}: {e}")).ok()?;
    Some((seed_medium(number), for_copy(&image, old, number)?))
}

/// Removes those of `seeds` that no machine names any more, copies and the trash included. One that cannot be told
/// about stays.
pub fn remove_seeds(library: &Library, seeds: &[String]) {
    for seed in seeds {
        if let Err(error) = library.remove_medium(seed) {
            log::debug!("{seed} stays in the store of media: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cloud_init_would_read_is_taken_for_user_data() {
        let first = |bytes: &[u8]| FirstStart::UserData { hostname: "box".into(), bytes: bytes.into() };
        for good in [
            &b"#cloud-config\n"[..],
            b"\n #Cloud-Config\n",
            b"#!/bin/sh\n",
            b"## template: jinja\n#cloud-config\n",
            b"Content-Type: multipart/mixed\nMIME-Version: 1.0\n",
            b"From nobody Thu Jan  1 00:00:00 1970\nMIME-Version: 1.0\n",
            b"\x1f\x8b\x08",
        ] {
            first(good).check().expect("is taken");
            assert_eq!(first(good).doubt(), None);
        }
        for doubtful in [&b"# cloud-config\n"[..], b"# mine\n#cloud-config\n", b"#cloudconfig"] {
            first(doubtful).check().expect("may be of a later version");
            assert!(
                first(doubtful).doubt().is_some_and(|doubt| doubt.to_string().contains("without a space"))
            );
        }
        let late = [&[b' '; 5000][..], b"MIME-Version: 1.0"].concat();
        for bad in
            [&b""[..], b"users:\n", b"cloud-config\n", b"\x7fELF", b"Content-Type: text/plain\n", &late]
        {
            let words = first(bad).check().expect_err("is refused").to_string();
            assert!(words.contains("#cloud-config"), "{words}");
        }
        let named = FirstStart::UserData { hostname: "no good".into(), bytes: b"#cloud-config\n".to_vec() };
        assert!(named.check().is_err(), "the host's name goes into meta-data");
    }

    #[test]
    fn the_machines_number_is_the_instance() {
        let seed = Seed { instance: "other".into(), hostname: "box".into(), ..Seed::default() };
        let image = FirstStart::Cloud(Box::new(seed)).image("1234-abcd").expect("is made").expect("is there");
        let text = String::from_utf8_lossy(&image);
        assert!(text.contains("1234-abcd") && !text.contains("other"));
        assert_eq!(FirstStart::None.image("1234"), Ok(None));
    }
}
