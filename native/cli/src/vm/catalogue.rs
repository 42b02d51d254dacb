//! `sampan images`: the catalogue and the library's media.

use super::answer::table;
use super::images::Bar;
use super::place::{home, library_if_there, library_to_fill};
use super::{Answer, fetch, library};
use crate::args::size::human;
use crate::args::{CatalogueArg, ImagesAction, ImagesArgs, KindArg};
use crate::interrupt::interruption;
use crate::text;
use anyhow::{Context, Result, bail};
use sampan_config::Arch;
use sampan_download::catalogue::{self, Kind};
use sampan_download::{Catalogue, Entry};
use sampan_library::{IfNoReflink, Library};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// The user's catalogue in the library's folder.
const OWN: &str = "catalogue.json";

/// The catalogue that was asked for, else the library's own, else the built-in one.
pub fn load(library: &Library, arg: &CatalogueArg) -> Result<Catalogue> {
    load_from(library.home(), arg)
}

fn load_from(home: &Path, arg: &CatalogueArg) -> Result<Catalogue> {
    let own = home.join(OWN);
    let file = match &arg.catalogue {
        Some(file) => file.clone(),
        None if own.exists() => own,
        None => return Ok(Catalogue::built_in()),
    };
    let name = || format!("the catalogue {}", file.display());
    let bytes = text::read_bytes(&file, catalogue::MAX_BYTES as u64).with_context(name)?;
    Catalogue::parse(&bytes).with_context(name)
}

/// The catalogue's name of an architecture.
pub fn arch_of(arch: Arch) -> catalogue::Arch {
    match arch {
        Arch::X86_64 => catalogue::Arch::X86_64,
        Arch::Aarch64 => catalogue::Arch::Aarch64,
    }
}

/// The entry of an id, or what could have been meant.
pub fn entry<'a>(catalogue: &'a Catalogue, id: &str, arch: Arch) -> Result<&'a Entry> {
    if let Some(entry) = catalogue.find(id, arch_of(arch)) {
        return Ok(entry);
    }
    if let Some(other) = catalogue.entries.iter().find(|entry| entry.id == id) {
        bail!("the catalogue has {id} for {} alone: say --arch {0}", other.arch.name());
    }
    let like: Vec<&str> =
        catalogue.filter(id, Some(arch_of(arch)), None).iter().map(|entry| entry.id.as_str()).collect();
    if like.is_empty() {
        bail!("the catalogue has no {id:?}: `sampan images` lists what it has");
    }
    bail!("the catalogue has no {id:?}, but {}", like.join(", "))
}

fn kind_of(kind: KindArg) -> Kind {
    match kind {
        KindArg::Installer => Kind::Installer,
        KindArg::Disk => Kind::Disk,
        KindArg::BringYourOwn => Kind::BringYourOwn,
    }
}

/// `sampan images …`.
pub fn images(args: &ImagesArgs) -> Result<Answer> {
    match &args.action {
        None => list(args),
        Some(ImagesAction::Add { file, name, yes }) => add(file, name.as_deref(), *yes),
        Some(ImagesAction::Remove { name }) => remove(name),
    }
}

