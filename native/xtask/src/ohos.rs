//! Puts the HarmonyOS app together: what goes into its package, the package, and a device to try it on.

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The NDK's name of an ABI, Rust's target, and the folder of libqemu for it.
const ABIS: [(&str, &str, &str); 2] = [
    ("arm64-v8a", "aarch64-unknown-linux-ohos", "aarch64-linux-ohos"),
    ("x86_64", "x86_64-unknown-linux-ohos", "x86_64-linux-ohos"),
];

/// The native module, and what a native child process is made of: package and file.
const LIBRARIES: [(&str, &str); 2] =
    [("sampan-napi", "libsampan.so"), ("sampan-childhost", "libsampanhost.so")];

/// Firmware that no machine of the app can ask for: UEFI that checks signatures, with the variables for it (`session::vm::uefi_code` names the others), and what belongs to
/// machines and devices that libqemu was not built with (`scripts/qemu/devices`). It is half of all bytes, and an app copies the firmware out of its package.
const UNUSED_FIRMWARE: [&str; 16] = [
    "AAVMF_CODE.secboot.fd",
    "AAVMF_VARS.ms.fd",
    "OVMF_CODE_4M.secboot.fd",
    "OVMF_VARS_4M.ms.fd",
    "QEMU_EFI.fd",
    "bios-microvm.bin",
    "qboot.rom",
    "npcm7xx_bootrom.bin",
    "npcm8xx_bootrom.bin",
    "efi-eepro100.rom",
    "efi-ne2k_pci.rom",
    "efi-vmxnet3.rom",
    "pxe-eepro100.rom",
    "pxe-ne2k_pci.rom",
    "pxe-vmxnet3.rom",
    "vgabios-isavga.bin",
];

/// A file of this size, and one without an ending, is refused when a package is installed (error 9568393).
const REFUSED_SIZE: u64 = 4096;

#[derive(Subcommand)]
pub enum Chore {
    /// Build the native libraries of the app into entry/libs, and QEMU's firmware into its resources
    Libs(Libs),
    /// Build the app's package, with the SDK's hvigorw
    Hap {
        /// What follows `hvigorw assembleHap`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Install a package on the device that is connected, with the SDK's hdc
    Install {
        /// The package; else the one that was built last
        hap: Option<PathBuf>,
    },
    /// Show the app's log on the device that is connected
    Log,
}

#[derive(Args)]
pub struct Libs {
    /// For one ABI alone: arm64-v8a or x86_64
    #[arg(long)]
    abi: Option<String>,
    /// For guests of one processor alone: x86_64 or aarch64
    #[arg(long, default_value = "all")]
    guests: String,
    /// As for tests: compiled sooner, slower, and larger
    #[arg(long)]
    dev: bool,
}

pub fn run(root: &Path, chore: Chore) -> Result<()> {
    match chore {
        Chore::Libs(libs) => libs.build(root),
        Chore::Hap { arguments } => {
            let hvigor = root.join("hvigorw");
            let program = if hvigor.is_file() { hvigor } else { tool("hvigorw", "builds packages")? };
            ensure!(
                root.join("entry/libs").is_dir(),
                "there are no libraries yet: run `cargo xtask ohos libs` first"
            );
            call(Command::new(program).arg("assembleHap").args(arguments).current_dir(root))
        }
        Chore::Install { hap } => {
            let hdc = tool("hdc", "speaks to devices")?;
            let hap = match hap {
                Some(hap) => hap,
                None => newest_hap(root)?,
            };
            call(Command::new(hdc).arg("install").arg("-r").arg(hap))
        }
        Chore::Log => {
            let hdc = tool("hdc", "speaks to devices")?;
            call(Command::new(hdc).args(["hilog", "-T", "Sampan"]))
        }
    }
}

/// A program of the SDK.
fn tool(name: &str, what: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| {
        format!(
            "{name} is not in PATH. It {what} and comes with the HarmonyOS SDK: install DevEco Studio, or its command line \
             tools for Linux, from Huawei's site for developers, and add their folders `bin` and `sdk/default/openharmony/toolchains` to PATH"
        )
    })
}

