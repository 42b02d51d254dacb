//! The catalogue, downloads, and the media that they become. A file is loaded beside the store of media, and becomes a
//! medium when it is whole.

pub(crate) mod error;
mod media;
mod network;
mod origin;

pub use error::{Kept, MediaError};
pub use media::MediumInfo;
pub use network::Network;

use crate::error::{Error, Result};
use crate::fault::MediumNameRule;
use crate::{Job, Manager, blocking};
use origin::{forget_origin, is_that, note_origin};
use sampan_config::Arch;
use sampan_control::Reporter;
use sampan_download::catalogue;
use sampan_download::{
    Catalogue, Digest, Download, DownloadError, Entry, Progress, Queue, Request, Settings, Source, State,
    loaded,
};
use sampan_library::image::{Content, identify};
use sampan_library::{IfNoReflink, Library, Medium};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the parts are, in the library's folder: the same file system as the media, so that nothing is copied.
const FOLDER: &str = "downloads";

/// The user's catalogue in the library's folder.
const OWN_CATALOGUE: &str = "catalogue.json";

/// How often it is looked whether a download was cancelled.
const PACE: Duration = Duration::from_millis(200);

/// How long a cancelled download may take to write down what it has.
const FAREWELL: Duration = Duration::from_secs(10);

/// Endings that downloads give to what is not whole.
const RESERVED: [&str; 5] = [".part", ".part.json", ".new", ".bad", origin::ENDING];

/// One that is in the library now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The medium.
    pub medium: Medium,
    /// It was there before.
    pub was_there: bool,
    /// Its content was compared with a checksum.
    pub verified: bool,
}

/// One that was begun and is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The name that the medium will have.
    pub name: String,
    /// Bytes that are here.
    pub loaded: u64,
    /// All of its bytes, where that is known.
    pub total: Option<u64>,
    /// The address of the file, or of the folder it is in.
    pub from: String,
}

/// A file that a person gives the address of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressDownload {
    /// The address.
    pub url: String,
    /// The medium's name; the last part of the address where it is not given.
    pub name: Option<String>,
    /// The checksum that the file must have.
    pub digest: Option<Digest>,
    /// Whether plain http without a checksum is fine.
    pub allow_http: bool,
}

/// The catalogue in `file`, else the library's own, else the built-in one. There need not be a library in `home`. It blocks.
///
/// # Errors
/// The file cannot be read, or is no catalogue.
pub fn read_catalogue(home: &Path, file: Option<&Path>) -> Result<Catalogue> {
    let own = home.join(OWN_CATALOGUE);
    let file = match file {
        Some(file) => file,
        None if own.exists() => &own,
        None => return Ok(Catalogue::built_in()),
    };
    let in_file = |error| Error::InFile { file: file.to_owned(), source: Box::new(error) };
    let opened = File::open(file).map_err(|error| in_file(Error::Text(error.into())))?;
    let bytes = crate::text::read(opened, catalogue::MAX_BYTES as u64).and_then(crate::text::unmarked);
    let bytes = bytes.map_err(|error| in_file(error.into()))?;
    Catalogue::parse(&bytes).map_err(|error| in_file(error.into()))
}

/// The catalogue's name of an architecture.
pub fn catalogue_arch(arch: Arch) -> catalogue::Arch {
    match arch {
        Arch::X86_64 => catalogue::Arch::X86_64,
        Arch::Aarch64 => catalogue::Arch::Aarch64,
    }
}

/// The entry of an id.
///
/// # Errors
/// [`MediaError::EntryOfOtherArch`], [`MediaError::NoEntry`] with what could have been meant.
pub fn find_entry<'a>(catalogue: &'a Catalogue, id: &str, arch: Arch) -> Result<&'a Entry, MediaError> {
    if let Some(entry) = catalogue.find(id, catalogue_arch(arch)) {
        return Ok(entry);
    }
    if catalogue.entries.iter().any(|entry| entry.id == id) {
        // There are two architectures.
        let other = if arch == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
        return Err(MediaError::EntryOfOtherArch { id: id.to_owned(), arch: other });
    }
    let like = catalogue.filter(id, Some(catalogue_arch(arch)), None);
    Err(MediaError::NoEntry { id: id.to_owned(), like: like.iter().map(|entry| entry.id.clone()).collect() })
}

