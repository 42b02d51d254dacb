//! What a guest exchanges with its owner, for the pages.

use napi_derive::napi;

/// Something that a guest exchanges with its owner.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeatureKind {
    /// The guest is heard.
    Sound,
    /// It hears the microphone.
    Microphone,
    /// Its clipboard is shared.
    Clipboard,
    /// It is given files.
    Files,
    /// Its screen has the size that its viewer wants.
    Sizes,
    /// Programs are run in it, its addresses are known, it shuts down when it is asked to.
    Agent,
}

/// How it is with that.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FeatureState {
    /// All that it needs is there.
    Works,
    /// The guest's own driver does it, where the guest has one.
    ByDriver,
    /// A setting has turned it off.
    Off,
    /// The machine lacks the device for it, which it gets by a setting.
    NoDevice,
    /// Nobody answers in the guest: a program is not installed there, or does not run.
    NoAgent,
    /// It depends on the guest, which does not run.
    NotKnown,
}

/// A kind of system, by how programs are installed in it.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GuestSystem {
    /// Debian, Ubuntu and their kin.
    Debian,
    /// Fedora, Rocky and their kin.
    Fedora,
    /// openEuler.
    OpenEuler,
    /// Alpine.
    Alpine,
    /// Windows.
    Windows,
}

/// What to do in a guest for a program that it lacks.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Install {
    /// Where.
    pub system: GuestSystem,
    /// What to type as the guest's administrator; on Windows the program to run, of virtio-win's CD.
    pub line: String,
}

/// How a guest exchanges something with its owner, or what it lacks for that.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// What.
    pub feature: FeatureKind,
    /// How it is with it.
    pub state: FeatureState,
    /// The field of the description that has turned it off, or gives the machine the device.
    pub field: Option<String>,
    /// What to do in the guest: one entry where it is known which system it is, else one for each that it may be.
    pub install: Vec<Install>,
}

impl From<&sampan_control::FeatureInfo> for Feature {
    fn from(info: &sampan_control::FeatureInfo) -> Self {
        use sampan_control as control;
        let install = info.install.iter().map(|install| Install {
            system: match install.system {
                control::GuestSystem::Debian => GuestSystem::Debian,
                control::GuestSystem::Fedora => GuestSystem::Fedora,
                control::GuestSystem::OpenEuler => GuestSystem::OpenEuler,
                control::GuestSystem::Alpine => GuestSystem::Alpine,
                control::GuestSystem::Windows => GuestSystem::Windows,
            },
            line: install.line.clone(),
        });
        Self {
            feature: match info.feature {
                control::Feature::Sound => FeatureKind::Sound,
                control::Feature::Microphone => FeatureKind::Microphone,
                control::Feature::Clipboard => FeatureKind::Clipboard,
                control::Feature::Files => FeatureKind::Files,
                control::Feature::Sizes => FeatureKind::Sizes,
                control::Feature::Agent => FeatureKind::Agent,
            },
            state: match info.state {
                control::FeatureState::Works => FeatureState::Works,
                control::FeatureState::ByDriver => FeatureState::ByDriver,
                control::FeatureState::Off => FeatureState::Off,
                control::FeatureState::NoDevice => FeatureState::NoDevice,
                control::FeatureState::NoAgent => FeatureState::NoAgent,
                control::FeatureState::NotKnown => FeatureState::NotKnown,
            },
            field: info.field.clone(),
            install: install.collect(),
        }
    }
}
