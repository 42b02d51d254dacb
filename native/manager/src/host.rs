//! What this host offers: how guests can be run, and how much there is of what they need.

use crate::error::{Error, Result};
use sampan_config::{Arch, HostFigures};
use sampan_emulator::{
    AcceleratorName, Child, Choice, Engine, InProcess, Launcher, LibqemuDir, Probe, probe,
};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Bytes of `/proc/meminfo` that are read: it has some 1.5 KiB.
const MEMINFO: u64 = 64 << 10;

/// The fastest way to run guests of an architecture: KVM, translation, the interpreter. Each was tried for real; why a
/// better one cannot be had is logged.
///
/// # Errors
/// [`Error::NoAccelerator`] with every reason.
pub async fn accelerator(libqemu: &LibqemuDir, arch: Arch) -> Result<Choice> {
    let dir = libqemu.clone();
    let probed = tokio::task::spawn_blocking(move || probe(Some(&dir))).await.map_err(|_| Error::Thread)?;
    chosen(&probed, arch)
}

/// The same of what was found.
pub(crate) fn chosen(probed: &Probe, arch: Arch) -> Result<Choice> {
    for refused in probed.accelerators.iter().filter(|a| !a.usable && a.name == AcceleratorName::Kvm) {
        log::info!("kvm is not used: {}", refused.reason);
    }
    probed.choose(arch).ok_or_else(|| {
        let reasons = probed.accelerators.iter().map(|a| (a.name, a.why()));
        Error::NoAccelerator { reasons: reasons.collect() }
    })
}

/// How fast a way is, in words.
pub fn speed(choice: &Choice) -> &'static str {
    match (choice.name, choice.engine) {
        (AcceleratorName::Kvm, _) => "with KVM",
        (_, Engine::Native) => "with TCG's translator",
        (_, Engine::Interpreter) => "with TCG's interpreter, which is 16 to 19 times slower",
    }
}

/// Where QEMU runs: in a child of this process, or in threads of it.
///
/// # Errors
/// The program that hosts a child is missing.
pub fn launcher(libqemu: &LibqemuDir, child: bool) -> Result<Arc<dyn Launcher>> {
    Ok(if child { Arc::new(Child::new(libqemu.clone())?) } else { Arc::new(InProcess::new(libqemu.clone())) })
}

/// This host's figures now; `place` is where the machines are.
///
/// # Errors
/// `/proc` or the file system of `place` does not tell.
pub fn figures(place: &Path) -> Result<HostFigures> {
    const WHERE: &str = "/proc/meminfo";
    let mut text = String::new();
    std::fs::File::open(WHERE)
        .and_then(|file| file.take(MEMINFO).read_to_string(&mut text))
        .map_err(Error::io(WHERE))?;
    let figure = |name: &str| {
        mib_of(&text, name).ok_or_else(|| {
            let missing = std::io::Error::new(std::io::ErrorKind::InvalidData, format!("it has no {name}"));
            Error::io(WHERE)(missing)
        })
    };
    let cores =
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let (memory_mib, available_mib) = (figure("MemTotal")?, figure("MemAvailable")?);
    Ok(HostFigures { cores, memory_mib, available_mib, free_disk: sampan_library::free(place)? })
}

/// The same as if nothing else ran: for a machine that is made now and started some day.
///
/// # Errors
/// See [`figures`].
pub fn idle_figures(place: &Path) -> Result<HostFigures> {
    let now = figures(place)?;
    Ok(HostFigures { available_mib: now.memory_mib, ..now })
}

/// A figure of `proc_meminfo(5)`, which gives them in KiB.
fn mib_of(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib >> 10)
}

/// Allows this process, and children of it, as many open files as the system does: disks, devices and viewers hold
/// files, and as a library QEMU leaves the limit alone.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        log::debug!("the limit of open files stays: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       12288000 kB\nMemFree:          204800 kB\nMemAvailable:    7168000 kB\nHugePages_Total:       0\n";
        assert_eq!(mib_of(text, "MemTotal"), Some(12_000));
        assert_eq!(mib_of(text, "MemAvailable"), Some(7_000));
        for none in ["Mem", "HugePages_Total", "SwapFree"] {
            assert_eq!(mib_of(text, none), None, "{none}");
        }
        let here = figures(Path::new("/")).expect("this host has figures");
        assert!(
            here.cores >= 1 && here.memory_mib >= here.available_mib && here.memory_mib > 100,
            "{here:?}"
        );
    }
}
