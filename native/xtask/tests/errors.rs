//! `docs/errors.md` lists every code. `UPDATE_EXPECT=1 cargo test` writes it anew.

use sampan_message::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HEAD: &str = "\
# Codes of errors, findings and notes

Every error below the faces has a code, the values that its text is made of, and English beside them (`native/message`). Programs decide by the code; a face in
another language looks the code up and fills in the values. A code is never renamed; two texts have the same code if a person does the same about them. The English
here is that of a sample. Sizes are in bytes where a value's name does not say otherwise. `session` and `control` have more of their own.

This list is made from the crates' samples by `UPDATE_EXPECT=1 cargo test -p xtask`, and a test compares it.

| code | values | English, for example |
|---|---|---|
";

fn all() -> Vec<Message> {
    let crates = [
        sampan_config::samples(),
        sampan_library::samples(),
        sampan_download::samples(),
        sampan_seed::samples(),
        sampan_qmp::samples(),
        sampan_loader::samples(),
        sampan_emulator::samples(),
        sampan_display::samples(),
        sampan_ohos::samples(),
        sampan_manager::samples(),
        sampan_session::vm::import_samples(),
    ];
    crates.concat()
}

fn table() -> String {
    let mut rows: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for Message { code, params, message } in all() {
        let names: Vec<String> = params.iter().map(|(name, _)| format!("`{name}`")).collect();
        let text = message.replace('|', "\\|").replace('\n', " ");
        rows.entry(code.into_owned()).or_default().insert((names.join(" "), text));
    }
    let mut text = HEAD.to_owned();
    for (code, samples) in rows {
        for (values, english) in samples {
            text += &format!("| `{code}` | {values} | {english} |\n");
        }
    }
    text
}

#[test]
fn the_list_of_codes_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let table = table();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &table).expect("docs/errors.md is written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == table, "docs/errors.md is out of date: write it anew with UPDATE_EXPECT=1");
}

/// Neither crate knows the other.
#[test]
fn the_limits_of_disks_are_those_of_the_library() {
    assert_eq!(sampan_config::MAX_DISK_BYTES, sampan_library::image::MAX_VIRTUAL_SIZE);
    assert_eq!(sampan_config::MIN_DISK_BYTES, sampan_library::MIN_DRIVE);
}

#[test]
fn codes_and_values_are_in_snake_case_and_texts_name_no_command() {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    for Message { code, params, message } in all() {
        assert!(is_name(&code), "{code}");
        assert!(params.iter().all(|(name, _)| is_name(name)), "{code}: {params:?}");
        // The app shows them, too.
        assert!(!message.contains("sampan ") && !message.contains(" --"), "{code}: {message}");
        assert!(!message.is_empty() && !message.ends_with('.'), "{code}: {message}");
    }
}
