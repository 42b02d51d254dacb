//! What a new machine is made of, before anything is made or downloaded.

use super::disk::{image_findings, source_format};
use super::place::shell_word;
use super::seed::{Told, first_start, is_wanted};
use super::{catalogue, fetch};
use crate::args::NewArgs;
use anyhow::{Context, Result, bail};
use sampan_config::{Arch, Document, Finding, FirmwareKind, Limits, Preset, Severity};
use sampan_download::catalogue::{Firmware, Format, Kind};
use sampan_download::{Entry, Request};
use sampan_library::{ImageFormat, Library, Medium, Preallocation, SourceFormat, Target, image};
use sampan_manager::host::idle_figures;
use sampan_message::Message;
use sampan_session::vm::{Cd, FirstDisk, FirstStart, Recipe, fast_cores};
use std::path::{Path, PathBuf};

/// A disk that nobody gave a size: enough for a desktop, and it takes what is written alone.
const DISK: u64 = 32 << 30;

/// A recipe, and what has to be here for it.
pub struct Plan {
    pub recipe: Recipe,
    /// Its image, which [`Plan::place`] puts where it belongs.
    pub entry: Option<Entry>,
    /// The size that was asked for, of a disk that begins as an image.
    pub grow_to: Option<u64>,
}

impl Plan {
    /// What the arguments ask for.
    pub fn of(args: &NewArgs, name: &str, library: &Library) -> Result<Self> {
        let arch = args.arch.or_else(Arch::host).context("say --arch x86_64 or --arch aarch64")?;
        let entry = match &args.from {
            None => None,
            Some(id) => {
                Some(catalogue::entry(&catalogue::load(library, &args.catalogue)?, id, arch)?.clone())
            }
        };
        if let Some(entry) = &entry {
            check_entry(entry, args)?;
        }
        let preset = match (&args.preset, &entry) {
            (Some(preset), _) => preset.0,
            (None, Some(entry)) => preset_of(entry)?,
            (None, None) => Preset::Linux,
        };
        if !preset.fits(arch) {
            bail!("--preset old is for x86_64");
        }
        let preallocation = if args.fixed { Preallocation::Fixed } else { Preallocation::Dynamic };
        let target = Target { format: ImageFormat::Qcow2, preallocation };
        let disk = match (&args.image, args.disk, args.no_disk) {
            (_, _, true) => FirstDisk::None,
            (Some(file), size, _) => {
                let file = file_or_medium(library, file)?;
                let format = args.format.as_deref().map(source_format).transpose()?;
                FirstDisk::Image { file, format, size }
            }
            (None, Some(size), _) => FirstDisk::Empty { size, target },
            (None, None, _) => FirstDisk::Empty { size: default_disk(library)?, target },
        };
        let cd = match &args.cdrom {
            None => Cd::None,
            Some(file) if file.is_file() => Cd::File(full(file)?),
            // A name of the library's.
            Some(name) if name.components().count() == 1 => Cd::Medium(name.to_string_lossy().into_owned()),
            Some(file) => bail!("{}: there is no such file", file.display()),
        };
        let firmware = args.firmware.map(Into::into).or_else(|| entry.as_ref().and_then(firmware_of));
        let recipe = Recipe {
            name: name.to_owned(),
            preset,
            arch,
            memory_mib: args.memory,
            cpus: Some(args.cpus.unwrap_or_else(|| default_cpus(preset, arch))),
            firmware,
            disk,
            cd,
            first_start: FirstStart::None,
        };
        let mut plan = Self { recipe, entry, grow_to: args.disk };
        plan.recipe.first_start = first_start(&args.seed, &plan.told())?;
        Ok(plan)
    }

