//! Files that somebody else has opened and lends: an app gets a descriptor from the system's file picker, often of a file that it
//! could not open itself. What a machine is made of is copied into the library's own folder first, since QEMU and the checks of
//! images open files by their names; what leaves the library is copied out of it.

use crate::create::Source;
use crate::error::{Error, Result};
use crate::fault::Unfit;
use crate::findings::Confirmed;
use crate::machine::unexpected;
use crate::transfer::Arrived;
use crate::{Manager, NewMachine, blocking};
use sampan_config::PAUSE_BELOW;
use sampan_control::{GivenTo, Reply, Reporter, Request};
use sampan_library::{DriveId, Library, Medium, VmId};
use sampan_message::Message;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folder of copies that are being worked on. What a kill left there is removed when the library is opened again.
const FOLDER: &str = "incoming";

/// Bytes that are copied between two looks at whether it is still wanted.
const PIECE: usize = 1 << 20;

/// A file that was lent, with the name it has where it comes from.
#[derive(Debug)]
pub struct Lent {
    /// The file, open for reading, or of a target for writing.
    pub file: File,
    /// Its name, with the ending; of a path the last part counts.
    pub name: String,
}

/// A copy in the library's own folder, which is removed with this.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    _folder: TempDir,
}

impl Lent {
    /// The file's name without what a server or another app may have put before it.
    fn plain_name(&self) -> Result<&str> {
        let name = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        crate::downloads::check_medium_name(name)?;
        Ok(name)
    }

    /// Copies it. It blocks.
    fn copy(&self, library: &Library, reporter: &Reporter) -> Result<Copy> {
        let name = self.plain_name()?;
        let meta = self.file.metadata().map_err(Error::io(name))?;
        if !meta.is_file() {
            return Err(Error::unfit("file", &Unfit::NoPlainFile { name: name.to_owned() }));
        }
        let home = library.private_folder(FOLDER)?;
        let free = sampan_library::free(&home)?;
        let needed = meta.len().saturating_add(PAUSE_BELOW);
        if needed > free {
            return Err(no_space(needed, free));
        }
        let folder = tempfile::Builder::new().prefix("copy-").tempdir_in(&home).map_err(Error::io(FOLDER))?;
        let path = folder.path().join(name);
        let mut target = File::options().write(true).create_new(true).open(&path).map_err(Error::io(name))?;
        copy_bytes(&self.file, meta.len(), &mut target, reporter).map_err(at(name))?;
        Ok(Copy { path, _folder: folder })
    }

    /// Has this content alone from now on. It blocks.
    fn replace(&self, content: &[u8]) -> Result<u64> {
        let name = self.name.as_str();
        self.file.set_len(0).map_err(Error::io(name))?;
        self.file.write_all_at(content, 0).map_err(at(name))?;
        self.file.sync_all().map_err(Error::io(name))?;
        Ok(content.len() as u64)
    }

    /// Writes a file of the library into it from its beginning. It blocks.
    fn fill(&self, from: &Path, reporter: &Reporter) -> Result<u64> {
        let name = self.name.as_str();
        let source = File::open(from).map_err(Error::io(name))?;
        let length = source.metadata().map_err(Error::io(name))?.len();
        // What was in it counts no more, and is not left behind a shorter one.
        self.file.set_len(0).map_err(Error::io(name))?;
        let mut target = At { file: &self.file, offset: 0 };
        copy_bytes(&source, length, &mut target, reporter).map_err(at(name))?;
        self.file.sync_all().map_err(Error::io(name))?;
        Ok(length)
    }
}

/// Writes at offsets: the descriptor's own position is its owner's.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.offset)?;
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn no_space(needed: u64, free: u64) -> Error {
    let text = format!(
        "{} are needed where the machines are, and {} are free: make room first",
        sampan_message::human_bytes(needed),
        sampan_message::human_bytes(free)
    );
    Error::Told(Message::new("no_space", text).with("needed", needed).with("free", free))
}

pub(crate) fn at(name: &str) -> impl FnOnce(io::Error) -> Error + '_ {
    move |error| match error.kind() {
        io::ErrorKind::Interrupted => Error::Cancelled,
        io::ErrorKind::StorageFull => {
            let text = format!("{name}: the disk is full: make room first");
            Error::Told(Message::new("no_space", text).with("path", name))
        }
        _ => Error::Io { what: name.to_owned(), source: error },
    }
}

