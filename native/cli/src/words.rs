//! All that the program prints: answers on stdout, progress and errors on stderr.
//!
//! What is printed has come from anywhere: a guest, a file that somebody sent, a server. A terminal obeys control
//! characters; so they are escaped here, where everything passes through, and nowhere else. The compiler refuses other
//! ways to stdout and stderr (`clippy.toml`, and the lints in `main.rs`). A machine's serial console alone is passed on
//! as it is, to whoever asked for just that.
//!
//! Whoever stops reading (`| head -1`) does no harm; what cannot be written otherwise is noted, and the program ends with an error.
#![expect(clippy::disallowed_methods, reason = "this is the way to stdout and stderr")]

use sampan_download::DownloadError;
use sampan_library::{Error as LibraryError, shell_word};
use sampan_message::{Coded, Message};
use sampan_session::vm::VmError;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Instant;

/// The most characters of a line; of what is longer the rest is counted.
const MAX_LINE: usize = 16 << 10;
/// The most characters of somebody else's words within a line of ours.
const MAX_WORDS: usize = 1000;

/// What became of stdout, once something could not be written to it.
static STDOUT: OnceLock<io::Error> = OnceLock::new();

fn note(written: io::Result<()>) {
    if let Err(error) = written {
        let _ = STDOUT.set(error);
    }
}

/// Why not all of what was asked for was told. That a reader has gone is no failure: it has read what it wanted.
pub fn stdout_failure() -> Option<&'static io::Error> {
    STDOUT.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}

/// Nobody gets what is written to stdout any more.
pub fn is_stdout_gone() -> bool {
    STDOUT.get().is_some()
}

/// One answer for people, on stdout.
pub fn say(answer: &str) {
    let mut out = io::stdout().lock();
    note(writeln!(out, "{}", escaped(answer)).and_then(|()| out.flush()));
}

/// The same in the place of all that the terminal shows.
pub fn say_anew(answer: &str) {
    let mut out = io::stdout().lock();
    // To the first cell, and what is below it erased (ECMA-48, CUP and ED).
    note(write!(out, "\x1b[H\x1b[J{}\n", escaped(answer)).and_then(|()| out.flush()));
}

/// One answer for programs, on stdout: a line or more of JSON.
pub fn say_json(answer: &impl Display) {
    let mut out = io::stdout().lock();
    note(writeln!(out, "{}", escaped_json(&answer.to_string())).and_then(|()| out.flush()));
}

