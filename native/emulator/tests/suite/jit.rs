//! Executable memory refused for real, in each of the ways systems do: what the probe chooses, that a guest boots with it, that
//! libqemu takes no other way, and that the process lives.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use crate::refusal::Refusal;

/// nextest gives each test a process of its own, in which the filters may stay.
#[cfg(target_env = "ohos")]
fn under(refusal: Refusal) {
    crate::refusal::vms::under(refusal);
}

#[cfg(not(target_env = "ohos"))]
fn under(refusal: Refusal) {
    let mut program = std::process::Command::new(crate::example::example("refused_memory"));
    let output = program.arg(format!("{refusal:?}")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(
        output.status.success() && text.contains("the process lives"),
        "{:?}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn nothing_is_refused() {
    under(Refusal::Nothing);
}

#[test]
fn memory_deny_write_execute() {
    under(Refusal::Mdwe);
}

#[test]
fn memory_both_written_and_executed_is_refused() {
    under(Refusal::WriteAndExecute);
}

#[test]
fn files_of_memory_are_not_executed() {
    under(Refusal::SharedExecute);
}

#[test]
fn rights_are_never_changed_but_said_to_be() {
    under(Refusal::LyingMprotect);
}

#[test]
fn anonymous_memory_is_granted_in_the_bracket_alone() {
    under(Refusal::OutsideOfTheBracket);
}

#[test]
fn files_of_memory_are_granted_in_the_bracket_alone() {
    under(Refusal::AnonymousAndOutsideOfTheBracket);
}

#[test]
fn memory_is_granted_once_the_process_has_asked_for_it() {
    under(Refusal::BeforeItIsEnabled);
}

#[test]
fn memory_becomes_executable_and_is_never_mapped_so() {
    under(Refusal::MappedExecutable);
}

#[test]
fn memory_is_said_to_become_executable_and_is_never_mapped_so() {
    under(Refusal::MappedExecutableAndLyingMprotect);
}

#[test]
fn a_process_that_wants_executable_memory_is_ended() {
    under(Refusal::MappedExecutableAndDeadlyMprotect);
}

#[test]
fn no_memory_is_executed() {
    under(Refusal::Execute);
}
