//! Why a machine cannot be made as it was chosen.

use sampan_message::{Params, samples as samples_of};
use std::path::PathBuf;

/// Why a machine cannot be made as it was chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewMachineError {
    /// Nobody said which, and this host's is neither.
    #[error("choose the guest's architecture, x86_64 or aarch64: this host's is neither")]
    NoArch,
    /// The preset is for other processors.
    #[error("the preset for old systems is for x86_64")]
    PresetUnfit,
    /// Text that is no preset.
    #[error("{name:?} is no preset: use {}", super::preset_names::preset_names())]
    NoPreset {
        /// The text.
        name: String,
    },
    /// A machine of the library has the name.
    #[error("there is a machine called {name} already: choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Two things for one CD drive.
    #[error("{id} is a CD itself: put no other one into the drive")]
    CdTwice {
        /// The catalogue's entry.
        id: String,
    },
    /// Two ways to have the first disk.
    #[error("{id} is a disk itself: choose no other one, and leave its space to it")]
    DiskTwice {
        /// The catalogue's entry.
        id: String,
    },
    /// Nothing would read what the system is to be told.
    #[error("{id} has no cloud-init: nothing would read what it is told. {login}")]
    NoCloudInit {
        /// The catalogue's entry.
        id: String,
        /// How to log in.
        login: String,
    },
    /// Windows' answers for another system.
    #[error("answers for Windows Setup are for the presets of Windows")]
    AnswersUnfit,
    /// cloud-init for Windows.
    #[error("cloud-init is not in Windows: have the questions of its setup answered instead")]
    CloudUnfit,
    /// Windows' answers name its first user.
    #[error("the answers for Windows Setup need a user")]
    NoUser,
    /// A user without a password and a key.
    #[error("nobody could log in as {user}: give a password or an SSH key")]
    NoWayIn {
        /// The user.
        user: String,
    },
    /// Neither a file nor a medium.
    #[error("{}: there is no such file, and no such medium in the library", .path.display())]
    NoSource {
        /// What was named.
        path: PathBuf,
    },
}

impl NewMachineError {
    fn parts(&self) -> (&'static str, Params) {
        let none = Params::new;
        match self {
            Self::NoArch => ("no_arch", none()),
            Self::PresetUnfit => ("preset_unfit", none()),
            Self::NoPreset { name } => ("no_preset", Params::of("name", &**name)),
            Self::NameTaken { name } => ("machine_name_taken", Params::of("name", &**name)),
            Self::CdTwice { id } => ("cd_twice", Params::of("id", &**id)),
            Self::DiskTwice { id } => ("disk_twice", Params::of("id", &**id)),
            Self::NoCloudInit { id, login } => {
                ("no_cloud_init", Params::of("id", &**id).with("login", &**login))
            }
            Self::AnswersUnfit => ("answers_unfit", none()),
            Self::CloudUnfit => ("cloud_unfit", none()),
            Self::NoUser => ("no_user", none()),
            Self::NoWayIn { user } => ("no_way_in", Params::of("user", &**user)),
            Self::NoSource { path } => ("no_source", Params::of("path", path.as_path())),
        }
    }

    fn after(&self) -> Option<Self> {
        let id = || "debian-13-cloud".to_owned();
        Some(match self {
            Self::NoArch => Self::PresetUnfit,
            Self::PresetUnfit => Self::NoPreset { name: "windows".into() },
            Self::NoPreset { .. } => Self::NameTaken { name: "debian".into() },
            Self::NameTaken { .. } => Self::CdTwice { id: "debian-13-installer".into() },
            Self::CdTwice { .. } => Self::DiskTwice { id: id() },
            Self::DiskTwice { .. } => Self::NoCloudInit { id: id(), login: "log in as root".into() },
            Self::NoCloudInit { .. } => Self::AnswersUnfit,
            Self::AnswersUnfit => Self::CloudUnfit,
            Self::CloudUnfit => Self::NoUser,
            Self::NoUser => Self::NoWayIn { user: "ada".into() },
            Self::NoWayIn { .. } => Self::NoSource { path: "debian.iso".into() },
            Self::NoSource { .. } => return None,
        })
    }

    pub(crate) fn samples() -> Vec<sampan_message::Message> {
        samples_of(Self::NoArch, Self::after)
    }
}

sampan_message::coded!(NewMachineError);
