//! `sampan demo`: the tiny guest.

use crate::args::{DemoArgs, DisplayArg, PointerArg, PoweroffArg, RunArgs};
use anyhow::{Context, Result, bail};
use sampan_config::Arch;
use std::path::PathBuf;

/// What `sampan run` would be told.
pub fn run_args(args: DemoArgs) -> Result<RunArgs> {
    let arch = args.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
    let folder = guest_folder()?.join(arch.qemu_name());
    let kernel = folder.join("kernel");
    if !kernel.is_file() {
        bail!("the demonstration guest is not in {}: scripts/guest/build makes it", folder.display());
    }
    let console = match arch {
        Arch::X86_64 => "ttyS0",
        Arch::Aarch64 => "ttyAMA0",
    };
    Ok(RunArgs {
        name: "Sampan demo".into(),
        arch: Some(arch),
        memory: 256,
        cpus: None,
        kernel: Some(kernel),
        initrd: Some(folder.join("initrd")),
        append: Some(format!("console={console} quiet")),
        disk: Vec::new(),
        cdrom: None,
        firmware: None,
        display: DisplayArg::Virtio,
        pointer: PointerArg::Tablet,
        in_process: true,
        child: false,
        on_poweroff: PoweroffArg::Quit,
        listen: args.listen,
        control: None,
        qemu: Vec::new(),
    })
}

/// `$SAMPAN_GUEST_DIR`, else where `scripts/guest/build` puts it.
fn guest_folder() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("SAMPAN_GUEST_DIR") {
        return Ok(named.into());
    }
    Ok(sampan_emulator::cache_dir().context("neither XDG_CACHE_HOME nor HOME is set")?.join("guest/current"))
}
