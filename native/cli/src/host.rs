//! What this host offers to guests.

use anyhow::{Context, Result, bail};
use sampan_config::{Arch, Finding, HostFigures, Severity};
use sampan_emulator::{AcceleratorName, Child, Choice, Engine, InProcess, Launcher, LibqemuDir, probe};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The best way to run guests of one architecture.
pub struct Accelerated {
    pub choice: Choice,
}

impl Accelerated {
    /// Looks for it; the reasons against what is better are logged.
    ///
    /// # Errors
    /// Nothing can run them, with every reason.
    pub async fn probe(libqemu: &LibqemuDir, arch: Arch) -> Result<Self> {
        let dir = libqemu.clone();
        let probed =
            tokio::task::spawn_blocking(move || probe(Some(&dir))).await.context("the probe failed")?;
        for accelerator in probed.accelerators.iter().filter(|a| !a.usable && a.name == AcceleratorName::Kvm)
        {
            log::info!("kvm is not used: {}", accelerator.reason);
        }
        let Some(choice) = probed.choose(arch) else {
            let reasons: Vec<String> =
                probed.accelerators.iter().map(|a| format!("{}: {}", a.name, a.reason)).collect();
            bail!("nothing here can run a guest. {}", reasons.join("; "));
        };
        Ok(Self { choice })
    }

    /// How fast that is, in words.
    pub fn words(&self) -> &'static str {
        match (self.choice.name, self.choice.engine) {
            (AcceleratorName::Kvm, _) => "with KVM",
            (_, Engine::Native) => "with TCG's translator",
            (_, Engine::Interpreter) => "with TCG's interpreter, which is 16 to 19 times slower",
        }
    }
}

/// What runs machines: children of this process, or its threads.
pub fn launcher(libqemu: &LibqemuDir, child: bool) -> Result<Arc<dyn Launcher>> {
    Ok(if child { Arc::new(Child::new(libqemu.clone())?) } else { Arc::new(InProcess::new(libqemu.clone())) })
}

/// This host's figures now; `place` is where the machines are.
pub fn figures(place: &Path) -> Result<HostFigures> {
    let mut text = String::new();
    // Some 1.5 KiB.
    let file =
        std::fs::File::open("/proc/meminfo").context("the host's memory is not known: /proc/meminfo")?;
    file.take(64 << 10).read_to_string(&mut text).context("/proc/meminfo")?;
    let cores =
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let memory_mib = mib_of(&text, "MemTotal").context("/proc/meminfo does not tell MemTotal")?;
    let available_mib = mib_of(&text, "MemAvailable").context("/proc/meminfo does not tell MemAvailable")?;
    let free_disk = sampan_library::free(place)?;
    Ok(HostFigures { cores, memory_mib, available_mib, free_disk })
}

/// The same as if nothing else ran: for a machine that is made now and started some day.
pub fn idle_figures(place: &Path) -> Result<HostFigures> {
    let now = figures(place)?;
    Ok(HostFigures { available_mib: now.memory_mib, ..now })
}

/// A figure of proc_meminfo(5), which gives them in KiB.
fn mib_of(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib >> 10)
}

/// Refuses what would do damage, and what might unless it was confirmed by `--yes`. Gives back what was confirmed.
pub fn heed(findings: Vec<Finding>, yes: bool) -> Result<Vec<String>> {
    let of = |severity: Severity| {
        let words = findings.iter().filter(move |f| f.severity == severity).map(|f| f.message.to_string());
        words.collect::<Vec<_>>()
    };
    let (refused, doubtful) = (of(Severity::Refuse), of(Severity::Confirm));
    if !refused.is_empty() {
        bail!("{}", refused.join("; "));
    }
    if !doubtful.is_empty() && !yes {
        bail!("{}. If that is what you want, say --yes", doubtful.join("; "));
    }
    Ok(doubtful)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::Message;

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

    #[test]
    fn damage_is_refused_and_doubt_wants_a_yes() {
        let finding =
            |severity, words: &str| Finding::new(severity, "memory.mib", Message::new("tight", words));
        let doubt = || vec![finding(Severity::Confirm, "tight"), finding(Severity::Confirm, "slow")];
        let words = heed(doubt(), false).expect_err("wants a yes").to_string();
        assert!(words.contains("tight; slow") && words.contains("--yes"), "{words}");
        assert_eq!(heed(doubt(), true).expect("was confirmed"), ["tight", "slow"]);
        let mut both = doubt();
        both.push(finding(Severity::Refuse, "never"));
        assert_eq!(heed(both, true).expect_err("no yes helps").to_string(), "never");
        assert!(heed(Vec::new(), false).expect("nothing found").is_empty());
    }
}
