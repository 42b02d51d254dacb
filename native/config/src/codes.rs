//! The codes of this crate's errors, and the values that their texts are made of.

use crate::document::shortened;
use crate::finding::Concern;
use crate::{
    Arch, BadVncPassword, BlockedBy, CURRENT_TUNING, CURRENT_VERSION, ConfigError, DisplayKind, Forward,
    ForwardError, LeftOut, MAX_CPUS, MAX_FORWARD_PORTS, MAX_HEADS, MAX_MEMORY_MIB, MAX_SECTION_BYTES,
    MAX_VNC_PASSWORD, MAX_VOLUME, MIN_MEMORY_MIB, NotAMac, NotAMode, PresetNote, Rule, Topology, UnknownArch,
    VmConfigError, Vnc,
};
use sampan_message::{Coded, Message, Params, Reason, samples as samples_of};

impl Rule {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Memory(mib) => (
                "memory_out_of_range",
                Params::of("mib", *mib).with("least_mib", MIN_MEMORY_MIB).with("most_mib", MAX_MEMORY_MIB),
            ),
            Self::Cpus(cpus) => ("cpus_out_of_range", Params::of("cpus", *cpus).with("most", MAX_CPUS)),
            Self::Name => ("bad_name", Params::new()),
            Self::MachineType(arch) => ("bad_machine_type", Params::of("arch", arch.qemu_name())),
            Self::Uuid => ("bad_uuid", Params::new()),
            Self::Nul(what) => ("nul_character", Params::of("what", *what)),
            Self::CpuModel(model) => ("bad_cpu_model", Params::of("model", &**model)),
            Self::CpuFeature(feature) => ("bad_cpu_feature", Params::of("feature", &**feature)),
            Self::Tuning(tuning) => ("too_new", Params::of("found", *tuning).with("known", CURRENT_TUNING)),
            Self::Topology { topology: Topology { sockets, cores, threads }, cpus } => (
                "bad_topology",
                Params::of("sockets", *sockets)
                    .with("cores", *cores)
                    .with("threads", *threads)
                    .with("cpus", *cpus),
            ),
            Self::NoHyperv => ("hyperv_needs_pc", Params::new()),
            Self::NoBios => ("no_bios", Params::new()),
            Self::NoFirmware => ("no_firmware", Params::new()),
            Self::NothingStarts => ("nothing_starts", Params::new()),
            Self::Uefi64 => ("uefi_needs_64_bit", Params::new()),
            Self::FileName(name) | Self::Comma(name) => ("bad_file_name", Params::of("name", &**name)),
            Self::TooMany { what, count, most } => {
                ("too_many", Params::of("what", *what).with("count", *count).with("most", *most))
            }
            Self::PartName(name) => ("bad_part_name", Params::of("name", &**name)),
            Self::NameTaken(name) => ("name_taken", Params::of("name", &**name)),
            Self::NoFloppy => ("no_floppy", Params::new()),
            Self::FloppyBus => ("floppy_bus", Params::new()),
            Self::CdBus => ("cd_bus", Params::new()),
            Self::NoIde => ("no_ide", Params::new()),
            Self::ReadOnlyBus => ("no_read_only_disk", Params::new()),
            Self::FullBus { bus, count, most } => {
                ("bus_full", Params::of("bus", *bus).with("count", *count).with("most", *most))
            }
            Self::BootOrder(by) => ("boot_order_taken", Params::of("by", &**by)),
            Self::DiskMedia => ("disk_with_medium", Params::new()),
            Self::NoUsb => ("no_usb", Params::new()),
            Self::Heads(_) => ("screens_out_of_range", Params::of("most", MAX_HEADS)),
            Self::VncPort(port) => ("vnc_port_out_of_range", Params::of("port", *port)),
            Self::MacTaken(by) => ("mac_taken", Params::of("by", &**by)),
            Self::Forward(error) => error.parts(),
            Self::PortTaken { forward, by } => {
                let port = Params::of("port", forward.host_port).with("forward", forward.to_string());
                ("port_in_use", port.with("by", &**by))
            }
            Self::NoSoundCard => ("no_sound_card", Params::new()),
            Self::Volume(volume) => (
                "volume_too_high",
                Params::of("volume", u32::from(*volume)).with("most", u32::from(MAX_VOLUME)),
            ),
            Self::NoPs2 => ("no_ps2", Params::new()),
            Self::NoUhci => ("no_uhci", Params::new()),
            Self::OneUart => ("one_serial_port", Params::new()),
            Self::SerialPorts(count) => ("too_many_serial_ports", Params::of("count", *count)),
            Self::UnsafeCache(argument) => ("unsafe_cache", Params::of("argument", &**argument)),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Memory(_) => Self::Cpus(256),
            Self::Cpus(_) => Self::Name,
            Self::Name => Self::MachineType(Arch::X86_64),
            Self::MachineType(_) => Self::Uuid,
            Self::Uuid => Self::Nul("argument"),
            Self::Nul(_) => Self::CpuModel("max,x=y".into()),
            Self::CpuModel(_) => Self::CpuFeature("la57".into()),
            Self::CpuFeature(_) => Self::Tuning(9),
            Self::Tuning(_) => {
                Self::Topology { topology: Topology { sockets: 1, cores: 2, threads: 2 }, cpus: 6 }
            }
            Self::Topology { .. } => Self::NoHyperv,
            Self::NoHyperv => Self::NoBios,
            Self::NoBios => Self::NoFirmware,
            Self::NoFirmware => Self::NothingStarts,
            Self::NothingStarts => Self::Uefi64,
            Self::Uefi64 => Self::FileName("../a.iso".into()),
            Self::FileName(_) => Self::Comma("a,b".into()),
            Self::Comma(_) => Self::TooMany { what: "drives", count: 17, most: 16 },
            Self::TooMany { .. } => Self::PartName("Disk-0".into()),
            Self::PartName(_) => Self::NameTaken("disk0".into()),
            Self::NameTaken(_) => Self::NoFloppy,
            Self::NoFloppy => Self::FloppyBus,
            Self::FloppyBus => Self::CdBus,
            Self::CdBus => Self::NoIde,
            Self::NoIde => Self::ReadOnlyBus,
            Self::ReadOnlyBus => Self::FullBus { bus: "IDE", count: 5, most: 4 },
            Self::FullBus { .. } => Self::BootOrder("cd0".into()),
            Self::BootOrder(_) => Self::DiskMedia,
            Self::DiskMedia => Self::NoUsb,
            Self::NoUsb => Self::Heads(DisplayKind::Virtio),
            Self::Heads(_) => Self::VncPort(80),
            Self::VncPort(_) => Self::MacTaken("net0".into()),
            Self::MacTaken(_) => {
                Self::PortTaken { forward: Forward::tcp(2222, 22), by: "network.cards.0.forwards.0".into() }
            }
            Self::PortTaken { .. } => Self::NoSoundCard,
            Self::NoSoundCard => Self::Volume(101),
            Self::Volume(_) => Self::NoPs2,
            Self::NoPs2 => Self::NoUhci,
            Self::NoUhci => Self::OneUart,
            Self::OneUart => Self::SerialPorts(5),
            Self::SerialPorts(_) => Self::UnsafeCache("cache=unsafe".into()),
            // Forwards have samples of their own.
            Self::UnsafeCache(_) | Self::Forward(_) => return None,
        })
    }
}

