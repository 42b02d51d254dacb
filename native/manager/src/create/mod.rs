//! Making a machine: what a person chose ([`NewMachine`]) becomes a [`Plan`], of which it is told what it would do to this
//! host, and which becomes a machine.

pub(crate) mod error;
mod first_start;
mod preset_names;

pub use error::NewMachineError;
pub use first_start::{FirstStartOptions, Secret, WindowsOptions};
pub use preset_names::{PRESETS, preset_name};

use crate::downloads::{entry_request, find_entry, medium_name, there};
use crate::edit::{Change, apply_to_new};
use crate::error::{Error, Result};
use crate::findings::{Confirmed, confirm};
use crate::host::idle_figures;
use crate::transfer::{Arrived, copying};
use crate::{Job, Manager, blocking};
use first_start::{Told, with_password};
use sampan_config::{
    Arch, DriveKind, Finding, FirmwareKind, HostFigures, Limits, Preset, Severity, ValidationError, VmConfig,
};
use sampan_control::Reporter;
use sampan_download::catalogue::{Firmware, Format, Kind};
use sampan_download::{Catalogue, Entry, Request};
use sampan_library::{ImageFormat, Library, Medium, Preallocation, SourceFormat, Target, image};
use sampan_message::{Coded, Message};
use sampan_session::vm::{Cd, FirstDisk, FirstStart, Recipe, fast_cores};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a disk that nobody gave a size: enough for a desktop, and it takes what is written alone.
const DISK: u64 = 32 << 30;

/// A file of this host, or a medium of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A medium.
    Medium(String),
}

/// The first disk of a new machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NewDisk {
    /// None.
    None,
    /// A new one: empty, or what the catalogue's entry brings, grown to this size.
    New {
        /// Bytes the guest sees; else as many as this host can well give.
        size: Option<u64>,
        /// Whether all of an empty disk's space is taken at once.
        fixed: bool,
    },
    /// A copy of an image.
    Image {
        /// The image.
        image: Source,
        /// Its format, where its content does not show it.
        format: Option<SourceFormat>,
        /// Bytes it grows to at least.
        size: Option<u64>,
    },
}

impl Default for NewDisk {
    fn default() -> Self {
        Self::New { size: None, fixed: false }
    }
}

/// What a person has chosen for a new machine. What is left out is the preset's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewMachine {
    /// Its name.
    pub name: String,
    /// What it is for; else what fits the entry, or Linux.
    pub preset: Option<Preset>,
    /// Its architecture; else this host's.
    pub arch: Option<Arch>,
    /// Memory.
    pub memory_mib: Option<u32>,
    /// CPUs.
    pub cpus: Option<u32>,
    /// What starts it.
    pub firmware: Option<FirmwareKind>,
    /// Its first disk.
    pub disk: NewDisk,
    /// What is in its CD drive.
    pub cd: Option<Source>,
    /// The entry of the catalogue that it begins with, which is downloaded if it is not here yet.
    pub entry: Option<String>,
    /// What its system is told at its first start.
    pub first_start: FirstStartOptions,
    /// Changes of the description that all this makes, such as a bus or an argument for QEMU.
    pub changes: Vec<Change>,
}

/// A machine that can be made.
#[derive(Clone, Debug)]
pub struct Plan {
    recipe: Recipe,
    entry: Option<Entry>,
    /// The size that was asked for, of a disk that begins as an image.
    grow_to: Option<u64>,
    password: Option<Secret>,
    /// What is wrong with the changes of the description.
    faults: Vec<Finding>,
    /// What had to be downloaded is here.
    is_placed: bool,
}

