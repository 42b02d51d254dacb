//! What people at a terminal type about an error or a note: by its code, since errors name no command; the app shows them, too.

use sampan_config::ValidationError;
use sampan_library::shell_word;
use sampan_message::{Coded, Message};
use std::error::Error as StdError;

/// What to type about one code.
struct Hint {
    /// The code.
    code: &'static str,
    /// A value of the message, and what it must be, if the code alone does not decide.
    when: Option<(&'static str, &'static str)>,
    /// The words. `{name}` stands for a value of the message, as a shell takes it; without the value the hint does not fit.
    /// `{name|ELSE}` has a substitute. `{vm}` is what a person called the machine, or the
    /// message's `name`; `{machine}` only the former.
    words: &'static str,
}

const fn of(code: &'static str, words: &'static str) -> Hint {
    Hint { code, when: None, words }
}

const fn when(code: &'static str, value: (&'static str, &'static str), words: &'static str) -> Hint {
    Hint { code, when: Some(value), words }
}

const DOCTOR: &str = "`sampan doctor` shows what this host has and what is missing";
const START_KERNEL: &str = "`sampan run --kernel {path|FILE}` starts a kernel";
const IMPORT: &str = "`sampan import {path|FILE}` takes it over if it is a machine";
const IMPORT_UNPACKED: &str = "`sampan import FOLDER` takes over the machine that was in it";
const AS_CD: &str = "`sampan new NAME --cdrom {path|FILE}` makes a machine that starts from it";
const RESUME: &str = "`sampan start {vm}` resumes it, with `--discard-state` it starts anew";
const FORCE: &str = "`sampan stop {vm} --force` ends it";
const DRIVES: &str = "`sampan disk info {vm}` shows them";
const UNSHARE: &str = "`sampan share remove {vm} {tag}` shares it no more";
const NO_FORWARD: &str = "`sampan forward remove {vm} {forward}` takes the forward away";
const OTHER_VNC: &str = "`sampan vnc {vm} on --port N` chooses another one";
const OWN_CATALOGUE: &str =
    "`sampan images --json` prints the built-in one while the library has no catalogue.json of its own";

