//! `docs/errors.md` lists every code. `UPDATE_EXPECT=1 cargo test` writes it anew.

use sampan_message::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HEAD: &str = "\
# Codes of errors, findings and notes

Every error below the faces has a code, the values that its text is made of, and English beside them (`native/message`). Programs decide by the code; a face in
another language looks the code up and fills in the values. A code is never renamed; two texts have the same code if a person does the same about them. The English
here is that of a sample. Sizes are in bytes where a value's name does not say otherwise.

Where one of our own sentences completes the text, `reason` is its code: a translation has one text for each, see [the second list](#reasons). `rule` is the like for
what a value should have been, and `what` for what something is or counts. A reason may be the code of another error, whose values are then beside it. What another
program, the system or a parser said is one of `why`, `words` and `message`: it stays as it came, and a translation quotes it.

These lists are made from the crates' samples by `UPDATE_EXPECT=1 cargo test -p xtask`, and a test compares them.

| code | values | English, for example |
|---|---|---|
";

const REASONS: &str = "
## Reasons

| code | reason | values | English, for example |
|---|---|---|---|
";

fn all() -> Vec<Message> {
    let crates = [
        sampan_control::samples(),
        sampan_session::samples(),
        sampan_config::samples(),
        sampan_library::samples(),
        sampan_download::samples(),
        sampan_seed::samples(),
        sampan_qmp::samples(),
        sampan_vdagent::samples(),
        sampan_loader::samples(),
        sampan_emulator::samples(),
        sampan_display::samples(),
        sampan_audio::samples(),
        sampan_ohos::samples(),
        sampan_manager::samples(),
        sampan_trust::samples(),
        sampan_stream::samples(),
    ];
    crates.concat()
}

/// What tells apart the texts of one code: the name of the value, in the order of preference.
const CHOICES: [&str; 2] = ["reason", "rule"];

/// The code of a message's reason, if it has one.
fn reason(message: &Message) -> Option<(&'static str, String)> {
    CHOICES.iter().find_map(|name| Some((*name, message.params.get(name)?.to_string())))
}

fn names(message: &Message) -> Vec<String> {
    message.params.iter().map(|(name, _)| format!("`{name}`")).collect()
}

fn english(message: &Message) -> String {
    message.message.replace('|', "\\|").replace('\n', " ")
}

fn table() -> String {
    let mut rows: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    // Of all that differ by their reason there is one row, with the values that all of them have.
    let mut with_reason: BTreeMap<String, (BTreeSet<String>, String)> = BTreeMap::new();
    let mut reasons: BTreeSet<[String; 4]> = BTreeSet::new();
    for message in all() {
        let (code, names, text) = (message.code.to_string(), names(&message), english(&message));
        let Some((choice, reason)) = reason(&message) else {
            rows.entry(code).or_default().insert((names.join(" "), text));
            continue;
        };
        let others: Vec<String> =
            names.iter().filter(|name| **name != format!("`{choice}`")).cloned().collect();
        reasons.insert([code.clone(), reason, others.join(" "), text.clone()]);
        let names: BTreeSet<String> = names.into_iter().collect();
        let row = with_reason.entry(code).or_insert_with(|| (names.clone(), text));
        row.0.retain(|name| names.contains(name));
    }
    for (code, (names, text)) in with_reason {
        let names: Vec<String> = names.into_iter().collect();
        rows.entry(code).or_default().insert((names.join(" "), text));
    }
    let mut text = HEAD.to_owned();
    for (code, samples) in rows {
        for (values, english) in samples {
            text += &format!("| `{code}` | {values} | {english} |\n");
        }
    }
    text += REASONS;
    for [code, reason, values, english] in reasons {
        text += &format!("| `{code}` | `{reason}` | {values} | {english} |\n");
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
        for choice in CHOICES {
            assert!(
                params.get(choice).is_none_or(|value| is_name(&value.to_string())),
                "{code}: the {choice} is no code: {params:?}"
            );
        }
        assert!(params.iter().all(|(name, _)| is_name(name)), "{code}: {params:?}");
        // The app shows them, too. An option of qemu-img's is not one of ours.
        let message = message.replace("qemu-img bitmap --remove", "");
        assert!(!message.contains("sampan ") && !message.contains(" --"), "{code}: {message}");
        assert!(!message.is_empty() && !message.ends_with('.'), "{code}: {message}");
    }
}