impl Plan {
    /// What was chosen. It blocks: files are looked at.
    ///
    /// # Errors
    /// [`NewMachineError`], [`MediaError`](crate::downloads::MediaError), a seed's field that does not fit.
    pub fn of(new: &NewMachine, library: &Library, catalogue: &Catalogue) -> Result<Self> {
        let arch = new.arch.or_else(Arch::host).ok_or(NewMachineError::NoArch)?;
        let entry = new.entry.as_ref().map(|id| find_entry(catalogue, id, arch)).transpose()?.cloned();
        if let Some(entry) = &entry {
            check_entry(entry, new)?;
        }
        let preset = match (new.preset, &entry) {
            (Some(preset), _) => preset,
            (None, Some(entry)) => preset_of(entry)?,
            (None, None) => Preset::Linux,
        };
        if !preset.fits(arch) {
            return Err(NewMachineError::PresetUnfit.into());
        }
        let (disk, grow_to) = match &new.disk {
            NewDisk::None => (FirstDisk::None, None),
            NewDisk::New { size, fixed } => {
                let preallocation = if *fixed { Preallocation::Fixed } else { Preallocation::Dynamic };
                let target = Target { format: ImageFormat::Qcow2, preallocation };
                let usual = || usual_disk(library);
                (FirstDisk::Empty { size: size.map_or_else(usual, Ok)?, target }, *size)
            }
            NewDisk::Image { image, format, size } => {
                let file = file_of(image, library)?;
                (FirstDisk::Image { file, format: *format, size: *size }, *size)
            }
        };
        let cd = match &new.cd {
            None => Cd::None,
            Some(Source::File(file)) => Cd::File(absolute(file)?),
            Some(Source::Medium(name)) => Cd::Medium(library.medium(name)?.name),
        };
        let mut recipe = Recipe {
            name: new.name.clone(),
            preset,
            arch,
            base: None,
            memory_mib: new.memory_mib,
            cpus: Some(new.cpus.unwrap_or_else(|| usual_cpus(preset, arch))),
            firmware: new.firmware.or_else(|| entry.as_ref().and_then(firmware_of)),
            disk,
            cd,
            first_start: FirstStart::None,
        };
        let faults = change(&mut recipe, &new.changes, library);
        let password = new.first_start.password.clone();
        let is_placed = entry.is_none();
        let mut plan = Self { recipe, entry, grow_to, password, faults, is_placed };
        plan.recipe.first_start = new.first_start.first_start(&plan.told())?;
        Ok(plan)
    }

    /// The machine as its first start is told of it.
    fn told(&self) -> Told<'_> {
        let recipe = &self.recipe;
        Told {
            name: &recipe.name,
            preset: recipe.preset,
            arch: recipe.arch,
            firmware: recipe.document(None).firmware.kind,
            empty_disk: !self.begins_as_image() && matches!(recipe.disk, FirstDisk::Empty { .. }),
        }
    }

    /// Whether its first disk is the entry's.
    fn begins_as_image(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.kind == Kind::Disk)
    }

    /// What will be made.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The entry of the catalogue that it begins with.
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// What it would do to this host, and what it cannot be. It blocks.
    ///
    /// # Errors
    /// A description with a fault, a name that is taken; the host does not tell its figures.
    pub fn findings(&self, library: &Library) -> Result<Vec<Finding>> {
        let recipe = &self.recipe;
        let document = recipe.document(None);
        let mut findings = self.faults.clone();
        if recipe.base.is_none() {
            crate::edit::check(&document)?;
        } else {
            // With the changes it cannot be so; without them it is looked at as ever.
            crate::edit::check(&Recipe { base: None, ..recipe.clone() }.document(None))?;
            let refuse = |fault: ValidationError| Finding::new(Severity::Refuse, fault.field, fault.message);
            findings.extend(document.check().into_iter().map(refuse));
            findings.extend(document.warnings());
        }
        sampan_library::check_name(&recipe.name)?;
        if library.find(&recipe.name).is_ok() {
            return Err(NewMachineError::NameTaken { name: recipe.name.clone() }.into());
        }
        let host = idle_figures(library.home())?;
        findings.extend(Limits::check(&document, &host));
        findings.extend(self.finding_of_cd(library)?);
        match &recipe.disk {
            _ if self.begins_as_image() && !self.is_placed => {
                if let Some(size) = self.grow_to {
                    findings.extend(Limits::check_disk("disk0", size, false, &host));
                }
            }
            FirstDisk::None => {}
            FirstDisk::Empty { size, target } => {
                let fixed = target.preallocation == Preallocation::Fixed;
                findings.extend(Limits::check_disk("disk0", *size, fixed, &host));
            }
            FirstDisk::Image { .. } => findings.extend(self.image_findings(&host)?),
        }
        let doubt = recipe.first_start.doubt();
        findings.extend(doubt.map(|doubt| Finding::new(Severity::Confirm, "seed", doubt.message())));
        Ok(findings)
    }

    /// What no guest could read in its CD drive. What the catalogue vouches for is what was meant.
    fn finding_of_cd(&self, library: &Library) -> Result<Option<Finding>> {
        let file = match &self.recipe.cd {
            Cd::Medium(_) if self.entry.as_ref().is_some_and(|entry| entry.kind == Kind::Installer) => {
                return Ok(None);
            }
            Cd::None => return Ok(None),
            Cd::File(file) => file.clone(),
            Cd::Medium(name) => library.medium(name)?.path,
        };
        Ok(sampan_library::why_no_cd(&file)?.map(|why| {
            let Message { code, params, message } = why.message();
            let message = format!("{}: {message}", file.display());
            let message = Message { code, params: params.with("path", file.as_path()), message };
            Finding::new(Severity::Confirm, "drives.cd0", message)
        }))
    }

    fn image_findings(&self, host: &HostFigures) -> Result<Vec<Finding>> {
        match &self.recipe.disk {
            FirstDisk::Image { file, format, size } => image_findings(file, *format, *size, host),
            _ => Ok(Vec::new()),
        }
    }

    /// The download that it waits for, if it waits for one. It blocks.
    ///
    /// # Errors
    /// There is no place for its parts.
    pub fn download(&self, library: &Library) -> Result<Option<Request>> {
        match &self.entry {
            Some(entry) if !self.is_placed => entry_request(library, entry).map(Some),
            _ => Ok(None),
        }
    }

    /// Puts what was downloaded into the CD drive, or makes the disk of it.
    pub fn place(&mut self, medium: &Medium) {
        let Some(entry) = &self.entry else { return };
        self.is_placed = true;
        if entry.kind != Kind::Disk {
            self.recipe.cd = Cd::Medium(medium.name.clone());
            return;
        }
        // The catalogue says what it is: nothing is guessed from what came.
        let format = Some(if entry.format == Format::Raw { SourceFormat::Raw } else { SourceFormat::Qcow2 });
        self.recipe.disk = FirstDisk::Image { file: medium.path.clone(), format, size: self.grow_to };
    }

    /// What a person must know of the new machine: what its image had and it has not, how to log in, what its system lacks.
    fn notes(&self) -> Vec<Message> {
        let recipe = &self.recipe;
        let mut notes: Vec<Message> = recipe.preset.notes(recipe.arch);
        if let FirstDisk::Image { file, format, .. } = &recipe.disk {
            notes.extend(snapshots_left_out(file, *format));
        }
        match (&recipe.first_start, &self.entry) {
            (FirstStart::None, Some(entry)) => {
                notes.push(entry.login());
            }
            (FirstStart::Windows(_), _) => {
                let words = "the password stands as it is in the library's seed: once Windows is installed, take the seed out of the machine";
                notes.push(Message::new("password_in_seed", words).with("name", &*recipe.name));
            }
            _ => {}
        }
        notes
    }
}

