//! Firmware, and a kernel that QEMU starts itself.

use super::{Argv, drives, file, path};
use crate::{ConfigError, Disk, DiskFormat, Firmware, Kernel, Machine};

impl Machine {
    pub(super) fn boot(&self, argv: &mut Argv) -> Result<(), ConfigError> {
        match &self.firmware {
            None | Some(Firmware::Bios) => {}
            Some(Firmware::Uefi { code, vars }) => {
                let (code, vars) = (path(code)?, path(vars)?);
                argv.option("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={}", file(code)));
                argv.option("-drive", format!("if=pflash,unit=1,format=raw,file={}", file(vars)));
            }
            // `snapshot=on` is an option of `-drive` alone.
            Some(Firmware::Flash { code, vars }) if self.throw_away => {
                argv.option(
                    "-drive",
                    format!("if=pflash,unit=0,format=raw,readonly=on,file={}", file(path(code)?)),
                );
                let format = vars.format.qemu_name();
                let vars = file(path(&vars.file)?);
                argv.option("-drive", format!("if=pflash,unit=1,format={format},snapshot=on,file={vars}"));
            }
            Some(Firmware::Flash { code, vars }) => {
                let code = Disk { file: code.clone(), format: DiskFormat::Raw, base: None };
                drives::nodes(argv, "fw-code", &code, true, false)?;
                drives::nodes(argv, "fw-vars", vars, false, false)?;
            }
        }
        if let Some(Kernel { kernel, initrd, append }) = &self.kernel {
            argv.option("-kernel", path(kernel)?);
            if let Some(initrd) = initrd {
                argv.option("-initrd", path(initrd)?);
            }
            if let Some(append) = append {
                argv.option("-append", append);
            }
        }
        Ok(())
    }
}