/// Of several hints for a code the first that fits counts.
const HINTS: &[Hint] = &[
    // Machines.
    of("in_use", "`sampan stop {vm}` ends it if it runs"),
    of("no_library", "`sampan new` makes a machine, and the library with it"),
    of("not_found", "`sampan list` shows those there are"),
    of("ambiguous", "`sampan list` shows the ids"),
    of("part_of_a_machine", "see `sampan clone` and `sampan export`"),
    of("machine_silent", FORCE),
    of("still_runs", FORCE),
    of("machine_hangs", FORCE),
    of("state_being_saved", FORCE),
    of("stands_still", "`sampan suspend {vm}` or `sampan stop {vm} --force`"),
    of("not_running", "`sampan start {vm}` starts it"),
    of("runs", "`sampan stop {vm}` or `sampan suspend {vm}` ends it"),
    of("paused", "`sampan resume {vm}` or `sampan stop {vm} --force`"),
    of("suspended", RESUME),
    of("not_shared", "`sampan stream on {vm}` does"),
    of("not_published", "`sampan stream publish {vm} URL` does"),
    of("publish_refused", "`--token-file` takes it"),
    of("publish_unprotected", "`--plain-http` allows it"),
    of(
        "no_display",
        "`sampan set {vm} displays.heads=2` gives it a second, where its graphics card is virtio",
    ),
    of("no_viewer", "`sampan stream status {vm}` shows those there are"),
    of("viewer_may_not_drive", "`sampan stream pair {vm} --drive` lets a device drive"),
    of("no_device", "`sampan stream devices` shows those there are"),
    of("several_devices", "`sampan stream devices` shows the ids"),
    of("too_many_devices", "`sampan stream devices` shows them, `sampan stream revoke DEVICE` takes one off"),
    of("bad_share_address", "`--address` takes one"),
    of("no_address", "`--address` takes any that this host has"),
    of("not_shut_down", "see `sampan stop {vm} --timeout SECONDS` and `--force`"),
    of("old_tuning", "`sampan set {vm} cpu.tuning={newest}` gives it that"),
    of("damaged_host_settings", "see `sampan share add` and `sampan vnc {vm} password`"),
    // This host.
    of("block_layer_unavailable", DOCTOR),
    of("incomplete_installation", DOCTOR),
    of("bad_libqemu", DOCTOR),
    of("no_accelerator", DOCTOR),
    // Firmware and kernels.
    of("no_bios", "`--firmware uefi` chooses it"),
    when("document_fault", ("rule", "no_bios"), "`sampan set {vm} firmware.kind=uefi` chooses it"),
    of("no_kernel", "`sampan run --kernel FILE` names it"),
    of(
        "only_kernel_left_out",
        "`sampan images add FILE` takes one in, `sampan set {vm} 'firmware.kernel={\"kernel\":\"NAME\"}'` starts it",
    ),
    // Drives, images and media.
    of("no_removed_drive", DRIVES),
    of("no_such_drive", DRIVES),
    of("no_drive", DRIVES),
    of("cannot_shrink", "`sampan disk create {vm} SIZE` makes another one"),
    of("disk_cannot_shrink", "`sampan disk create {vm} SIZE` makes another one"),
    of("empty_disk_left_out", "`sampan disk create {vm} {size|SIZE}` makes one"),
    of("has_dependents", "`sampan disk flatten` makes a linked clone independent"),
    of("medium_in_use", "`sampan set VM cdrom=-` takes it out of a machine"),
    of("no_medium", "`sampan images` lists what there is, `sampan images add FILE` takes a file in"),
    of(
        "medium_name_taken",
        "`--name NAME` chooses another one, `sampan images remove {name}` takes that one away",
    ),
    of("cd_left_out", "`sampan set {vm} cdrom=MEDIUM` puts one in"),
    of("disk_image", "`sampan new NAME --image {path|FILE}` makes a machine of it"),
    when(
        "cd_image",
        ("wanted", "disk"),
        "`sampan new NAME --cdrom {path|FILE}` makes a machine that starts from it, `--format raw` says that it is a disk",
    ),
    of("cd_image", AS_CD),
    when("unknown_format", ("wanted", "disk"), "`--format raw` says that it is"),
    when("not_a_disk", ("what", "tar"), IMPORT),
    when("not_a_disk", ("what", "xml"), IMPORT),
    when("not_a_disk", ("what", "zip"), IMPORT_UNPACKED),
    when("not_a_disk", ("what", "elf"), START_KERNEL),
    when("not_a_disk", ("what", "linux_kernel"), START_KERNEL),
    when("not_a_machine", ("what", "zip"), IMPORT_UNPACKED),
    when("not_a_machine", ("what", "elf"), START_KERNEL),
    when("not_a_machine", ("what", "linux_kernel"), START_KERNEL),
    when("not_a_cd", ("what", "disk"), "`sampan new NAME --image {path|FILE}` makes a machine of it"),
    when("not_a_cd", ("what", "tar"), IMPORT),
    when("not_a_cd", ("what", "xml"), IMPORT),
    when("not_a_cd", ("what", "zip"), IMPORT_UNPACKED),
    when("not_a_cd", ("what", "elf"), START_KERNEL),
    when("not_a_cd", ("what", "linux_kernel"), START_KERNEL),
    of("several_descriptions", "`sampan import FILE` takes a description, too"),
    of("unknown_processor", "`sampan disk import FILE --to VM` takes over one disk"),
    // Snapshots.
    of("no_snapshot", "`sampan snapshot list {machine}` shows those there are"),
    of("unsaved_state", "`--keep NAME` takes one, `--yes` says so"),
    // Ports and folders of this host.
    of("port_in_use", NO_FORWARD),
    of("port_privileged", NO_FORWARD),
    of("no_such_address", NO_FORWARD),
    of("port_unusable", NO_FORWARD),
    of("port_in_use", OTHER_VNC),
    of("port_privileged", OTHER_VNC),
    of("no_such_address", OTHER_VNC),
    of("port_unusable", OTHER_VNC),
    of("forward_left_out", "`sampan forward add {vm} {forward}` adds it"),
    of("no_such_forward", "`sampan forward list {vm}` shows them"),
    of("vnc_off", "`sampan vnc {vm} on` turns it on"),
    of("vnc_left_out", "`sampan vnc {vm} on` makes one"),
    of("share_missing", UNSHARE),
    of("share_not_a_folder", UNSHARE),
    of("share_unreadable", UNSHARE),
    of("no_folder", "`sampan share remove {vm} {tag}` or `sampan share add {vm} FOLDER --tag {tag}`"),
    of("share_left_out", "`sampan share add {vm} FOLDER --tag {tag}` shares it"),
    of("share_left_out", "`sampan share add {vm} FOLDER` shares it"),
    // The guest.
    of("no_agent_channel", "`sampan set {vm} serial.agent=virtio` gives it one"),
    of("no_sound", "`sampan set {vm} sound.device=hda sound.input=true` gives it one"),
    of("no_clipboard_port", "`sampan set {vm} serial.vdagent=true` gives it one"),
    of("clipboard_to_guest_off", "`sampan set {vm} input.clipboard=both` allows it"),
    of("clipboard_from_guest_off", "`sampan set {vm} input.clipboard=both` allows it"),
    of("not_pasted", "`sampan set {vm} input.paste=ctrl-v` (shift-insert, ctrl-shift-v) chooses them"),
    of("untypable", "see `sampan console {vm}`, `sampan file push` and `sampan exec`"),
    of("too_much_input", "see `sampan file push`"),
    of("microphone_left_out", "`sampan set {vm} sound.microphone=true` lets the guest listen"),
    of("serial_port_left_out", "`sampan console {vm}` shows it"),
    // Downloads.
    of("bad_catalogue", OWN_CATALOGUE),
    of("bad_catalogue_entry", OWN_CATALOGUE),
    of("bad_certificate", "`--ca-file FILE` adds one"),
    of("plain_http", "`--allow-http` allows it"),
    of("no_download", "`sampan download --list` lists them"),
    of("address_without_name", "`--name NAME` gives it one"),
    of("bad_medium_name", "`--name NAME` gives it another one"),
    of("no_catalogue_entry", "`sampan images` lists what it has"),
    of("entry_of_other_arch", "`--arch {arch}` takes that one"),
    of("bring_your_own", "`sampan new NAME --preset {preset} --cdrom FILE` makes a machine of it"),
    // New machines.
    of("no_arch", "`--arch` chooses it"),
    of("cd_twice", "leave `--cdrom` out"),
    of("disk_twice", "leave `--image`, `--no-disk` and `--fixed` out"),
    of("no_way_in", "`--password-file FILE` or `--ssh-key FILE` gives one"),
    of("cloud_unfit", "`--windows-answers` does that"),
    of("answers_unfit", "leave `--windows-answers` out"),
    of("no_user", "`--user NAME` names one"),
    of("password_in_seed", "`sampan set {vm} seed=-` does that"),
    // Parts of machines.
    of("share_tag_taken", "`--tag TAG` chooses another one"),
    of("no_share", "`sampan share list {vm}` shows those it has"),
    of("no_attributes", "`--security none` shares it without"),
    of("cd_drive", "`sampan set {vm} cdrom=-` empties it"),
    of("bad_field", "`sampan show {vm} --json` shows them all"),
    of("changes_lost", "`--keep NAME` keeps it, `--yes` says that it may go"),
];