/// Begins the recipe with the description that the changes make; those that cannot be made are told.
fn change(recipe: &mut Recipe, changes: &[Change], library: &Library) -> Vec<Finding> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut document = recipe.document(None);
    let mut faults = Vec::new();
    for change in changes {
        if let Err(error) = apply_to_new(library, &mut document, change) {
            faults.push(Finding::new(Severity::Refuse, change.field.as_str(), error.message()));
        }
    }
    // All of the choice is in it now, and a change counts more than the choice that it follows.
    (recipe.memory_mib, recipe.cpus, recipe.firmware) = (None, None, None);
    let cd = document.drives.drives.iter().find(|drive| drive.kind == DriveKind::Cdrom);
    if let Some(medium) = cd.and_then(|cd| cd.media.clone()) {
        recipe.cd = Cd::Medium(medium);
    }
    recipe.base = Some(Box::new(document));
    faults
}

/// What is told of the snapshots inside an image, which was copied.
pub(crate) fn snapshots_left_out(file: &Path, format: Option<SourceFormat>) -> Option<Message> {
    let opened = sampan_library::open_named(file).ok()?;
    let format = format.or_else(|| image::recognise(&opened).ok().flatten())?;
    let header = image::read_header(&opened, format).ok()?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    sampan_library::ImportNote::of_snapshots(&header, &name).map(|note| note.message())
}

/// What the copy of an image, grown to `size`, would do to this host: what it holds is written at once.
pub(crate) fn image_findings(
    file: &Path,
    format: Option<SourceFormat>,
    size: Option<u64>,
    host: &HostFigures,
) -> Result<Vec<Finding>> {
    let header = sampan_library::probe_import(file, format)?;
    let meta = std::fs::metadata(file).map_err(Error::io(file.display().to_string()))?;
    // `st_blocks` counts 512 bytes each (stat(2)).
    let at_once = Limits::check_disk("disk0", meta.blocks().saturating_mul(512), true, host);
    if !at_once.is_empty() {
        return Ok(at_once);
    }
    Ok(Limits::check_disk("disk0", size.unwrap_or(0).max(header.virtual_size), false, host))
}