fn call(command: &mut Command) -> Result<()> {
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "{} has failed ({status})", command.get_program().display());
    Ok(())
}

fn newest_hap(root: &Path) -> Result<PathBuf> {
    let folder = root.join("entry/build");
    let mut found = Vec::new();
    collect(&folder, &mut found);
    found.retain(|path| path.extension().is_some_and(|ending| ending == "hap"));
    found.sort_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok());
    found
        .pop()
        .with_context(|| format!("there is no package in {}: run `cargo xtask ohos hap`", folder.display()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            Ok(_) => files.push(entry.path()),
            Err(_) => {}
        }
    }
}

impl Libs {
    fn build(&self, root: &Path) -> Result<()> {
        let wanted: Vec<_> = ABIS
            .into_iter()
            .filter(|(abi, ..)| self.abi.as_deref().is_none_or(|wanted| wanted == *abi))
            .collect();
        ensure!(!wanted.is_empty(), "the ABIs are arm64-v8a and x86_64");
        let resources = root.join("entry/src/main/resources/rawfile");
        for (abi, target, libqemu) in wanted {
            println!("{abi}: x264, which the native module links");
            call(
                Command::new(root.join("scripts/x264/build"))
                    .args(["--target", libqemu])
                    .stdout(Stdio::null()),
            )?;
            let x264 = current("x264", libqemu)?;
            println!("{abi}: the native module, and the library of its child processes");
            let made = self.libraries(root, target)?;
            println!("{abi}: QEMU, which takes an hour where it is not built yet");
            let libqemu = qemu(root, libqemu, &self.guests)?;
            let libs = root.join("entry/libs").join(abi);
            clear(&libs)?;
            for (file, (_, name)) in made.iter().zip(LIBRARIES) {
                copy(file, &libs.join(name))?;
            }
            for file in files(&libqemu, "so")? {
                let name = file.file_name().context("a file has a name")?;
                copy(&file, &libs.join(name))?;
            }
            // The same for both: data, and code of guests.
            clear(&resources.join("firmware"))?;
            for file in files_of_all_kinds(&libqemu.join("firmware")) {
                let name = file.strip_prefix(libqemu.join("firmware"))?;
                if UNUSED_FIRMWARE.iter().any(|unused| name == Path::new(unused)) {
                    continue;
                }
                copy(&file, &resources.join("firmware").join(name))?;
            }
            let licences = [libqemu.join("LICENSES.txt"), x264.join("LICENSES.txt")];
            let texts = licences.map(|file| {
                std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
            });
            let [of_qemu, of_x264] = texts;
            let texts = [of_qemu?, of_x264?];
            let file = resources.join("LICENSES-QEMU.txt");
            std::fs::write(&file, texts.join("\n"))
                .with_context(|| format!("{} cannot be written", file.display()))?;
            check(&libs)?;
            table(&libs)?;
            println!("{:>21}  licences, in LICENSES-QEMU.txt:", "");
            for part in texts.iter().flat_map(|text| parts(text)) {
                println!("{:>21}  {part}", "");
            }
        }
        table(&resources)
    }

    /// In the order of [`LIBRARIES`].
    fn libraries(&self, root: &Path, target: &str) -> Result<Vec<PathBuf>> {
        let mut command = Command::new(root.join("scripts/toolchain/cargo"));
        command.args([target, "build", "--locked", "--lib"]);
        for (package, _) in LIBRARIES {
            command.args(["--package", package]);
        }
        command.arg("--message-format=json-render-diagnostics").env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        if !self.dev {
            command.arg("--release");
        }
        let output =
            command.current_dir(root).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        ensure!(output.status.success(), "the native module does not compile for {target}");
        let made: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
            .flat_map(|artifact| artifact.filenames)
            .collect();
        let one = |(_, name)| {
            let found = made.iter().find(|file| file.ends_with(name)).cloned();
            found.with_context(|| format!("cargo made no {name} for {target}"))
        };
        LIBRARIES.into_iter().map(one).collect()
    }
}

