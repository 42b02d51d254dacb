//! Why a medium cannot be had.

use crate::fault::MediumNameRule;
use sampan_config::Arch;
use sampan_library::image::FileKind;
use sampan_message::{Params, Reason, samples as samples_of};

/// What a cancelled download leaves for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The medium's name.
    pub name: String,
    /// Bytes that are kept.
    pub loaded: u64,
    /// All of its bytes, where that is known.
    pub total: Option<u64>,
}

/// Why a medium cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// No name for a medium, or for a file of a machine's.
    #[error("{name:?} cannot be a medium's name: {rule}")]
    BadName {
        /// The name.
        name: String,
        /// What is allowed.
        rule: MediumNameRule,
    },
    /// An address without a file.
    #[error("{url} names no file: give the medium a name")]
    NoName {
        /// The address.
        url: String,
    },
    /// The catalogue does not have it.
    #[error("the catalogue has no {id:?}{}", if like.is_empty() { String::new() } else { format!(", but {}", like.join(", ")) })]
    NoEntry {
        /// What was looked for.
        id: String,
        /// The ids that are like it.
        like: Vec<String>,
    },
    /// The catalogue has it for another processor.
    #[error("the catalogue has {id} for {arch} alone")]
    EntryOfOtherArch {
        /// What was looked for.
        id: String,
        /// What there is.
        arch: Arch,
    },
    /// It is not to be downloaded from anywhere.
    #[error("{id} has to be brought: {words} {page}")]
    BringYourOwn {
        /// The entry.
        id: String,
        /// What a person has to do.
        words: String,
        /// Where.
        page: String,
        /// The preset for it.
        preset: String,
    },
    /// Another medium has the name.
    #[error("the library has another medium called {name} already: choose another name, or remove that one")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A server gave something else in its place.
    #[error("what came is {}, not an image: {}; a browser shows what the address needs", .what.words(), .what.remedy())]
    NotAnImage {
        /// What it is.
        what: FileKind,
    },
    /// Nothing was begun by this name.
    #[error("nothing unfinished is called {name}")]
    NoDownload {
        /// The name.
        name: String,
    },
    /// It was cancelled.
    #[error("interrupted: {}; the same download goes on from there", kept_words(.kept))]
    Interrupted {
        /// What is left of each.
        kept: Vec<Kept>,
    },
}

fn kept_words(kept: &[Kept]) -> String {
    let size = sampan_message::human_bytes;
    let words = kept.iter().map(|Kept { name, loaded, total }| match (loaded, total) {
        (0, _) => format!("nothing of {name} could be kept"),
        (bytes, Some(total)) => format!("{} of {} of {name} are kept", size(*bytes), size(*total)),
        (bytes, None) => format!("{} of {name} are kept", size(*bytes)),
    });
    words.collect::<Vec<_>>().join(", ")
}

impl MediaError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::BadName { name, rule } => {
                ("bad_medium_name", Params::of("name", &**name).with("rule", rule.code()))
            }
            Self::NoName { url } => ("address_without_name", Params::of("url", &**url)),
            Self::NoEntry { id, like } => {
                ("no_catalogue_entry", Params::of("id", &**id).with("like", like.join(" ")))
            }
            Self::EntryOfOtherArch { id, arch } => {
                ("entry_of_other_arch", Params::of("id", &**id).with("arch", arch.qemu_name()))
            }
            Self::BringYourOwn { id, words, page, preset } => (
                "bring_your_own",
                Params::of("id", &**id)
                    .with("words", &**words)
                    .with("page", &**page)
                    .with("preset", &**preset),
            ),
            Self::NameTaken { name } => ("medium_name_taken", Params::of("name", &**name)),
            Self::NotAnImage { what } => ("download_not_an_image", Params::of("what", what.name())),
            Self::NoDownload { name } => ("no_download", Params::of("name", &**name)),
            Self::Interrupted { kept } => {
                let sum = |of: fn(&Kept) -> u64| kept.iter().map(of).fold(0, u64::saturating_add);
                ("cancelled", Params::of("loaded", sum(|kept| kept.loaded)))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::BadName { .. } => Self::NoName { url: "https://example.org".into() },
            Self::NoName { .. } => {
                Self::NoEntry { id: "debian".into(), like: vec!["debian-13-cloud".into()] }
            }
            Self::NoEntry { .. } => Self::EntryOfOtherArch { id: "windows-10".into(), arch: Arch::X86_64 },
            Self::EntryOfOtherArch { .. } => Self::BringYourOwn {
                id: "windows-11".into(),
                words: "download the ISO from Microsoft:".into(),
                page: "https://example.org/windows11".into(),
                preset: "windows11".into(),
            },
            Self::BringYourOwn { .. } => Self::NameTaken { name: "debian.iso".into() },
            Self::NameTaken { .. } => Self::NotAnImage { what: FileKind::WebPage },
            Self::NotAnImage { .. } => Self::NoDownload { name: "debian.iso".into() },
            Self::NoDownload { .. } => Self::Interrupted {
                kept: vec![Kept { name: "debian.iso".into(), loaded: 1 << 20, total: Some(3 << 20) }],
            },
            Self::Interrupted { .. } => return None,
        })
    }

    pub(crate) fn samples() -> Vec<sampan_message::Message> {
        samples_of(Self::BadName { name: "../a".into(), rule: MediumNameRule::Plain }, Self::after)
    }
}

sampan_message::coded!(MediaError);
