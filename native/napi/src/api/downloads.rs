//! What can be downloaded. A download that is cancelled, or cut off with the app, goes on where it was when it is begun anew.

use crate::job::{Answer, Job, begin};
use crate::promise::{Failure, promise};
use crate::types::{Arch, Medium, Message, Preset, confirmed, int};
use napi::bindgen_prelude::{Either8, Env, PromiseRaw};
use napi_derive::napi;
use sampan_config as config;
use sampan_download::catalogue::Kind;
use sampan_manager::create::preset_by_name;
use sampan_manager::downloads::{AddressDownload, Fetched, Network, find_entry};
use sampan_manager::{Error, Manager, Unfit};

/// What an entry gives.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EntryKind {
    /// A CD that installs the system to a disk.
    Installer,
    /// A disk with the system on it.
    Disk,
    /// Nothing from here: a person brings a file from the vendor's page.
    BringYourOwn,
}

/// A system of the catalogue.
#[napi(object, object_from_js = false)]
pub struct Entry {
    /// Names it, together with `arch`.
    pub id: String,
    /// For people.
    pub name: String,
    /// The system's version.
    pub version: String,
    /// Its processor.
    pub arch: Arch,
    /// What it gives.
    pub kind: EntryKind,
    /// About how large the download is, in bytes.
    pub size: i64,
    /// The preset that fits.
    pub preset: Preset,
    /// Whether it can be told a user, a password and keys for its first start.
    pub cloud_init: bool,
    /// Whether it is one of the few that a new person is shown first.
    pub featured: bool,
    /// The name of the medium that it becomes; none for one to bring. Its unfinished download has it, too.
    pub file: Option<String>,
    /// Whether it is in the library.
    pub downloaded: bool,
    /// How to log in first.
    pub login: Message,
    /// The system's page.
    pub page: Option<String>,
    /// What a person has to do, for one to bring.
    pub words: Option<String>,
}

/// The catalogue of systems.
#[napi(namespace = "downloads", catch_unwind)]
pub fn catalogue(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Entry>>> {
    promise(env, |core| async move {
        let media = core.manager.media().await?;
        let catalogue = core.manager.catalogue(None).await?;
        let mut entries = Vec::new();
        for entry in &catalogue.entries {
            let named = match entry.source {
                Some(_) => Some(core.manager.entry_download(entry).await?),
                None => None,
            };
            let name = named.as_ref().map(sampan_manager::downloads::medium_name);
            entries.push(Entry {
                id: entry.id.clone(),
                name: entry.name.clone(),
                version: entry.version.clone(),
                arch: match entry.arch {
                    sampan_download::catalogue::Arch::X86_64 => Arch::x86_64,
                    sampan_download::catalogue::Arch::Aarch64 => Arch::aarch64,
                },
                kind: match entry.kind {
                    Kind::Installer => EntryKind::Installer,
                    Kind::Disk => EntryKind::Disk,
                    Kind::BringYourOwn => EntryKind::BringYourOwn,
                },
                size: int(u64::from(entry.about_mib) << 20),
                preset: preset_by_name(&entry.preset).unwrap_or(config::Preset::Linux).into(),
                cloud_init: entry.cloud_init,
                featured: entry.featured,
                downloaded: name
                    .as_ref()
                    .is_some_and(|name| media.iter().any(|info| info.medium.name == *name)),
                file: name,
                login: Message::from(&entry.login()),
                page: entry.page.clone(),
                words: entry.words.clone(),
            });
        }
        Ok(entries)
    })
}

/// What downloads go over, as the system tells the app: whether there is a network, and whether what is loaded costs money. When it
/// begins to, downloads that go on rest until somebody resumes their jobs or it costs nothing any more; new ones want a yes to
/// `metered`, also `machines.create`. Without a network they are refused with `offline`.
#[napi(namespace = "downloads", catch_unwind)]
pub fn set_network(env: &Env, online: bool, metered: bool) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        core.manager.set_network(Network { online, metered });
        Ok(())
    })
}