impl ForwardError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Form(text) => ("bad_forward", Params::of("text", &**text)),
            Self::Ipv6(text) => ("forward_over_ipv6", Params::of("text", &**text)),
            Self::Unequal { host, guest } => {
                ("unequal_ranges", Params::of("host", *host).with("guest", *guest))
            }
            Self::Count(count) => (
                "too_many",
                Params::of("what", "ports").with("count", *count).with("most", MAX_FORWARD_PORTS),
            ),
            Self::Port { first, count } => {
                ("ports_out_of_range", Params::of("first", *first).with("count", *count))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Form(_) => Self::Ipv6("[::1]:2222:22".into()),
            Self::Ipv6(_) => Self::Unequal { host: 4, guest: 2 },
            Self::Unequal { .. } => Self::Count(300),
            Self::Count(_) => Self::Port { first: 65535, count: 2 },
            Self::Port { .. } => return None,
        })
    }
}

impl ConfigError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Rule(rule) => rule.parts(),
            Self::Drive { id, rule } => {
                let (code, params) = rule.parts();
                (code, params.with("drive", &**id))
            }
            Self::NoKernel(option) => ("no_kernel", Params::of("option", *option)),
            Self::Path(path) => ("bad_path", Params::of("path", path.as_path())),
            Self::NoAccelerator => ("no_accelerator", Params::new()),
            Self::NoUefi => ("no_uefi", Params::new()),
            Self::NoImage(drive) => ("no_image", Params::of("drive", &**drive)),
            Self::VmConfig(errors) => {
                let first = errors.first().map_or(("", ""), |error| (&error.field, &error.message.code));
                let params = Params::of("field", first.0).with("rule", first.1);
                ("invalid", params.with("count", errors.len()))
            }
            Self::NotPlaced(file) => ("file_missing", Params::of("file", &**file)),
            Self::NoFolder(tag) => ("no_folder", Params::of("tag", &**tag)),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Drive { .. } => Self::NoKernel("an initial RAM disk"),
            Self::NoKernel(_) => Self::Path("/vm/a".into()),
            Self::Path(_) => Self::NoAccelerator,
            Self::NoAccelerator => Self::NoUefi,
            Self::NoUefi => Self::NoImage("disk0".into()),
            Self::NoImage(_) => {
                let message = Rule::Cpus(0).message();
                Self::VmConfig(vec![crate::ValidationError { field: "cpu.count".into(), message }])
            }
            Self::VmConfig(_) => Self::NotPlaced("debian.iso".into()),
            Self::NotPlaced(_) => Self::NoFolder("files".into()),
            // Rules have samples of their own.
            Self::NoFolder(_) | Self::Rule(_) => return None,
        })
    }
}

