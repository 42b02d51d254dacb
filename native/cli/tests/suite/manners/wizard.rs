//! The questions of `sampan new`, in a terminal.

use super::{Home, document};
use crate::common::{Said, said};
use nix::pty::openpty;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Answers in order; what was said to them.
fn asked(home: &Home, arguments: &[&str], answers: &[&str]) -> Said {
    let pty = openpty(None, None).expect("a terminal");
    let mut keyboard = File::from(pty.master);
    let mut command = home.command(&[&["new"], arguments].concat());
    // Its `~` is the test's folder; libqemu is where it was.
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").expect("a home")).join(".cache"));
    command.env("HOME", home.path("")).env("XDG_CACHE_HOME", cache);
    let child = command.stdin(Stdio::from(pty.slave)).spawn().expect("starts");
    drop(command);
    for answer in answers {
        // A terminal holds some lines until they are read.
        writeln!(keyboard, "{answer}").expect("is typed");
    }
    said(child.wait_with_output().expect("ends"))
}

#[test]
fn flags_are_answers_and_answers_are_understood_checked_and_kept() {
    let home = Home::new();
    let cd = home.write("my cd.iso", &"x".repeat(4096));
    assert!(cd.ends_with("/my cd.iso"));
    let said = asked(
        &home,
        &["--memory", "512", "--no-disk", "--firmware", "bios", "--yes"],
        // Refused, and asked again: a name, a system, an architecture, CPUs, a file.
        &[
            "a/b",
            "vm",
            "plan9",
            "Linux",
            "vax",
            "amd64",
            "0",
            "2",
            "~/none.iso",
            "'~/none.iso'",
            r"~/my\ cd.iso",
            // On second thoughts: all as before, but for the CPUs.
            "no",
            "",
            "",
            "",
            "1",
            "",
            "YES",
        ],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        !said.err.contains("Memory") && !said.err.contains("Disk: "),
        "flags are not asked for: {said:?}"
    );
    assert!(said.err.contains("CPUs [2]: "), "answers are kept: {said:?}");
    let made = document(&home, "vm");
    assert_eq!((&made["memory"]["mib"], &made["cpu"]["count"]), (&512.into(), &1.into()));
    assert_eq!(made["firmware"]["kind"], "bios");
    assert!(home.media().iter().any(|name| name == "my cd.iso"), "{:?}", home.media());
}

#[test]
fn what_cannot_be_is_refused_when_it_is_said() {
    let home = Home::new();
    let answers = ["vm", "linux", "arm64", "1000000G", "900000", "64", "1", "-", "40", "-", "quit"];
    let said = asked(&home, &[], &answers);
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in
        ["is too much", "give it at most", "did you mean 40G?", "nothing was made", "aarch64, 64.0 MiB"]
    {
        assert!(said.err.contains(words), "{words}: {said:?}");
    }
    assert!(home.json(&["list"]).as_array().expect("a list").is_empty());
    // Flags that cannot be are refused before anything is asked.
    let said = asked(&home, &["--preset", "old", "--arch", "arm64"], &[]);
    assert!(said.code == Some(1) && !said.err.contains("Name"), "{said:?}");
}