/// What cargo tells of what it has made.
#[derive(Deserialize)]
struct Artifact {
    filenames: Vec<PathBuf>,
}

/// The folder of libqemu for a target.
fn qemu(root: &Path, target: &str, guests: &str) -> Result<PathBuf> {
    let mut command = Command::new(root.join("scripts/qemu/build"));
    command.args(["--target", target, "--arch", guests, "--interpreter"]);
    call(command.current_dir(root).stdout(Stdio::null()))?;
    current("qemu-ohos", target)
}

/// Where a script has put what it built last.
fn current(what: &str, target: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    let folder = cache.join("sampan").join(what).join(target).join("current");
    folder.canonicalize().with_context(|| format!("{} is missing", folder.display()))
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn files_of_all_kinds(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, &mut found);
    found.sort();
    found
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = files_of_all_kinds(folder);
    found.retain(|file| {
        file.parent() == Some(folder) && file.extension().is_some_and(|extension| extension == ending)
    });
    if found.is_empty() {
        bail!("there is no *.{ending} in {}", folder.display());
    }
    Ok(found)
}

/// What the licences of libqemu's folder are of: each with its version, as the head of the file lists them, indented.
fn parts(licenses: &str) -> Vec<&str> {
    let head = licenses.lines().take_while(|line| !line.starts_with("==="));
    head.filter_map(|line| line.strip_prefix("  ")).collect()
}

/// What installing would refuse.
fn check(libs: &Path) -> Result<()> {
    for file in files_of_all_kinds(libs) {
        let size = file.metadata()?.len();
        ensure!(file.extension().is_some(), "{} has no ending, and would not be installed", file.display());
        ensure!(size != REFUSED_SIZE, "{} has {size} bytes, and would not be installed", file.display());
    }
    Ok(())
}

/// Sizes as they are, and about as a package has them.
fn table(folder: &Path) -> Result<()> {
    let (mut all, mut packed) = (0, 0);
    println!("{:>10} {:>10}  {}", "KiB", "deflated", folder.display());
    for file in files_of_all_kinds(folder) {
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes)?;
        let small = encoder.finish()?.len();
        (all, packed) = (all + bytes.len(), packed + small);
        println!("{:>10} {:>10}  {}", bytes.len() >> 10, small >> 10, file.strip_prefix(folder)?.display());
    }
    println!("{:>10} {:>10}  in all", all >> 10, packed >> 10);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_would_not_install_is_refused() {
        let folder = std::env::temp_dir().join(format!("sampan-libs-{}", std::process::id()));
        clear(&folder).expect("is made");
        std::fs::write(folder.join("libgood.so"), [0; 4097]).expect("is written");
        check(&folder).expect("may be installed");
        for (name, size) in [("libpage.so", 4096), ("noending", 10)] {
            std::fs::write(folder.join(name), vec![0; size]).expect("is written");
            assert!(check(&folder).is_err(), "{name}");
            std::fs::remove_file(folder.join(name)).expect("is removed");
        }
        std::fs::remove_dir_all(&folder).expect("is removed");
    }

    #[test]
    fn what_licences_are_of_is_read_from_their_list() {
        let text = "In this folder are:\n\n  QEMU 10.0\n  firmware of seabios 1.16\n\n=====\nQEMU 10.0\n=====\n  not a part\n";
        assert_eq!(parts(text), ["QEMU 10.0", "firmware of seabios 1.16"]);
    }

    #[test]
    fn a_missing_sdk_is_told_with_where_it_comes_from() {
        let error = tool("no-such-program-of-an-sdk", "does things").expect_err("is not there").to_string();
        assert!(error.contains("does things") && error.contains("DevEco Studio"), "{error}");
    }
}
