//! `sampan new` by questions on stderr; an empty answer takes what stands in brackets.

use super::catalogue::{arch_of, load};
use super::plan::{PRESETS, Plan, default_cpus, default_disk, file_or_medium, full, name_of, preset};
use super::seed::{hostname, keys_of, set_user};
use crate::args::size::{human, parse};
use crate::args::{CatalogueArg, SeedArgs};
use crate::words::{self, one_line, tell};
use anyhow::{Context, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use sampan_config::{Arch, Document, Severity};
use sampan_download::Entry;
use sampan_download::catalogue::Kind;
use sampan_library::{Library, Target};
use sampan_seed::{PasswordHash, Seed};
use sampan_session::vm::{Cd, FirstDisk, FirstStart, Recipe};
use std::io::BufRead;
use std::path::{Path, PathBuf};

const CTRL_C: u8 = 3;

/// What a person answered to the question of the CD.
enum Source {
    Cd(Cd),
    Entry(Box<Entry>),
}

/// Asks until there is a plan that was agreed to.
pub fn ask(library: &Library, catalogue: &CatalogueArg) -> Result<Plan> {
    tell("A new machine. Enter takes what is in brackets, Ctrl-C leaves.");
    let name = question("Name", "", |text| {
        sampan_library::check_name(text).map_err(|e| e.to_string())?;
        match library.find(text) {
            Ok(_) => Err(format!("there is a machine called {text}")),
            Err(_) => Ok(text.to_owned()),
        }
    })?;
    let kinds: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
    let preset = question(&format!("System ({})", kinds.join(", ")), "linux", preset)?;
    let host = Arch::host().unwrap_or(Arch::X86_64).qemu_name();
    let arch = question("Architecture (x86_64, aarch64)", host, |text| {
        let arch = text.parse::<Arch>().map_err(|e| e.to_string())?;
        if preset.fits(arch) { Ok(arch) } else { Err("that system is for x86_64".into()) }
    })?;
    let document = Document::new("", preset, arch);
    let memory = question("Memory", &human(u64::from(document.memory.mib) << 20), |text| {
        let bytes = parse(&text.replace(' ', ""))?;
        u32::try_from(bytes >> 20).map_err(|_| "that is too much".to_owned())
    })?;
    let cpus = question("CPUs", &default_cpus(preset, arch).to_string(), |text| {
        text.parse::<u32>()
            .ok()
            .filter(|n| (1..=255).contains(n))
            .ok_or_else(|| "a number from 1 to 255".into())
    })?;
    let (entry, cd) = match source(library, catalogue, preset, arch)? {
        Source::Entry(entry) => (Some(*entry), Cd::None),
        Source::Cd(cd) => (None, cd),
    };
    let (disk, grow_to) = match entry.as_ref().filter(|entry| entry.kind == Kind::Disk) {
        Some(_) => {
            (FirstDisk::Empty { size: default_disk(library)?, target: Target::default() }, Some(grow()?))
        }
        None => (first_disk(library)?, None),
    };
    let firmware = None;
    let first_start = FirstStart::None;
    let (memory_mib, cpus) = (Some(memory), Some(cpus));
    let recipe = Recipe { name, preset, arch, memory_mib, cpus, firmware, disk, cd, first_start };
    let mut plan = Plan { recipe, entry, grow_to };
    if plan.entry.as_ref().is_some_and(|entry| entry.cloud_init) {
        plan.recipe.first_start = user(&plan)?;
    }
    agree(library, &plan)?;
    Ok(plan)
}

/// What the machine is installed from, with the catalogue's offers.
fn source(
    library: &Library,
    catalogue: &CatalogueArg,
    preset: sampan_config::Preset,
    arch: Arch,
) -> Result<Source> {
    let catalogue = load(library, catalogue)?;
    let windows = name_of(preset).starts_with("windows");
    let offered = |entry: &&Entry| (entry.preset.starts_with("windows")) == windows;
    let offers: Vec<&Entry> =
        catalogue.filter("", Some(arch_of(arch)), None).into_iter().filter(offered).collect();
    for (number, entry) in (1..).zip(&offers) {
        let what = match entry.kind {
            Kind::BringYourOwn => entry.page.clone().unwrap_or_default(),
            _ => format!("{} to download", human(u64::from(entry.about_mib) << 20)),
        };
        tell(format_args!("  {number:2}  {} ({})", one_line(&entry.name), one_line(&what)));
    }
    question(
        "Installation CD: a file, a number from above, a medium of the library, or - for none",
        "-",
        |text| {
            let by_number = text.parse::<usize>().ok().and_then(|n| offers.get(n.checked_sub(1)?));
            let by_id = || offers.iter().find(|entry| entry.id == text);
            match (text, by_number.or_else(by_id)) {
                ("-", _) => Ok(Source::Cd(Cd::None)),
                (_, Some(entry)) if entry.kind == Kind::BringYourOwn => {
                    Err(entry.words.clone().unwrap_or_else(|| "bring its file".into()))
                }
                (_, Some(entry)) => Ok(Source::Entry(Box::new(Entry::clone(entry)))),
                (file, None) if Path::new(file).is_file() => {
                    full(Path::new(file)).map(|file| Source::Cd(Cd::File(file))).map_err(|e| e.to_string())
                }
                (name, None) => {
                    library.medium(name).map(|m| Source::Cd(Cd::Medium(m.name))).map_err(|e| e.to_string())
                }
            }
        },
    )
}

fn grow() -> Result<u64> {
    question("Disk: the size it grows to", "20G", |text| parse(&text.replace(' ', "")))
}

fn first_disk(library: &Library) -> Result<FirstDisk> {
    let default = human(default_disk(library)?);
    question("Disk: a size, an image's file or medium, or - for none", &default, |text| {
        if text == "-" {
            return Ok(FirstDisk::None);
        }
        if let Ok(file) = file_or_medium(library, Path::new(text)) {
            // Asked again if it is none.
            sampan_library::probe_import(&file, None).map_err(|e| e.to_string())?;
            return Ok(FirstDisk::Image { file, format: None, size: None });
        }
        Ok(FirstDisk::Empty { size: parse(&text.replace(' ', ""))?, target: Target::default() })
    })
}

/// The first user of a system with cloud-init.
fn user(plan: &Plan) -> Result<FirstStart> {
    let name = question("Your user there, or - for none", "-", |text| Ok(text.to_owned()))?;
    if name == "-" {
        return Ok(FirstStart::None);
    }
    let key = question("The file of your public SSH key, or - for a password", "-", |text| match text {
        "-" => Ok(None),
        file => keys_of(Path::new(file)).map(|_| Some(PathBuf::from(file))).map_err(|e| format!("{e:#}")),
    })?;
    let (password, keys) = match key {
        Some(file) => (None, keys_of(&file)?),
        None => (Some(PasswordHash::new(&hidden("Password (not shown): ")?)?), Vec::new()),
    };
    let hostname = hostname(&SeedArgs::default(), &plan.recipe.name, 63);
    let mut seed = Seed { hostname, ..Seed::default() };
    set_user(&mut seed, name, password, keys)?;
    let first = FirstStart::Cloud(Box::new(seed));
    first.check()?;
    Ok(first)
}

/// Tells what will be, what is doubtful about it, and asks.
fn agree(library: &Library, plan: &Plan) -> Result<()> {
    let recipe = &plan.recipe;
    let document = recipe.document(None);
    tell(format_args!(
        "{}: {} for {}, {}, {} CPU(s)",
        recipe.name,
        name_of(recipe.preset),
        recipe.arch,
        human(u64::from(document.memory.mib) << 20),
        document.cpu.count
    ));
    for finding in plan.findings(library)? {
        if finding.severity == Severity::Refuse {
            bail!("{}", finding.words);
        }
        tell(format_args!("  but {}", finding.words));
    }
    question("Make it? (yes, no)", "yes", |text| match text {
        "yes" | "y" => Ok(()),
        "no" | "n" => Err("nothing is made; leave with Ctrl-C".into()),
        _ => Err("yes or no".into()),
    })
}

fn question<T>(what: &str, default: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T> {
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        words::ask(format_args!("{what}{shown}: "));
        let line = lines.next().context("nothing was made: the questions were not answered")??;
        let text = line.trim();
        match read(if text.is_empty() { default } else { text }) {
            Ok(value) => return Ok(value),
            Err(why) => tell(format_args!("  {why}")),
        }
    }
}

/// A line that the terminal does not show. Ctrl-C must not leave it so: here it is a character that ends the line.
fn hidden(prompt: &str) -> Result<String> {
    let terminal = std::io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
    quiet.control_chars[SpecialCharacterIndices::VEOL as usize] = CTRL_C;
    words::ask(prompt);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet)?;
    let mut stdin = terminal.lock();
    // One read is one line (termios(3), canonical mode).
    let typed = stdin.fill_buf().map(<[u8]>::to_vec);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &before)?;
    tell("");
    let typed = typed?;
    stdin.consume(typed.len());
    if typed.is_empty() || typed.contains(&CTRL_C) {
        bail!("nothing was made");
    }
    let text = String::from_utf8(typed).ok().context("the password is no Unicode text")?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
