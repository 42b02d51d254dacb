//! What of another program's machine is another here.

use sampan_config::{Bus, NicDevice};
use sampan_library::Bus as ForeignBus;
use sampan_message::{Message, Params, samples as samples_of};

/// What of another program's machine is another here. What the library leaves out it tells itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Adapted {
    #[error("the floppy “{0}” was left out")]
    Floppy(String),
    #[error("the CD “{0}” was left out: its drive is empty, put the CD in by hand")]
    Cd(String),
    #[error("{mib} MiB of memory cannot be: it has {now}")]
    Memory { mib: u64, now: u32 },
    #[error("{cpus} CPUs cannot be: it has {now}")]
    Cpus { cpus: u32, now: u32 },
    #[error("it was started without UEFI, which Arm machines need here: it may not start")]
    Uefi,
    #[error(
        "its UEFI variables were left out ({0}) and are new: choose the boot entry once if it does not start"
    )]
    Variables(VariablesFault),
    #[error(
        "the disk “{file}” was on {was:?} and is on {now:?}: if the guest does not find it, it needs a driver"
    )]
    Bus { file: String, was: ForeignBus, now: Bus },
    #[error("the network card “{model}” becomes {}", .now.qemu_name())]
    Card { model: String, now: NicDevice },
    #[error("the address of network card {0} cannot be used: it gets another")]
    Mac(usize),
}

/// Why a machine's UEFI variables are of no use here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VariablesFault {
    #[error("{0}")]
    Unreadable(String),
    #[error("{0} is none that is known")]
    Unknown(String),
    #[error("{file} has {found} bytes, this firmware's have {wanted}")]
    Size { file: String, found: u64, wanted: u64 },
}

impl Adapted {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Floppy(medium) => ("floppy_left_out", Params::of("medium", &**medium)),
            Self::Cd(medium) => ("cd_left_out", Params::of("medium", &**medium)),
            Self::Memory { mib, now } => ("memory_replaced", Params::of("mib", *mib).with("now_mib", *now)),
            Self::Cpus { cpus, now } => ("cpus_replaced", Params::of("cpus", *cpus).with("now", *now)),
            Self::Uefi => ("uefi_needed", Params::new()),
            Self::Variables(fault) => ("uefi_variables_left_out", fault.params()),
            Self::Bus { file, was, now } => (
                "bus_replaced",
                Params::of("file", &**file)
                    .with("was", format!("{was:?}").to_lowercase())
                    .with("now", format!("{now:?}").to_lowercase()),
            ),
            Self::Card { model, now } => {
                ("network_card_replaced", Params::of("model", &**model).with("now", now.qemu_name()))
            }
            Self::Mac(card) => ("mac_replaced", Params::of("card", *card)),
        }
    }

    fn after(&self) -> Option<Self> {
        let file = || "Data/efi_vars.fd".to_owned();
        Some(match self {
            Self::Floppy(_) => Self::Cd("setup.iso".into()),
            Self::Cd(_) => Self::Memory { mib: 2 << 20, now: 1024 },
            Self::Memory { .. } => Self::Cpus { cpus: 300, now: 2 },
            Self::Cpus { .. } => Self::Uefi,
            Self::Uefi => Self::Variables(VariablesFault::Unreadable("permission denied".into())),
            Self::Variables(VariablesFault::Unreadable(_)) => {
                Self::Variables(VariablesFault::Unknown(file()))
            }
            Self::Variables(VariablesFault::Unknown(_)) => {
                Self::Variables(VariablesFault::Size { file: file(), found: 65536, wanted: 540_672 })
            }
            Self::Variables(VariablesFault::Size { .. }) => {
                Self::Bus { file: "disk.vmdk".into(), was: ForeignBus::Scsi, now: Bus::Sata }
            }
            Self::Bus { .. } => Self::Card { model: "ne2k_pci".into(), now: NicDevice::E1000 },
            Self::Card { .. } => Self::Mac(1),
            Self::Mac(_) => return None,
        })
    }

    pub(super) fn samples() -> Vec<Message> {
        samples_of(Self::Floppy("a.img".into()), Self::after)
    }
}

impl VariablesFault {
    fn params(&self) -> Params {
        match self {
            Self::Unreadable(why) => Params::of("reason", "unreadable").with("why", &**why),
            Self::Unknown(file) => Params::of("reason", "unknown").with("file", &**file),
            Self::Size { file, found, wanted } => Params::of("reason", "size")
                .with("file", &**file)
                .with("found", *found)
                .with("wanted", *wanted),
        }
    }
}

sampan_message::coded!(Adapted);