/// Copies so many bytes, or up to the end. [`io::ErrorKind::Interrupted`] where it is not wanted any more.
pub(crate) fn copy_bytes(
    from: &File,
    length: u64,
    to: &mut impl Write,
    reporter: &Reporter,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        if reporter.report("copy", done, length).is_break() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match from.read_at(&mut piece, done)? {
            0 => return Ok(()),
            read => {
                to.write_all(piece.get(..read).unwrap_or_default())?;
                done += read as u64;
            }
        }
    }
}

/// The name that a CD gets in the library, and whether the same CD is there under it already: a second machine of one CD has that,
/// and another CD of that name gets a number. It blocks.
fn medium_name(library: &Library, file: &Path) -> Result<(String, bool)> {
    let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, ending) = (name(file.file_stem()), file.extension().map(|ending| name(Some(ending))));
    let media = library.media()?;
    for number in 1_u32.. {
        let stem = if number == 1 { stem.clone() } else { format!("{stem} ({number})") };
        let candidate = ending.as_ref().map_or(stem.clone(), |ending| format!("{stem}.{ending}"));
        match media.iter().find(|medium| medium.name == candidate) {
            None => return Ok((candidate, false)),
            Some(medium) if same(&medium.path, file).map_err(Error::io(candidate.clone()))? => {
                return Ok((candidate, true));
            }
            Some(_) => {}
        }
    }
    Err(Error::Thread)
}

/// Whether two files have the same content.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    let length = one.metadata()?.len();
    if length != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    let mut done = 0;
    while done < length {
        let count = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
        let (Some(left), Some(right)) = (left.get_mut(..count), right.get_mut(..count)) else { break };
        one.read_exact_at(left, done)?;
        other.read_exact_at(right, done)?;
        if left != right {
            return Ok(false);
        }
        done += count as u64;
    }
    Ok(true)
}

/// Removes what a kill has left. It blocks.
pub(crate) fn sweep(library: &Library) {
    let folder = library.home().join(FOLDER);
    for left in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Err(error) = std::fs::remove_dir_all(left.path()) {
            log::warn!("{} stays: {error}", left.path().display());
        }
    }
}

impl Manager {
    async fn copied(&self, lent: Lent, reporter: &Reporter) -> Result<Copy> {
        let (library, reporter) = (self.library().clone(), reporter.clone());
        blocking(move || lent.copy(&library, &reporter)).await
    }