/// Whether a medium, and a file of a machine's, can be called so.
///
/// # Errors
/// [`MediaError::BadName`]; what the library says of names of files.
pub fn check_medium_name(name: &str) -> Result<()> {
    sampan_library::check_name(name)?;
    let bad = |rule| Error::Media(MediaError::BadName { name: name.to_owned(), rule });
    if name.starts_with(['.', '-']) || name.len() > 200 || name.contains(['/', '\\']) {
        return Err(bad(MediumNameRule::Plain));
    }
    match RESERVED.iter().any(|ending| name.ends_with(ending)) {
        true => Err(bad(MediumNameRule::Ending)),
        false => Ok(()),
    }
}

/// The medium that a download becomes.
pub fn medium_name(request: &Request) -> String {
    file_name(&request.to)
}

/// The name of the file that is being loaded.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The medium of exactly this name, if it is there.
pub(crate) fn there(library: &Library, name: &str) -> Result<Option<Medium>> {
    Ok(library.media()?.into_iter().find(|medium| medium.name == name))
}

/// The folder of the parts; it is made.
fn folder(library: &Library) -> Result<PathBuf> {
    Ok(library.private_folder(FOLDER)?)
}

/// What was begun and not finished. It blocks.
fn unfinished(library: &Library) -> Result<Vec<Request>> {
    match sampan_download::unfinished(&library.home().join(FOLDER)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(Error::io("the folder of downloads")),
    }
}

/// Bytes of what was begun and not finished. It blocks.
pub(crate) fn unfinished_bytes(library: &Library) -> Result<u64> {
    Ok(unfinished(library)?.iter().map(|request| loaded(request).0).sum())
}

/// The download of a catalogue's entry. It blocks.
pub(crate) fn entry_request(library: &Library, entry: &Entry) -> Result<Request> {
    if entry.source.is_none() {
        return Err(Error::Media(MediaError::BringYourOwn {
            id: entry.id.clone(),
            words: entry.words.clone().unwrap_or_default(),
            page: entry.page.clone().unwrap_or_default(),
            preset: entry.preset.replace('-', ""),
        }));
    }
    Ok(entry.resolve(&folder(library)?)?)
}

/// What an address' path ends with.
fn last_part(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let (_, last) = path.rsplit_once('/')?;
    (!last.is_empty()).then_some(last)
}

fn address_request(library: &Library, wanted: &AddressDownload) -> Result<Request> {
    let url = &wanted.url;
    let name = wanted.name.as_deref().or_else(|| last_part(url));
    let name = name.ok_or_else(|| Error::Media(MediaError::NoName { url: url.clone() }))?;
    check_medium_name(name)?;
    let mut request = Request::new(url, folder(library)?.join(name));
    request.allow_http = wanted.allow_http;
    if let Some(digest) = wanted.digest {
        request = request.digest(digest);
    }
    if let Some(medium) = there(library, name)? {
        // Done before.
        return match is_that(&request, &medium)? {
            true => Ok(request),
            false => Err(Error::Media(MediaError::NameTaken { name: name.to_owned() })),
        };
    }
    if wanted.digest.is_none() {
        // Begun with a checksum, it is finished with it.
        let same = |begun: &Request| matches!(&begun.source, Source::Address { url: its, .. } if its == url);
        let begun = unfinished(library)?.into_iter().find(|begun| begun.to == request.to && same(begun));
        request = begun
            .map_or(request, |begun| Request { allow_http: begun.allow_http || wanted.allow_http, ..begun });
    }
    request.check()?;
    Ok(request)
}

