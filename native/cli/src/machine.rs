//! From the command line to a machine: every file is looked at before QEMU is called, since a run of QEMU in process
//! is not to be wasted.

use crate::args::{DisplayArg, FirmwareArg, PointerArg, RunArgs};
use crate::hints::with_hint;
use anyhow::{Context, Result, bail};
use sampan_config::{Arch, Disk, DiskFormat, DisplayKind, Firmware, Kernel, Machine, Pointer};
use sampan_emulator::LibqemuDir;
use sampan_library::SourceFormat;
use sampan_library::image::{self, NotACd};
use sampan_message::Coded as _;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The machine that the arguments describe. `private` is a folder for files that last as long as the run.
pub fn machine(args: &RunArgs, libqemu: &LibqemuDir, private: &Path) -> Result<Machine> {
    let arch = arch(args)?;
    let mut machine = Machine::new(args.name.clone(), arch);
    machine.memory_mib = args.memory;
    machine.cpus = args.cpus.unwrap_or_else(default_cpus);
    machine.display = match args.display {
        DisplayArg::Virtio => DisplayKind::Virtio,
        DisplayArg::Std => DisplayKind::Std,
    };
    machine.heads = args.displays;
    machine.pointer = match (args.pointer, arch) {
        (PointerArg::Tablet, _) => Pointer::UsbTablet,
        // Every PC has one.
        (PointerArg::Mouse, Arch::X86_64) => Pointer::Ps2,
        (PointerArg::Mouse, Arch::Aarch64) => Pointer::UsbMouse,
    };
    machine.kernel = kernel(args)?;
    machine.disks = args.disk.iter().map(|disk| self::disk(disk)).collect::<Result<_>>()?;
    if let Some(cdrom) = &args.cdrom {
        let file = readable(cdrom).context("--cdrom")?;
        if let (Some(why), false) = (sampan_library::why_no_cd(&file)?, args.yes) {
            let shown = cdrom.display();
            let why = match why {
                // A machine that is not kept has its disks where they are.
                NotACd::Disk => format!("{why}; `--disk raw:{shown}` does"),
                NotACd::Image(SourceFormat::Qcow2) => format!("{why}; `--disk qcow2:{shown}` does"),
                why => with_hint(&why.message().with("path", cdrom.as_path()), None),
            };
            bail!("--cdrom {shown}: {why}. If that is what you want, say --yes");
        }
        machine.cdrom = Some(file);
    }
    machine.firmware = firmware(args, arch, libqemu, private)?;
    machine.extra.clone_from(&args.qemu);
    Ok(machine)
}

/// The guest's architecture: as asked for, else this machine's.
pub fn arch(args: &RunArgs) -> Result<Arch> {
    args.arch.or_else(Arch::host).context("say --arch x86_64 or --arch aarch64: this machine is neither")
}

fn default_cpus() -> u32 {
    sampan_session::vm::fast_cores().min(4)
}

fn kernel(args: &RunArgs) -> Result<Option<Kernel>> {
    let Some(kernel) = &args.kernel else {
        if args.initrd.is_some() {
            bail!(sampan_config::ConfigError::NoKernel("--initrd"));
        }
        if args.append.is_some() {
            bail!(sampan_config::ConfigError::NoKernel("--append"));
        }
        return Ok(None);
    };
    let initrd = args.initrd.as_deref().map(readable).transpose().context("--initrd")?;
    Ok(Some(Kernel { kernel: readable(kernel).context("--kernel")?, initrd, append: args.append.clone() }))
}

fn firmware(args: &RunArgs, arch: Arch, libqemu: &LibqemuDir, private: &Path) -> Result<Option<Firmware>> {
    let wanted = match (args.firmware, arch) {
        (Some(wanted), _) => wanted,
        (None, Arch::X86_64) => FirmwareArg::Bios,
        (None, Arch::Aarch64) if args.kernel.is_some() => return Ok(None),
        (None, Arch::Aarch64) => FirmwareArg::Uefi,
    };
    if wanted == FirmwareArg::Bios {
        // On aarch64 the configuration refuses it.
        return Ok(Some(Firmware::Bios));
    }
    let (code, vars) = match arch {
        Arch::X86_64 => ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
        Arch::Aarch64 => ("AAVMF_CODE.fd", "AAVMF_VARS.fd"),
    };
    let folder = libqemu.firmware()?;
    let own = private.join("uefi-vars.fd");
    fs::copy(folder.join(vars), &own)
        .with_context(|| format!("the UEFI variables {} cannot be copied", folder.join(vars).display()))?;
    Ok(Some(Firmware::Uefi { code: readable(&folder.join(code))?, vars: own }))
}

