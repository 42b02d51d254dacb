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
    // A PC's kernel measures its timer by the processor's clock, and gives up where an emulated one had to wait too long.
    let words = match arch {
        Arch::X86_64 => "console=ttyS0 quiet no_timer_check",
        Arch::Aarch64 => "console=ttyAMA0 quiet",
    };
    Ok(RunArgs {
        name: "Sampan demo".into(),
        arch: Some(arch),
        memory: 256,
        cpus: None,
        kernel: Some(kernel),
        initrd: Some(folder.join("initrd")),
        append: Some(words.into()),
        disk: Vec::new(),
        cdrom: None,
        yes: false,
        firmware: None,
        display: DisplayArg::Virtio,
        displays: 1,
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
