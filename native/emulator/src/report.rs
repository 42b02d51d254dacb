//! What `sampan doctor` tells: everything about this machine that decides how well guests will run.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use serde::Serialize;

use crate::child::vmhost_program;
use crate::probe::{Accelerator, Gpu, Probe, gpus, probe};
use crate::{Arch, Engine, LibqemuDir};

/// Accelerators, GPU, processor, memory, disk and libqemu, each with a reason where it is missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostReport {
    /// From [`probe`], the best first.
    pub accelerators: Vec<Accelerator>,
    /// From [`gpus`].
    pub gpu: GpuReport,
    /// The processor.
    pub cpu: CpuReport,
    /// Memory, in bytes.
    pub memory: MemoryReport,
    /// Where VMs would be kept.
    pub disk: DiskReport,
    /// What there is to run guests with.
    pub libqemu: LibqemuReport,
    /// The program for VMs in processes of their own, if it is there.
    pub vmhost: Option<PathBuf>,
}

/// The devices, or a reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GpuReport {
    /// Empty when there is a reason.
    pub devices: Vec<Gpu>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CpuReport {
    /// Its architecture, as Rust names it.
    pub arch: &'static str,
    /// As it calls itself; empty when it does not.
    pub model: String,
    /// Cores that this process may use.
    pub cores: usize,
}

/// Memory in bytes; 0 when it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MemoryReport {
    /// Of the machine.
    pub total: u64,
    /// Free, or given back at once when it is wanted.
    pub available: u64,
}

/// A file system, in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiskReport {
    /// A directory on it.
    pub path: PathBuf,
    /// Its size.
    pub total: u64,
    /// What this user may still write.
    pub free: u64,
    /// Why the numbers are 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The libqemu that would be used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LibqemuReport {
    /// Its directory.
    pub dir: Option<PathBuf>,
    /// The libraries in it.
    pub builds: Vec<BuildReport>,
    /// QEMU's version, from the note on the build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is missing and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BuildReport {
    /// The guests it runs.
    pub arch: Arch,
    /// How it runs them.
    pub engine: Engine,
    /// The file.
    pub file: PathBuf,
    /// Can it be loaded? If not, what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl HostReport {
    /// Tries and measures everything; free space is asked for `path`, or its nearest parent that exists.
    /// Takes some 100 ms, some seconds where probes hang.
    pub fn gather(path: &Path) -> Self {
        let found = LibqemuDir::find();
        let Probe { accelerators } = probe(found.as_ref().ok());
        let gpu = match gpus() {
            Ok(devices) => GpuReport { devices, reason: None },
            Err(reason) => GpuReport { devices: Vec::new(), reason: Some(reason) },
        };
        let libqemu = match &found {
            Ok(dir) => LibqemuReport::of(dir),
            Err(e) => LibqemuReport { dir: None, builds: vec![], version: None, reason: Some(e.to_string()) },
        };
        Self {
            accelerators,
            gpu,
            cpu: CpuReport::gather(),
            memory: MemoryReport::parse(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
            disk: DiskReport::of(path),
            libqemu,
            vmhost: vmhost_program().ok(),
        }
    }

    /// What `accelerators` says, to choose from.
    pub fn probe(&self) -> Probe {
        Probe { accelerators: self.accelerators.clone() }
    }
}

impl CpuReport {
    fn gather() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            arch: std::env::consts::ARCH,
            model: cpu_model(&info),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let value = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    value("model name").or_else(|| value("Hardware")).unwrap_or_default()
}

impl MemoryReport {
    /// Reads `/proc/meminfo`, whose "kB" are 1024 bytes.
    fn parse(meminfo: &str) -> Self {
        let value = |key: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Self {
            total: value("MemTotal:").unwrap_or_default(),
            available: value("MemAvailable:").unwrap_or_default(),
        }
    }
}