fn disk(text: &str) -> Result<Disk> {
    let (format, file) = match text.split_once(':') {
        Some(("raw", file)) => (Some(DiskFormat::Raw), file),
        Some(("qcow2", file)) => (Some(DiskFormat::Qcow2), file),
        _ => (None, text),
    };
    let file = readable(Path::new(file)).context("--disk")?;
    OpenOptions::new().write(true).open(&file).with_context(|| {
        format!("--disk {}: the guest could not write it; make it writable, or use a copy", file.display())
    })?;
    let name = file.display();
    let named_qcow2 = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("qcow2"));
    let opened = File::open(&file).with_context(|| format!("--disk {name}"))?;
    let format = match (format, image::recognise(&opened)) {
        // A person may say that of any bytes: they are the guest's.
        (Some(DiskFormat::Raw), _) => DiskFormat::Raw,
        (Some(DiskFormat::Qcow2), Ok(Some(SourceFormat::Qcow2))) => DiskFormat::Qcow2,
        (None, Ok(Some(SourceFormat::Qcow2))) if named_qcow2 => DiskFormat::Qcow2,
        // A guest may write a qcow2 header, which names files of the host, into its raw disk: never guess.
        (None, Ok(Some(SourceFormat::Qcow2))) => {
            bail!("--disk {name}: it holds a qcow2 image but is not named so; say qcow2:{name} or raw:{name}")
        }
        (None, Ok(Some(SourceFormat::Raw))) if !named_qcow2 => DiskFormat::Raw,
        (_, Ok(None | Some(SourceFormat::Raw))) if named_qcow2 || format.is_some() => {
            bail!("--disk {name}: this is no qcow2 image; use raw:{name} if it is a raw one")
        }
        (_, Ok(Some(other))) => bail!(
            "--disk {name}: this is a {} image, which a running machine does not write to; `sampan new NAME --image {name}` makes a machine of a copy",
            other.driver()
        ),
        (_, Ok(None)) => bail!(
            "--disk {name}: it has no boot sector, partition table or file system; say raw:{name} if it is an empty disk"
        ),
        (_, Err(error)) => return Err(error).with_context(|| format!("--disk {name}")),
    };
    if format == DiskFormat::Qcow2 {
        image::check_complete(&opened, SourceFormat::Qcow2).with_context(|| format!("--disk {name}"))?;
    }
    Ok(Disk { file, format, base: None })
}

/// The file's full name, once it is known to be one that can be read.
fn readable(file: &Path) -> Result<PathBuf> {
    let name = file.display();
    let kind = fs::metadata(file).with_context(|| format!("{name} is not there"))?;
    if kind.is_dir() {
        bail!("{name} is a folder: name a file");
    }
    // A disk of this computer's is one; what has no places in it is none, and opening it might wait for its other end.
    if !kind.is_file() && !kind.file_type().is_block_device() {
        bail!("{name} is neither a file nor a disk");
    }
    File::open(file).with_context(|| format!("{name} cannot be read"))?;
    std::path::absolute(file).with_context(|| format!("{name} has no full name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn run_args(arguments: &[&str]) -> RunArgs {
        let all = ["sampan", "run"].iter().chain(arguments);
        match Args::try_parse_from(all).expect("parses").command {
            Command::Run(run) => *run,
            _ => unreachable!("`run` was asked for"),
        }
    }

    #[test]
    fn a_disk_is_never_guessed_from_what_a_guest_may_have_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).expect("writes");
            path.display().to_string()
        };
        let mut disk_of_a_guest = vec![0; 1 << 16];
        disk_of_a_guest[510..512].copy_from_slice(b"\x55\xaa");
        let mut vdi = vec![0; 1 << 16];
        vdi[0x40..0x44].copy_from_slice(&0xbeda_107f_u32.to_le_bytes());
        let (good, wrong) = (file("a.qcow2", b"QFI\xfb...."), file("b.qcow2", &disk_of_a_guest));
        let (raw, evil) = (file("c.img", &disk_of_a_guest), file("d.img", b"QFI\xfb...."));
        let (empty, foreign) = (file("e.img", &[0; 4096]), file("f.img", &vdi));
        assert_eq!(disk(&good).expect("good").format, DiskFormat::Qcow2);
        assert_eq!(disk(&raw).expect("raw").format, DiskFormat::Raw);
        assert_eq!(disk(&format!("qcow2:{evil}")).expect("said so").format, DiskFormat::Qcow2);
        for said in [&evil, &empty, &foreign] {
            assert_eq!(disk(&format!("raw:{said}")).expect("said so").format, DiskFormat::Raw);
        }
        for (text, words) in [
            (&wrong, "no qcow2"),
            (&format!("qcow2:{raw}"), "no qcow2"),
            (&evil, "not named so"),
            (&empty, "if it is an empty disk"),
            (&foreign, "vdi image"),
            (&format!("qcow2:{foreign}"), "vdi image"),
            (&file("g.img", b"<html>"), "web page"),
            (&dir.path().join("none").display().to_string(), "not there"),
            (&dir.path().display().to_string(), "is a folder"),
            (&"/dev/zero".to_owned(), "neither a file nor a disk"),
        ] {
            let error = format!("{:#}", disk(text).expect_err(words));
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn options_of_a_kernel_want_one() {
        let error = kernel(&run_args(&["--append", "quiet"])).expect_err("no kernel").to_string();
        assert!(error.contains("--append needs a kernel"), "{error}");
    }
}
