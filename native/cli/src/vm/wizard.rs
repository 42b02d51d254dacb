//! `sampan new` by questions on stderr; an empty answer takes what stands in brackets. What flags have said already is not asked, and
//! each answer is looked at when it is given: with all that was said before, as the machine it makes.

use super::chosen::chosen;
use super::disk::source_format;
use super::pasted::pasted;
use super::seed::keys_of;
use crate::app::App;
use crate::args::NewArgs;
use crate::args::size::{disk, human, memory};
use crate::hints::with_hint;
use crate::words::{self, of_error, one_line, tell};
use anyhow::{Context, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use sampan_config::{Arch, Preset, Severity, VmConfig};
use sampan_download::catalogue::Kind;
use sampan_download::{Catalogue, Entry};
use sampan_library::{Library, SourceFormat, VmId};
use sampan_manager::create::{
    FirstStartOptions, NewDisk, PRESETS, Secret, Source, preset_by_name, preset_name, source_of, usual_cpus,
    usual_disk,
};
use sampan_manager::downloads::catalogue_arch;
use sampan_manager::{NewMachine, Plan};
use sampan_message::Coded;
use sampan_seed::PasswordHash;
use sampan_session::vm::{Cd, FirstDisk};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

const CTRL_C: u8 = 3;

/// Asks until there is a plan that was agreed to.
pub fn ask(app: &App, args: &NewArgs) -> Result<Plan> {
    if args.seed.password_file.as_deref() == Some(Path::new("-")) {
        bail!("--password-file - reads stdin, where the questions are answered: name a file");
    }
    let catalogue = app.wait(app.manager.catalogue(args.catalogue.catalogue.clone()))?;
    let format = args.format.as_deref().map(source_format).transpose()?;
    let mut asker =
        Asker { library: app.manager.library(), catalogue, format, kept: BTreeMap::new(), password: None };
    let said = chosen(app, args)?;
    // What was said by flags is refused before anything is asked.
    asker.trial(&said).map_err(anyhow::Error::msg)?;
    tell("A new machine. Enter takes what is in brackets, Ctrl-C leaves.");
    loop {
        let plan = asker.round(&said)?;
        match asker.agree(&plan)? {
            Agreed::Yes => return Ok(plan),
            Agreed::No => tell("Once more, with what you have answered."),
            Agreed::Leave => bail!("nothing was made"),
        }
    }
}

/// What was said to the whole.
enum Agreed {
    Yes,
    No,
    Leave,
}

/// Who asks, and what was answered before.
struct Asker<'a> {
    library: &'a Library,
    catalogue: Catalogue,
    /// The format of the disk's image, where a flag says it.
    format: Option<SourceFormat>,
    kept: BTreeMap<&'static str, String>,
    password: Option<Secret>,
}

