//! What a guest exchanges with its owner, and how it gets what it lacks.

use super::Answer;
use crate::app::App;
use crate::words::one_line;
use anyhow::Result;
use sampan_control::{Feature, FeatureInfo, FeatureState, GuestSystem};
use sampan_library::shell_word;
use serde_json::json;
use std::fmt::Write as _;

/// `sampan doctor VM`.
pub fn doctor(vm: &str) -> Result<Answer> {
    let app = App::open()?;
    let machine = app.machine(vm)?;
    let status = if machine.runs() { app.wait(machine.status())? } else { None };
    let features = match status.and_then(|status| status.facts) {
        Some(facts) => facts.features,
        None => sampan_manager::features::features(&machine.document()?, None),
    };
    let name = shell_word(machine.name());
    let mut text = format!("{}:", machine.name());
    for one in &features {
        let _ = write!(text, "\n  {:12}{}", name_of(one.feature), words_of(one.state));
        if let Some(field) = &one.field {
            let _ = write!(text, ": {}", command(field, &name));
        }
        for install in &one.install {
            let _ = write!(text, "\n    {:12}{}", system(install.system), one_line(&install.line));
        }
    }
    Ok(Answer::new(json!({ "features": features }), text))
}

/// The same in a few words, for the status.
pub fn summary(features: &[FeatureInfo]) -> String {
    let mut parts = Vec::new();
    for state in [
        FeatureState::Works,
        FeatureState::ByDriver,
        FeatureState::Off,
        FeatureState::NoDevice,
        FeatureState::NoAgent,
        FeatureState::NotKnown,
    ] {
        let names: Vec<_> =
            features.iter().filter(|one| one.state == state).map(|one| name_of(one.feature)).collect();
        if !names.is_empty() {
            parts.push(format!("{}: {}", words_of(state), names.join(", ")));
        }
    }
    parts.join("; ")
}

fn name_of(feature: Feature) -> &'static str {
    match feature {
        Feature::Sound => "sound",
        Feature::Microphone => "microphone",
        Feature::Clipboard => "clipboard",
        Feature::Files => "files",
        Feature::Sizes => "screen size",
        Feature::Agent => "guest agent",
    }
}

fn words_of(state: FeatureState) -> &'static str {
    match state {
        FeatureState::Works => "works",
        FeatureState::ByDriver => "up to the guest's driver",
        FeatureState::Off => "off",
        FeatureState::NoDevice => "no device",
        FeatureState::NoAgent => "nobody answers in the guest",
        FeatureState::NotKnown => "not known until it runs",
    }
}

fn system(system: GuestSystem) -> &'static str {
    match system {
        GuestSystem::Debian => "Debian",
        GuestSystem::Fedora => "Fedora",
        GuestSystem::OpenEuler => "openEuler",
        GuestSystem::Alpine => "Alpine",
        GuestSystem::Windows => "Windows",
    }
}

/// What turns it on.
fn command(field: &str, name: &str) -> String {
    let value = match field {
        "sound.microphone" => return format!("sampan sound {name} --microphone on"),
        "sound.muted" => return format!("sampan sound {name} --unmute"),
        "sound.device" => "hda",
        "serial.agent" => "virtio",
        "input.clipboard" => "both",
        _ => "true",
    };
    format!("sampan set {name} {field}={value}")
}
