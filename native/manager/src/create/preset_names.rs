//! The presets by the names that people write.

use sampan_config::Preset;

/// The presets by the names that people write.
pub const PRESETS: [(&str, Preset); 6] = [
    ("linux", Preset::Linux),
    ("windows11", Preset::Windows11),
    ("windows10", Preset::Windows10),
    ("android", Preset::Android),
    ("other", Preset::Other),
    ("old", Preset::Old),
];

/// The names of all presets, for a sentence.
pub(crate) fn preset_names() -> String {
    PRESETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The name of a preset.
pub fn preset_name(preset: Preset) -> &'static str {
    // `PRESETS` has them all, as a test sees to.
    PRESETS.iter().find(|(_, known)| *known == preset).map_or("", |(name, _)| name)
}