impl Asker<'_> {
    fn round(&mut self, said: &NewMachine) -> Result<Plan> {
        let library = self.library;
        let mut new = said.clone();
        new.name = self.question("name", "Name", "", |text| {
            sampan_library::check_name(text).map_err(|e| e.to_string())?;
            match library.find(text) {
                Ok(_) => Err(format!("there is a machine called {text}")),
                Err(_) => Ok(text.to_owned()),
            }
        })?;
        if new.preset.is_none() && new.entry.is_none() {
            let kinds: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            let what = format!("System ({})", kinds.join(", "));
            new = self.answer(&new, "preset", &what, "linux", |text, new| {
                new.preset = Some(preset_by_name(text).map_err(|e| e.to_string())?);
                Ok(())
            })?;
        }
        if new.arch.is_none() {
            let host = Arch::host().unwrap_or(Arch::X86_64).qemu_name();
            new = self.answer(&new, "arch", "Architecture (x86_64, aarch64)", host, |text, new| {
                new.arch = Some(text.parse::<Arch>().map_err(|e| e.to_string())?);
                Ok(())
            })?;
        }
        // What flags say of the first start is known to fit, or not, from here on.
        let begun = Plan::of(&unasked(&new), library, &self.catalogue)?;
        let (preset, arch) = (begun.recipe().preset, begun.recipe().arch);
        if new.memory_mib.is_none() {
            let document = VmConfig::new("", preset, arch);
            let usual = human(u64::from(document.memory.mib) << 20);
            new = self.answer(&new, "memory", "Memory", &usual, |text, new| {
                new.memory_mib = Some(memory(text)?);
                Ok(())
            })?;
        }
        if new.cpus.is_none() {
            let usual = usual_cpus(preset, arch).to_string();
            new = self.answer(&new, "cpus", "CPUs", &usual, |text, new| {
                let count = text.parse::<u32>().ok().filter(|n| (1..=255).contains(n));
                new.cpus = Some(count.ok_or("a number from 1 to 255")?);
                Ok(())
            })?;
        }
        let has_image = matches!(new.disk, NewDisk::Image { .. });
        if new.cd.is_none() && new.entry.is_none() && !has_image {
            new = self.source(&new, preset, arch)?;
        }
        if let NewDisk::New { size: None, fixed } = new.disk {
            let plan = Plan::of(&new, library, &self.catalogue)?;
            new = match plan.entry().is_some_and(|entry| entry.kind == Kind::Disk) {
                true => self.answer(&new, "grow", "Disk: the size it grows to", "20G", |text, new| {
                    new.disk = NewDisk::New { size: Some(disk(text)?), fixed };
                    Ok(())
                })?,
                false => self.disk(&new, fixed)?,
            };
        }
        let plan = Plan::of(&new, library, &self.catalogue)?;
        if plan.entry().is_some_and(|entry| entry.cloud_init) && !new.first_start.is_wanted() {
            self.user(&mut new)?;
            return Ok(Plan::of(&new, library, &self.catalogue)?);
        }
        Ok(plan)
    }

    /// What the machine is installed from, with the catalogue's offers.
    fn source(&mut self, new: &NewMachine, preset: Preset, arch: Arch) -> Result<NewMachine> {
        let (library, catalogue) = (self.library, self.catalogue.clone());
        let windows = preset_name(preset).starts_with("windows");
        let offered = |entry: &&Entry| (entry.preset.starts_with("windows")) == windows;
        let offers: Vec<&Entry> =
            catalogue.filter("", Some(catalogue_arch(arch)), None).into_iter().filter(offered).collect();
        for (number, entry) in (1..).zip(&offers) {
            let what = match entry.kind {
                Kind::BringYourOwn => entry.page.clone().unwrap_or_default(),
                _ => format!("{} to download", human(u64::from(entry.about_mib) << 20)),
            };
            tell(format_args!("  {number:2}  {} ({})", one_line(&entry.name), one_line(&what)));
        }
        let what = "Installation CD: a file, a number from above, a medium of the library, or - for none";
        self.answer(new, "source", what, "-", |text, new| {
            let by_number = text.parse::<usize>().ok().and_then(|n| offers.get(n.checked_sub(1)?));
            let by_id = || offers.iter().find(|entry| entry.id == text);
            match (text, by_number.or_else(by_id)) {
                ("-", _) => {}
                (_, Some(entry)) if entry.kind == Kind::BringYourOwn => {
                    return Err(entry.words.clone().unwrap_or_else(|| "bring its file".into()));
                }
                (_, Some(entry)) => new.entry = Some(entry.id.clone()),
                (text, None) => {
                    let file = pasted(text);
                    new.cd = Some(match library.medium(text) {
                        _ if file.is_file() => Source::File(file),
                        Ok(medium) => Source::Medium(medium.name),
                        Err(_) if file.components().count() > 1 => {
                            return Err(format!("{}: there is no such file", file.display()));
                        }
                        Err(error) => return Err(error.to_string()),
                    });
                }
            }
            Ok(())
        })
    }

    fn disk(&mut self, new: &NewMachine, fixed: bool) -> Result<NewMachine> {
        let (library, format) = (self.library, self.format);
        let usual = human(usual_disk(library)?);
        let what = "Disk: a size, an image's file or medium, or - for none";
        self.answer(new, "disk", what, &usual, |text, new| {
            let file = pasted(text);
            new.disk = match source_of(library, &file) {
                _ if text == "-" => NewDisk::None,
                Ok(image) => NewDisk::Image { image, format, size: None },
                Err(error) if file.components().count() > 1 => return Err(of_core(&error)),
                Err(_) => NewDisk::New { size: Some(disk(text)?), fixed },
            };
            Ok(())
        })
    }

    /// The first user of a system with cloud-init.
    fn user(&mut self, new: &mut NewMachine) -> Result<()> {
        let (library, catalogue) = (self.library, self.catalogue.clone());
        let trial = |first_start: FirstStartOptions, new: &NewMachine| {
            let new = NewMachine { first_start, ..new.clone() };
            Plan::of(&new, library, &catalogue).map(drop).map_err(|e| of_core(&e))
        };
        let chosen = new.clone();
        let name = self.question("user", "Your user there, or - for none", "-", |text| {
            let user = (text != "-").then(|| text.to_owned());
            // The way to log in is asked for next.
            let password = user.is_some().then(|| Secret::new("any"));
            trial(FirstStartOptions { user, password, ..chosen.first_start.clone() }, &chosen)?;
            Ok(text.to_owned())
        })?;
        if name == "-" {
            return Ok(());
        }
        let what = "The file of your public SSH key, or - for a password";
        let keys = self.question("key", what, "-", |text| match text {
            "-" => Ok(Vec::new()),
            file => keys_of(&pasted(file)).map_err(|e| of_error(&e)),
        })?;
        new.first_start.user = Some(name);
        new.first_start.password = if keys.is_empty() { Some(self.password()?) } else { None };
        new.first_start.ssh_keys = keys;
        Ok(())
    }

    fn password(&mut self) -> Result<Secret> {
        let before = if self.password.is_some() { ", Enter keeps the one from before" } else { "" };
        loop {
            let text = hidden(&format!("Password (not shown{before}): "))?;
            match (text, &self.password) {
                (text, Some(before)) if text.as_deref() == Some("") => return Ok(before.clone()),
                (Some(text), _) => match PasswordHash::check(&text) {
                    Ok(()) => {
                        let password = Secret::new(text);
                        self.password = Some(password.clone());
                        return Ok(password);
                    }
                    Err(error) => tell(format_args!("  {error}")),
                },
                (None, _) => tell("  it is no Unicode text"),
            }
        }
    }

    /// Tells what will be, what is doubtful about it, and asks.
    fn agree(&mut self, plan: &Plan) -> Result<Agreed> {
        let recipe = plan.recipe();
        let document = recipe.document(None);
        let disk = match (&recipe.disk, plan.entry()) {
            (_, Some(entry)) if entry.kind == Kind::Disk => format!("a disk of {}", one_line(&entry.name)),
            (FirstDisk::None, _) => "no disk".into(),
            (FirstDisk::Empty { size, .. }, _) => format!("a disk of {}", human(*size)),
            (FirstDisk::Image { file, .. }, _) => format!("a copy of {}", file.display()),
        };
        let cd = match (&recipe.cd, plan.entry()) {
            (Cd::File(file), _) => format!(", the CD {}", file.display()),
            (Cd::Medium(name), _) => format!(", the CD {name}"),
            (Cd::None, Some(entry)) if entry.kind != Kind::Disk => {
                format!(", the CD {}", one_line(&entry.name))
            }
            _ => String::new(),
        };
        tell(format_args!(
            "{}: {} for {}, {}, {} CPU(s), {disk}{cd}",
            recipe.name,
            preset_name(recipe.preset),
            recipe.arch,
            human(u64::from(document.memory.mib) << 20),
            document.cpu.count
        ));
        // Looked at anew: the host may have changed meanwhile.
        let refused = match plan.findings(self.library) {
            Ok(findings) => {
                for finding in &findings {
                    tell(format_args!("  but {}", finding.message));
                }
                findings.iter().any(|finding| finding.severity == Severity::Refuse)
            }
            Err(error) => {
                tell(format_args!("  but {}", of_core(&error)));
                true
            }
        };
        if refused {
            return Ok(Agreed::No);
        }
        // An answer to this one is not offered again.
        self.kept.remove("agree");
        self.question("agree", "Make it? (yes, no to change an answer, quit)", "yes", |text| {
            match text.to_lowercase().as_str() {
                "yes" | "y" => Ok(Agreed::Yes),
                "no" | "n" => Ok(Agreed::No),
                "quit" | "q" => Ok(Agreed::Leave),
                _ => Err("yes, no or quit".into()),
            }
        })
    }

    /// Asks for what is still open of the arguments, until the machine that they make can be.
    fn answer(
        &mut self,
        new: &NewMachine,
        key: &'static str,
        what: &str,
        default: &str,
        take: impl Fn(&str, &mut NewMachine) -> Result<(), String>,
    ) -> Result<NewMachine> {
        let (library, catalogue) = (self.library, self.catalogue.clone());
        self.question(key, what, default, |text| {
            let mut new = new.clone();
            take(text, &mut new)?;
            trial(library, &catalogue, &new).map(|()| new)
        })
    }

    fn trial(&self, new: &NewMachine) -> Result<(), String> {
        trial(self.library, &self.catalogue, new)
    }

    fn question<T>(
        &mut self,
        key: &'static str,
        what: &str,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T> {
        let default = self.kept.get(key).map_or(default, String::as_str).to_owned();
        let mut lines = std::io::stdin().lock().lines();
        loop {
            let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
            words::ask(format_args!("{what}{shown}: "));
            let line = lines.next().context("nothing was made: the questions were not answered")??;
            let text = line.trim();
            let text = if text.is_empty() { default.as_str() } else { text };
            match read(text) {
                Ok(value) => {
                    self.kept.insert(key, text.to_owned());
                    return Ok(value);
                }
                Err(why) => tell(format_args!("  {why}")),
            }
        }
    }
}