impl Manager {
    /// The catalogue in `file`, else the library's own, else the built-in one.
    ///
    /// # Errors
    /// See [`read_catalogue`].
    pub async fn catalogue(&self, file: Option<PathBuf>) -> Result<Catalogue> {
        let library = self.library().clone();
        blocking(move || read_catalogue(library.home(), file.as_deref())).await
    }

    /// The download of a catalogue's entry.
    ///
    /// # Errors
    /// [`MediaError::BringYourOwn`]; there is no place for its parts.
    pub async fn entry_download(&self, entry: &Entry) -> Result<Request> {
        let (library, entry) = (self.library().clone(), entry.clone());
        blocking(move || entry_request(&library, &entry)).await
    }

    /// The download of a file by its address. One that was begun before goes on.
    ///
    /// # Errors
    /// [`MediaError::NoName`], [`MediaError::BadName`], [`MediaError::NameTaken`]; what [`Request::check`] refuses.
    pub async fn address_download(&self, wanted: AddressDownload) -> Result<Request> {
        let library = self.library().clone();
        blocking(move || address_request(&library, &wanted)).await
    }

    /// What was begun and is not finished.
    ///
    /// # Errors
    /// The folder of downloads cannot be read.
    pub async fn unfinished_downloads(&self) -> Result<Vec<Unfinished>> {
        let library = self.library().clone();
        let of = |request: Request| {
            let (loaded, total) = loaded(&request);
            let name = medium_name(&request);
            let (Source::Address { url: from, .. } | Source::Listed { folder: from, .. }) = request.source;
            Unfinished { name, loaded, total, from }
        };
        blocking(move || Ok(unfinished(&library)?.into_iter().map(of).collect())).await
    }

    /// The download of this name that was begun and is not finished, if there is one.
    ///
    /// # Errors
    /// The folder of downloads cannot be read.
    pub async fn unfinished_download(&self, name: &str) -> Result<Option<Request>> {
        let (library, name) = (self.library().clone(), name.to_owned());
        blocking(move || Ok(unfinished(&library)?.into_iter().find(|request| medium_name(request) == name)))
            .await
    }

    /// Forgets a download that was begun, and gives its space back; how many bytes.
    ///
    /// # Errors
    /// [`MediaError::NoDownload`]; it goes on in this process or another one.
    pub async fn discard_download(&self, name: &str) -> Result<u64> {
        let none = || Error::Media(MediaError::NoDownload { name: name.to_owned() });
        let request = self.unfinished_download(name).await?.ok_or_else(none)?;
        let bytes = blocking(move || {
            let (bytes, _) = loaded(&request);
            sampan_download::discard_now(&request)?;
            Ok(bytes)
        })
        .await?;
        self.changed();
        Ok(bytes)
    }

    /// Downloads with these settings from the next download on. Those that go on keep theirs.
    pub fn set_download_settings(&self, settings: Settings) {
        let mut downloads = self.downloads().lock();
        downloads.settings = settings;
        downloads.queue = None;
    }

