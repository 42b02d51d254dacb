//! Machines that are put away and come back: state to a file and from it, disks that go on in overlays.

use crate::common::{PATIENCE, child, in_process, state, tiny_guest};
use sampan_config::Arch;
use sampan_emulator::Launcher;
use sampan_library::{Backing, ImageFormat, NewImage, Preallocation};
use sampan_session::images::ImageService;
use sampan_session::{Command, CommandError, Overlay, ProgressFn, Session, State};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MIB: u64 = 1 << 20;

async fn disk(folder: &Path, name: &str, base: Option<&str>, size: u64) {
    let images = ImageService::new(child(), "images", Arch::X86_64);
    let image = NewImage {
        path: folder.join(name),
        format: ImageFormat::Qcow2,
        size,
        preallocation: Preallocation::Dynamic,
        backing: base.map(|file| Backing { file: file.into(), format: ImageFormat::Qcow2 }),
    };
    images.create(&[image]).await.expect("an image");
    images.stop().await;
}

fn with_disk(spec: &mut sampan_emulator::LaunchSpec, file: &Path) {
    let node = format!("driver=qcow2,node-name=disk0,file.driver=file,file.filename={}", file.display());
    spec.args(["-blockdev", &node, "-device", "virtio-blk-pci,drive=disk0,id=disk0-dev"]);
}

fn new(file: &Path) -> File {
    File::options().write(true).create_new(true).open(file).expect("a file")
}

async fn save(session: &Session, file: &Path) {
    let file = new(file);
    let seen = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&seen);
    let progress = ProgressFn(Arc::new(move |p| {
        told.fetch_max(p.total, Ordering::Relaxed);
        true
    }));
    session.save(&file, &progress).await.expect("is saved");
    assert!(seen.load(Ordering::Relaxed) > 100 * MIB, "progress says how much there is");
}

/// A guest with something typed goes to a file; another process's QEMU goes on with it.
async fn there_and_back(first: Arc<dyn Launcher>, second: Arc<dyn Launcher>) {
    let tmp = tempfile::tempdir().expect("a folder");
    disk(tmp.path(), "disk.qcow2", None, 64 * MIB).await;
    let file = tmp.path().join("disk.qcow2");
    let (mut spec, mut port) = tiny_guest(Arch::X86_64);
    with_disk(&mut spec, &file);
    let session = Session::start(first, spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    let shift = vec![sampan_input::Key::from_name("shift").expect("a key")];
    while port.within(std::time::Duration::from_millis(500), "\"key\":42,\"down\":false").await.is_none() {
        session.execute(Command::Keys(shift.clone())).await.expect("is pressed");
    }
    session.execute(Command::Type("remember me".into())).await.expect("is typed");
    port.wait_for("\"key\":18,\"down\":false").await;
    assert!(session.blockers().await.expect("are told").is_empty());
    let saved = tmp.path().join("memory");
    save(&session, &saved).await;
    state(&session, State::Paused).await;

    // The machine it was saved from can go on too.
    session.execute(Command::Resume).await.expect("goes on");
    state(&session, State::Running).await;
    port.say(r#"{"cmd":"state"}"#);
    assert!(port.wait_for("\"state\"").await.contains("remember me"));
    session.execute(Command::Quit).await.expect("quits");

    let (mut spec, mut port) = tiny_guest(Arch::X86_64);
    with_disk(&mut spec, &file);
    spec.args(["-incoming", "defer"]);
    let state_file = File::open(&saved).expect("is there");
    let session =
        Session::restore(second, spec, &state_file, &ProgressFn::none()).await.expect("is restored");
    assert_ne!(session.status().borrow().state, State::Running, "the caller says when");
    session.execute(Command::Resume).await.expect("goes on");
    state(&session, State::Running).await;
    // The port is the same to the guest, though its peer is another.
    port.say(r#"{"cmd":"state"}"#);
    assert!(port.wait_for("\"state\"").await.contains("remember me"));
    session.execute(Command::Quit).await.expect("quits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_put_away_and_comes_back_in_this_process() {
    there_and_back(in_process(), in_process()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_put_away_here_and_comes_back_in_a_child() {
    there_and_back(in_process(), child()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_save_leaves_the_machine_as_it_was() {
    let tmp = tempfile::tempdir().expect("a folder");
    let (spec, mut port) = tiny_guest(Arch::X86_64);
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    let file = new(&tmp.path().join("memory"));
    let cancel = ProgressFn(Arc::new(|_| false));
    let error = session.save(&file, &cancel).await.expect_err("is cancelled");
    assert!(matches!(error, CommandError::Cancelled), "{error}");
    session.execute(Command::Resume).await.expect("goes on");
    port.say(r#"{"cmd":"state"}"#);
    port.wait_for("\"state\"").await;
    // And can be saved after all.
    save(&session, &tmp.path().join("second")).await;
    session.execute(Command::Quit).await.expect("quits");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_state_is_refused_and_nothing_runs() {
    let tmp = tempfile::tempdir().expect("a folder");
    let junk = tmp.path().join("junk");
    std::fs::write(&junk, vec![7; 100_000]).expect("is written");
    let (mut spec, _port) = tiny_guest(Arch::X86_64);
    spec.args(["-incoming", "defer"]);
    let file = File::open(&junk).expect("is there");
    let error = Session::restore(child(), spec, &file, &ProgressFn::none()).await.err().expect("is refused");
    assert!(error.to_string().contains("could not be"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machines_disk_goes_on_in_an_overlay_and_grows() {
    let tmp = tempfile::tempdir().expect("a folder");
    disk(tmp.path(), "disk.qcow2", None, 64 * MIB).await;
    let (mut spec, mut port) = tiny_guest(Arch::X86_64);
    with_disk(&mut spec, &tmp.path().join("disk.qcow2"));
    let session = Session::start(in_process(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    for number in 1..=2 {
        let (name, base) = (format!("over{number}.qcow2"), if number == 1 { "disk" } else { "over1" });
        disk(tmp.path(), &name, Some(&format!("{base}.qcow2")), 64 * MIB).await;
        let overlay =
            Overlay { drive: "disk0".into(), file: tmp.path().join(&name), node: format!("disk0-{number}") };
        session.switch_to_overlays(std::slice::from_ref(&overlay)).await.expect("goes on in it");
        let drive = session.drive("disk0").await.expect("a drive");
        assert_eq!((drive.node.as_str(), drive.size), (overlay.node.as_str(), 64 * MIB));
    }
    session.grow("disk0", 96 * MIB).await.expect("grows");
    let drive = session.drive("disk0").await.expect("a drive");
    assert_eq!(drive.size, 96 * MIB);
    assert!(matches!(session.grow("disk0", MIB).await, Err(CommandError::Shrink { .. })));
    assert!(matches!(session.drive("disk7").await, Err(CommandError::NoDrive(_))));

    // All or none: one overlay that is no image leaves the other drive where it was.
    let bad = Overlay { drive: "disk0".into(), file: tmp.path().join("missing"), node: "bad".into() };
    assert!(session.switch_to_overlays(&[bad]).await.is_err());
    assert_eq!(session.drive("disk0").await.expect("a drive").node, "disk0-2");
    tokio::time::timeout(PATIENCE, session.execute(Command::Quit)).await.expect("in time").expect("quits");
}
