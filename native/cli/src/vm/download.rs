//! `sampan download`.

use super::answer::table;
use super::fetch::fetch;
use super::{Answer, catalogue};
use crate::app::App;
use crate::args::DownloadArgs;
use crate::args::size::human;
use anyhow::{Context, Result, bail};
use sampan_config::Arch;
use sampan_download::{Request, Settings};
use sampan_manager::downloads::{AddressDownload, Unfinished, catalogue_arch};
use serde_json::{Value, json};

/// `sampan download …`.
pub fn download(args: &DownloadArgs) -> Result<Answer> {
    if args.list {
        return list(App::open_if_there()?.as_ref());
    }
    if let Some(what) = &args.discard {
        return discard(&App::open()?, args, what);
    }
    let app = App::open_to_fill()?;
    let addressed = matches!(args.what.as_slice(), [one] if is_address(one));
    if !addressed && (args.sha256.is_some() || args.name.is_some()) {
        bail!(
            "--sha256 and --name are for one address: the catalogue knows its entries' checksums and names"
        );
    }
    let requests = args.what.iter().map(|what| request(&app, args, what)).collect::<Result<Vec<_>>>()?;
    app.manager.set_download_settings(Settings {
        connections: args.connections.into(),
        extra_roots: args.ca_file.clone(),
        ..Settings::default()
    });
    let fetched = fetch(&app, requests)?;
    let (mut text, mut media) = (String::new(), Vec::<Value>::new());
    for one in &fetched {
        let (medium, note) = (
            &one.medium,
            match (one.was_there, one.verified) {
                (true, _) => ", was here already",
                (false, true) => ", checksum verified",
                (false, false) => ", not verified: no checksum was given",
            },
        );
        text += &format!("{}: {}{note}\n", medium.name, human(medium.size));
        media.push(json!({
            "name": medium.name, "path": medium.path, "size": medium.size,
            "was_there": one.was_there, "verified": one.verified,
        }));
    }
    Ok(Answer::new(json!({ "media": media }), text.trim_end()))
}

fn is_address(text: &str) -> bool {
    text.contains("://")
}

/// An address, an entry, or what was begun.
fn request(app: &App, args: &DownloadArgs, what: &str) -> Result<Request> {
    if is_address(what) {
        return app.wait(app.manager.address_download(AddressDownload {
            url: what.to_owned(),
            name: args.name.clone(),
            digest: args.sha256,
            allow_http: args.allow_http,
        }));
    }
    if let Some(begun) = app.wait(app.manager.unfinished_download(what))? {
        return Ok(begun);
    }
    let entry = catalogue::entry(app, &args.catalogue, what, arch(args)?)?;
    app.wait(app.manager.entry_download(&entry))
}

fn arch(args: &DownloadArgs) -> Result<Arch> {
    args.arch.or_else(Arch::host).context("say --arch x86_64 or --arch aarch64: this machine is neither")
}

fn list(app: Option<&App>) -> Result<Answer> {
    let mut rows = vec![["NAME", "LOADED", "SIZE", "FROM"].map(String::from).to_vec()];
    let mut list = Vec::new();
    let begun = match app {
        Some(app) => app.wait(app.manager.unfinished_downloads())?,
        None => Vec::new(),
    };
    for Unfinished { name, loaded, total, from } in begun {
        list.push(json!({ "name": name, "loaded": loaded, "size": total, "from": from }));
        rows.push(vec![name, human(loaded), total.map_or("-".into(), human), from]);
    }
    let text = match list.is_empty() {
        true => "nothing is unfinished".into(),
        false => format!(
            "{}\n`sampan download NAME` goes on, `sampan download --discard NAME` forgets it",
            table(&rows)
        ),
    };
    Ok(Answer::new(json!({ "unfinished": list }), text))
}

/// Forgets one by its name, or by the catalogue's id.
fn discard(app: &App, args: &DownloadArgs, what: &str) -> Result<Answer> {
    let by_id = || {
        let catalogue = catalogue::load(app, &args.catalogue).ok()?;
        Some(catalogue.find(what, catalogue_arch(arch(args).ok()?))?.file_name())
    };
    let name = match app.wait(app.manager.unfinished_download(what))? {
        Some(_) => what.to_owned(),
        None => by_id().unwrap_or_else(|| what.to_owned()),
    };
    let bytes = app.wait(app.manager.discard_download(&name))?;
    Ok(Answer::new(json!({ "discarded": name, "loaded": bytes }), format!("{name} is forgotten")))
}