    /// Downloads what is not in the library yet. Several are loaded at a time; one that fails holds no other up. `on_change`
    /// is told of those that are open whenever anything has changed. Cancelled, it leaves what came for the next time.
    ///
    /// Gives the outcome of each, in no certain order.
    ///
    /// # Errors
    /// [`MediaError::Interrupted`]; no download can be begun.
    pub async fn fetch(
        &self,
        requests: Vec<Request>,
        reporter: &Reporter,
        mut on_change: impl FnMut(&[Progress]) + Send,
    ) -> Result<Vec<(String, Result<Fetched>)>> {
        let (mut outcomes, mut wanted) = (Vec::new(), Vec::new());
        for request in requests {
            let name = medium_name(&request);
            match self.loaded_before(&request, reporter).await? {
                Some(fetched) => outcomes.push((name, Ok(fetched))),
                None => wanted.push(request),
            }
        }
        if wanted.is_empty() {
            return Ok(outcomes);
        }
        let queue = self.download_queue()?;
        let mut open: Vec<(Download, Request)> = Vec::new();
        for request in wanted {
            match queue.add(request.clone()) {
                Ok(download) => open.push((download, request)),
                Err(error) => outcomes.push((medium_name(&request), Err(error.into()))),
            }
        }
        let _resting = CanRest::new(reporter);
        let mut seen = 0;
        while !open.is_empty() {
            if reporter.is_paused() && !reporter.is_cancelled() {
                open.iter().for_each(|(download, _)| drop(download.pause()));
                reporter.rest().await;
                open.iter().for_each(|(download, _)| drop(download.resume()));
            }
            let waiting = queue.clone();
            seen = blocking(move || Ok(waiting.wait_change(seen, PACE))).await?;
            if reporter.is_cancelled() {
                return Err(interrupted(&queue, open).await);
            }
            let all: Vec<Progress> =
                open.iter().filter_map(|(download, _)| download.progress().ok()).collect();
            let sum = |of: fn(&Progress) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
            let _ = reporter.report("download", sum(|p| p.loaded), sum(|p| p.total.unwrap_or(0)));
            on_change(&all);
            let mut still = Vec::new();
            for (download, request) in open {
                let over = match download.progress().map(|progress| progress.state) {
                    Ok(State::Done) => Ok(()),
                    Ok(State::Failed(error)) => Err(error),
                    Ok(State::Cancelled) => Err(DownloadError::Cancelled),
                    Ok(_) => {
                        still.push((download, request));
                        continue;
                    }
                    Err(error) => Err(error),
                };
                let _ = download.remove();
                let name = medium_name(&request);
                let outcome = match over {
                    Ok(()) => self.take(request, reporter).await,
                    Err(error) => Err(error.into()),
                };
                outcomes.push((name, outcome));
            }
            open = still;
        }
        Ok(outcomes)
    }

    /// Downloads one as a job, which goes on when its page is closed.
    pub fn download_job(&self, request: Request) -> Job<Fetched> {
        let name = medium_name(&request);
        self.spawn_job("download", name.as_str(), move |manager, reporter| async move {
            let outcomes = manager.fetch(vec![request], &reporter, |_| {}).await?;
            outcomes.into_iter().next().map_or(Err(Error::Thread), |(_, outcome)| outcome)
        })
    }

    /// What is in the library already, or was loaded whole before.
    async fn loaded_before(&self, request: &Request, reporter: &Reporter) -> Result<Option<Fetched>> {
        let (library, request) = (self.library().clone(), request.clone());
        if let Some(medium) = {
            let (library, name) = (library.clone(), medium_name(&request));
            blocking(move || there(&library, &name)).await?
        } {
            // A kill between the two steps of taking it in left its other name.
            let _ = std::fs::remove_file(&request.to);
            return Ok(Some(Fetched { medium, was_there: true, verified: is_verified(&request) }));
        }
        match request.to.is_file() {
            // Whole, but a kill came before it was taken in.
            true => self.take(request, reporter).await.map(Some),
            false => Ok(None),
        }
    }

    fn download_queue(&self) -> Result<Queue> {
        let mut downloads = self.downloads().lock();
        match &downloads.queue {
            Some(queue) => Ok(queue.clone()),
            None => {
                let queue = Queue::start(downloads.settings.clone())?;
                downloads.queue = Some(queue.clone());
                Ok(queue)
            }
        }
    }

    /// From the folder of downloads to the store of media.
    async fn take(&self, request: Request, reporter: &Reporter) -> Result<Fetched> {
        let (library, reporter) = (self.library().clone(), reporter.clone());
        let fetched = blocking(move || {
            check_content(&request)?;
            let mut copying = crate::transfer::copying(&reporter);
            let medium =
                library.add_medium(&request.to, &medium_name(&request), IfNoReflink::Link, &mut copying)?;
            if let Err(error) = std::fs::remove_file(&request.to) {
                log::warn!("{} stays: {error}", request.to.display());
            }
            note_origin(&request, &medium);
            Ok(Fetched { medium, was_there: false, verified: is_verified(&request) })
        })
        .await?;
        self.changed();
        Ok(fetched)
    }
}