/// Bytes on stdout as they are: what this program itself made, or what is piped to another one.
pub fn pass(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    note(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Whether a person looks at stdout, who can do nothing with bytes.
pub fn is_stdout_watched() -> bool {
    io::stdout().is_terminal()
}

/// What a program in the guest wrote, on our stdout: as it is for another program, escaped for a terminal.
pub fn pass_stdout(bytes: &[u8]) {
    note(pass_to(io::stdout().lock(), bytes));
}

/// The same on stderr.
pub fn pass_stderr(bytes: &[u8]) {
    let _ = pass_to(io::stderr().lock(), bytes);
}

fn pass_to(mut to: impl Write + IsTerminal, bytes: &[u8]) -> io::Result<()> {
    if to.is_terminal() {
        to.write_all(escaped(&String::from_utf8_lossy(bytes)).as_bytes())?;
    } else {
        to.write_all(bytes)?;
    }
    to.flush()
}

/// One line on stderr.
pub fn tell(words: impl Display) {
    let _ = writeln!(io::stderr(), "{}", escaped(&words.to_string()));
}

/// A question on stderr; the answer is typed behind it.
pub fn ask(words: impl Display) {
    let mut err = io::stderr();
    let _ = write!(err, "{}", escaped(&words.to_string())).and_then(|()| err.flush());
}

/// A line on stderr, a terminal, in the place of the one that was drawn before.
pub fn redraw(words: &str) {
    let mut err = io::stderr();
    let _ = write!(err, "\r{}\x1b[K", escaped(words)).and_then(|()| err.flush());
}

/// Whether a person looks at stderr.
pub fn are_watched() -> bool {
    io::stderr().is_terminal()
}

/// Says what is being done and how long it has taken so far.
pub struct Progress(Instant);

impl Progress {
    /// The clock starts now.
    pub fn start() -> Self {
        Progress(Instant::now())
    }

    /// One line.
    pub fn say(&self, what: impl Display) {
        tell(format_args!("[{:5.1} s] {what}", self.0.elapsed().as_secs_f32()));
    }
}

/// What the logger writes to: stderr.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A record comes whole.
        io::stderr().write_all(escaped(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The same where stderr is, or is about to become, a file: that is escaped when it is read.
pub struct LogFile;

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        pass_to(io::stderr().lock(), bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Prints a text that comes in pieces, on stdout.
#[derive(Default)]
pub struct Stream(Escaper);

impl Stream {
    /// The next piece; it may end within a line, or within a character.
    pub fn say(&mut self, piece: &[u8]) {
        let mut text = String::new();
        self.0.take(piece, &mut text);
        pass(text.as_bytes());
    }

    /// There is no more of it.
    pub fn end(&mut self) {
        let mut text = String::new();
        self.0.end(&mut text);
        pass(text.as_bytes());
    }
}

/// Somebody else's words for within a line of ours: one line of bounded length.
pub fn one_line(words: &str) -> String {
    let mut line = String::new();
    for c in words.trim().chars().take(MAX_WORDS) {
        match c {
            '\n' | '\t' => line.push(' '),
            c => line.push(c),
        }
    }
    if words.trim().chars().nth(MAX_WORDS).is_some() {
        line.push('…');
    }
    // Escaped here, too, so that columns line up; what is escaped already stays as it is.
    escaped(&line)
}

/// An error with its causes, each told once, and the command that helps where there is one.
pub fn of_error(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // What it is about stands before many an error, and has been told by the one before.
        let mut rest = cause.as_str();
        while let Some((_, why)) = rest.split_once(SEPARATOR).filter(|(about, _)| says(&told, about)) {
            rest = why;
        }
        match rest {
            "" => {}
            rest if told.is_empty() => told = rest.to_owned(),
            rest if says(&told, rest) => {}
            rest => told = format!("{told}{SEPARATOR}{rest}"),
        }
    }
    let told = once(&told);
    match hint_of(error) {
        Some(hint) if !told.contains(&hint) => format!("{told}; {hint}"),
        _ => told,
    }
}

/// An error of the application core about the machine that a person named.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AppError {
    /// The error itself.
    pub message: Message,
    machine: Option<String>,
}

impl AppError {
    /// About a machine, if one was named.
    pub fn new(error: &sampan_manager::Error, machine: Option<&str>) -> Self {
        Self { message: error.message(), machine: machine.map(str::to_owned) }
    }
}

/// What an error of ours says, and what a person called the machine that it is about.
fn known(cause: &(dyn std::error::Error + 'static)) -> Option<(Message, Option<String>)> {
    if let Some(AppError { message, machine }) = cause.downcast_ref() {
        return Some((message.clone(), machine.clone()));
    }
    let message = cause
        .downcast_ref::<sampan_manager::Error>()
        .map(Coded::message)
        .or_else(|| cause.downcast_ref::<VmError>().map(Coded::message))
        .or_else(|| cause.downcast_ref::<LibraryError>().map(Coded::message))
        .or_else(|| cause.downcast_ref::<DownloadError>().map(Coded::message));
    Some((message?, None))
}

/// The code of the first cause that has one, for programs.
pub fn code_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(known).map(|(message, _)| message.code.into_owned())
}

/// The command by which people at a terminal do what an error tells them to: by the code of the first cause that has one.
/// Errors themselves name no command, since the app shows them, too.
fn hint_of(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .find_map(|cause| known(cause).and_then(|(message, machine)| hint(&message, machine.as_deref())))
}

/// The command for a message; `machine` is what a person called the machine that it is about.
fn hint(message: &Message, machine: Option<&str>) -> Option<String> {
    let param = |name| message.params.get(name).map(ToString::to_string);
    let vm =
        machine.map(str::to_owned).or_else(|| param("name")).map_or("VM".into(), |name| shell_word(&name));
    Some(match &*message.code {
        "in_use" => format!("`sampan stop {vm}` ends it if it runs"),
        "no_library" => "check SAMPAN_HOME if you have set it; `sampan new` makes one there".to_owned(),
        "not_found" => "`sampan list` shows those there are".to_owned(),
        "no_removed_drive" | "no_such_drive" | "no_drive" => format!("`sampan disk info {vm}` shows them"),
        "no_snapshot" => format!("`sampan snapshot list {vm}` shows those there are"),
        "has_dependents" => "`sampan disk flatten` makes a linked clone independent".to_owned(),
        "medium_in_use" => "`sampan set VM cdrom=-` takes it out of a machine".to_owned(),
        "no_medium" => "`sampan images` lists what there is".to_owned(),
        "port_in_use" | "port_privileged" | "no_such_address" | "port_unusable" => match param("forward") {
            Some(forward) => format!("`sampan forward remove {vm} {forward}` takes the forward away"),
            None => format!("`sampan vnc {vm} on --port N` chooses another one"),
        },
        "share_missing" | "share_not_a_folder" | "share_unreadable" => {
            format!("`sampan share remove {vm} {}` shares it no more", shell_word(&param("tag")?))
        }
        "machine_silent" => format!("`sampan stop {vm} --force` ends it"),
        "not_running" => format!("`sampan start {vm}` starts it"),
        "runs" => format!("`sampan stop {vm}` or `sampan suspend {vm}` ends it"),
        "paused" => format!("`sampan resume {vm}` or `sampan stop {vm} --force`"),
        "not_shut_down" => format!("see `sampan stop {vm} --timeout` and `--force`"),
        "no_such_forward" => format!("`sampan forward list {vm}` shows them"),
        "vnc_off" => format!("`sampan vnc {vm} on` turns it on"),
        "no_agent_channel" => format!("`sampan set {vm} serial.agent=virtio` gives it one"),
        "untypable" => format!("see `sampan console {vm}`, `sampan file push` and `sampan exec`"),
        "disk_image" => "`sampan new NAME --image FILE` makes a machine of it".to_owned(),
        "cd_image" => "`sampan new NAME --cdrom FILE` makes one that starts from it".to_owned(),
        "old_tuning" => format!("`sampan set {vm} cpu.tuning={}` gives it that", param("newest")?),
        "needs_confirm" if param("codes").is_some_and(|codes| codes.contains("changes_lost")) => {
            "keep it with --keep NAME, or say --yes".to_owned()
        }
        "needs_confirm" => "if that is what you want, say --yes".to_owned(),
        "no_arch" => "say --arch x86_64 or --arch aarch64".to_owned(),
        "entry_of_other_arch" => format!("say --arch {}", param("arch")?),
        "cd_twice" => "leave --cdrom out".to_owned(),
        "disk_twice" => "leave --image, --no-disk and --fixed out".to_owned(),
        "no_way_in" => "say --password-file or --ssh-key".to_owned(),
        "cloud_unfit" => "say --windows-answers".to_owned(),
        "answers_unfit" => "--windows-answers is for --preset windows11 and windows10".to_owned(),
        "no_user" => "say --user".to_owned(),
        "no_catalogue_entry" => "`sampan images` lists what it has".to_owned(),
        "bring_your_own" => format!("then: `sampan new NAME --preset {} --cdrom FILE`", param("preset")?),
        "address_without_name" | "bad_medium_name" => "--name chooses one".to_owned(),
        "medium_name_taken" => {
            let name = shell_word(&param("name")?);
            format!("--name chooses another one, and `sampan images remove {name}` takes that one away")
        }
        "no_download" => "`sampan download --list` shows those there are".to_owned(),
        "plain_http" => "tell its checksum by --sha256, or take what comes by --allow-http".to_owned(),
        "share_tag_taken" => "--tag chooses another one".to_owned(),
        "no_share" => format!("`sampan share list {vm}` shows them"),
        "no_attributes" => "--security none keeps none".to_owned(),
        "cd_drive" => format!("`sampan set {vm} cdrom=-` empties it"),
        "no_cd_drive" => format!("`sampan disk info {vm}` shows its drives"),
        "bad_field" => format!("`sampan show {vm} --json` shows them all"),
        "password_in_seed" => format!("`sampan set {vm} seed=-` does that"),
        _ => return None,
    })
}

/// A message on its way, such as what a start is doing, with the command that it leads to.
pub fn with_hint(message: &Message, machine: &str) -> String {
    match hint(message, Some(machine)) {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_string(),
    }
}

/// The same of an error that is a text already: a part that a later one tells with more words goes.
pub fn once(text: &str) -> String {
    let parts: Vec<&str> = text.split(SEPARATOR).collect();
    let is_told_again = |at: usize, part: &str| {
        let later = parts.get(at + 1..).unwrap_or_default().join(SEPARATOR);
        says(&later, part)
    };
    let kept: Vec<&str> = parts
        .iter()
        .enumerate()
        .filter(|(at, part)| !is_told_again(*at, part))
        .map(|(_, part)| *part)
        .collect();
    kept.join(SEPARATOR)
}

/// Between an error and its cause.
const SEPARATOR: &str = ": ";

/// Whether a text has these words as they are, not as a part of others or of a path. A number alone is not words.
fn says(text: &str, words: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || "/_-".contains(c);
    let fits = |at: usize| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + words.len()..].chars();
        // A name with an extension goes on behind the dot.
        let goes_on = match after.next() {
            Some('.') => after.next().is_some_and(char::is_alphanumeric),
            next => next.is_some_and(inner),
        };
        !before.is_some_and(inner) && !goes_on
    };
    words.contains(char::is_alphabetic) && text.match_indices(words).any(|(at, _)| fits(at))
}

/// A text that no terminal obeys: lines and tabs stay, other control characters and invisible ones are written out.
pub fn escaped(text: &str) -> String {
    let (mut escaper, mut out) = (Escaper::default(), String::with_capacity(text.len()));
    escaper.take(text.as_bytes(), &mut out);
    escaper.end(&mut out);
    out
}

/// JSON with what its writer lets pass and a terminal obeys: all of that stands within strings.
fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if !is_obeyed(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Whether a terminal acts on a character, or shows nothing of it: controls (C0, DEL and C1, ECMA-48), marks that turn the
/// direction of text (UAX #9), and such as take no room.
fn is_obeyed(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// Escapes a text piece by piece.
#[derive(Default)]
struct Escaper {
    /// The beginning of a character whose rest is to come.
    begun: Vec<u8>,
    /// Characters of the line so far.
    line: usize,
}

impl Escaper {
    fn take(&mut self, piece: &[u8], out: &mut String) {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(piece);
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text(chunk.valid(), out);
            let last = chunks.peek().is_none();
            match chunk.invalid() {
                [] => {}
                // Three bytes at most begin a character (UTF-8).
                rest if last && std::str::from_utf8(rest).is_err_and(|e| e.error_len().is_none()) => {
                    self.begun = rest.to_vec();
                }
                _ => self.text("\u{fffd}", out),
            }
        }
    }

    fn end(&mut self, out: &mut String) {
        if !std::mem::take(&mut self.begun).is_empty() {
            self.text("\u{fffd}", out);
        }
        self.end_line(out);
    }

    fn end_line(&mut self, out: &mut String) {
        if let Some(more @ 1..) = std::mem::take(&mut self.line).checked_sub(MAX_LINE) {
            let _ = write!(out, "… ({more} more characters)");
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            if c == '\n' {
                self.end_line(out);
                out.push(c);
                continue;
            }
            self.line = self.line.saturating_add(1);
            if self.line > MAX_LINE {
                continue;
            }
            match is_obeyed(c) {
                true => out.extend(c.escape_unicode()),
                false => out.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let chain = |causes: &[&str]| {
            let (first, more) = causes.split_first().expect("a cause");
            let begin = anyhow::Error::msg((*first).to_owned());
            of_error(&more.iter().fold(begin, |error, context| error.context((*context).to_owned())))
        };
        // The innermost first.
        for (causes, words) in [
            (
                &["no such disk", "cannot read a: no such disk", "a did not start"][..],
                "a did not start: cannot read a: no such disk",
            ),
            (&["cannot open /a/b: gone", "/a/b"], "cannot open /a/b: gone"),
            (&["/a/b: gone", "/a/b cannot be imported"], "/a/b cannot be imported: gone"),
            (&["gone", "gone"], "gone"),
            (&["gone", "", "x"], "x: gone"),
            (
                &["cannot open /x: gone", "/x", "--key /x", "vm did not start"],
                "vm did not start: --key /x: cannot open /x: gone",
            ),
            // Parts of other words are not the words.
            (&["/a: gone", "/a/b"], "/a/b: /a: gone"),
            (&["den: gone", "denied"], "denied: den: gone"),
            (&["a: gone", "a.iso"], "a.iso: a: gone"),
            (&["1", "exit", "disk 1"], "disk 1: exit: 1"),
        ] {
            assert_eq!(chain(causes), words, "{causes:?}");
        }
        assert_eq!(once("vm: cannot read vm: gone"), "cannot read vm: gone");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_is_printed() {
        let hostile = "a\x1b]0;title\x07\r\x08\x7f\u{9b}2J\u{202e}b\u{200b}\u{e0041}\u{85}";
        assert_eq!(
            escaped(hostile),
            "a\\u{1b}]0;title\\u{7}\\u{d}\\u{8}\\u{7f}\\u{9b}2J\\u{202e}b\\u{200b}\\u{e0041}\\u{85}"
        );
        let harmless = "two\nlines\tüber 麒麟 🦆 “quoted” \\n\n";
        assert_eq!(escaped(harmless), harmless);
        assert_eq!(escaped(&escaped(hostile)), escaped(hostile), "escaping twice does no harm");
    }

    #[test]
    fn json_says_the_same_in_its_own_escapes() {
        let hostile = "\x1b[2J\x7f\u{9b}2J\u{202e}\u{e0041}\n";
        let json = escaped_json(&serde_json::json!({ "a": hostile }).to_string());
        assert!(!json.chars().any(is_obeyed), "{json}");
        let back: serde_json::Value = serde_json::from_str(&json).expect("is JSON");
        assert_eq!(back["a"], hostile);
    }

    #[test]
    fn pieces_may_end_within_a_character_and_a_line() {
        let text = "über\x1b 麒麟\nend".as_bytes();
        for at in 0..=text.len() {
            let (mut escaper, mut out) = (Escaper::default(), String::new());
            escaper.take(&text[..at], &mut out);
            escaper.take(&text[at..], &mut out);
            escaper.end(&mut out);
            assert_eq!(out, "über\\u{1b} 麒麟\nend", "{at}");
        }
        let (mut escaper, mut out) = (Escaper::default(), String::new());
        escaper.take(b"\xff\x9b2J\xe9\xba", &mut out);
        escaper.end(&mut out);
        assert_eq!(out, "\u{fffd}\u{fffd}2J\u{fffd}");
    }

    #[test]
    fn no_line_is_without_end() {
        let mut stream = (Escaper::default(), String::new());
        for _ in 0..3 {
            stream.0.take(&[b'x'; MAX_LINE], &mut stream.1);
        }
        stream.0.take(b"\nnext", &mut stream.1);
        let mut lines = stream.1.lines();
        let long = lines.next().expect("a line");
        assert!(long.starts_with("xxx") && long.len() < MAX_LINE + 100);
        assert!(long.ends_with(&format!("… ({} more characters)", 2 * MAX_LINE)), "{}", long.len());
        assert_eq!(lines.next(), Some("next"));
        assert_eq!(one_line(" a\nb\x1b\tc "), "a b\\u{1b} c");
        assert!(one_line(&"y".repeat(5000)).chars().count() == MAX_WORDS + 1);
    }

    #[test]
    fn people_at_a_terminal_are_told_the_command() {
        let port = |message: Message| message.with("port", 80_u16).with("address", "127.0.0.1");
        for (message, told) in [
            (
                port(Message::new("port_in_use", "taken").with("forward", "tcp:127.0.0.1:80:80")),
                "taken; `sampan forward remove 'my VM' tcp:127.0.0.1:80:80` takes the forward away",
            ),
            (
                port(Message::new("port_in_use", "taken").with("what", "vnc")),
                "taken; `sampan vnc 'my VM' on --port N` chooses another one",
            ),
            (
                Message::new("share_missing", "gone").with("tag", "files"),
                "gone; `sampan share remove 'my VM' files` shares it no more",
            ),
            (Message::new("no_picture", "dark"), "dark"),
        ] {
            assert_eq!(with_hint(&message, "my VM"), told);
        }
    }
}