impl VmConfigError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Missing(file) => ("section_missing", Params::of("file", &**file)),
            Self::Unknown(file) => ("unknown_section", Params::of("file", &**file)),
            Self::TooLarge { file, bytes } => (
                "damaged_section",
                Params::of("file", &**file).with("bytes", *bytes).with("limit", MAX_SECTION_BYTES),
            ),
            Self::Field { file, field, words } => {
                ("damaged_section", Params::of("file", &**file).with("field", &**field).with("why", &**words))
            }
            Self::TooNew { found, ours } => ("too_new", Params::of("found", *found).with("known", *ours)),
            Self::NoVersion(text) => {
                ("bad_version", Params::of("found", &**text).with("known", CURRENT_VERSION))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        let file = || "cpu.json".to_owned();
        Some(match self {
            Self::Missing(_) => Self::Unknown("more.json".into()),
            Self::Unknown(_) => Self::TooLarge { file: file(), bytes: 300_000 },
            Self::TooLarge { .. } => Self::Field {
                file: file(),
                field: "count".into(),
                words: "invalid type: string \"two\", expected u32".into(),
            },
            Self::Field { .. } => Self::TooNew { found: 9, ours: CURRENT_VERSION },
            Self::TooNew { .. } => Self::NoVersion("0".into()),
            Self::NoVersion(_) => return None,
        })
    }
}

impl LeftOut {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Forward(forward) => ("forward_left_out", Params::of("forward", forward.to_string())),
            Self::Vnc(Vnc { address, port }) => {
                ("vnc_left_out", Params::of("address", address.to_string()).with("port", *port))
            }
            Self::Share(tag) => ("share_left_out", Params::of("tag", shortened(tag))),
            Self::Medium { medium, drive, floppy } => (
                if *floppy { "floppy_left_out" } else { "cd_left_out" },
                Params::of("medium", shortened(medium)).with("drive", shortened(drive)),
            ),
            Self::Kernel { kernel, initrd, needed } => (
                if *needed { "only_kernel_left_out" } else { "kernel_left_out" },
                Params::of("kernel", shortened(kernel))
                    .with("initrd", shortened(initrd.as_deref().unwrap_or_default())),
            ),
            Self::Microphone => ("microphone_left_out", Params::new()),
            Self::Argument(argument) => ("argument_left_out", Params::of("argument", shortened(argument))),
            Self::More(count) => ("more_left_out", Params::of("count", *count)),
        }
    }

    fn after(&self) -> Option<Self> {
        let medium = |floppy| Self::Medium { medium: "a.img".into(), drive: "cd0".into(), floppy };
        let kernel = |needed| Self::Kernel { kernel: "vmlinuz".into(), initrd: None, needed };
        Some(match self {
            Self::Forward(_) => Self::Vnc(Vnc::default()),
            Self::Vnc(_) => Self::Share("files".into()),
            Self::Share(_) => medium(false),
            Self::Medium { floppy: false, .. } => medium(true),
            Self::Medium { .. } => kernel(false),
            Self::Kernel { needed: false, .. } => kernel(true),
            Self::Kernel { .. } => Self::Microphone,
            Self::Microphone => Self::Argument("-snapshot".into()),
            Self::Argument(_) => Self::More(50),
            Self::More(_) => return None,
        })
    }
}

impl UnknownArch {
    fn parts(&self) -> (&'static str, Params) {
        ("unknown_arch", Params::of("name", &*self.0))
    }
}

impl NotAMode {
    fn parts(&self) -> (&'static str, Params) {
        ("unknown_mode", Params::of("name", &*self.0))
    }
}

impl NotAMac {
    fn parts(&self) -> (&'static str, Params) {
        ("bad_mac", Params::of("text", &*self.0))
    }
}

impl BadVncPassword {
    fn parts(&self) -> (&'static str, Params) {
        ("bad_vnc_password", Params::of("characters", self.0).with("most", MAX_VNC_PASSWORD))
    }
}

sampan_message::coded!(
    Rule,
    ForwardError,
    ConfigError,
    VmConfigError,
    LeftOut,
    UnknownArch,
    NotAMode,
    NotAMac,
    BadVncPassword
);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let mut all = samples_of(Rule::Memory(8), Rule::after);
    all.extend(samples_of(ForwardError::Form("22".into()), ForwardError::after));
    let drive = ConfigError::Drive { id: "disk0".into(), rule: Rule::NoIde };
    all.extend(samples_of(drive, ConfigError::after));
    all.extend(samples_of(VmConfigError::Missing("cpu.json".into()), VmConfigError::after));
    all.extend(samples_of(LeftOut::Forward(Forward::tcp(2222, 22)), LeftOut::after));
    all.extend(Concern::samples());
    all.extend(PresetNote::all().iter().map(PresetNote::message));
    all.extend(
        BlockedBy::all().iter().map(|why| Message::because("state_blocker", why).with("part", "disk0")),
    );
    all.push(UnknownArch("riscv64".into()).message());
    all.push(NotAMode("fast".into()).message());
    all.push(NotAMac("52:54".into()).message());
    all.push(BadVncPassword(9).message());
    all
}