/// Whether the machine that was chosen can be; what was not said yet is taken to be as little as possible.
fn trial(library: &Library, catalogue: &Catalogue, new: &NewMachine) -> Result<(), String> {
    let name = VmId::random().to_string();
    let new = NewMachine { name, first_start: FirstStartOptions::default(), ..unasked(new) };
    let findings = Plan::of(&new, library, catalogue).and_then(|plan| plan.findings(library));
    let findings = findings.map_err(|e| of_core(&e))?;
    let refused = findings.into_iter().find(|finding| finding.severity == Severity::Refuse);
    refused.map_or(Ok(()), |finding| Err(finding.message.to_string()))
}

/// What an error of the core says.
fn of_core(error: &sampan_manager::Error) -> String {
    with_hint(&error.message(), None)
}

/// MiB that any host has.
const LITTLE: u32 = 64;

fn unasked(new: &NewMachine) -> NewMachine {
    let mut new = new.clone();
    new.memory_mib.get_or_insert(LITTLE);
    new.cpus.get_or_insert(1);
    // An image of the catalogue is a disk itself, or comes beside one of the usual size.
    if new.entry.is_none() && matches!(new.disk, NewDisk::New { size: None, .. }) {
        new.disk = NewDisk::None;
    }
    new
}

/// A line that the terminal does not show; `None` where it is no text. Ctrl-C must not leave the terminal so, as the crate rpassword
/// does: here it is a character that ends the line.
fn hidden(prompt: &str) -> Result<Option<String>> {
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
    let text = String::from_utf8(typed).ok();
    Ok(text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()))
}
