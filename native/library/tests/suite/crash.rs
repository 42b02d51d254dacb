//! A kill or a power loss before any step that changes the file system: the library opens with the state before or after.
//!
//! A scenario of many changes is run once to count the steps of each change and to note the state after it. Each change is then
//! made once for each of its steps, to a copy of the library as it was before, in a process of its own, which kills itself
//! (SIGKILL) before that step. A second test replays the steps on a model of a disk that forgets what was not made durable.

use crate::changes::{CHANGES, run};
use crate::common::QemuImg;
use sampan_library::fs::{Fs, Hook, Step};
use sampan_library::{BlockError, BlockLayer, Bundle, CheckedChain, Library, NewImage, OnProgress};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A folder in memory where there is one: a killed process loses nothing that it gave to the kernel, so that `fsync` would
/// only take time.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

/// All that a person could tell of the library; and it holds what its manifests say, no more and no less.
fn describe(home: &Path) -> String {
    let library = Library::open(home).expect("it opens");
    let mut all = String::new();
    for entry in library.list().expect("a list") {
        let locked = library.lock(entry.id).expect("it can be used");
        locked.open_drives().expect("its images are sound");
        all += &state(&locked);
        drop(locked);
    }
    for entry in library.trash().expect("a list") {
        let bundle = entry.bundle.expect("sound");
        all += &format!("trashed {}\n", state(&bundle));
    }
    for medium in library.media().expect("a list") {
        let users = library.medium_users(&medium.name).expect("is told");
        assert_eq!(users.len(), 1, "{} was left behind", medium.name);
        all += &format!("{} of {users:?}, {} bytes\n", medium.name, medium.size);
    }
    for folder in ["vms", "trash"] {
        for left in std::fs::read_dir(home.join(folder)).expect("a folder") {
            let name = left.expect("an entry").file_name().into_string().expect("text");
            assert!(!name.starts_with('.'), "{name} was left behind");
        }
    }
    all
}

fn state(bundle: &Bundle) -> String {
    let m = bundle.manifest();
    let count = |folder: &str| std::fs::read_dir(bundle.path().join(folder)).expect("a folder").count();
    if m.trashed.is_none() {
        assert_eq!(count("disks"), m.images.len(), "an image was left behind, or lost");
        assert!(m.pending.is_none() && m.flattening.is_none());
    }
    let words = (bundle.document().expect("readable"), bundle.host().expect("readable").vnc_password);
    assert!(!bundle.path().join("medium").exists(), "a claim was left behind");
    let parents = |p: &Option<sampan_library::SnapshotId>| {
        p.as_ref().map(|p| m.snapshots[p].name.clone()).unwrap_or_default()
    };
    let mut snapshots: Vec<String> = m
        .snapshots
        .iter()
        .map(|(id, s)| {
            assert!(bundle.thumbnail(id).expect("readable").is_some());
            let memory =
                s.memory.as_ref().map(|file| std::fs::read(bundle.path().join("state").join(file.as_str())));
            let memory = memory.map(|bytes| bytes.expect("the memory is there").len());
            format!("{}<{} memory {memory:?}", s.name, parents(&s.parent))
        })
        .collect();
    snapshots.sort();
    let sizes: Vec<u64> = m.drives.values().map(|i| m.images[i].size).collect();
    let suspended = m.suspended.is_some();
    let removed = m.removed.len();
    format!(
        "{} {words:?} {sizes:?} removed {removed} {snapshots:?} at {:?} suspended {suspended}\n",
        m.name,
        parents(&m.parent)
    )
}

/// The states after 0, 1, … changes.
fn states() -> Vec<String> {
    let home = folder();
    let qemu = QemuImg::find();
    let mut states = vec![describe(home.path())];
    for (name, change) in CHANGES {
        change(&Library::open(home.path()).expect("opens"), &qemu);
        states.push(describe(home.path()));
        println!("{name}: {}", states.last().expect("just pushed"));
    }
    states
}

/// A change that consists of several says so here: its state may be any in between.
fn fits(states: &[String], done: usize, found: &str) -> bool {
    let between = CHANGES.get(done).is_some_and(|(name, _)| *name == "rename");
    let states = states.get(done..=(done + 1).min(states.len() - 1)).expect("within");
    states.iter().any(|s| s == found || (between && s.replacen("machine", "other", 1) == found))
}

