//! What new machines can be, and what is found of a choice before a machine is made of it.

use crate::promise::{Failure, promise};
use crate::types::{Arch, Change, FileRef, Finding, Message, Preset, findings, int};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_config as config;
use sampan_manager::create::{FirstStartOptions, NewDisk, Secret, Source, usual_cpus};
use sampan_manager::{Error, NewMachine, Unfit};

/// A kind of guest.
#[napi(object, object_from_js = false)]
pub struct PresetInfo {
    /// Its name.
    pub preset: Preset,
    /// The processors that it makes sense for, this host's first.
    pub archs: Vec<Arch>,
    /// What must be known before it is installed, on this host's processor.
    pub notes: Vec<Message>,
    /// Whether it was tried on no device yet: what it proposes may have to be changed.
    pub experimental: bool,
}

/// What one figure may be.
#[napi(object, object_from_js = false)]
pub struct Range {
    /// The least.
    pub min: i64,
    /// What to propose.
    pub proposed: i64,
    /// More must be confirmed.
    pub comfortable: i64,
    /// More is refused.
    pub max: i64,
    /// What to go up or down by.
    pub step: i64,
}

impl From<config::Range> for Range {
    fn from(range: config::Range) -> Self {
        let config::Range { min, proposed, comfortable, max, step } = range;
        let [min, proposed, comfortable, max, step] = [min, proposed, comfortable, max, step].map(int);
        Self { min, proposed, comfortable, max, step }
    }
}

/// What new machines may have on this host.
#[napi(object, object_from_js = false)]
pub struct Limits {
    /// How many CPUs.
    pub cpus: Range,
    /// Memory, in MiB.
    pub memory: Range,
    /// The disk's size, in bytes.
    pub disk: Range,
}

/// A choice for a new machine. What is left out is the preset's. At most one of `entry`, `medium` and `file` is what it begins
/// with: a CD goes into the drive, all else becomes the disk.
#[napi(object)]
#[derive(Clone)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub preset: Preset,
    /// Its processor.
    pub arch: Arch,
    /// An entry of the catalogue, which is downloaded if it is not here yet.
    pub entry: Option<String>,
    /// A medium of the library.
    pub medium: Option<String>,
    /// A file that a picker has opened.
    pub file: Option<FileRef>,
    /// CPUs.
    pub cpus: Option<u32>,
    /// Memory, in MiB.
    pub memory: Option<u32>,
    /// The disk's size in bytes; 0 for no disk.
    pub disk: Option<i64>,
    /// Whether all of an empty disk's space is taken at once.
    pub fixed_disk: Option<bool>,
    /// The system's first user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The user's public SSH keys.
    pub ssh_keys: Option<Vec<String>>,
    /// The system's own name; else it is made of the machine's.
    pub hostname: Option<String>,
    /// Changes of the description that all this makes: of its firmware, a bus, the display, QEMU's arguments. They count more than
    /// what is chosen above, and change neither its name, processor and preset nor what disks it has.
    pub changes: Option<Vec<Change>>,
}

impl Draft {
    /// As the core takes it, but for what is in files.
    pub(crate) fn new_machine(&self) -> Result<NewMachine, Failure> {
        let size = match self.disk {
            None => None,
            Some(bytes) => Some(u64::try_from(bytes).map_err(|_| invalid("disk", &Unfit::NegativeSize))?),
        };
        let begun_with = [self.entry.is_some(), self.medium.is_some(), self.file.is_some()];
        if begun_with.into_iter().filter(|one| *one).count() > 1 {
            return Err(invalid("entry", &Unfit::OneBeginning));
        }
        let disk = match size {
            Some(0) => NewDisk::None,
            size => NewDisk::New { size, fixed: self.fixed_disk.unwrap_or(false) },
        };
        let first_start = FirstStartOptions {
            user: self.user.clone(),
            password: self.password.clone().map(Secret::new),
            ssh_keys: self.ssh_keys.clone().unwrap_or_default(),
            hostname: self.hostname.clone(),
            ..FirstStartOptions::default()
        };
        Ok(NewMachine {
            name: self.name.clone(),
            preset: Some(self.preset.into()),
            arch: Some(self.arch.into()),
            memory_mib: self.memory,
            cpus: self.cpus,
            disk,
            entry: self.entry.clone(),
            first_start,
            changes: self.changes.clone().unwrap_or_default().into_iter().map(Into::into).collect(),
            ..NewMachine::default()
        })
    }