/// What contradicts an entry.
fn check_entry(entry: &Entry, new: &NewMachine) -> Result<()> {
    let id = || entry.id.clone();
    match (entry.kind, &new.disk) {
        (Kind::BringYourOwn, _) => {
            return Err(crate::downloads::MediaError::BringYourOwn {
                id: id(),
                words: entry.words.clone().unwrap_or_default(),
                page: entry.page.clone().unwrap_or_default(),
                preset: entry.preset.replace('-', ""),
            }
            .into());
        }
        (Kind::Installer, _) if new.cd.is_some() => return Err(NewMachineError::CdTwice { id: id() }.into()),
        (Kind::Installer | Kind::Disk, NewDisk::Image { .. })
        | (Kind::Disk, NewDisk::None | NewDisk::New { fixed: true, .. }) => {
            return Err(NewMachineError::DiskTwice { id: id() }.into());
        }
        _ => {}
    }
    if new.first_start.is_wanted() && new.first_start.windows.is_none() && !entry.cloud_init {
        return Err(NewMachineError::NoCloudInit { id: id(), login: entry.login.clone() }.into());
    }
    Ok(())
}

fn preset_of(entry: &Entry) -> Result<Preset> {
    Ok(preset_by_name(&entry.preset)?)
}

fn firmware_of(entry: &Entry) -> Option<FirmwareKind> {
    match entry.firmware {
        Firmware::Bios => Some(FirmwareKind::Bios),
        Firmware::Uefi => Some(FirmwareKind::Uefi),
        Firmware::Any => None,
    }
}

/// The preset's CPUs, but no more than there are fast cores.
pub fn usual_cpus(preset: Preset, arch: Arch) -> u32 {
    VmConfig::new("", preset, arch).cpu.count.min(fast_cores())
}

/// Bytes of a disk that nobody gave a size. It blocks.
///
/// # Errors
/// The host does not tell its figures.
pub fn usual_disk(library: &Library) -> Result<u64> {
    Ok(DISK.min(Limits::for_host(&idle_figures(library.home())?).disk.proposed))
}

/// A file's full name.
fn absolute(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file).map_err(Error::io(file.display().to_string()))
}

/// A file, or a medium of the library by its exact name. It blocks.
///
/// # Errors
/// [`NewMachineError::NoSource`].
pub fn source_of(library: &Library, what: &Path) -> Result<Source> {
    if what.is_file() {
        return absolute(what).map(Source::File);
    }
    let name = what.to_str().filter(|_| what.components().count() == 1);
    match name.map(|name| there(library, name)).transpose()?.flatten() {
        Some(medium) => Ok(Source::Medium(medium.name)),
        None => Err(NewMachineError::NoSource { path: what.to_owned() }.into()),
    }
}

/// Where a source is.
fn file_of(source: &Source, library: &Library) -> Result<PathBuf> {
    match source {
        Source::File(file) => absolute(file),
        Source::Medium(name) => Ok(library.medium(name)?.path),
    }
}

/// The preset of a name.
///
/// # Errors
/// [`NewMachineError::NoPreset`].
pub fn preset_by_name(name: &str) -> Result<Preset, NewMachineError> {
    // `Linux`, `Windows 11` and `windows-11` are the same to a person.
    let plain: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = if plain.starts_with("win1") { plain.replacen("win", "windows", 1) } else { plain };
    let found = PRESETS.iter().find(|(known, _)| *known == plain);
    found.map(|(_, preset)| *preset).ok_or_else(|| NewMachineError::NoPreset { name: name.to_owned() })
}

impl Manager {
    /// What was chosen, as a machine that can be made. `catalogue` is a file with another catalogue.
    ///
    /// # Errors
    /// See [`Plan::of`] and [`read_catalogue`](crate::downloads::read_catalogue).
    pub async fn plan(&self, new: NewMachine, catalogue: Option<PathBuf>) -> Result<Plan> {
        let catalogue = match &new.entry {
            Some(_) => self.catalogue(catalogue).await?,
            // Nobody looks into it.
            None => Catalogue::built_in(),
        };
        let library = self.library().clone();
        blocking(move || Plan::of(&new, &library, &catalogue)).await
    }

    /// What a planned machine would do to this host, and what it cannot be.
    ///
    /// # Errors
    /// See [`Plan::findings`].
    pub async fn plan_findings(&self, plan: &Plan) -> Result<Vec<Finding>> {
        let (library, plan) = (self.library().clone(), plan.clone());
        let (mut findings, download) =
            blocking(move || Ok((plan.findings(&library)?, plan.download(&library)?))).await?;
        if let Some(download) = download {
            findings.extend(self.download_findings(&download).await?);
        }
        Ok(findings)
    }

