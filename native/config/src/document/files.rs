//! From and to the sections' files.

use super::{Section, VmConfig, migrate};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most that one section's file may hold, in bytes: a hundred times what a large machine needs.
pub const MAX_SECTION_BYTES: usize = 256 << 10;

/// Why files are no machine's description.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VmConfigError {
    /// A file is not there.
    #[error("{0} is missing: copy it back from a backup, or write {{}} into it to start with its defaults")]
    Missing(String),
    /// A file that belongs to no section.
    #[error("{0} is no section of a machine: take the file away; if a newer Sampan wrote it, use that one")]
    Unknown(String),
    /// Too much to be a section.
    #[error(
        "{file} has {bytes} bytes, and a section has at most {MAX_SECTION_BYTES}: copy it back from a backup"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// Something in it is not as it should be.
    #[error("{file}: {field}: {words}; correct it there, or copy the file back from a backup")]
    Field {
        /// The file.
        file: String,
        /// The way to the field, such as `drives[0].bus`; `.` is the whole file.
        field: String,
        /// What is wrong, and what it might be.
        words: String,
    },
    /// It was written by a newer program.
    #[error(
        "this machine is of version {found}, and this Sampan knows versions 1 to {ours}: use a newer Sampan"
    )]
    TooNew {
        /// Its version.
        found: u64,
        /// The newest that this program knows.
        ours: u32,
    },
    /// No version there ever was.
    #[error("system.json: version: {0} is no version: there are 1 to {ours}; copy the file back from a backup", ours = super::CURRENT_VERSION)]
    NoVersion(String),
}

impl VmConfig {
    /// Reads a description from its files' names and texts, whatever version it is of.
    ///
    /// # Errors
    /// [`VmConfigError`] names the file and the field. That all of it fits together is [`VmConfig::check`]'s to say.
    pub fn from_files(files: &BTreeMap<String, String>) -> Result<Self, VmConfigError> {
        for (file, text) in files {
            if text.len() > MAX_SECTION_BYTES {
                return Err(VmConfigError::TooLarge { file: short(file), bytes: text.len() });
            }
        }
        let system: Value = parse(Section::System.file(), text(files, Section::System)?)?;
        let version = migrate::version(&system)?;
        if version == super::CURRENT_VERSION {
            if let Some(file) = files.keys().find(|file| Section::of_file(file).is_none()) {
                return Err(VmConfigError::Unknown(short(file)));
            }
            // From the text itself, so that errors tell line and column, and a field given twice is one.
            return Self::assemble(Source::Texts(files));
        }
        let mut values = BTreeMap::new();
        for (file, text) in files {
            let value: Value = parse(&short(file), text)?;
            values.insert(file.clone(), value);
        }
        let values = migrate::migrated(values, version)?;
        if let Some(file) = values.keys().find(|file| Section::of_file(file).is_none()) {
            return Err(VmConfigError::Unknown(short(file)));
        }
        Self::assemble(Source::Values(&values))
    }

    /// The files' names and texts, always of the newest version.
    pub fn to_files(&self) -> BTreeMap<String, String> {
        let mut system = self.system.clone();
        system.version = super::CURRENT_VERSION;
        Section::ALL
            .into_iter()
            .map(|section| {
                let text = match section {
                    Section::System => text_of(&system),
                    Section::Cpu => text_of(&self.cpu),
                    Section::Memory => text_of(&self.memory),
                    Section::Firmware => text_of(&self.firmware),
                    Section::Drives => text_of(&self.drives),
                    Section::Displays => text_of(&self.displays),
                    Section::Network => text_of(&self.network),
                    Section::Shares => text_of(&self.shares),
                    Section::Sound => text_of(&self.sound),
                    Section::Input => text_of(&self.input),
                    Section::Serial => text_of(&self.serial),
                    Section::Usb => text_of(&self.usb),
                    Section::Performance => text_of(&self.performance),
                    Section::Extra => text_of(&self.extra),
                };
                (section.file().to_owned(), text)
            })
            .collect()
    }

    fn assemble(source: Source<'_>) -> Result<Self, VmConfigError> {
        Ok(Self {
            system: source.section(Section::System)?,
            cpu: source.section(Section::Cpu)?,
            memory: source.section(Section::Memory)?,
            firmware: source.section(Section::Firmware)?,
            drives: source.section(Section::Drives)?,
            displays: source.section(Section::Displays)?,
            network: source.section(Section::Network)?,
            shares: source.section(Section::Shares)?,
            sound: source.section(Section::Sound)?,
            input: source.section(Section::Input)?,
            serial: source.section(Section::Serial)?,
            usb: source.section(Section::Usb)?,
            performance: source.section(Section::Performance)?,
            extra: source.section(Section::Extra)?,
        })
    }
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Texts(&'a BTreeMap<String, String>),
    Values(&'a BTreeMap<String, Value>),
}

impl Source<'_> {
    fn section<T: DeserializeOwned>(self, section: Section) -> Result<T, VmConfigError> {
        let file = section.file();
        match self {
            Source::Texts(files) => parse(file, text(files, section)?),
            Source::Values(values) => {
                let value = values.get(file).ok_or_else(|| VmConfigError::Missing(file.to_owned()))?;
                serde_path_to_error::deserialize(value).map_err(|e| field(file, &e))
            }
        }
    }
}

fn text(files: &BTreeMap<String, String>, section: Section) -> Result<&str, VmConfigError> {
    let file = section.file();
    files.get(file).map(String::as_str).ok_or_else(|| VmConfigError::Missing(file.to_owned()))
}

/// serde_json ends at 128 levels of nesting by itself.
fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, VmConfigError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| field(file, &e))?;
    json.end().map_err(|e| VmConfigError::Field {
        file: file.to_owned(),
        field: ".".to_owned(),
        words: e.to_string(),
    })?;
    Ok(value)
}

fn field(file: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> VmConfigError {
    VmConfigError::Field {
        file: file.to_owned(),
        field: error.path().to_string().chars().take(200).collect(),
        words: error.inner().to_string().chars().take(400).collect(),
    }
}

/// A file's name for a message: whatever it is, not the whole of it.
fn short(file: &str) -> String {
    file.chars().take(80).collect()
}

fn text_of(section: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(section)
        .expect("sections are structs of numbers, texts and lists, which JSON always holds");
    text.push('\n');
    text
}
