//! What a shell and `man` are given, made from the command line's own definition so that they cannot lie; and the licences.

use crate::args::Args;
use crate::exit::Code;
use anyhow::Result;
use clap::CommandFactory;
use sampan_emulator::LibqemuDir;
use std::io::Write;

const OURS: &str = "\
Sampan is free software: you can redistribute it and change it under the terms of version 2 of the GNU General Public
License, or any later version. It comes without any warranty. With QEMU in its process it is distributed under
version 2.
";
const LICENSE: &str = include_str!("../../../LICENSE");
/// Of the crates, and Rust's standard library: see `build/main.rs`.
const CRATES: &str = include_str!(concat!(env!("OUT_DIR"), "/crates.txt"));

/// `sampan completion SHELL`.
pub fn completion(shell: clap_complete::Shell) -> Result<Code> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sampan", &mut text);
    print(&text)
}

/// `sampan man`: one page with every command.
pub fn man() -> Result<Code> {
    let command = Args::command();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    writeln!(text, ".SH COMMANDS")?;
    sections(&command, "sampan", &mut text)?;
    print(&text)
}

/// `sampan licenses`.
pub fn licenses() -> Result<Code> {
    let libqemu = LibqemuDir::find()?.licenses()?;
    let encoder = sampan_stream::LICENSES;
    let crates = format!("The program is made of these crates as well:\n\n{CRATES}");
    print(format!("{OURS}\n{LICENSE}\n{crates}\n{encoder}\n{libqemu}").as_bytes())
}

fn sections(command: &clap::Command, path: &str, text: &mut Vec<u8>) -> Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = format!("{path} {}", sub.get_name());
        writeln!(text, ".SS {name}")?;
        let man = clap_mangen::Man::new(sub.clone());
        man.render_synopsis_section(text)?;
        man.render_description_section(text)?;
        man.render_options_section(text)?;
        sections(sub, &name, text)?;
    }
    Ok(())
}

fn print(text: &[u8]) -> Result<Code> {
    crate::words::pass(text);
    Ok(Code::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_manual_and_known_to_shells() {
        let command = Args::command();
        let mut man = Vec::new();
        sections(&command, "sampan", &mut man).expect("renders");
        let man = String::from_utf8(man).expect("text");
        let mut bash = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut Args::command(), "sampan", &mut bash);
        let bash = String::from_utf8(bash).expect("text");
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            assert!(man.contains(&format!(".SS sampan {}", sub.get_name())), "{}", sub.get_name());
            assert!(bash.contains(sub.get_name()));
        }
        assert!(man.contains(".SS sampan snapshot create"));
        assert!(!man.contains("supervise"));
    }
}
