//! The displays of a machine: the outputs of its graphics card, each with a console of QEMU's own.
//!
//! The first is always followed. Each further one costs nothing while nobody watches it: QEMU has no listener for it, and the
//! guest finds nothing connected to it. A viewer that asks for its size connects it.

use crate::guest::ResizeRequest;
use crate::machine_log::MachineLog;
use sampan_display::{Console, ConsoleKind, DisplayError};
use sampan_frame::Size;
use sampan_guest::Watched;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a display stays connected after its last viewer has gone. A page that is loaded again, or whose path is another one now, comes
/// back within it, and the guest has not moved its windows.
const LINGER: Duration = Duration::from_secs(5);

/// How long QEMU may take to send the first picture of a console that is watched from now on. It sends one at its next refresh.
const FIRST_PICTURE: Duration = Duration::from_secs(5);

/// The displays. Clones are the same.
#[derive(Clone)]
pub struct Displays(Arc<Inner>);

/// The displays of a machine that may be gone.
pub struct WeakDisplays(Weak<Inner>);

impl WeakDisplays {
    /// The displays, while the machine is there.
    pub fn upgrade(&self) -> Option<Displays> {
        self.0.upgrade().map(Displays)
    }
}

struct Inner {
    outputs: Vec<Output>,
    /// Told when another size was asked for, or a display was disconnected.
    changes: watch::Sender<()>,
}

struct Output {
    console: Console,
    /// How many watch it; not counted for the first.
    watchers: watch::Sender<usize>,
    /// The size that was asked for last, while it is connected.
    wish: watch::Sender<ResizeRequest>,
}

/// One who watches a display.
struct Watcher(watch::Sender<usize>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.send_modify(|watchers| *watchers -= 1);
    }
}

impl Displays {
    /// The outputs of the card of the first graphic console, or the first console where there is none.
    ///
    /// # Errors
    /// There is no console.
    pub fn of(consoles: &[Console]) -> Result<Self, DisplayError> {
        let first = consoles.iter().position(|console| console.kind() == ConsoleKind::Graphic).unwrap_or(0);
        let main = consoles.get(first).ok_or(DisplayError::NoConsole)?;
        // The heads of one card have consecutive consoles (`virtio_gpu_base_device_realize`).
        let heads = consoles.iter().skip(first + 1).zip(1..);
        let heads = heads
            .take_while(|(console, head)| console.kind() == ConsoleKind::Graphic && console.head() == *head);
        let output = |console: &Console| Output {
            console: console.clone(),
            watchers: watch::Sender::new(0),
            wish: watch::Sender::new(None),
        };
        let outputs = std::iter::once(main).chain(heads.map(|(console, _)| console)).map(output).collect();
        Ok(Self(Arc::new(Inner { outputs, changes: watch::Sender::new(()) })))
    }

    /// Follows what is asked of each, until the machine is gone.
    pub fn spawn(&self, tasks: &mut JoinSet<()>, log: &MachineLog) {
        for (n, output) in self.0.outputs.iter().enumerate() {
            let (console, wishes) = (output.console.clone(), output.wish.subscribe());
            if n == 0 {
                tasks.spawn(crate::guest::resizer(console, wishes, log.clone()));
            } else {
                let (watchers, changes) = (output.watchers.subscribe(), self.0.changes.clone());
                tasks.spawn(keep(console, watchers, output.wish.clone(), changes, log.clone()));
            }
        }
    }

    /// The first, whose keyboard is the machine's.
    pub fn main(&self) -> &Console {
        // `of` makes no empty one.
        &self.0.outputs[0].console
    }

    /// How many there are, lit or dark.
    pub fn count(&self) -> usize {
        self.0.outputs.len()
    }

    /// The console of one.
    pub fn console(&self, display: usize) -> Option<&Console> {
        self.0.outputs.get(display).map(|output| &output.console)
    }

    /// The size of each in pixels; `None` for one that is dark. One that nobody watches is: nothing is connected to it.
    pub fn sizes(&self) -> Vec<Option<Size>> {
        let size = |(n, output): (usize, &Output)| match n {
            0 if *output.console.lit().borrow() != Some(false) => output.console.size(),
            0 => None,
            _ => output.console.screen().size(),
        };
        self.0.outputs.iter().enumerate().map(size).collect()
    }

