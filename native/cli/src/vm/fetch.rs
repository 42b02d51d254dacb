//! Downloads into the library: a file is loaded beside the store of media, and becomes a medium when it is whole.

use super::images::Bar;
use crate::args::size::human;
use crate::interrupt::{Interrupted, interruption};
use crate::words::{are_watched, of_error, one_line, redraw, tell};
use anyhow::{Context, Result, anyhow, bail};
use sampan_download::{Entry, Hasher, Progress, Queue, Request, Settings, Source, State, loaded};
use sampan_library::image::{Content, identify};
use sampan_library::{IfNoReflink, Library, Medium};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Where the parts are, in the library's folder: the same file system as the media, so that nothing is copied.
const FOLDER: &str = "downloads";
/// How often the line is drawn on a terminal.
const PACE: Duration = Duration::from_millis(200);
/// How often it is written elsewhere.
const PLAIN_PACE: Duration = Duration::from_secs(5);
/// Endings that downloads give to what is not whole.
const RESERVED: [&str; 5] = [".part", ".part.json", ".new", ".bad", ORIGIN];
/// The ending of a note beside the parts: which address a medium came from.
const ORIGIN: &str = ".from";

/// One that is in the library now.
pub struct Fetched {
    pub medium: Medium,
    /// It was there before.
    pub was_there: bool,
    /// Its content was compared with a checksum.
    pub verified: bool,
}

/// The folder of the parts; it is made.
pub fn folder(library: &Library) -> Result<PathBuf> {
    Ok(library.private_folder(FOLDER)?)
}

/// What was begun and not finished.
pub fn unfinished(library: &Library) -> Result<Vec<Request>> {
    match sampan_download::unfinished(&library.home().join(FOLDER)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.context("the folder of downloads"),
    }
}

/// The medium that a download becomes.
pub fn name_of(request: &Request) -> String {
    request.to.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a medium, and a file of a machine's, can be called so.
pub fn check_name(name: &str) -> Result<()> {
    sampan_library::check_name(name)?;
    if name.starts_with(['.', '-']) || name.len() > 200 || name.contains(['/', '\\']) {
        bail!(
            "{name:?} cannot be a medium's name: choose one without folders that begins with a letter or a digit, by --name"
        );
    }
    if let Some(ending) = RESERVED.iter().find(|ending| name.ends_with(**ending)) {
        bail!(
            "{name:?} cannot be a medium's name: {ending} stands for what is not whole; choose another by --name"
        );
    }
    Ok(())
}

/// The download of a catalogue's entry.
pub fn request(library: &Library, entry: &Entry) -> Result<Request> {
    if entry.source.is_none() {
        let words = entry.words.as_deref().unwrap_or("it has to be brought");
        let page = entry.page.as_deref().unwrap_or_default();
        bail!("{} cannot be downloaded from here. {words} {page}", entry.name);
    }
    Ok(entry.resolve(&folder(library)?)?)
}

/// The medium of a name, if it is there.
pub fn there(library: &Library, name: &str) -> Result<Option<Medium>> {
    Ok(library.media()?.into_iter().find(|medium| medium.name == name))
}

/// Downloads all that is not in the library yet. Ctrl-C leaves what came, for the next time.
pub fn fetch(library: &Library, requests: Vec<Request>, settings: Settings) -> Result<Vec<Fetched>> {
    let interrupted = interruption()?;
    let mut fetched = Vec::new();
    let mut wanted = Vec::new();
    for request in requests {
        let name = name_of(&request);
        if let Some(medium) = there(library, &name)? {
            // A kill between the two steps of taking it in left its other name.
            let _ = std::fs::remove_file(&request.to);
            fetched.push(Fetched { medium, was_there: true, verified: verified(&request) });
        } else if request.to.is_file() {
            // Whole, but a kill came before it was taken in.
            fetched.push(take(library, &request, &interrupted)?);
        } else {
            request.check()?;
            wanted.push(request);
        }
    }
    if wanted.is_empty() {
        return Ok(fetched);
    }
    let queue = Queue::start(settings)?;
    let mut open: BTreeMap<u64, Request> = BTreeMap::new();
    for request in wanted {
        open.insert(queue.add(request.clone())?.id(), request);
    }
    let (mut line, mut failed, mut seen) = (Line::new(), Vec::new(), 0);
    while !open.is_empty() {
        seen = queue.wait_change(seen, PACE);
        if interrupted.load(Ordering::Relaxed) {
            queue.shutdown();
            line.end();
            return Err(Interrupted(kept(open.values())).into());
        }
        let all = queue.list();
        line.tell(&all);
        for progress in &all {
            let over = match &progress.state {
                State::Done => Some(Ok(())),
                State::Failed(error) => Some(Err(anyhow!(error.clone()))),
                State::Cancelled => Some(Err(anyhow!("it was cancelled"))),
                _ => None,
            };
            let Some((over, request)) = over.and_then(|over| Some((over, open.remove(&progress.id)?))) else {
                continue;
            };
            line.end();
            match over.and_then(|()| take(library, &request, &interrupted)) {
                Ok(medium) => fetched.push(medium),
                Err(error) => failed.push(error.context(name_of(&request))),
            }
        }
    }
    line.end();
    let Some(first) = failed.pop() else { return Ok(fetched) };
    for other in failed {
        tell(format_args!("sampan: {}", of_error(&other)));
    }
    Err(first)
}

/// Why a file is of no use as a medium, in words: it is neither a CD nor a disk.
pub fn why_no_medium(file: &Path) -> Result<Option<String>> {
    let content = content(file)?;
    Ok(match (content, content.strange()) {
        (_, Some((what, remedy))) => Some(format!("this is {what}: {remedy}")),
        (Content::Unknown, _) => Some("this looks like neither a CD nor a disk image".to_owned()),
        _ => None,
    })
}

fn content(file: &Path) -> Result<Content> {
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    identify(&opened).with_context(|| file.display().to_string())
}

/// Refuses what a server gave in place of an image. What its publisher's checksum vouches for is what was meant.
fn check_content(request: &Request) -> Result<()> {
    if verified(request) {
        return Ok(());
    }
    let (Content::Empty | Content::Text { .. }, Some((what, remedy))) = ({
        let content = content(&request.to)?;
        (content, content.strange())
    }) else {
        return Ok(());
    };
    // The next try begins anew.
    std::fs::remove_file(&request.to).with_context(|| request.to.display().to_string())?;
    bail!("what came is {what}, not an image: {remedy}; a browser shows what the address needs")
}

fn verified(request: &Request) -> bool {
    !matches!(request.source, Source::Address { digest: None, .. })
}

/// From the folder of downloads to the store of media.
fn take(library: &Library, request: &Request, interrupted: &Arc<AtomicBool>) -> Result<Fetched> {
    let name = name_of(request);
    check_content(request)?;
    let mut bar = Bar::new(Arc::clone(interrupted));
    let medium = library.add_medium(&request.to, &name, IfNoReflink::Link, &mut bar.progress())?;
    if let Err(error) = std::fs::remove_file(&request.to) {
        log::warn!("{} stays: {error}", request.to.display());
    }
    note_origin(request, &medium);
    Ok(Fetched { medium, was_there: false, verified: verified(request) })
}

/// Which file of an address a medium is.
#[derive(PartialEq, Serialize, Deserialize)]
struct Origin {
    url: String,
    size: u64,
    /// When the medium was written, in nanoseconds since 1970: one of the same name that was put there since is another.
    modified: i128,
}

impl Origin {
    fn of(url: &str, medium: &Medium) -> Option<Self> {
        let meta = medium.path.metadata().ok()?;
        let modified = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        Some(Self { url: url.to_owned(), size: medium.size, modified })
    }
}

fn origin_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(ORIGIN);
    name.into()
}