    /// The same as [`Manager::add_medium`] of a file that was lent; its name is the medium's.
    ///
    /// # Errors
    /// See there; no space.
    pub async fn add_lent_medium(
        &self,
        lent: Lent,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<Medium> {
        let copy = self.copied(lent, reporter).await?;
        self.add_medium(copy.path.clone(), None, confirmed, reporter).await
    }

    /// The same as [`Manager::import`] of a file that was lent.
    ///
    /// # Errors
    /// See there; no space.
    pub async fn import_lent(
        &self,
        lent: Lent,
        name: Option<String>,
        reporter: &Reporter,
    ) -> Result<Arrived> {
        let copy = self.copied(lent, reporter).await?;
        self.import(copy.path.clone(), name, reporter).await
    }

    /// The same as [`Manager::import_disk`] of a file that was lent.
    ///
    /// # Errors
    /// See there; no space.
    pub async fn import_lent_disk(
        &self,
        id: VmId,
        lent: Lent,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<(DriveId, Vec<Message>)> {
        let copy = self.copied(lent, reporter).await?;
        self.import_disk(id, copy.path.clone(), None, confirmed, reporter).await
    }

    /// The same as [`Manager::create`] of a machine that begins with a file that was lent, a CD or a disk image.
    ///
    /// # Errors
    /// See there; no space.
    pub async fn create_of_lent(
        &self,
        new: NewMachine,
        lent: Lent,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<Arrived> {
        let copy = self.copied(lent, reporter).await?;
        // A CD stays in its drive, so it becomes a medium of the library; a disk is copied once more, with what it holds.
        let source = Source::File(copy.path.clone());
        let mut new = self.beginning_with(new, source).await?;
        if new.cd.is_some() {
            let (library, path) = (self.library().clone(), copy.path.clone());
            let (name, is_there) = blocking(move || medium_name(&library, &path)).await?;
            if !is_there {
                self.add_medium(copy.path.clone(), Some(name.clone()), confirmed, reporter).await?;
            }
            new.cd = Some(Source::Medium(name));
        }
        let plan = self.plan(new, None).await?;
        self.create(plan, confirmed, reporter).await
    }

    /// The same as [`Manager::export`] into a file that was lent; how many bytes it has. The archive is made beside the machines
    /// first, so that much space is needed there, too.
    ///
    /// # Errors
    /// See there. What was in the file may be gone.
    pub async fn export_to_lent(&self, id: VmId, lent: Lent, reporter: &Reporter) -> Result<u64> {
        let folder = self.work_folder("export-").await?;
        let archive = folder.path().join("machine.sampan");
        self.export(id, archive.clone(), reporter).await?;
        let reporter = reporter.clone();
        blocking(move || {
            let bytes = lent.fill(&archive, &reporter);
            drop(folder);
            bytes
        })
        .await
    }
}

impl Manager {
    /// Copies a file that was lent into a running guest, by its agent; how many bytes it has.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; nobody answers in the guest; no space.
    pub async fn push_lent(&self, id: VmId, lent: Lent, to: String, reporter: &Reporter) -> Result<u64> {
        let machine = self.running(id).await?;
        let copy = self.copied(lent, reporter).await?;
        let from = copy.path.clone();
        match machine.call(Request::Push { from, to: Some(to), name: None }, reporter).await? {
            Reply::Copied { bytes, .. } => Ok(bytes),
            _ => Err(Error::Client(unexpected())),
        }
    }

    /// Gives a file that was lent to whoever uses the guest's desktop; where it is, and how many bytes it has.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; no agent answers in the guest; no space there.
    pub async fn give_lent(
        &self,
        id: VmId,
        lent: Lent,
        name: String,
        reporter: &Reporter,
    ) -> Result<(GivenTo, u64)> {
        let machine = self.running(id).await?;
        let copy = self.copied(lent, reporter).await?;
        let from = copy.path.clone();
        match machine.call(Request::Push { from, to: None, name: Some(name) }, reporter).await? {
            Reply::Copied { bytes, to: Some(to) } => Ok((to, bytes)),
            _ => Err(Error::Client(unexpected())),
        }
    }

    /// Copies a file of a running guest into one that was lent, by its agent; how many bytes it has.
    ///
    /// # Errors
    /// See [`Manager::push_lent`].
    pub async fn pull_to_lent(&self, id: VmId, from: String, lent: Lent, reporter: &Reporter) -> Result<u64> {
        let machine = self.running(id).await?;
        let folder = self.work_folder("pull-").await?;
        let to = folder.path().join("file");
        machine.call(Request::Pull { from, to: to.clone() }, reporter).await?;
        let reporter = reporter.clone();
        blocking(move || {
            let bytes = lent.fill(&to, &reporter);
            drop(folder);
            bytes
        })
        .await
    }

    /// Writes what a running machine shows into a file that was lent, as PNG; how many bytes it has.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; the guest shows nothing.
    pub async fn screenshot_to_lent(&self, id: VmId, lent: Lent) -> Result<u64> {
        let machine = self.running(id).await?;
        match machine.call(Request::Screenshot { display: None }, &Reporter::new()).await? {
            Reply::Picture(picture) => blocking(move || lent.replace(&picture.png)).await,
            _ => Err(Error::Client(unexpected())),
        }
    }

    /// Writes all that is kept of a machine's runs into a file that was lent, as one text: the reports of its crashes and the logs,
    /// the oldest first of each. How many bytes it has.
    ///
    /// # Errors
    /// The bundle cannot be read; no space.
    pub async fn export_logs_to_lent(&self, id: VmId, lent: Lent, reporter: &Reporter) -> Result<u64> {
        let bundle = self.bundle(id).await?;
        let folder = self.work_folder("logs-").await?;
        let reporter = reporter.clone();
        blocking(move || {
            let all = folder.path().join("logs.txt");
            let file = File::create_new(&all).map_err(Error::io(FOLDER))?;
            crate::records::write_all(&bundle, &file).map_err(at(&lent.name))?;
            drop(file);
            lent.fill(&all, &reporter)
        })
        .await
    }

    /// A folder for what is under way, which is removed with what is given back.
    async fn work_folder(&self, prefix: &'static str) -> Result<TempDir> {
        let library = self.library().clone();
        blocking(move || {
            let home = library.private_folder(FOLDER)?;
            tempfile::Builder::new().prefix(prefix).tempdir_in(&home).map_err(Error::io(FOLDER))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::Coded;

    fn library() -> (TempDir, Library) {
        let home = tempfile::tempdir().expect("a folder");
        let library = Library::open(home.path().join("library")).expect("a library");
        (home, library)
    }

    fn lent(content: &[u8], name: &str) -> Lent {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("is written");
        Lent { file, name: name.to_owned() }
    }

    #[test]
    fn it_is_copied_whole_wherever_its_owner_has_read_to_and_removed_when_done() {
        let (_home, library) = library();
        let content: Vec<u8> = (0..3 * PIECE + 5).map(|n| (n % 251) as u8).collect();
        // Its position is at the end.
        let copy =
            lent(&content, "/storage/a b/测试.iso").copy(&library, &Reporter::new()).expect("is copied");
        assert_eq!(copy.path.file_name().and_then(|name| name.to_str()), Some("测试.iso"));
        assert_eq!(std::fs::read(&copy.path).expect("is there"), content);
        let target = lent(&[7; 4 << 20], "out.sampan");
        assert_eq!(target.fill(&copy.path, &Reporter::new()).expect("is written"), content.len() as u64);
        let mut written = vec![0; content.len() + 1];
        let read = target.file.read_at(&mut written, 0).expect("is read");
        assert!(
            read == content.len() && written[..read] == content[..],
            "nothing of before is left behind it"
        );
        let path = copy.path.clone();
        drop(copy);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_plain_file_or_has_no_name_is_refused() {
        let (home, library) = library();
        let reporter = Reporter::new();
        let folder = Lent { file: File::open(home.path()).expect("opens"), name: "a.iso".into() };
        assert_eq!(folder.copy(&library, &reporter).expect_err("is a folder").message().code, "invalid");
        let device = Lent { file: File::open("/dev/zero").expect("opens"), name: "a.iso".into() };
        assert_eq!(device.copy(&library, &reporter).expect_err("has no end").message().code, "invalid");
        for name in ["", "..", "/", "a/", "a\nb"] {
            assert_eq!(
                lent(b"x", name).copy(&library, &reporter).expect_err(name).message().code,
                "bad_name",
                "{name:?}"
            );
        }
        let huge = lent(b"", "huge.raw");
        huge.file.set_len(1 << 43).expect("takes no room");
        assert_eq!(huge.copy(&library, &reporter).expect_err("does not fit").message().code, "no_space");
        reporter.cancel();
        let cancelled = lent(b"x", "a.iso").copy(&library, &reporter).expect_err("is not wanted");
        assert!(cancelled.is_cancelled());
        let left = std::fs::read_dir(library.home().join(FOLDER)).expect("is there").count();
        assert_eq!(left, 0, "nothing is left of what failed");
    }

    #[test]
    fn one_cd_is_one_medium_and_another_of_its_name_gets_a_number() {
        let (home, library) = library();
        let file = home.path().join("system.iso");
        let named = |content: &[u8]| {
            std::fs::write(&file, content).expect("is written");
            medium_name(&library, &file).expect("has a name")
        };
        let add = |name: &str| {
            library
                .add_medium(&file, name, sampan_library::IfNoReflink::Copy, &mut |_| {
                    std::ops::ControlFlow::Continue(())
                })
                .expect("is added")
        };
        assert_eq!(named(b"first"), ("system.iso".into(), false));
        add("system.iso");
        assert_eq!(named(b"first"), ("system.iso".into(), true));
        assert_eq!(named(b"other"), ("system (2).iso".into(), false));
        add("system (2).iso");
        assert_eq!(named(b"other"), ("system (2).iso".into(), true));
        assert_eq!(named(b"third one"), ("system (3).iso".into(), false));
    }

    #[test]
    fn what_a_kill_left_is_removed() {
        let (_home, library) = library();
        let copy = lent(b"x", "a.iso").copy(&library, &Reporter::new()).expect("is copied");
        let path = copy.path.clone();
        let _ = copy._folder.keep();
        sweep(&library);
        assert!(!path.exists());
    }
}