    /// The sizes that a desktop's agent is to set: of each that is connected the one that was asked for last, side by side.
    pub fn wanted(&self) -> Vec<Size> {
        let wanted = |(n, output): (usize, &Output)| {
            let wish = output.wish.borrow().map(|(size, _)| size);
            if n == 0 { wish.or_else(|| output.console.size()) } else { wish }
        };
        self.0.outputs.iter().enumerate().filter_map(wanted).collect()
    }

    /// The same with another size of the first.
    pub fn wanted_with(&self, first: Size) -> Vec<Size> {
        let others = self.0.outputs.iter().skip(1);
        std::iter::once(first).chain(others.filter_map(|output| Some((*output.wish.borrow())?.0))).collect()
    }

    /// Every change of that, and the displays while the machine is there.
    pub fn changes(&self) -> (watch::Receiver<()>, WeakDisplays) {
        (self.0.changes.subscribe(), WeakDisplays(Arc::downgrade(&self.0)))
    }

    /// Keeps one up to date while it is held.
    pub fn watch(&self, display: usize) -> Option<Watched> {
        let output = self.0.outputs.get(display)?;
        let screen = output.console.screen();
        if display == 0 {
            return Some(Watched::new(screen, ()));
        }
        output.watchers.send_modify(|watchers| *watchers += 1);
        Some(Watched::new(screen, Watcher(output.watchers.clone())))
    }

    /// Asks the guest for another size of one. A further one is connected by it once somebody watches it.
    pub fn resize(&self, display: usize, wish: (Size, (u16, u16))) {
        if let Some(output) = self.0.outputs.get(display) {
            output.wish.send_replace(Some(wish));
            self.0.changes.send_replace(());
        }
    }

    /// Waits until it is known what one shows. It must be watched.
    pub async fn first_picture(&self, display: usize) {
        if let Some(console) = self.console(display).filter(|_| display > 0) {
            let mut lit = console.lit();
            // Without an answer nothing is shown, which is what is told then.
            let _ = tokio::time::timeout(FIRST_PICTURE, lit.wait_for(Option::is_some)).await;
        }
    }

    /// Nothing is connected to any but the first: so it is to be told to a guest whose saved memory says otherwise.
    pub async fn disconnect(&self) -> Result<(), DisplayError> {
        for output in self.0.outputs.iter().skip(1) {
            output.console.disconnect().await?;
        }
        Ok(())
    }
}

/// Follows a further display while somebody watches it, and has the guest know of it once a size was asked for.
async fn keep(
    console: Console,
    mut watchers: watch::Receiver<usize>,
    wish: watch::Sender<ResizeRequest>,
    changes: watch::Sender<()>,
    log: MachineLog,
) {
    let mut wishes = wish.subscribe();
    // Neither sender goes before the machine does.
    while watchers.wait_for(|watchers| *watchers > 0).await.is_ok() {
        let watch = match console.watch().await {
            Ok(watch) => watch,
            Err(e) => {
                log.warn(format_args!("display {} cannot be shown: {e}", console.head() + 1));
                // Whoever comes next tries again.
                let _ = watchers.changed().await;
                continue;
            }
        };
        let mut refused = false;
        loop {
            tokio::select! {
                changed = watchers.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if *watchers.borrow_and_update() > 0 {
                        continue;
                    }
                    let back = watchers.wait_for(|watchers| *watchers > 0);
                    if tokio::time::timeout(LINGER, back).await.is_err() {
                        break;
                    }
                }
                changed = wishes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wished = *wishes.borrow_and_update();
                    let Some((size, mm)) = wished else { continue };
                    if let Err(e) = console.set_ui_info(size, mm).await {
                        if !refused {
                            log.info(format_args!("display {} keeps its size: {e}", console.head() + 1));
                        }
                        refused = true;
                    }
                }
            }
        }
        if wish.send_replace(None).is_some() {
            if let Err(e) = console.disconnect().await {
                log.info(format_args!("display {} stays on: {e}", console.head() + 1));
            }
            changes.send_replace(());
        }
        drop(watch);
    }
}
