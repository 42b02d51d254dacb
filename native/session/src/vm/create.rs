//! Making a machine.

use super::provisioning::{FirstStart, SEED_DRIVE, seed_medium};
use super::{UEFI_VARIABLES, VmError, uefi_variables};
use sampan_config::{Arch, DriveKind, FirmwareKind, Preset, VmConfig};
use sampan_library::{
    BlockLayer, DriveId, IfNoReflink, Library, Locked, OnProgress, SourceFormat, Target, VmId,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What the machine's first disk begins as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstDisk {
    /// None.
    None,
    /// Empty.
    Empty {
        /// Bytes the guest sees.
        size: u64,
        /// How its space is taken.
        target: Target,
    },
    /// A copy of an image.
    Image {
        /// The image.
        file: PathBuf,
        /// Its format, where it is not to be told from the image.
        format: Option<SourceFormat>,
        /// The disk grows to at least this, if it is given.
        size: Option<u64>,
    },
}

/// What is in the machine's CD drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cd {
    /// Nothing.
    None,
    /// A medium of the library.
    Medium(String),
    /// A file, which becomes a medium of the library.
    File(PathBuf),
}

/// What a person has chosen for a new machine: the model of the wizard.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub preset: Preset,
    /// Its architecture.
    pub arch: Arch,
    /// The description to begin with, without a seed's drive; the preset's where it is not given.
    pub base: Option<Box<VmConfig>>,
    /// Memory in MiB; the preset's where it is not given.
    pub memory_mib: Option<u32>,
    /// CPUs; the preset's where they are not given.
    pub cpus: Option<u32>,
    /// What starts it; the preset's where it is not given.
    pub firmware: Option<FirmwareKind>,
    /// Its first disk.
    pub disk: FirstDisk,
    /// Its CD drive.
    pub cd: Cd,
    /// What its system is told when it starts first.
    pub first_start: FirstStart,
}

impl Recipe {
    /// The document it makes, to be looked at before anything is done. `medium` is the name of what is in the CD drive.
    pub fn document(&self, medium: Option<&str>) -> VmConfig {
        let presets = || VmConfig::new(self.name.clone(), self.preset, self.arch);
        let mut document = self.base.as_deref().cloned().unwrap_or_else(presets);
        if let Some(mib) = self.memory_mib {
            document.memory.mib = mib;
        }
        if let Some(cpus) = self.cpus {
            document.cpu.count = cpus;
        }
        if let Some(kind) = self.firmware {
            document.firmware.kind = kind;
        }
        if self.disk == FirstDisk::None {
            document.drives.drives.retain(|drive| drive.kind != DriveKind::Disk);
        }
        if let Some(cd) = document.drives.drives.iter_mut().find(|drive| drive.kind == DriveKind::Cdrom) {
            cd.media = medium.map(str::to_owned);
        }
        // Whoever chose one for our keys knows better than we.
        if let Some(layout) = self.first_start.keyboard().filter(|_| document.input.layout.is_default()) {
            document.input.layout = layout;
        }
        self.first_start.add_drive(&mut document, &seed_medium("new"));
        document
    }

    /// Makes the machine. It is there whole or not at all, with its seed; a CD that was taken into the library stays there.
    ///
    /// # Errors
    /// [`VmError`]: a document with faults, a seed's field that does not fit, an image that is refused, no space.
    pub fn create(
        &self,
        library: &Library,
        layer: &dyn BlockLayer,
        firmware: &Path,
        time: u64,
        progress: OnProgress<'_>,
    ) -> Result<Locked, VmError> {
        let medium = match &self.cd {
            Cd::None => None,
            Cd::Medium(name) => Some(library.medium(name)?.name),
            Cd::File(file) => {
                Some(file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned())
            }
        };
        let number = VmId::random().to_string();
        let seed = seed_medium(&number);
        let mut document = self.document(medium.as_deref());
        for drive in document.drives.drives.iter_mut().filter(|drive| drive.id == SEED_DRIVE) {
            drive.media = Some(seed.clone());
        }
        let seed_image = self.first_start.image(&number)?;
        document.system.uuid = Some(number);
        if let Some(fault) = document.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        if let (Cd::File(file), Some(name)) = (&self.cd, &medium) {
            take_medium(library, file, name, progress)?;
        }
        let mut draft = library.draft(&self.name, &document.to_files(), time)?;
        let machine = draft.machine();
        if document.firmware.kind == FirmwareKind::Uefi {
            uefi_drive(machine, layer, &firmware.join(uefi_variables(self.arch)), SourceFormat::Raw)?;
        }
        let first = document.drives.drives.iter().find(|drive| drive.kind == DriveKind::Disk);
        if let Some(first) = first {
            let id: DriveId = first.id.parse()?;
            match &self.disk {
                FirstDisk::None => {}
                FirstDisk::Empty { size, target } => machine.create_drive(layer, &id, *size, *target)?,
                FirstDisk::Image { file, format, size } => {
                    let header =
                        machine.import_drive(layer, &id, file, *format, Target::default(), progress)?;
                    if let Some(size) = size.filter(|size| *size > header.virtual_size) {
                        machine.grow_drive(layer, &id, size)?;
                    }
                }
            }
        }
        if let Some(image) = seed_image {
            draft.write_medium(&seed, &image)?;
        }
        Ok(draft.publish()?)
    }
}

/// UEFI variables of the machine's own, from a file of new ones or another machine's. As qcow2 they are snapshotted with the disks.
pub(super) fn uefi_drive(
    machine: &mut Locked,
    layer: &dyn BlockLayer,
    variables: &Path,
    format: SourceFormat,
) -> sampan_library::Result<()> {
    let id: DriveId = UEFI_VARIABLES.parse()?;
    let go_on = &mut |_| ControlFlow::Continue(());
    machine.import_drive(layer, &id, variables, Some(format), Target::default(), go_on)?;
    Ok(())
}

/// A file that is in the library already, by its name and size, is not taken twice.
fn take_medium(library: &Library, file: &Path, name: &str, progress: OnProgress<'_>) -> Result<(), VmError> {
    let size = |path: &Path| {
        path.metadata().map(|meta| meta.len()).map_err(|source| VmError::Io { path: path.to_owned(), source })
    };
    let there = library.media()?.into_iter().find(|medium| medium.name == name);
    match there {
        Some(medium) if medium.size == size(file)? => Ok(()),
        Some(_) => Err(VmError::MediumNameTaken(name.to_owned())),
        None => {
            library.add_medium(file, name, IfNoReflink::Link, progress)?;
            Ok(())
        }
    }
}
