//! `sampan images`: the catalogue and the library's media.

use super::Answer;
use super::answer::table;
use super::place::home;
use crate::app::{App, confirmed};
use crate::args::size::human;
use crate::args::{CatalogueArg, ImagesAction, ImagesArgs, KindArg};
use anyhow::Result;
use sampan_config::Arch;
use sampan_download::catalogue::Kind;
use sampan_download::{Catalogue, Entry};
use sampan_manager::downloads::{catalogue_arch, find_entry, read_catalogue};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// The catalogue that was asked for, else the library's own, else the built-in one.
pub fn load(app: &App, arg: &CatalogueArg) -> Result<Catalogue> {
    app.wait(app.manager.catalogue(arg.catalogue.clone()))
}

/// The entry of an id, or what could have been meant.
pub fn entry(app: &App, arg: &CatalogueArg, id: &str, arch: Arch) -> Result<Entry> {
    let catalogue = load(app, arg)?;
    Ok(find_entry(&catalogue, id, arch).map_err(sampan_manager::Error::from)?.clone())
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
    let app = App::open_if_there()?;
    let mut catalogue = read_catalogue(&home()?, args.catalogue.catalogue.as_deref())?;
    let words = args.text.join(" ");
    let fitting = catalogue.filter(&words, args.arch.map(catalogue_arch), args.kind.map(kind_of));
    catalogue.entries = fitting.into_iter().cloned().collect();
    let (media, begun) = match &app {
        Some(app) => (app.wait(app.manager.media())?, app.wait(app.manager.unfinished_downloads())?),
        None => (Vec::new(), Vec::new()),
    };
    let here: BTreeSet<&str> = media.iter().map(|info| info.medium.name.as_str()).collect();
    let begun: BTreeSet<String> = begun.into_iter().map(|begun| begun.name).collect();
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
    for info in media.iter().filter(|info| fits(&info.medium.name)) {
        let (medium, users) = (&info.medium, &info.used_by);
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
    let app = App::open_to_fill()?;
    let (file, name) = (file.to_owned(), name.map(str::to_owned));
    let medium =
        app.watch(async |reporter| app.manager.add_medium(file, name, &confirmed(yes), reporter).await)?;
    let text = format!("{}: {}", medium.name, human(medium.size));
    Ok(Answer::new(json!({ "name": medium.name, "path": medium.path, "size": medium.size }), text))
}

fn remove(name: &str) -> Result<Answer> {
    let app = App::open()?;
    app.wait(app.manager.remove_medium(name))?;
    Ok(Answer::new(json!({ "removed": name }), ""))
}
