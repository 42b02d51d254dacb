//! What a machine's host does with it, and a kill (SIGKILL) at one of its steps.
#![allow(dead_code, reason = "each program uses a part")]

use crate::common::counter::{Place, blocking, counting, named};
use crate::common::meddler::{Line, Meddler};
use crate::common::{child, in_process};
use sampan_config::Arch;
use sampan_library::Unsaved;
use sampan_library::fs::{Fs, Hook, Step};
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{RunOptions, Vm};
use sampan_session::{Command, ProgressFn};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What is done, in this order. Each finds what the one before it has left.
pub const OPERATIONS: [&str; 5] = ["keep", "go on", "delete", "restore", "throw away"];

/// Counts the steps, and kills this process at one of them.
struct Clock {
    steps: AtomicUsize,
    at: usize,
}

impl Clock {
    fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.at {
            // A guest that runs when it must not has the time to be caught at it.
            std::thread::sleep(Duration::from_millis(150));
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::thread::park();
        }
    }
}

impl Hook for Clock {
    fn before(&self, _: Step<'_>) -> std::io::Result<()> {
        self.step();
        Ok(())
    }
}

/// The commands that change something; how often QEMU is asked for news depends on the host.
const COUNTED: [&str; 8] = [
    "blockdev-add",
    "transaction",
    "migrate",
    "migrate-incoming",
    "blockdev-set-active",
    "block_resize",
    "cont",
    "stop",
];

/// A folder with the library and what is known of it.
pub struct Notes(pub PathBuf);

impl Notes {
    pub fn home(&self) -> PathBuf {
        self.0.join("library")
    }

    pub fn get(&self, name: &str) -> u32 {
        let text = std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|_| "0".into());
        text.parse().expect("a number")
    }

    pub fn set(&self, name: &str, value: u32) {
        std::fs::write(self.0.join(name), value.to_string()).expect("is noted");
    }

    /// The guest counts on, which must not be lost from here on.
    async fn counting(&self, vm: &Vm) -> u32 {
        let now = counting(vm.session(), 2).await;
        self.set("count", now);
        now
    }
}

async fn operate(operation: &str, notes: &Notes, place: &Place) {
    let none = ProgressFn::none();
    let layer = place.images.clone();
    let start = |options| async { place.start(options).await.expect("starts") };
    match operation {
        "keep" => {
            let vm = start(RunOptions::default()).await;
            let before = notes.counting(&vm).await;
            notes.set("before one", before);
            vm.snapshot(named("one"), false, &none).await.expect("is taken");
            let after = notes.counting(&vm).await;
            notes.set("after one", after);
            vm.snapshot(named("two"), false, &none).await.expect("is taken");
            notes.counting(&vm).await;
            vm.suspend(2, &none).await.expect("is suspended");
            vm.finish().await;
        }
        "go on" => {
            let vm = start(RunOptions::default()).await;
            notes.counting(&vm).await;
            vm.grow("disk0", 2 << 20).await.expect("grows");
            notes.counting(&vm).await;
            vm.snapshot(named("three"), true, &none).await.expect("is taken");
            notes.counting(&vm).await;
            vm.session().execute(Command::Quit).await.expect("quits");
            vm.finish().await;
        }
        "delete" => {
            let mut locked = place.lock().await;
            blocking(move || {
                let two = locked.find_snapshot("two").expect("is there");
                locked.delete_snapshot(&two).expect("is deleted");
                locked.reclaim(&layer, &mut |_| ControlFlow::Continue(())).expect("is reclaimed");
            })
            .await;
        }
        "restore" => {
            let mut locked = place.lock().await;
            blocking(move || {
                let one = locked.find_snapshot("one").expect("is there");
                locked.restore(&layer, &one, Unsaved::Discard).expect("is restored");
            })
            .await;
            let vm = start(RunOptions::default()).await;
            notes.counting(&vm).await;
            vm.suspend(3, &none).await.expect("is suspended");
            vm.finish().await;
        }
        "throw away" => {
            let vm =
                start(RunOptions { throw_away: true, discard_state: true, ..RunOptions::default() }).await;
            counting(vm.session(), 2).await;
            vm.session().execute(Command::Quit).await.expect("quits");
            vm.finish().await;
        }
        other => panic!("{other:?} is no operation"),
    }
}

/// Runs one operation, with QEMU in this process or in one that outlives it by a moment. Says how many steps it took.
pub async fn run(operation: &str, at: usize, notes: &Notes) -> usize {
    let clock = Arc::new(Clock { steps: AtomicUsize::new(0), at });
    let meddler = Meddler::new(if at.is_multiple_of(2) { in_process() } else { child() });
    let counted = Arc::clone(&clock);
    meddler.rule(move |line| {
        let (Line::Command(name) | Line::Answer(name)) = line;
        if COUNTED.contains(&name) {
            counted.step();
        }
        true
    });
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let place = Place::new(&notes.home(), Fs::with_hook(clock.clone()), &images, meddler);
    operate(operation, notes, &place).await;
    clock.steps.load(Ordering::SeqCst)
}