/// So that the same command is done when it is given again.
fn note_origin(request: &Request, medium: &Medium) {
    let Source::Address { url, .. } = &request.source else { return };
    let Some(text) = Origin::of(url, medium).and_then(|origin| serde_json::to_vec(&origin).ok()) else {
        return;
    };
    if let Err(error) = std::fs::write(origin_of(&request.to), text) {
        log::warn!("where {} came from is not noted: {error}", medium.name);
    }
}

/// Whether a medium is what `request` would bring: it has the checksum that is asked for, else it came from the same address.
pub fn is_that(request: &Request, medium: &Medium) -> Result<bool> {
    let Source::Address { url, digest } = &request.source else { return Ok(true) };
    if let Some(expected) = digest {
        let mut hasher = Hasher::like(expected);
        let mut file = File::open(&medium.path).with_context(|| medium.path.display().to_string())?;
        let mut bytes = vec![0; 1 << 20];
        loop {
            match file.read(&mut bytes).with_context(|| medium.path.display().to_string())? {
                0 => return Ok(hasher.finish() == *expected),
                read => hasher.update(bytes.get(..read).unwrap_or_default()),
            }
        }
    }
    let noted = File::open(origin_of(&request.to)).ok();
    let noted = noted.and_then(|file| serde_json::from_reader::<_, Origin>(file.take(1 << 16)).ok());
    Ok(noted.is_some() && noted == Origin::of(url, medium))
}

/// A medium is no more: neither is the note of where it came from.
pub fn forget_origin(library: &Library, name: &str) {
    let _ = std::fs::remove_file(origin_of(&library.home().join(FOLDER).join(name)));
}