#[test]
fn a_kill_before_any_step_leaves_the_state_before_or_after() {
    let states = states();
    let mut before = folder();
    let program = crate::example::example("interrupted_changes");
    let mut all = 0;
    for (change, (name, _)) in CHANGES.iter().enumerate() {
        // With times, rights and hard links.
        let copy_to = |to: &Path| {
            let copied = Command::new("cp").arg("-aT").args([before.path(), to]).status();
            assert!(copied.expect("cp").success(), "before “{name}”");
        };
        let after = folder();
        copy_to(after.path());
        let steps = run(after.path(), change, usize::MAX);
        for at in 0..steps {
            let home = folder();
            copy_to(home.path());
            let status = Command::new(&program)
                .arg(home.path())
                .args([change.to_string(), at.to_string()])
                .status()
                .expect("it runs");
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(9),
                "step {at} of “{name}” was not reached"
            );
            let found = describe(home.path());
            assert!(fits(&states, change, &found), "killed before step {at} of “{name}”:\n{found}");
        }
        before = after;
        all += steps;
    }
    assert_eq!(states.last(), Some(&describe(before.path())), "the whole scenario was run");
    assert!(all > 100, "{all} steps are too few for these changes");
}

/// Notes every step, and counts the changes that were done before it.
struct Recorder {
    disk: std::sync::Mutex<crate::powerloss::Recording>,
}

impl Hook for Recorder {
    fn before(&self, step: Step<'_>) -> std::io::Result<()> {
        self.disk.lock().expect("not poisoned").note(step);
        Ok(())
    }
}

/// Tells the recorder what QEMU wrote, which is durable only when the library makes it so.
struct Recorded(QemuImg, Arc<Recorder>);

impl Recorded {
    fn wrote(&self, path: &Path, result: Result<(), BlockError>) -> Result<(), BlockError> {
        let bytes = std::fs::read(path).expect("an image");
        for step in [Step::Create(path), Step::Write(path, &bytes)] {
            self.1.before(step).expect("is noted");
        }
        result
    }
}

impl BlockLayer for Recorded {
    fn create(&self, images: &[NewImage]) -> Result<(), BlockError> {
        let made = self.0.create(images);
        images.iter().try_for_each(|image| self.wrote(&image.path, made.clone()))
    }
    fn convert(
        &self,
        source: &CheckedChain,
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.wrote(&target.path, self.0.convert(source, target, progress))
    }
    fn grow(&self, chain: &CheckedChain, size: u64) -> Result<(), BlockError> {
        self.wrote(&chain[0].path, self.0.grow(chain, size))
    }
    fn commit(&self, chain: &CheckedChain, progress: OnProgress<'_>) -> Result<(), BlockError> {
        self.wrote(&chain[1].path, self.0.commit(chain, progress))
    }
    fn flatten(
        &self,
        chain: &CheckedChain,
        keep: usize,
        backing: Option<&sampan_library::Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.wrote(&chain[0].path, self.0.flatten(chain, keep, backing, progress))
    }
}

#[test]
fn a_power_loss_before_any_step_leaves_the_state_before_or_after() {
    let states = states();
    let home = folder();
    let recorder = Arc::new(Recorder { disk: crate::powerloss::Recording::new(home.path()).into() });
    let qemu = Recorded(QemuImg::find(), recorder.clone());
    let mut done_at = Vec::new();
    for (_, change) in CHANGES {
        let library = Library::with_fs(home.path(), Fs::with_hook(recorder.clone())).expect("opens");
        change(&library, &qemu);
        done_at.push(recorder.disk.lock().expect("not poisoned").len());
    }
    let recording = recorder.disk.lock().expect("not poisoned");
    let mut disk = crate::powerloss::Disk::default();
    for at in 0..=recording.len() {
        let done = done_at.iter().filter(|end| **end <= at).count();
        for names_kept in [false, true] {
            let place = folder();
            disk.after_power_loss(place.path(), names_kept);
            let found = describe(place.path());
            let change = CHANGES.get(done).map_or("the end", |(name, _)| name);
            assert!(
                fits(&states, done, &found),
                "lost before step {at} ({:?}), in “{change}”, names kept: {names_kept}:\n{found}",
                recording.get(at)
            );
        }
        if let Some(step) = recording.get(at) {
            disk.apply(step);
        }
    }
}