    /// Makes a machine, and downloads what it begins with if that is not here yet. It is there whole or not at all; what was
    /// downloaded stays.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NeedsConfirm`], also for what is known only once its image is here; a download that
    /// failed, no space, it was cancelled.
    pub async fn create(
        &self,
        mut plan: Plan,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<Arrived> {
        let mut confirmed_before = confirm(self.plan_findings(&plan).await?, confirmed)?;
        let library = self.library().clone();
        let waits = plan.clone();
        if let Some(request) = blocking(move || waits.download(&library)).await? {
            let name = medium_name(&request);
            let outcomes = self.fetch(vec![request], reporter, |_| {}).await?;
            let outcome = outcomes.into_iter().find(|(fetched, _)| *fetched == name);
            plan.place(&outcome.ok_or(Error::Thread)?.1?.medium);
            // What came tells more than the catalogue did.
            for more in confirm(self.plan_findings(&plan).await?, confirmed)? {
                if !confirmed_before.contains(&more) {
                    confirmed_before.push(more);
                }
            }
        }
        let (layer, reporter) = (self.block_layer(reporter)?, reporter.clone());
        let (library, firmware) = (self.library().clone(), self.libqemu()?.firmware()?);
        let arrived = blocking(move || {
            let mut recipe = plan.recipe.clone();
            recipe.first_start = with_password(&recipe.first_start, plan.password.as_ref())?;
            let time = crate::time::now();
            let made = recipe.create(&library, &layer, &firmware, time, &mut copying(&reporter))?;
            let mut notes = plan.notes();
            notes.extend(confirmed_before);
            Ok(Arrived { id: made.id(), name: made.name().to_owned(), notes })
        })
        .await?;
        self.changed();
        Ok(arrived)
    }
}

impl Manager {
    /// What new machines may have on this host.
    ///
    /// # Errors
    /// The host does not tell its figures.
    pub async fn new_limits(&self) -> Result<Limits> {
        let library = self.library().clone();
        blocking(move || Ok(Limits::for_host(&idle_figures(library.home())?))).await
    }

    /// The same choice with a file to begin with: a CD goes into the drive, all else becomes the first disk.
    ///
    /// # Errors
    /// There is no such medium; the file cannot be read.
    pub async fn beginning_with(&self, new: NewMachine, source: Source) -> Result<NewMachine> {
        let library = self.library().clone();
        blocking(move || {
            let mut new = new;
            if crate::downloads::content(&file_of(&source, &library)?)? == image::Content::Cd {
                new.cd = Some(source);
            } else {
                let size = match new.disk {
                    NewDisk::New { size, .. } | NewDisk::Image { size, .. } => size,
                    NewDisk::None => None,
                };
                new.disk = NewDisk::Image { image: source, format: None, size };
            }
            Ok(new)
        })
        .await
    }

    /// The same as [`Manager::create`] as a job, which goes on when its page is closed.
    pub fn create_job(&self, plan: Plan, confirmed: Confirmed) -> Job<Arrived> {
        let name = plan.recipe.name.clone();
        self.spawn_job("create", name.as_str(), move |manager, reporter| async move {
            manager.create(plan, &confirmed, &reporter).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_presets_are_read_as_people_write_them() {
        for (name, found) in [
            ("Linux", Preset::Linux),
            ("LINUX ", Preset::Linux),
            ("Windows 11", Preset::Windows11),
            ("windows-10", Preset::Windows10),
            ("Win11", Preset::Windows11),
        ] {
            assert_eq!(preset_by_name(name), Ok(found), "{name}");
        }
        assert!(preset_by_name("windows").is_err() && preset_by_name("").is_err());
        for preset in Preset::ALL {
            assert_eq!(preset_by_name(preset_name(preset)), Ok(preset));
        }
    }

    #[test]
    fn every_entry_of_the_built_in_catalogue_has_a_preset() {
        for entry in &Catalogue::built_in().entries {
            preset_of(entry).expect("is known");
        }
    }

    #[test]
    fn what_was_chosen_is_read_as_it_was_written() {
        let chosen = r#"{"name":"one","entry":"debian-13-cloud","disk":{"new":{"size":1073741824,"fixed":false}},
            "cd":{"medium":"a.iso"},"first_start":{"user":"ada","password":"secret"}}"#;
        let new: NewMachine = serde_json::from_str(chosen).expect("is read");
        assert_eq!(new.cd, Some(Source::Medium("a.iso".into())));
        let written = serde_json::to_string(&new).expect("is written");
        assert_eq!(serde_json::from_str::<NewMachine>(&written).expect("is read"), new);
        assert!(serde_json::from_str::<NewMachine>(r#"{"name":"one","memroy":5}"#).is_err());
    }
}