/// What an interruption leaves, in words.
fn kept<'a>(open: impl Iterator<Item = &'a Request>) -> String {
    let of = |request: &Request| {
        let name = name_of(request);
        match loaded(request) {
            (0, _) => format!("nothing of {name} could be kept"),
            (bytes, Some(total)) => format!("{} of {} of {name} are kept", human(bytes), human(total)),
            (bytes, None) => format!("{} of {name} are kept", human(bytes)),
        }
    };
    let words: Vec<String> = open.map(of).collect();
    format!("interrupted: {}; the same command goes on from there", words.join(", "))
}

/// One line on a terminal, drawn again and again; elsewhere a line now and then.
struct Line {
    terminal: bool,
    told: Option<Instant>,
    drawn: bool,
    troubles: BTreeMap<u64, String>,
}

impl Line {
    fn new() -> Self {
        Self { terminal: are_watched(), told: None, drawn: false, troubles: BTreeMap::new() }
    }

    fn tell(&mut self, all: &[Progress]) {
        for progress in all {
            let State::Waiting { error, .. } = &progress.state else { continue };
            let words = error.to_string();
            if self.troubles.get(&progress.id) != Some(&words) {
                self.end();
                tell(format_args!("{}: {}; trying again", file(&progress.to), one_line(&words)));
                self.troubles.insert(progress.id, words);
            }
        }
        let pace = if self.terminal { PACE } else { PLAIN_PACE };
        if self.told.is_some_and(|at| at.elapsed() < pace) {
            return;
        }
        let Some(words) = words(all) else { return };
        self.told = Some(Instant::now());
        if self.terminal {
            self.drawn = true;
            redraw(&words);
        } else {
            tell(words);
        }
    }

    /// What follows begins a line of its own.
    fn end(&mut self) {
        if std::mem::take(&mut self.drawn) {
            tell("");
        }
    }
}

fn file(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// How far they all are; `None` before anything is known.
fn words(all: &[Progress]) -> Option<String> {
    let what = match all {
        [one] => file(&one.to),
        several => {
            let done = several.iter().filter(|p| p.state == State::Done).count();
            format!("{done} of {} files", several.len())
        }
    };
    let sum = |of: fn(&Progress) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
    let (done, speed) = (sum(|p| p.loaded), sum(|p| p.speed));
    let total: Option<u64> =
        all.iter().map(|p| p.total).try_fold(0, |sum: u64, total| sum.checked_add(total?));
    if let [one] = all
        && one.state == State::Verifying
    {
        return Some(format!("{what}: checking {} of {}", human(one.verified), human(one.loaded)));
    }
    let Some(total) = total.filter(|total| *total > 0) else {
        return (done > 0).then(|| format!("{what}: {}, {}/s", human(done), human(speed)));
    };
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    let left = match total.saturating_sub(done).checked_div(speed) {
        Some(seconds) => format!("{} left", clock(seconds)),
        None => "waiting".to_owned(),
    };
    Some(format!("{what}: {percent} %, {} of {}, {}/s, {left}", human(done), human(total), human(speed)))
}

fn clock(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(state: State, loaded: u64, total: Option<u64>) -> Progress {
        Progress {
            id: 1,
            to: "/x/a.iso".into(),
            state,
            loaded,
            total,
            verified: 5 << 20,
            speed: 2 << 20,
            eta: None,
            connections: Vec::new(),
        }
    }

    #[test]
    fn the_line_tells_bytes_speed_and_the_time_that_is_left() {
        let one = progress(State::Loading, 10 << 20, Some(40 << 20));
        assert_eq!(
            words(std::slice::from_ref(&one)).as_deref(),
            Some("a.iso: 25 %, 10.0 MiB of 40.0 MiB, 2.0 MiB/s, 15 s left")
        );
        let done = progress(State::Done, 40 << 20, Some(40 << 20));
        assert_eq!(
            words(&[one, done]).as_deref(),
            Some("1 of 2 files: 62 %, 50.0 MiB of 80.0 MiB, 4.0 MiB/s, 7 s left")
        );
        assert_eq!(words(&[progress(State::Connecting, 0, None)]), None);
        assert_eq!(
            words(&[progress(State::Loading, 1 << 20, None)]).as_deref(),
            Some("a.iso: 1.0 MiB, 2.0 MiB/s")
        );
        assert_eq!(
            words(&[progress(State::Verifying, 10 << 20, Some(10 << 20))]).as_deref(),
            Some("a.iso: checking 5.0 MiB of 10.0 MiB")
        );
        let still = Progress { speed: 0, ..progress(State::Loading, 1, Some(2)) };
        assert_eq!(words(&[still]).as_deref(), Some("a.iso: 50 %, 1 bytes of 2 bytes, 0 bytes/s, waiting"));
        assert_eq!([clock(99), clock(100), clock(6001)], ["99 s", "2 min", "2 h"]);
    }

    #[test]
    fn names_that_stand_for_parts_or_leave_the_folder_are_refused() {
        for bad in ["a.iso.part", "a.part.json", "a.bad", "../a", ".a", "-a", "a/b", "", &"a".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        check_name("debian 13.iso").expect("is good");
    }
}