impl Hint {
    /// The words for a message; `None` where they do not fit.
    fn told(&self, message: &Message, machine: Option<&str>) -> Option<String> {
        let value = |name: &str| message.params.get(name).map(ToString::to_string);
        if let Some((name, wanted)) = self.when
            && value(name)? != wanted
        {
            return None;
        }
        filled(self.words, |name| match name {
            "vm" => {
                let name = machine.map(str::to_owned).or_else(|| value("name"));
                Some(name.map_or_else(|| "VM".to_owned(), |name| shell_word(&name)))
            }
            "machine" => Some(machine.map_or_else(|| "VM".to_owned(), shell_word)),
            // Nothing in it is for a shell to read.
            "forward" => value(name),
            _ => value(name).map(|value| shell_word(&value)),
        })
    }
}

/// Words with values in them.
fn filled(words: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (mut told, mut rest) = (String::new(), words);
    while let Some((before, after)) = rest.split_once('{') {
        told.push_str(before);
        let Some((place, after)) = after.split_once('}').filter(|(place, _)| !place.contains('"')) else {
            // JSON.
            told.push('{');
            rest = after;
            continue;
        };
        let (name, substitute) = match place.split_once('|') {
            Some((name, substitute)) => (name, Some(substitute)),
            None => (place, None),
        };
        told.push_str(&value(name).or_else(|| substitute.map(str::to_owned))?);
        rest = after;
    }
    Some(told + rest)
}

