//! `sampan new` by questions on stderr; an empty answer takes what stands in brackets. What flags have said already is not asked, and
//! each answer is looked at when it is given: with all that was said before, as the machine it makes.

use super::catalogue::{arch_of, entry, load};
use super::disk::source_format;
use super::pasted::pasted;
use super::plan::{PRESETS, Plan, default_cpus, default_disk, file_or_medium, full, name_of, preset};
use super::seed::{hostname, is_wanted, keys_of, set_user};
use crate::args::size::{disk, human, memory};
use crate::args::{NewArgs, PresetArg, SeedArgs};
use crate::words::{self, of_error, one_line, tell};
use anyhow::{Context, Result, bail};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use sampan_config::{Arch, Document, Severity};
use sampan_download::Entry;
use sampan_download::catalogue::Kind;
use sampan_library::{Library, VmId};
use sampan_seed::{PasswordHash, Seed, User};
use sampan_session::vm::{Cd, FirstDisk, FirstStart};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

const CTRL_C: u8 = 3;

/// Asks until there is a plan that was agreed to.
pub fn ask(library: &Library, args: &NewArgs) -> Result<Plan> {
    if args.seed.password_file.as_deref() == Some(Path::new("-")) {
        bail!("--password-file - reads stdin, where the questions are answered: name a file");
    }
    let asker = Asker { library, kept: BTreeMap::new(), password: None };
    // What was said by flags is refused before anything is asked.
    asker.trial(args).map_err(anyhow::Error::msg)?;
    tell("A new machine. Enter takes what is in brackets, Ctrl-C leaves.");
    let mut asker = asker;
    loop {
        let plan = asker.round(args)?;
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
    kept: BTreeMap<&'static str, String>,
    password: Option<PasswordHash>,
}

impl Asker<'_> {
    fn round(&mut self, args: &NewArgs) -> Result<Plan> {
        let library = self.library;
        let mut args = args.clone();
        let name = self.question("name", "Name", "", |text| {
            sampan_library::check_name(text).map_err(|e| e.to_string())?;
            match library.find(text) {
                Ok(_) => Err(format!("there is a machine called {text}")),
                Err(_) => Ok(text.to_owned()),
            }
        })?;
        if args.preset.is_none() && args.from.is_none() {
            let kinds: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            args = self.answer(
                &args,
                "preset",
                &format!("System ({})", kinds.join(", ")),
                "linux",
                |text, args| {
                    args.preset = Some(PresetArg(preset(text)?));
                    Ok(())
                },
            )?;
        }
        if args.arch.is_none() {
            let host = Arch::host().unwrap_or(Arch::X86_64).qemu_name();
            args = self.answer(&args, "arch", "Architecture (x86_64, aarch64)", host, |text, args| {
                args.arch = Some(text.parse::<Arch>().map_err(|e| e.to_string())?);
                Ok(())
            })?;
        }
        // What flags say of the first start is known to fit, or not, from here on.
        let begun = Plan::of(&unasked(&args), &name, library)?;
        let (preset, arch) = (begun.recipe.preset, begun.recipe.arch);
        if args.memory.is_none() {
            let document = Document::new("", preset, arch);
            let usual = human(u64::from(document.memory.mib) << 20);
            args = self.answer(&args, "memory", "Memory", &usual, |text, args| {
                args.memory = Some(memory(text)?);
                Ok(())
            })?;
        }
        if args.cpus.is_none() {
            args =
                self.answer(&args, "cpus", "CPUs", &default_cpus(preset, arch).to_string(), |text, args| {
                    let count = text.parse::<u32>().ok().filter(|n| (1..=255).contains(n));
                    args.cpus = Some(count.ok_or("a number from 1 to 255")?);
                    Ok(())
                })?;
        }
        if args.cdrom.is_none() && args.from.is_none() && args.image.is_none() {
            args = self.source(&args, preset, arch)?;
        }
        let entry = match &args.from {
            Some(id) => Some(entry(&load(library, &args.catalogue)?, id, arch)?.clone()),
            None => None,
        };
        if args.disk.is_none() && args.image.is_none() && !args.no_disk {
            args = match entry.as_ref().is_some_and(|entry| entry.kind == Kind::Disk) {
                true => self.answer(&args, "grow", "Disk: the size it grows to", "20G", |text, args| {
                    args.disk = Some(disk(text)?);
                    Ok(())
                })?,
                false => self.disk(&args)?,
            };
        }
        let mut plan = Plan::of(&args, &name, library)?;
        if plan.entry.as_ref().is_some_and(|entry| entry.cloud_init) && !is_wanted(&args.seed) {
            plan.recipe.first_start = self.user(&plan)?;
        }
        Ok(plan)
    }

    /// What the machine is installed from, with the catalogue's offers.
    fn source(&mut self, args: &NewArgs, preset: sampan_config::Preset, arch: Arch) -> Result<NewArgs> {
        let library = self.library;
        let catalogue = load(library, &args.catalogue)?;
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
        let what = "Installation CD: a file, a number from above, a medium of the library, or - for none";
        self.answer(args, "source", what, "-", |text, args| {
            let by_number = text.parse::<usize>().ok().and_then(|n| offers.get(n.checked_sub(1)?));
            let by_id = || offers.iter().find(|entry| entry.id == text);
            match (text, by_number.or_else(by_id)) {
                ("-", _) => {}
                (_, Some(entry)) if entry.kind == Kind::BringYourOwn => {
                    return Err(entry.words.clone().unwrap_or_else(|| "bring its file".into()));
                }
                (_, Some(entry)) => args.from = Some(entry.id.clone()),
                (text, None) => {
                    let file = pasted(text);
                    args.cdrom = Some(match library.medium(text) {
                        _ if file.is_file() => full(&file).map_err(|e| of_error(&e))?,
                        Ok(medium) => medium.name.into(),
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

    fn disk(&mut self, args: &NewArgs) -> Result<NewArgs> {
        let library = self.library;
        let usual = human(default_disk(library)?);
        let what = "Disk: a size, an image's file or medium, or - for none";
        self.answer(args, "disk", what, &usual, |text, args| {
            let file = pasted(text);
            match file_or_medium(library, &file) {
                _ if text == "-" => args.no_disk = true,
                Ok(file) => {
                    let said =
                        args.format.as_deref().map(source_format).transpose().map_err(|e| of_error(&e))?;
                    sampan_library::probe_import(&file, said).map_err(|e| e.to_string())?;
                    args.image = Some(file);
                }
                Err(error) if file.components().count() > 1 => return Err(of_error(&error)),
                Err(_) => args.disk = Some(disk(text)?),
            }
            Ok(())
        })
    }

    /// The first user of a system with cloud-init.
    fn user(&mut self, plan: &Plan) -> Result<FirstStart> {
        let hostname = hostname(&SeedArgs::default(), &plan.recipe.name, 63);
        let seed = Seed { instance: "new".into(), hostname, ..Seed::default() };
        let name = self.question("user", "Your user there, or - for none", "-", |text| {
            let user =
                User { name: text.to_owned(), password: None, ssh_keys: Vec::new(), sudo: true, shell: None };
            let with = Seed { user: (text != "-").then_some(user), ..seed.clone() };
            with.check().map(|()| text.to_owned()).map_err(|e| e.to_string())
        })?;
        if name == "-" {
            return Ok(FirstStart::None);
        }
        let what = "The file of your public SSH key, or - for a password";
        let keys = self.question("key", what, "-", |text| match text {
            "-" => Ok(Vec::new()),
            file => keys_of(&pasted(file)).map_err(|e| of_error(&e)),
        })?;
        let password = if keys.is_empty() { Some(self.password()?) } else { None };
        let mut seed = seed;
        set_user(&mut seed, name, password, keys)?;
        let first = FirstStart::Cloud(Box::new(seed));
        first.check()?;
        Ok(first)
    }

    fn password(&mut self) -> Result<PasswordHash> {
        let before = if self.password.is_some() { ", Enter keeps the one from before" } else { "" };
        loop {
            let text = hidden(&format!("Password (not shown{before}): "))?;
            match (text, &self.password) {
                (text, Some(before)) if text.as_deref() == Some("") => return Ok(before.clone()),
                (text, _) => match text.map(|text| PasswordHash::new(&text)) {
                    Some(Ok(hash)) => {
                        self.password = Some(hash.clone());
                        return Ok(hash);
                    }
                    Some(Err(error)) => tell(format_args!("  {error}")),
                    None => tell("  it is no Unicode text"),
                },
            }
        }
    }

    /// Tells what will be, what is doubtful about it, and asks.
    fn agree(&mut self, plan: &Plan) -> Result<Agreed> {
        let recipe = &plan.recipe;
        let document = recipe.document(None);
        let disk = match (&recipe.disk, &plan.entry) {
            (_, Some(entry)) if entry.kind == Kind::Disk => format!("a disk of {}", one_line(&entry.name)),
            (FirstDisk::None, _) => "no disk".into(),
            (FirstDisk::Empty { size, .. }, _) => format!("a disk of {}", human(*size)),
            (FirstDisk::Image { file, .. }, _) => format!("a copy of {}", file.display()),
        };
        let cd = match (&recipe.cd, &plan.entry) {
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
            name_of(recipe.preset),
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
                tell(format_args!("  but {}", of_error(&error)));
                true
            }
        };
        if refused {
            return Ok(Agreed::No);
        }
        let mut asker = Asker { library: self.library, kept: BTreeMap::new(), password: None };
        asker.question("agree", "Make it? (yes, no to change an answer, quit)", "yes", |text| {
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
        args: &NewArgs,
        key: &'static str,
        what: &str,
        default: &str,
        take: impl Fn(&str, &mut NewArgs) -> Result<(), String>,
    ) -> Result<NewArgs> {
        let library = self.library;
        self.question(key, what, default, |text| {
            let mut args = args.clone();
            take(text, &mut args)?;
            trial(library, &args).map(|()| args)
        })
    }

    fn trial(&self, args: &NewArgs) -> Result<(), String> {
        trial(self.library, args)
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

/// Whether the machine that these arguments make can be; what was not said yet is taken to be as little as possible.
fn trial(library: &Library, args: &NewArgs) -> Result<(), String> {
    let args = NewArgs { seed: SeedArgs::default(), ..unasked(args) };
    let nobody = VmId::random().to_string();
    let findings = Plan::of(&args, &nobody, library).and_then(|plan| plan.findings(library));
    let findings = findings.map_err(|e| of_error(&e))?;
    let refused = findings.into_iter().find(|finding| finding.severity == Severity::Refuse);
    refused.map_or(Ok(()), |finding| Err(finding.message.to_string()))
}

/// MiB that any host has.
const LITTLE: u32 = 64;

fn unasked(args: &NewArgs) -> NewArgs {
    let mut args = args.clone();
    args.memory.get_or_insert(LITTLE);
    args.cpus.get_or_insert(1);
    // An image of the catalogue is a disk itself, or comes beside one of the usual size.
    args.no_disk |= args.disk.is_none() && args.image.is_none() && args.from.is_none();
    args
}

/// A line that the terminal does not show; `None` where it is no text. Ctrl-C must not leave it so: here it is a character that ends
/// the line.
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