impl DiskReport {
    fn of(path: &Path) -> Self {
        let exists = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let (total, free, reason) = match statvfs(exists) {
            Ok(s) => {
                let unit = s.fragment_size();
                (s.blocks().saturating_mul(unit), s.blocks_available().saturating_mul(unit), None)
            }
            Err(e) => (0, 0, Some(e.desc().to_owned())),
        };
        Self { path: exists.to_owned(), total, free, reason }
    }
}

impl LibqemuReport {
    fn of(dir: &LibqemuDir) -> Self {
        let builds = dir.builds().into_iter();
        let builds = builds.map(|(arch, engine, file)| {
            let reason = dir.library(arch, engine).err().map(|e| e.to_string());
            BuildReport { arch, engine, file, reason }
        });
        let info = dir.build_info().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        Self {
            dir: Some(dir.path().to_owned()),
            builds: builds.collect(),
            version: info.and_then(|info| Some(info.get("qemu")?.as_str()?.to_owned())),
            reason: dir.firmware().err().map(|e| e.to_string()),
        }
    }
}

/// Of bytes, for people.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

impl fmt::Display for HostReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |usable: bool| if usable { "yes" } else { "no " };
        writeln!(f, "accelerators, the first usable one is taken:")?;
        for a in &self.accelerators {
            let name = serde_json::to_value(a.name).ok();
            let name = name.as_ref().and_then(|n| n.as_str()).unwrap_or_default();
            writeln!(f, "  {name}  {}  {}", mark(a.usable), a.reason)?;
        }
        match &self.gpu.reason {
            Some(reason) => writeln!(f, "gpu: none, {reason}")?,
            None => writeln!(f, "gpu:")?,
        }
        for gpu in &self.gpu.devices {
            writeln!(f, "  {} ({:?}, Vulkan {})", gpu.name, gpu.kind, gpu.vulkan)?;
        }
        writeln!(f, "processor: {} cores, {} {}", self.cpu.cores, self.cpu.arch, self.cpu.model)?;
        let MemoryReport { total, available } = self.memory;
        writeln!(f, "memory: {} available of {}", gib(available), gib(total))?;
        let disk = &self.disk;
        writeln!(f, "disk: {} free of {} at {}", gib(disk.free), gib(disk.total), disk.path.display())?;
        let libqemu = &self.libqemu;
        match (&libqemu.dir, &libqemu.version) {
            (Some(dir), Some(version)) => writeln!(f, "libqemu: {version} in {}", dir.display())?,
            (Some(dir), None) => writeln!(f, "libqemu: in {}", dir.display())?,
            (None, _) => {}
        }
        for build in &libqemu.builds {
            let engine = if build.engine == Engine::Interpreter { " interpreter" } else { "" };
            writeln!(f, "  {}{engine}  {}", build.arch, build.reason.as_deref().unwrap_or("ready"))?;
        }
        if let Some(reason) = &libqemu.reason {
            writeln!(f, "libqemu: {reason}")?;
        }
        match &self.vmhost {
            Some(path) => write!(f, "virtual machines in processes of their own: by {}", path.display()),
            None => write!(f, "virtual machines in processes of their own: no, sampan-vmhost is missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let memory =
            MemoryReport::parse("MemTotal:       24683616 kB\nMemFree: 1 kB\nMemAvailable:   2048 kB\n");
        assert_eq!(memory, MemoryReport { total: 24_683_616 << 10, available: 2 << 20 });
        assert_eq!(MemoryReport::parse("nonsense"), MemoryReport { total: 0, available: 0 });
        assert_eq!(cpu_model("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n"), "Some CPU @ 2 GHz");
    }

    #[test]
    fn free_space_of_a_directory_yet_to_be_made_is_its_parents() {
        let tmp = tempfile::tempdir().unwrap();
        let disk = DiskReport::of(&tmp.path().join("not/yet"));
        assert_eq!(disk.path, tmp.path());
        assert!(disk.total >= disk.free && disk.total > 0 && disk.reason.is_none(), "{disk:?}");
    }
}