    /// The same with its medium.
    pub(crate) async fn with_medium(self, manager: &sampan_manager::Manager) -> Result<NewMachine, Failure> {
        let new = self.new_machine()?;
        match self.medium {
            Some(medium) => Ok(manager.beginning_with(new, Source::Medium(medium)).await?),
            None => Ok(new),
        }
    }
}

pub(crate) fn invalid(field: &'static str, why: &Unfit) -> Failure {
    Error::unfit(field, why).into()
}

/// The kinds of guests, in the order that they are shown in.
#[napi(namespace = "presets", js_name = "list", catch_unwind)]
pub fn presets_list(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<PresetInfo>>> {
    promise(env, |_| async {
        let host = config::Arch::host().unwrap_or(config::Arch::Aarch64);
        let archs = match host {
            config::Arch::Aarch64 => [config::Arch::Aarch64, config::Arch::X86_64],
            config::Arch::X86_64 => [config::Arch::X86_64, config::Arch::Aarch64],
        };
        let info = |preset: config::Preset| PresetInfo {
            preset: preset.into(),
            archs: archs.into_iter().filter(|arch| preset.fits(*arch)).map(Arch::from).collect(),
            notes: preset.notes(host).iter().map(Message::from).collect(),
            experimental: preset.is_experimental(),
        };
        Ok(config::Preset::ALL.map(info).into())
    })
}

/// A preset's figures on this host.
#[napi(namespace = "presets", catch_unwind)]
pub fn defaults(env: &Env, preset: Preset, arch: Arch) -> napi::Result<PromiseRaw<'_, Draft>> {
    promise(env, move |core| async move {
        let document = config::VmConfig::new("", preset.into(), arch.into());
        let limits = core.manager.new_limits().await?;
        let memory = u64::from(document.memory.mib).min(limits.memory.comfortable.max(limits.memory.min));
        let library = core.manager.library().clone();
        let disk = tokio::task::spawn_blocking(move || sampan_manager::create::usual_disk(&library)).await;
        Ok(Draft {
            name: String::new(),
            preset,
            arch,
            entry: None,
            medium: None,
            file: None,
            cpus: Some(usual_cpus(preset.into(), arch.into())),
            memory: u32::try_from(memory).ok(),
            disk: Some(int(disk.map_err(|_| Error::Thread)??)),
            fixed_disk: None,
            user: None,
            password: None,
            ssh_keys: None,
            hostname: None,
            changes: None,
        })
    })
}

/// What new machines may have on this host.
#[napi(namespace = "presets", catch_unwind)]
pub fn limits(env: &Env) -> napi::Result<PromiseRaw<'_, Limits>> {
    promise(env, |core| async move {
        let config::Limits { cpus, memory, disk } = core.manager.new_limits().await?;
        Ok(Limits { cpus: cpus.into(), memory: memory.into(), disk: disk.into() })
    })
}

/// What is found of a choice as it is now; a choice that cannot be rejects, but for its changes, each of which is told under its
/// field. A file that was lent is looked at only once it is
/// copied, by `machines.create`.
#[napi(namespace = "presets", catch_unwind)]
pub fn validate(env: &Env, draft: Draft) -> napi::Result<PromiseRaw<'_, Vec<Finding>>> {
    promise(env, move |core| async move {
        let new = draft.with_medium(&core.manager).await?;
        let plan = core.manager.plan(new, None).await?;
        Ok(findings(&core.manager.plan_findings(&plan).await?))
    })
}
