//! All that the program prints: answers on stdout, progress and errors on stderr.
//!
//! What is printed has come from anywhere: a guest, a file that somebody sent, a server. A terminal obeys control
//! characters; so they are escaped here, where everything passes through, and nowhere else. The compiler refuses other
//! ways to stdout and stderr (`clippy.toml`, and the lints in `main.rs`). A machine's serial console alone is passed on
//! as it is, to whoever asked for just that.
//!
//! Whoever stops reading (`| head -1`) does no harm; what cannot be written otherwise is noted, and the program ends with an error.
#![expect(clippy::disallowed_methods, reason = "this is the way to stdout and stderr")]

use crate::hints::hint_of;
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
    note(writeln!(out, "\x1b[H\x1b[J{}", escaped(answer)).and_then(|()| out.flush()));
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
    let told = without_hint(error);
    match hint_of(error) {
        Some(hint) if !told.contains(&hint) => format!("{told}; {hint}"),
        _ => told,
    }
}

/// The same without the command, for what others than people at a terminal read, too.
pub fn without_hint(error: &anyhow::Error) -> String {
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
    once(&told)
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
}