fn list(args: &ImagesArgs) -> Result<Answer> {
    // What can be downloaded is told before there is a library.
    let library = library_if_there()?;
    let mut catalogue = load_from(&home()?, &args.catalogue)?;
    let words = args.text.join(" ");
    let fitting = catalogue.filter(&words, args.arch.map(arch_of), args.kind.map(kind_of));
    catalogue.entries = fitting.into_iter().cloned().collect();
    let media = library.as_ref().map(Library::media).transpose()?.unwrap_or_default();
    let here: BTreeSet<&str> = media.iter().map(|medium| medium.name.as_str()).collect();
    let begun = library.as_ref().map(fetch::unfinished).transpose()?.unwrap_or_default();
    let begun: BTreeSet<String> = begun.iter().map(fetch::name_of).collect();
    let mut rows = vec![["ID", "ARCH", "KIND", "SIZE", "HERE", "NAME"].map(String::from).to_vec()];
    for entry in &catalogue.entries {
        let name = entry.file_name();
        let (kind, state) = match entry.kind {
            Kind::BringYourOwn => ("bring your own", "-"),
            Kind::Installer => ("installer", state(&here, &begun, &name)),
            Kind::Disk => ("disk", state(&here, &begun, &name)),
        };
        rows.push(vec![
            entry.id.clone(),
            entry.arch.name().to_owned(),
            kind.to_owned(),
            human(u64::from(entry.about_mib) << 20),
            state.to_owned(),
            entry.name.clone(),
        ]);
    }
    let mut text = match catalogue.entries.is_empty() {
        true => format!("the catalogue has nothing with {words:?} that fits"),
        false => table(&rows),
    };
    let (mut rows, mut list) = (vec![["MEDIUM", "SIZE", "USED BY"].map(String::from).to_vec()], Vec::new());
    let wanted: Vec<String> = args.text.iter().map(|word| word.to_lowercase()).collect();
    let fits = |name: &str| wanted.iter().all(|word| name.to_lowercase().contains(word));
    for medium in media.iter().filter(|medium| fits(&medium.name)) {
        let users = library.as_ref().map(|library| library.medium_users(&medium.name)).transpose()?;
        let users = users.unwrap_or_default();
        rows.push(vec![medium.name.clone(), human(medium.size), users.join(", ")]);
        list.push(json!({ "name": medium.name, "path": medium.path, "size": medium.size, "used_by": users }));
    }
    if !list.is_empty() {
        text += &format!("\n\n{}", table(&rows));
    }
    let files = catalogue.entries.iter().filter(|e| e.kind != Kind::BringYourOwn).map(Entry::file_name);
    let downloaded: Vec<String> = files.filter(|name| here.contains(name.as_str())).collect();
    // The catalogue as it is, so that it can be kept as a file and changed.
    let json = json!({
        "catalogue": catalogue, "downloaded": downloaded, "unfinished": begun, "media": list,
    });
    Ok(Answer::new(json, text))
}

fn state(here: &BTreeSet<&str>, begun: &BTreeSet<String>, name: &str) -> &'static str {
    match (here.contains(name), begun.contains(name)) {
        (true, _) => "yes",
        (false, true) => "in part",
        (false, false) => "no",
    }
}

fn add(file: &Path, name: Option<&str>, yes: bool) -> Result<Answer> {
    let library = library_to_fill()?;
    let own = file.file_name().and_then(|name| name.to_str());
    let name = name.or(own).context("the file's name is no Unicode text: give it one by --name")?;
    fetch::check_name(name)?;
    if let (Some(why), false) = (fetch::why_no_medium(file)?, yes) {
        bail!("{}: {why}. If that is what you want, say --yes", file.display());
    }
    let mut bar = Bar::new(interruption()?);
    let medium = library.add_medium(file, name, IfNoReflink::Link, &mut bar.progress())?;
    let text = format!("{}: {}", medium.name, human(medium.size));
    Ok(Answer::new(json!({ "name": medium.name, "path": medium.path, "size": medium.size }), text))
}

fn remove(name: &str) -> Result<Answer> {
    let library = library()?;
    library.remove_medium(name)?;
    fetch::forget_origin(&library, name);
    Ok(Answer::new(json!({ "removed": name }), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_answered_with_what_there_is() {
        let catalogue = Catalogue::built_in();
        let words = |id: &str| entry(&catalogue, id, Arch::Aarch64).expect_err("is refused").to_string();
        assert!(words("debian").contains("debian-13-cloud"), "{}", words("debian"));
        assert!(words("no such system").contains("sampan images"));
        assert!(words("windows-10").contains("--arch x86_64"), "{}", words("windows-10"));
        assert_eq!(
            entry(&catalogue, "debian-13-cloud", Arch::Aarch64).expect("is there").arch.name(),
            "aarch64"
        );
    }
}