/// While it lives, the work can rest.
struct CanRest<'a>(&'a Reporter);

impl<'a> CanRest<'a> {
    fn new(reporter: &'a Reporter) -> Self {
        reporter.set_can_pause(true);
        Self(reporter)
    }
}

impl Drop for CanRest<'_> {
    fn drop(&mut self) {
        self.0.set_can_pause(false);
    }
}

/// Cancels what is open, and tells what of it is kept once that is written down.
async fn interrupted(queue: &Queue, open: Vec<(Download, Request)>) -> Error {
    for (download, _) in &open {
        let _ = download.cancel(true);
    }
    let (queue, begun) = (queue.clone(), std::time::Instant::now());
    let kept = blocking(move || {
        let mut seen = 0;
        let goes_on = |download: &Download| {
            // It is over once it can be taken out of the queue.
            matches!(download.remove(), Ok(false))
        };
        while open.iter().any(|(download, _)| goes_on(download)) && begun.elapsed() < FAREWELL {
            seen = queue.wait_change(seen, PACE);
        }
        let kept = |(_, request): &(Download, Request)| {
            let (loaded, total) = loaded(request);
            Kept { name: medium_name(request), loaded, total }
        };
        Ok(open.iter().map(kept).collect())
    });
    Error::Media(MediaError::Interrupted { kept: kept.await.unwrap_or_default() })
}

/// What its publisher's checksum vouches for is what was meant.
fn is_verified(request: &Request) -> bool {
    !matches!(request.source, Source::Address { digest: None, .. })
}

/// What a file is.
pub(crate) fn content(file: &Path) -> Result<Content> {
    let opened = sampan_library::open_named(file)?;
    identify(&opened)
        .map_err(|source| Error::Library(sampan_library::Error::Probe { path: file.to_owned(), source }))
}

/// Refuses what a server gave in place of an image.
fn check_content(request: &Request) -> Result<()> {
    if is_verified(request) {
        return Ok(());
    }
    let content = content(&request.to)?;
    let (Content::Empty | Content::Text { .. }, Some(what)) = (content, content.kind()) else {
        return Ok(());
    };
    // The next try begins anew.
    std::fs::remove_file(&request.to).map_err(Error::io(request.to.display().to_string()))?;
    Err(Error::Media(MediaError::NotAnImage { what }))
}

/// The queue of this process, with the settings for the next one.
#[derive(Default)]
pub(crate) struct Downloads {
    network: Network,
    /// Whether the last network that there was costs money.
    costs: bool,
    settings: Settings,
    queue: Option<Queue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stand_for_parts_or_leave_the_folder_are_refused() {
        for bad in ["a.iso.part", "a.part.json", "a.bad", "../a", ".a", "-a", "a/b", "", &"a".repeat(201)] {
            assert!(check_medium_name(bad).is_err(), "{bad}");
        }
        check_medium_name("debian 13.iso").expect("is good");
    }

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

    #[test]
    fn an_unknown_id_is_answered_with_what_there_is() {
        let catalogue = Catalogue::built_in();
        let error = |id: &str| find_entry(&catalogue, id, Arch::Aarch64).expect_err("is refused");
        assert!(error("debian").to_string().contains("debian-13-cloud"), "{}", error("debian"));
        assert!(matches!(error("no such system"), MediaError::NoEntry { like, .. } if like.is_empty()));
        assert!(matches!(error("windows-10"), MediaError::EntryOfOtherArch { arch: Arch::X86_64, .. }));
        let found = find_entry(&catalogue, "debian-13-cloud", Arch::Aarch64).expect("is there");
        assert_eq!(found.arch.name(), "aarch64");
    }
}