/// Downloads an entry of the catalogue, unless it is here. `codes` are those of what was confirmed.
#[napi(namespace = "downloads", catch_unwind, ts_return_type = "Job<Medium>")]
pub fn entry(entry: String, arch: Arch, codes: Option<Vec<String>>) -> Job {
    begin("download", entry.clone().as_str(), |manager, reporter| async move {
        let catalogue = manager.catalogue(None).await?;
        let arch: config::Arch = arch.into();
        let found = find_entry(&catalogue, &entry, arch)?;
        let request = manager.entry_download(found).await?;
        fetched(&manager, request, codes, &reporter).await
    })
}

/// Downloads a file by its address. `sha256`, 64 hexadecimal digits, is what it must have; without one it must come by https.
#[napi(namespace = "downloads", catch_unwind, ts_return_type = "Job<Medium>")]
pub fn address(url: String, name: Option<String>, sha256: Option<String>, codes: Option<Vec<String>>) -> Job {
    let about = name.clone().unwrap_or_else(|| url.clone());
    begin("download", about.as_str(), |manager, reporter| async move {
        let digest = match sha256 {
            Some(text) => Some(text.parse().map_err(|_| Error::unfit("sha256", &Unfit::NoSha256))?),
            None => None,
        };
        let allow_http = digest.is_some();
        let wanted = AddressDownload { url, name, digest, allow_http };
        let request = manager.address_download(wanted).await?;
        fetched(&manager, request, codes, &reporter).await
    })
}

async fn fetched(
    manager: &Manager,
    request: sampan_download::Request,
    codes: Option<Vec<String>>,
    reporter: &sampan_control::Reporter,
) -> Result<Answer, Error> {
    let found = manager.download_findings(&request).await?;
    sampan_manager::confirm(found, &confirmed(codes.unwrap_or_default()))?;
    let outcomes = manager.fetch(vec![request], reporter, |_| {}).await?;
    let (_, outcome) = outcomes.into_iter().next().ok_or(Error::Thread)?;
    let Fetched { medium, .. } = outcome?;
    Ok(medium_answer(&medium))
}

pub(crate) fn medium_answer(medium: &sampan_library::Medium) -> Answer {
    Some(Either8::D(Medium::of(medium)))
}

/// Downloads that were begun and are not finished.
#[napi(object, object_from_js = false)]
pub struct Unfinished {
    /// The name that the medium will have.
    pub name: String,
    /// Bytes that are here.
    pub loaded: i64,
    /// All of its bytes, where that is known.
    pub total: Option<i64>,
    /// Where it comes from.
    pub from: String,
}

/// What was begun and is not finished.
#[napi(namespace = "downloads", catch_unwind)]
pub fn unfinished(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Unfinished>>> {
    promise(env, |core| async move {
        let all = core.manager.unfinished_downloads().await?.into_iter();
        Ok(all
            .map(|one| Unfinished {
                name: one.name,
                loaded: int(one.loaded),
                total: one.total.map(int),
                from: one.from,
            })
            .collect())
    })
}

/// Goes on with one that was begun.
#[napi(namespace = "downloads", catch_unwind, ts_return_type = "Job<Medium>")]
pub fn resume(name: String, codes: Option<Vec<String>>) -> Job {
    begin("download", name.clone().as_str(), |manager, reporter| async move {
        let none = sampan_manager::downloads::MediaError::NoDownload { name: name.clone() };
        let request = manager.unfinished_download(&name).await?.ok_or(none)?;
        fetched(&manager, request, codes, &reporter).await
    })
}

/// Forgets one that was begun, and gives its space back; how many bytes.
#[napi(namespace = "downloads", js_name = "discard", catch_unwind)]
pub fn discard_unfinished(env: &Env, name: String) -> napi::Result<PromiseRaw<'_, i64>> {
    promise(
        env,
        move |core| async move { Ok::<_, Failure>(int(core.manager.discard_download(&name).await?)) },
    )
}
