//! Several pieces of work on images at once, and what is left when one of them is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use crate::common::counter::blocking;
use crate::common::meddler::{Line, Meddler};
use crate::common::{PATIENCE, child, in_process};
use sampan_emulator::{Arch, LaunchError, LaunchSpec, Launcher, OnExit, Running};
use sampan_library::{
    BlockError, BlockLayer, CheckedChain, ImageFormat, Layer, NewImage, Preallocation, SourceFormat,
};
use sampan_session::images::QemuBlockLayer;
use std::fs;
use std::ops::ControlFlow::Continue;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

const MIB: u64 = 1 << 20;

/// Keeps QEMUs from hearing and answering, from a line on until it is opened.
#[derive(Default)]
struct Gate {
    /// Whether it is open, and how many wait at it.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(open, _)| !*open).unwrap());
        true
    }

    fn open(&self) {
        self.state.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    async fn wait_for_one(self: &Arc<Self>) {
        let gate = Arc::clone(self);
        let waited = blocking(move || {
            let state = gate.state.lock().unwrap();
            gate.changed.wait_timeout_while(state, PATIENCE, |(_, waiting)| *waiting == 0).unwrap().1
        });
        assert!(!waited.await.timed_out(), "no work came to the gate");
    }
}

/// Each of its QEMUs stands still at the next gate of the list, in the midst of its first job; those after them do not.
struct Halting {
    inner: Arc<dyn Launcher>,
    gates: Mutex<Vec<Arc<Gate>>>,
    launched: Mutex<usize>,
}

impl Launcher for Halting {
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError> {
        *self.launched.lock().unwrap() += 1;
        let Some(gate) = self.gates.lock().unwrap().pop() else { return self.inner.launch(spec, on_exit) };
        let meddler = Meddler::new(Arc::clone(&self.inner));
        meddler.rule(move |line| line != Line::Answer("query-jobs") || gate.pass());
        meddler.launch(spec, on_exit)
    }
}

fn new(path: PathBuf, size: u64) -> NewImage {
    NewImage { path, format: ImageFormat::Qcow2, size, preallocation: Preallocation::Dynamic, backing: None }
}

fn chain(path: &Path, format: SourceFormat) -> CheckedChain {
    CheckedChain::open(vec![Layer { path: path.to_owned(), format }]).unwrap()
}

async fn convert(layer: QemuBlockLayer, from: PathBuf, to: PathBuf) -> Result<(), BlockError> {
    let work = move || {
        let source = chain(&from, SourceFormat::Raw);
        layer.convert(&source, &new(to, 8 * MIB), &mut |_| Continue(()))
    };
    blocking(work).await
}

/// Two conversions stand still. Images are made beside them; one of the two is killed; the other one ends well, and so do
/// those that come later.
async fn independent(inner: Arc<dyn Launcher>) {
    let tmp = tempfile::tempdir().unwrap();
    let at = |name: &str| tmp.path().join(name);
    fs::write(at("source"), vec![7; (8 * MIB) as usize]).unwrap();
    let (kept, killed) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let gates = Mutex::new(vec![Arc::clone(&killed), Arc::clone(&kept)]);
    let launcher = Arc::new(Halting { inner, gates, launched: Mutex::default() });
    let layer = QemuBlockLayer::new(launcher.clone(), Arch::X86_64, tokio::runtime::Handle::current());
    let first = tokio::spawn(convert(layer.clone(), at("source"), at("first")));
    kept.wait_for_one().await;
    let stop = Arc::new(AtomicBool::new(false));
    let second = layer.clone().stopped_by(Arc::clone(&stop));
    let second = tokio::spawn(convert(second, at("source"), at("second")));
    killed.wait_for_one().await;

    // More of them than may run at once, beside all long work that may.
    let made = (0..4).map(|n| {
        let (layer, image) = (layer.clone(), new(at(&format!("made{n}")), MIB));
        tokio::spawn(blocking(move || layer.create(&[image])))
    });
    let all = async {
        for made in made.collect::<Vec<_>>() {
            made.await.unwrap().unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("short work does not wait for long work");
    assert!(!first.is_finished() && !second.is_finished());

    stop.store(true, Ordering::Relaxed);
    assert_eq!(second.await.unwrap(), Err(BlockError::Cancelled));
    assert!(!at("second").exists());
    assert!(!first.is_finished(), "it was another's end");
    let third = convert(layer.clone(), at("source"), at("third"));
    tokio::time::timeout(PATIENCE, third).await.expect("one has ended").unwrap();
    kept.open();
    first.await.unwrap().unwrap();
    convert(layer.clone(), at("source"), at("fourth")).await.unwrap();
    for name in ["first", "third", "fourth"] {
        let chain = chain(&at(name), SourceFormat::Qcow2);
        assert_eq!(chain.virtual_size(), 8 * MIB, "{name}");
    }
    killed.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_children_is_independent() {
    independent(child()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_this_process_is_independent() {
    independent(in_process()).await;
}

/// Each start takes a copy of the library, or a share of what a process may have.
#[tokio::test(flavor = "multi_thread")]
async fn one_in_this_process_serves_again() {
    let tmp = tempfile::tempdir().unwrap();
    let launcher =
        Arc::new(Halting { inner: in_process(), gates: Mutex::default(), launched: Mutex::default() });
    let layer = QemuBlockLayer::new(launcher.clone(), Arch::X86_64, tokio::runtime::Handle::current());
    for n in 0..3 {
        let (layer, image) = (layer.clone(), new(tmp.path().join(n.to_string()), MIB));
        blocking(move || layer.create(&[image])).await.unwrap();
    }
    assert_eq!(*launcher.launched.lock().unwrap(), 1);
}
