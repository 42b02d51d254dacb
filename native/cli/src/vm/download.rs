//! `sampan download`.

use super::answer::table;
use super::place::{library_if_there, library_to_fill};
use super::{Answer, catalogue, fetch, library};
use crate::args::DownloadArgs;
use crate::args::size::human;
use anyhow::{Context, Result, bail};
use sampan_config::Arch;
use sampan_download::{Request, Settings, Source, discard_now, loaded};
use sampan_library::Library;
use serde_json::{Value, json};

/// `sampan download …`.
pub fn download(args: &DownloadArgs) -> Result<Answer> {
    if args.list {
        return list(library_if_there()?.as_ref());
    }
    if let Some(what) = &args.discard {
        return discard(&library()?, args, what);
    }
    let library = library_to_fill()?;
    let addressed = matches!(args.what.as_slice(), [one] if is_address(one));
    if !addressed && (args.sha256.is_some() || args.name.is_some()) {
        bail!(
            "--sha256 and --name are for one address: the catalogue knows its entries' checksums and names"
        );
    }
    let requests = args.what.iter().map(|what| request(&library, args, what)).collect::<Result<Vec<_>>>()?;
    let settings = Settings {
        connections: args.connections.into(),
        extra_roots: args.ca_file.clone(),
        ..Settings::default()
    };
    let fetched = fetch::fetch(&library, requests, settings)?;
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
fn request(library: &Library, args: &DownloadArgs, what: &str) -> Result<Request> {
    if is_address(what) {
        return address(library, args, what);
    }
    let begun = fetch::unfinished(library)?.into_iter().find(|request| fetch::name_of(request) == what);
    if let Some(request) = begun {
        return Ok(request);
    }
    let catalogue = catalogue::load(library, &args.catalogue)?;
    fetch::request(library, catalogue::entry(&catalogue, what, arch(args)?)?)
}

fn arch(args: &DownloadArgs) -> Result<Arch> {
    args.arch.or_else(Arch::host).context("say --arch x86_64 or --arch aarch64: this machine is neither")
}

fn address(library: &Library, args: &DownloadArgs, url: &str) -> Result<Request> {
    let name = match &args.name {
        Some(name) => name,
        None => last_part(url).with_context(|| format!("{url} names no file: give it a name by --name"))?,
    };
    fetch::check_name(name)?;
    if fetch::there(library, name)?.is_some() {
        bail!(
            "the library has a medium called {name} already: choose another by --name, or take that one away with `sampan images remove`"
        );
    }
    let mut request = Request::new(url, fetch::folder(library)?.join(name));
    request.allow_http = args.allow_http;
    if let Some(digest) = args.sha256 {
        return Ok(request.digest(digest));
    }
    // Begun with a checksum, it is finished with it.
    let same = |begun: &Request| matches!(&begun.source, Source::Address { url: its, .. } if its == url);
    let begun = fetch::unfinished(library)?.into_iter().find(|begun| begun.to == request.to && same(begun));
    Ok(begun.map_or(request, |begun| Request { allow_http: begun.allow_http || args.allow_http, ..begun }))
}

/// What an address' path ends with.
fn last_part(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let (_, last) = path.rsplit_once('/')?;
    (!last.is_empty()).then_some(last)
}

fn list(library: Option<&Library>) -> Result<Answer> {
    let mut rows = vec![["NAME", "LOADED", "SIZE", "FROM"].map(String::from).to_vec()];
    let mut list = Vec::new();
    for request in library.map(fetch::unfinished).transpose()?.unwrap_or_default() {
        let name = fetch::name_of(&request);
        let (bytes, total) = loaded(&request);
        let from = match &request.source {
            Source::Address { url, .. } => url,
            Source::Listed { folder, .. } => folder,
        };
        list.push(json!({ "name": name, "loaded": bytes, "size": total, "from": from }));
        rows.push(vec![name, human(bytes), total.map_or("-".into(), human), from.clone()]);
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

fn discard(library: &Library, args: &DownloadArgs, what: &str) -> Result<Answer> {
    let begun = fetch::unfinished(library)?;
    let by_name = |name: &str| begun.iter().find(|request| fetch::name_of(request) == name);
    let by_id = || {
        let catalogue = catalogue::load(library, &args.catalogue).ok()?;
        let entry = catalogue.find(what, catalogue::arch_of(arch(args).ok()?))?;
        by_name(&entry.file_name())
    };
    let found = by_name(what).or_else(by_id);
    let request = found.with_context(|| format!("nothing unfinished is called {what}: see --list"))?;
    let (bytes, _) = loaded(request);
    discard_now(request)?;
    let name = fetch::name_of(request);
    Ok(Answer::new(json!({ "discarded": name, "loaded": bytes }), format!("{name} is forgotten")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_file() {
        for (url, name) in [
            ("https://example.org/a/disk.qcow2", Some("disk.qcow2")),
            ("https://example.org/a.iso?from=x/y#z", Some("a.iso")),
            ("https://example.org/a/", None),
            ("https://example.org", None),
            ("https://example.org/?a.iso", None),
        ] {
            assert_eq!(last_part(url), name, "{url}");
        }
    }
}
