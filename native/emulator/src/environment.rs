//! Which of this program's environment variables its children have. A shell's hold passwords and tokens, which are nothing to a process that
//! works for a guest.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

/// Language and time zone of QEMU's own words and clock, where it makes temporary files, where the dynamic linker finds its libraries, and
/// what a developer asks of a crash or a measurement.
const KEPT: [&str; 8] =
    ["LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "RUST_BACKTRACE", "TMPDIR", "TZ", "TZDIR"];

/// All that begin so.
const PREFIXES: [&str; 1] = ["LC_"];

/// Where Vulkan's loader finds drivers (`LoaderDriverInterface.md` of the Vulkan loader), and what drivers are told.
const GPU: [&str; 5] = ["HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_DATA_HOME"];
const GPU_PREFIXES: [&str; 2] = ["MESA_", "VK_"];

/// What a program of ours finds its files by, and is told by; and what encoders of pictures are.
const SUPERVISOR: [&str; 4] = ["HOME", "LOGNAME", "PATH", "USER"];
const SUPERVISOR_PREFIXES: [&str; 4] = ["LIBVA_", "RUST_", "SAMPAN_", "XDG_"];

/// Leaves a command that watches over a VM, and lives as long, what it and its children may need: no passwords and tokens, as it reads what guests
/// write.
pub fn clear_for_supervisor(command: &mut Command) {
    keep(command, |name| {
        listed(name, &KEPT, &PREFIXES)
            || listed(name, &GPU, &GPU_PREFIXES)
            || listed(name, &SUPERVISOR, &SUPERVISOR_PREFIXES)
    });
}

/// Leaves a command these variables of ours.
pub(crate) fn clear(command: &mut Command) {
    keep(command, |name| listed(name, &KEPT, &PREFIXES));
}

/// The same, and what is asked for by drivers of GPUs.
pub(crate) fn clear_but_for_gpus(command: &mut Command) {
    keep(command, |name| listed(name, &KEPT, &PREFIXES) || listed(name, &GPU, &GPU_PREFIXES));
}

fn keep(command: &mut Command, kept: impl Fn(&OsStr) -> bool) {
    let left: Vec<(OsString, OsString)> = env::vars_os().filter(|(name, _)| kept(name)).collect();
    command.env_clear().envs(left);
}

fn listed(name: &OsStr, names: &[&str], prefixes: &[&str]) -> bool {
    names.iter().any(|listed| name == *listed)
        || prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_not_kept() {
        let kept = |name: &str| listed(OsStr::new(name), &KEPT, &PREFIXES);
        assert!(kept("LC_ALL") && kept("TZ") && !kept("GITHUB_TOKEN") && !kept("TZX") && !kept("HOME"));
        assert!(listed(OsStr::new("VK_DRIVER_FILES"), &GPU, &GPU_PREFIXES));
    }

    #[test]
    fn children_have_no_more_than_that() {
        let ways: [fn(&mut Command); 3] = [clear, clear_but_for_gpus, clear_for_supervisor];
        // Cargo gives each program that it runs variables of its own; none of them is listed.
        assert!(env::vars_os().any(|(name, _)| name.as_bytes().starts_with(b"CARGO")));
        for clear in ways {
            let mut command = Command::new("env");
            clear(&mut command);
            let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
            assert!(!said.contains("CARGO"), "{said}");
        }
    }
}
