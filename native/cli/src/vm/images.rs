//! Long work on images, with its progress on stderr and Ctrl-C to break it off.

use crate::args::size::human;
use crate::interrupt::interruption;
use crate::run::runtime;
use crate::words;
use anyhow::Result;
use sampan_config::Arch;
use sampan_emulator::LibqemuDir;
use sampan_library::Progress;
use sampan_manager::host::{launcher, raise_file_limit};
use sampan_session::images::QemuBlockLayer;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How often the bar is drawn.
const PACE: Duration = Duration::from_millis(200);

/// QEMU's block layer, in a child of this process, for as long as this lives.
pub struct Images {
    // Before the runtime, which its drop needs.
    pub layer: QemuBlockLayer,
    pub bar: Bar,
    _runtime: Runtime,
}

impl Images {
    /// Nothing is started before it is needed.
    pub fn new() -> Result<Self> {
        let runtime = runtime()?;
        raise_file_limit();
        let cancelled = interruption()?;
        let libqemu = LibqemuDir::find()?;
        // Any libqemu will do; one that is there.
        let arch = libqemu.builds().first().map_or(Arch::X86_64, |(arch, ..)| *arch);
        let layer = QemuBlockLayer::new(launcher(&libqemu, true)?, arch, runtime.handle().clone())
            .stopped_by(Arc::clone(&cancelled));
        Ok(Self { layer, bar: Bar::new(cancelled), _runtime: runtime })
    }
}

/// A line that tells how far it is.
pub struct Bar {
    began: Instant,
    drawn: Option<Instant>,
    cancelled: Arc<AtomicBool>,
}

impl Bar {
    pub fn new(cancelled: Arc<AtomicBool>) -> Self {
        Self { began: Instant::now(), drawn: None, cancelled }
    }

    /// What the library wants told.
    pub fn progress(&mut self) -> impl FnMut(Progress) -> ControlFlow<()> + '_ {
        self.began = Instant::now();
        |progress| {
            self.draw(progress);
            if self.cancelled.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }

    fn draw(&mut self, Progress { done, total }: Progress) {
        let last = done >= total;
        if !words::are_watched() || total == 0 || (!last && self.drawn.is_some_and(|at| at.elapsed() < PACE))
        {
            return;
        }
        // What was over before the first look needs no bar.
        if last && self.drawn.is_none() {
            return;
        }
        self.drawn = Some(Instant::now());
        let percent = u128::from(done.min(total)) * 100 / u128::from(total);
        let speed = done as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = if speed > 1.0 { (total.saturating_sub(done)) as f64 / speed } else { 0.0 };
        let line = format!(
            "{percent:3} %  {} of {}, {}/s, {left:.0} s left",
            human(done),
            human(total),
            human(speed as u64)
        );
        words::redraw(&line);
        if last {
            words::tell("");
        }
    }
}