/// What to type about a message; `machine` is what a person called the machine that it is about.
pub fn hint(message: &Message, machine: Option<&str>) -> Option<String> {
    HINTS.iter().filter(|hint| hint.code == message.code).find_map(|hint| hint.told(message, machine))
}

/// A message, such as what a start is doing, with what to type about it.
pub fn with_hint(message: &Message, machine: Option<&str>) -> String {
    match hint(message, machine) {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_string(),
    }
}

/// An error of the application core about the machine that a person named.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AppError {
    /// The error itself.
    pub message: Message,
    machine: Option<String>,
    /// What refuses it, or what a person should confirm.
    findings: Vec<Message>,
}

impl AppError {
    /// About a machine, if one was named.
    pub fn new(error: &sampan_manager::Error, machine: Option<&str>) -> Self {
        use sampan_manager::Error;
        let findings = match error {
            Error::Refused(findings) | Error::NeedsConfirm(findings) => {
                findings.iter().map(|finding| finding.message.clone()).collect()
            }
            _ => Vec::new(),
        };
        Self { message: error.message(), machine: machine.map(str::to_owned), findings }
    }

    /// What to type about each of its findings, and that they may be confirmed.
    fn hint_of_findings(&self) -> Option<String> {
        let mut told: Vec<String> = Vec::new();
        for finding in &self.findings {
            told.extend(hint(finding, self.machine.as_deref()).filter(|hint| !told.contains(hint)));
        }
        if self.message.code == "needs_confirm" && !told.iter().any(|hint| hint.contains("--yes")) {
            told.push("if that is what you want, say `--yes`".to_owned());
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The message of an error, if it is of one of these types.
macro_rules! message_of {
    ($cause:expr, $($kind:ty),+ $(,)?) => {
        None$(.or_else(|| $cause.downcast_ref::<$kind>().map(Coded::message)))+
    };
}

/// What an error of ours says, and what a person called the machine that it is about.
fn known(cause: &(dyn StdError + 'static)) -> Option<(Message, Option<String>)> {
    if let Some(AppError { message, machine, .. }) = cause.downcast_ref() {
        return Some((message.clone(), machine.clone()));
    }
    if let Some(message) = cause.downcast_ref::<Message>() {
        return Some((message.clone(), None));
    }
    if let Some(fault) = cause.downcast_ref::<ValidationError>() {
        return Some((fault.message.clone(), None));
    }
    let message = message_of!(
        cause,
        sampan_manager::Error,
        sampan_session::vm::VmError,
        sampan_session::StartError,
        sampan_session::CommandError,
        sampan_session::agent::AgentError,
        sampan_control::ClientError,
        sampan_control::BindError,
        sampan_library::Error,
        sampan_library::ArchiveError,
        sampan_library::BlockError,
        sampan_library::image::ProbeError,
        sampan_library::image::NotACd,
        sampan_download::DownloadError,
        sampan_download::CatalogueError,
        sampan_download::NotADigest,
        sampan_seed::SeedError,
        sampan_seed::KeyError,
        sampan_emulator::LaunchError,
        sampan_config::ConfigError,
        sampan_config::VmConfigError,
        sampan_config::ForwardError,
        sampan_config::BadVncPassword,
        sampan_config::UnknownArch,
        sampan_config::NotAMode,
        sampan_config::NotAMac,
    );
    Some((message?, None))
}

/// The code of the first cause that has one, for programs.
pub fn code_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(known).map(|(message, _)| message.code.into_owned())
}

/// What to type about the first cause that has a hint.
pub fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let of_findings = cause.downcast_ref().and_then(AppError::hint_of_findings);
        of_findings.or_else(|| known(cause).and_then(|(message, machine)| hint(&message, machine.as_deref())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::error::ErrorKind;
    use clap::{CommandFactory as _, Parser as _};
    use sampan_config::{Arch, Preset, VmConfig};
    use std::collections::BTreeSet;

    #[test]
    fn people_at_a_terminal_are_told_the_command() {
        let of = Message::new;
        let port = |message: Message| message.with("port", 80_u16).with("address", "127.0.0.1");
        for (message, told) in [
            (
                port(of("port_in_use", "taken").with("forward", "tcp:127.0.0.1:80:80")),
                "taken; `sampan forward remove 'my VM' tcp:127.0.0.1:80:80` takes the forward away",
            ),
            (
                port(of("port_in_use", "taken").with("what", "vnc")),
                "taken; `sampan vnc 'my VM' on --port N` chooses another one",
            ),
            (
                of("share_missing", "gone").with("tag", "my files"),
                "gone; `sampan share remove 'my VM' 'my files'` shares it no more",
            ),
            (
                of("share_left_out", "gone").with("tag", "files"),
                "gone; `sampan share add 'my VM' FOLDER --tag files` shares it",
            ),
            (of("share_left_out", "gone"), "gone; `sampan share add 'my VM' FOLDER` shares it"),
            (
                of("not_a_disk", "tar").with("what", "tar").with("path", "/a b.ova"),
                "tar; `sampan import '/a b.ova'` takes it over if it is a machine",
            ),
            (of("not_a_disk", "page").with("what", "web_page"), "page"),
            (
                of("only_kernel_left_out", "dark"),
                "dark; `sampan images add FILE` takes one in, `sampan set 'my VM' 'firmware.kernel={\"kernel\":\"NAME\"}'` starts it",
            ),
            (of("no_picture", "dark"), "dark"),
        ] {
            assert_eq!(with_hint(&message, Some("my VM")), told);
        }
        assert_eq!(
            hint(&of("in_use", "").with("name", "a b"), None).as_deref(),
            Some("`sampan stop 'a b'` ends it if it runs")
        );
    }

    #[test]
    fn what_is_doubtful_can_be_confirmed_and_each_doubt_has_its_hint() {
        use sampan_config::{Finding, Severity};
        use sampan_manager::Error;
        let finding = |message| Finding::new(Severity::Confirm, "drives.cd0", message);
        let disk = Message::new("not_a_cd", "a disk").with("what", "disk").with("path", "a.img");
        let doubts = || vec![finding(disk.clone()), finding(Message::new("space_low", "low"))];
        let told = |error: Error| hint_of(&AppError::new(&error, Some("vm")).into());
        let hint = told(Error::NeedsConfirm(doubts())).expect("a hint");
        assert!(hint.contains("--image a.img") && hint.ends_with("say `--yes`"), "{hint}");
        let hint = told(Error::Refused(doubts())).expect("a hint");
        assert!(hint.contains("--image a.img") && !hint.contains("--yes"), "{hint}");
        assert_eq!(told(Error::Refused(vec![finding(Message::new("space_low", "low"))])), None);
    }

    /// A value for every place of a hint.
    fn sample(name: &str) -> Option<String> {
        Some(match name {
            "newest" => "2".to_owned(),
            "forward" => "tcp:127.0.0.1:2222:22".to_owned(),
            "size" => "1073741824".to_owned(),
            "preset" => "windows11".to_owned(),
            "arch" => "x86_64".to_owned(),
            _ => "debian".to_owned(),
        })
    }

    /// What people put in the place of a word in capitals.
    fn given(word: &str) -> &str {
        match word {
            "N" => "5901",
            "SECONDS" => "90",
            "SIZE" => "20G",
            word => word,
        }
    }

    /// Whether a machine's document has a field, as `sampan set` takes it.
    fn can_be_set(change: &str) {
        let (field, value) = change.split_once('=').expect("FIELD=VALUE");
        let Some((section, field)) = field.split_once('.') else {
            assert!(["name", "memory", "cpus", "cdrom", "seed"].contains(&field), "{change}");
            return;
        };
        let mut files = VmConfig::new("x", Preset::Linux, Arch::X86_64).to_files();
        let file = files.get_mut(&format!("{section}.json")).expect("a section");
        let mut members: serde_json::Value = serde_json::from_str(file).expect("JSON");
        members[field] = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        *file = members.to_string();
        VmConfig::from_files(&files).unwrap_or_else(|error| panic!("{change}: {error}"));
    }

    /// All options of all commands.
    fn options(command: &clap::Command, into: &mut BTreeSet<String>) {
        into.extend(
            command.get_arguments().filter_map(|argument| argument.get_long()).map(|o| format!("--{o}")),
        );
        command.get_subcommands().for_each(|command| options(command, into));
    }

    #[test]
    fn what_hints_name_is_there() {
        let mut known = BTreeSet::new();
        options(&Args::command(), &mut known);
        for Hint { code, words, .. } in HINTS {
            let told = filled(words, sample).expect("every place has a value");
            assert!(told.contains('`'), "{code}: {told}");
            for (command, plain) in told.split('`').zip(words.split('`')).skip(1).step_by(2) {
                let arguments = shlex::split(command).expect("as a shell reads it");
                let arguments: Vec<&str> = arguments.iter().map(|word| given(word)).collect();
                if arguments.first() != Some(&"sampan") {
                    assert!(known.contains(arguments[0]), "{code}: {command}");
                    continue;
                }
                // One without arguments is to be looked up.
                let is_name = plain.bytes().all(|c| c.is_ascii_lowercase() || c == b' ');
                if let Err(error) = Args::try_parse_from(&arguments) {
                    let missing = error.kind() == ErrorKind::MissingRequiredArgument;
                    assert!(is_name && missing, "{code}: {command}: {error}");
                }
                if let ["sampan", "set", _, changes @ ..] = &arguments[..] {
                    changes.iter().for_each(|change| can_be_set(change));
                }
            }
        }
    }

    #[test]
    fn hints_are_of_codes_that_there_are() {
        let mut codes = BTreeSet::new();
        let list = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
        let list = std::fs::read_to_string(list).expect("the list of codes");
        for line in list.lines() {
            codes
                .extend(line.strip_prefix("| `").and_then(|line| line.split_once('`')).map(|(code, _)| code));
        }
        let unlisted: BTreeSet<&str> =
            HINTS.iter().map(|hint| hint.code).filter(|code| !codes.contains(code)).collect();
        assert_eq!(unlisted, BTreeSet::new());
    }
}