    /// The machine as its first start is told of it.
    pub fn told(&self) -> Told<'_> {
        let recipe = &self.recipe;
        let from_image = self.entry.as_ref().is_some_and(|entry| entry.kind == Kind::Disk);
        Told {
            name: &recipe.name,
            preset: recipe.preset,
            arch: recipe.arch,
            firmware: recipe.document(None).firmware.kind,
            empty_disk: !from_image && matches!(recipe.disk, FirstDisk::Empty { .. }),
        }
    }

    /// What it would do to this host, and what it cannot be.
    pub fn findings(&self, library: &Library) -> Result<Vec<Finding>> {
        let recipe = &self.recipe;
        let document = recipe.document(None);
        if let Some(fault) = document.check().into_iter().next() {
            bail!("{fault}");
        }
        sampan_library::check_name(&recipe.name)?;
        if library.find(&recipe.name).is_ok() {
            bail!("there is a machine called {} already: choose another name", recipe.name);
        }
        let host = idle_figures(library.home())?;
        let mut findings = Limits::check(&document, &host);
        findings.extend(self.finding_of_cd(library)?);
        match (&recipe.disk, &self.entry) {
            (_, Some(entry)) if entry.kind == Kind::Disk => {
                if let Some(size) = self.grow_to {
                    findings.extend(Limits::check_disk("disk0", size, false, &host));
                }
            }
            (FirstDisk::None, _) => {}
            (FirstDisk::Empty { size, target }, _) => {
                let fixed = target.preallocation == Preallocation::Fixed;
                findings.extend(Limits::check_disk("disk0", *size, fixed, &host));
            }
            (FirstDisk::Image { .. }, _) => findings.extend(self.findings_of_image(library)?),
        }
        let doubt = recipe.first_start.doubt().map(str::to_owned);
        findings.extend(
            doubt.map(|words| Finding::new(Severity::Confirm, "seed", Message::new("seed_doubtful", words))),
        );
        Ok(findings)
    }

    /// What no guest could read in its CD drive.
    fn finding_of_cd(&self, library: &Library) -> Result<Option<Finding>> {
        let file = match &self.recipe.cd {
            Cd::None => return Ok(None),
            Cd::File(file) => file.clone(),
            Cd::Medium(name) => library.medium(name)?.path,
        };
        let why = sampan_library::why_no_cd(&file)?;
        Ok(why
            .map(|why| Message::new("not_a_cd", format!("{}: {why}", file.display())))
            .map(|message| Finding::new(Severity::Confirm, "drives.cd0", message)))
    }

    /// What the copy of its image would do to this host, once the image is here.
    pub fn findings_of_image(&self, library: &Library) -> Result<Vec<Finding>> {
        match &self.recipe.disk {
            FirstDisk::Image { file, format, size } => {
                image_findings(file, *format, *size, &idle_figures(library.home())?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The download of its image, if it has one.
    pub fn request(&self, library: &Library) -> Result<Option<Request>> {
        self.entry.as_ref().map(|entry| fetch::request(library, entry)).transpose()
    }

    /// Puts the medium, which is here now, into the CD drive or makes the disk of it.
    pub fn place(&mut self, medium: &Medium) {
        let Some(entry) = &self.entry else { return };
        if entry.kind != Kind::Disk {
            self.recipe.cd = Cd::Medium(medium.name.clone());
            return;
        }
        // The catalogue says what it is: nothing is guessed from what came.
        let format = Some(if entry.format == Format::Raw { SourceFormat::Raw } else { SourceFormat::Qcow2 });
        self.recipe.disk = FirstDisk::Image { file: medium.path.clone(), format, size: self.grow_to };
    }

    /// What of its image was left out, and what a person must know to log in and afterwards.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = match &self.recipe.disk {
            FirstDisk::Image { file, format, .. } => Vec::from_iter(snapshots_left_out(file, *format)),
            _ => Vec::new(),
        };
        notes.extend(self.notes_of_first_start());
        notes
    }

    fn notes_of_first_start(&self) -> Vec<String> {
        match (&self.recipe.first_start, &self.entry) {
            (FirstStart::None, Some(entry)) => vec![format!("login: {}", entry.login)],
            (FirstStart::Windows(_), _) => vec![format!(
                "the password stands as it is in the library's seed: once Windows is installed, remove it with `sampan set {} seed=-`",
                shell_word(&self.recipe.name)
            )],
            _ => Vec::new(),
        }
    }
}

/// What is told of the snapshots inside an image, which was copied.
fn snapshots_left_out(file: &Path, format: Option<SourceFormat>) -> Option<String> {
    let opened = std::fs::File::open(file).ok()?;
    let format = format.or_else(|| image::recognise(&opened).ok().flatten())?;
    let header = image::read_header(&opened, format).ok()?;
    header.snapshots_left_out(&file.file_name().unwrap_or_default().to_string_lossy())
}

/// What contradicts an entry.
fn check_entry(entry: &Entry, args: &NewArgs) -> Result<()> {
    let id = &entry.id;
    match entry.kind {
        Kind::BringYourOwn => {
            let words = entry.words.as_deref().unwrap_or_default();
            let page = entry.page.as_deref().unwrap_or_default();
            let preset = entry.preset.replace('-', "");
            bail!(
                "{id} has to be brought: {words} {page} Then: sampan new NAME --preset {preset} --cdrom FILE"
            );
        }
        Kind::Installer if args.cdrom.is_some() => {
            bail!("{id} is a CD itself: leave --cdrom out");
        }
        Kind::Disk if args.no_disk || args.fixed => {
            bail!("{id} is a disk: leave --no-disk and --fixed out");
        }
        _ => {}
    }
    if is_wanted(&args.seed) && !args.seed.windows_answers && !entry.cloud_init {
        bail!("{id} has no cloud-init: nothing would read what it is told. {}", entry.login);
    }
    Ok(())
}

fn preset_of(entry: &Entry) -> Result<Preset> {
    preset(&entry.preset.replace('-', ""))
        .map_err(|words| anyhow::anyhow!("the catalogue's {}: {words}", entry.id))
}

fn firmware_of(entry: &Entry) -> Option<FirmwareKind> {
    match entry.firmware {
        Firmware::Bios => Some(FirmwareKind::Bios),
        Firmware::Uefi => Some(FirmwareKind::Uefi),
        Firmware::Any => None,
    }
}

/// The preset's CPUs, but no more than there are fast cores.
pub fn default_cpus(preset: Preset, arch: Arch) -> u32 {
    Document::new("", preset, arch).cpu.count.min(fast_cores())
}

/// The size of a disk that nobody gave one.
pub fn default_disk(library: &Library) -> Result<u64> {
    Ok(DISK.min(Limits::for_host(&idle_figures(library.home())?).disk.proposed))
}

/// A file's full name.
pub fn full(file: &Path) -> Result<PathBuf> {
    std::path::absolute(file).with_context(|| format!("{} has no full name", file.display()))
}

/// A file, or a medium of the library.
pub fn file_or_medium(library: &Library, what: &Path) -> Result<PathBuf> {
    if what.is_file() {
        return full(what);
    }
    let name = what.to_str().filter(|_| what.components().count() == 1);
    match name.map(|name| fetch::there(library, name)).transpose()?.flatten() {
        Some(medium) => Ok(medium.path),
        None => bail!("{}: there is no such file, and no such medium in the library", what.display()),
    }
}

/// Names of presets on the command line.
pub const PRESETS: [(&str, Preset); 6] = [
    ("linux", Preset::Linux),
    ("windows11", Preset::Windows11),
    ("windows10", Preset::Windows10),
    ("android", Preset::Android),
    ("other", Preset::Other),
    ("old", Preset::Old),
];

/// The preset of a name.
pub fn preset(name: &str) -> Result<Preset, String> {
    // `Linux`, `Windows 11` and `windows-11` are the same to a person.
    let plain: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = if plain.starts_with("win1") { plain.replacen("win", "windows", 1) } else { plain };
    let found = PRESETS.iter().find(|(known, _)| *known == plain);
    found.map(|(_, preset)| *preset).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
        format!("{name:?} is no preset: use {}", names.join(", "))
    })
}

/// The name of a preset.
pub fn name_of(preset: Preset) -> &'static str {
    PRESETS.iter().find(|(_, known)| *known == preset).map_or("a machine", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_download::Catalogue;

    #[test]
    fn names_of_presets_are_read_as_people_write_them() {
        for (name, found) in [
            ("Linux", Preset::Linux),
            ("LINUX ", Preset::Linux),
            ("Windows 11", Preset::Windows11),
            ("windows-10", Preset::Windows10),
            ("Win11", Preset::Windows11),
        ] {
            assert_eq!(preset(name), Ok(found), "{name}");
        }
        assert!(preset("windows").is_err() && preset("").is_err());
    }

    #[test]
    fn every_entry_of_the_built_in_catalogue_has_a_preset() {
        for entry in &Catalogue::built_in().entries {
            preset_of(entry).expect("is known");
        }
    }
}
