//! QEMU's arguments for a machine.

mod boot;
pub(crate) mod check;
mod devices;
mod drives;

use crate::tuning::default_model;
use crate::{Arch, Channel, Clock, ConfigError, Firmware, Machine, SoundDevice, escaped};
use std::path::Path;

/// Hyper-V's interfaces as QEMU's documentation recommends them (`docs/system/i386/hyperv.rst`), without those that
/// tie a saved state to the host.
const HYPERV: &str = ",hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-vpindex=on,hv-runtime=on,hv-time=on,hv-synic=on,\
     hv-stimer=on,hv-frequencies=on,hv-tlbflush=on,hv-ipi=on";

impl Machine {
    /// QEMU's arguments, without its program name. `accelerators` are what may follow `-accel`, the best first.
    ///
    /// The machine starts halted (`-S`), so that nothing is missed before a viewer of its display is there; it keeps
    /// its guest's power-off (`-no-shutdown`), since one copy of QEMU runs once; its serial port is the chardev
    /// `serial`, its display D-Bus, peer to peer. See `docs/emulator.md` for what the host adds, and
    /// [`Machine::sockets`] for what else it must.
    ///
    /// # Errors
    /// [`ConfigError`] names the value and what to do.
    pub fn argv(&self, accelerators: &[String]) -> Result<Vec<String>, ConfigError> {
        self.check()?;
        let Some(first) = accelerators.first() else { return Err(ConfigError::NoAccelerator) };
        let mut argv = Argv::default();
        argv.flag("-nodefaults").flag("-no-user-config").flag("-S").flag("-no-shutdown");
        // Thread names tell vCPUs apart in profilers and benchmarks.
        argv.option("-name", format!("guest={},debug-threads=on", escaped(&self.name)));
        if let Some(uuid) = &self.uuid {
            argv.option("-uuid", uuid);
        }
        argv.option("-machine", self.machine_type());
        for accelerator in accelerators {
            argv.option("-accel", accelerator);
        }
        argv.option("-cpu", self.cpu_argument(first));
        argv.option("-smp", self.smp());
        argv.option("-m", format!("{}M", self.memory_mib));
        if self.shared_memory {
            argv.option("-object", format!("memory-backend-memfd,id=ram,size={}M,share=on", self.memory_mib));
        }
        argv.option("-rtc", self.rtc());
        argv.option(
            "-display",
            match self.sound {
                SoundDevice::None => "dbus,p2p=on",
                _ => "dbus,p2p=on,audiodev=audio0",
            },
        );
        if self.console == Channel::Uart {
            argv.option("-serial", "chardev:serial");
        }
        self.boot(&mut argv)?;
        self.quick_drives(&mut argv)?;
        self.named_drives(&mut argv)?;
        self.devices(&mut argv)?;
        if self.incoming {
            argv.option("-incoming", "defer");
        }
        argv.0.extend(self.extra.iter().cloned());
        Ok(argv.0)
    }

    fn machine_type(&self) -> String {
        let mut text = match self.chipset {
            crate::Chipset::Q35 => "q35",
            crate::Chipset::Pc => "pc",
            // Version 3 of the interrupt controller is what takes more than 8 CPUs.
            crate::Chipset::Virt => "virt,gic-version=3",
        }
        .to_owned();
        if self.hyperv {
            // Windows takes it for its clock where it is there, and it is far slower than Hyper-V's.
            text.push_str(",hpet=off");
        }
        if self.shared_memory {
            text.push_str(",memory-backend=ram");
        }
        if matches!(self.firmware, Some(Firmware::Flash { .. })) && !self.throw_away {
            text.push_str(",pflash0=fw-code,pflash1=fw-vars");
        }
        text
    }

    fn cpu_argument(&self, accelerator: &str) -> String {
        let mut text = match &self.cpu {
            Some(model) => model.clone(),
            None => default_model(self.arch, self.tuning, accelerator.starts_with("kvm")),
        };
        if self.hyperv {
            text.push_str(HYPERV);
        }
        for feature in &self.cpu_features {
            text.push(',');
            text.push_str(feature);
        }
        text
    }

    fn smp(&self) -> String {
        match self.topology {
            None => self.cpus.to_string(),
            Some(t) => format!("{},sockets={},cores={},threads={}", self.cpus, t.sockets, t.cores, t.threads),
        }
    }

    fn rtc(&self) -> &'static str {
        match (self.clock, self.arch) {
            (Clock::Utc, _) => "base=utc",
            // Windows counts the clock's interrupts: those that came too late are given to it later.
            (Clock::Localtime, Arch::X86_64) => "base=localtime,driftfix=slew",
            (Clock::Localtime, Arch::Aarch64) => "base=localtime",
        }
    }
}

/// Arguments in the making.
#[derive(Default)]
struct Argv(Vec<String>);

impl Argv {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.to_owned());
        self
    }

    fn option(&mut self, option: &str, value: impl Into<String>) {
        self.0.extend([option.to_owned(), value.into()]);
    }

    fn device(&mut self, value: impl Into<String>) {
        self.option("-device", value);
    }
}

/// An image's name. A relative one gets its `./`, else what stands before a colon in it would be read as a protocol
/// (`path_has_protocol` in `block.c`): `nbd:host` is a file here.
fn plain(path: &str) -> String {
    let here = if path.starts_with('/') { "" } else { "./" };
    format!("{here}{path}")
}

/// The same in an option list.
fn file(path: &str) -> String {
    escaped(&plain(path))
}

/// QEMU reads its arguments as UTF-8 in many places, and as C strings everywhere.
fn path(path: &Path) -> Result<&str, ConfigError> {
    path.to_str().filter(|text| !text.contains('\0')).ok_or_else(|| ConfigError::Path(path.to_owned()))
}
