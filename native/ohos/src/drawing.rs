//! What the drawing thread does in each turn. Time is a parameter, and no thread is in here.

use crate::error::OhosError;
use crate::ndk::Ndk;
use crate::placement::Scaling;
use crate::window::Window;
use sampan_frame::{Alpha, Consumer, Scanout, Size};
use sampan_message::{Coded, Message};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a new surface may refuse to be opened or drawn on. Devices refuse for a moment after a surface was created.
const ATTACH_LIMIT: Duration = Duration::from_secs(5);

/// Between two tries to open a surface.
const ATTACH_INTERVAL: Duration = Duration::from_millis(50);

/// Between a failed frame and the next try. It doubles with each failure up to the longest, which is short enough that a
/// display that was off shows a picture as soon as it is on.
const SHORTEST_RETRY: Duration = Duration::from_millis(4);
const LONGEST_RETRY: Duration = Duration::from_millis(500);

/// How the surface is.
#[derive(Clone, Debug, PartialEq)]
pub enum SurfaceStatus {
    /// There is no surface.
    Detached,
    /// A surface is there and is being opened.
    Attaching,
    /// The guest shows nothing: what was drawn last is still there, for the page to cover.
    Blank,
    /// The picture is drawn, and each change of it.
    Showing {
        /// The guest's resolution in pixels.
        size: Size,
        /// How the system makes it as large as the surface.
        scaling: Scaling,
    },
    /// A frame could not be drawn; it is tried again.
    Retrying(Message),
    /// The surface has ended or could not be opened. Another one has to be attached.
    Lost(Message),
}

/// What was drawn since the thread was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Buffers flushed.
    pub frames: u64,
    /// Bytes of the picture copied into them.
    pub bytes: u64,
}

/// A surface to draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) surface: u64,
    /// Whether the compositor ignores the fourth byte.
    pub(crate) opaque: bool,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Whether a frame was flushed.
    pub(crate) drew: bool,
    /// When to come again even if nothing changes.
    pub(crate) again: Option<Instant>,
}

/// The drawing side of one screen.
pub(crate) struct Drawing {
    ndk: Ndk,
    consumer: Consumer,
    target: Option<Target>,
    window: Option<Window>,
    /// The picture to be drawn, until it is flushed.
    pending: Option<Arc<Scanout>>,
    /// A frame was flushed since the surface was attached: failures are no longer those of a surface too new.
    proven: bool,
    attached_at: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
    status: SurfaceStatus,
    drawn: Drawn,
}

impl Drawing {
    pub(crate) fn new(ndk: Ndk, consumer: Consumer) -> Self {
        Self {
            ndk,
            consumer,
            target: None,
            window: None,
            pending: None,
            proven: false,
            attached_at: None,
            retry_at: None,
            failures: 0,
            status: SurfaceStatus::Detached,
            drawn: Drawn::default(),
        }
    }

    pub(crate) fn status(&self) -> &SurfaceStatus {
        &self.status
    }

    pub(crate) fn drawn(&self) -> Drawn {
        self.drawn
    }

    /// Takes another surface, or none; the window of the one before is closed.
    pub(crate) fn aim(&mut self, target: Option<Target>, now: Instant) {
        self.window = None;
        self.target = target;
        self.pending = None;
        self.proven = false;
        self.attached_at = Some(now);
        self.retry_at = None;
        self.failures = 0;
        self.status = if target.is_some() { SurfaceStatus::Attaching } else { SurfaceStatus::Detached };
    }

    /// Draws what is to be drawn now.
    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        let idle = Turn { drew: false, again: None };
        let Some(target) = self.target else { return idle };
        if let Some(at) = self.retry_at.filter(|&at| now < at) {
            return Turn { again: Some(at), ..idle };
        }
        self.retry_at = None;
        match self.try_turn(target) {
            Ok(drew) => Turn { drew, ..idle },
            Err(error) => Turn { again: self.failed(&error, now), ..idle },
        }
    }

    fn try_turn(&mut self, target: Target) -> Result<bool, OhosError> {
        if self.window.is_none() {
            self.window = Some(Window::open(&self.ndk, target.surface)?);
            self.consumer.invalidate();
        }
        let Some(window) = &mut self.window else { return Ok(false) };
        if let Some((scanout, rects, _)) = self.consumer.take_damage() {
            let size = scanout.size();
            self.pending = Some(scanout);
            // Before the damage is noted, which is of this size.
            window.set_size(size)?;
            window.damage(&rects);
        }
        if self.consumer.screen().size().is_none() {
            self.pending = None;
            self.status = SurfaceStatus::Blank;
        }
        let Some(scanout) = &self.pending else { return Ok(false) };
        let size = scanout.size();
        window.set_size(size)?;
        let mut frame = window.next()?;
        let alpha = if target.opaque { Alpha::Ignored } else { Alpha::Opaque };
        let bytes = frame.draw(scanout, alpha)?;
        frame.flush()?;
        self.drawn.frames += 1;
        self.drawn.bytes += bytes;
        self.pending = None;
        self.proven = true;
        self.failures = 0;
        self.status = SurfaceStatus::Showing { size, scaling: window.scaling() };
        Ok(true)
    }

    /// Decides what follows a failure: when to try again, if at all.
    fn failed(&mut self, error: &OhosError, now: Instant) -> Option<Instant> {
        if matches!(error, OhosError::Read(_)) {
            // Each buffer still has its damage, which the next change of the picture brings. Until then a broken picture is not
            // read again and again.
            self.pending = None;
            self.status = SurfaceStatus::Retrying(error.message());
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if !matches!(error, OhosError::Lost(_) | OhosError::NotOpened(_)) {
            let wait = SHORTEST_RETRY.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_RETRY);
            self.status = SurfaceStatus::Retrying(error.message());
            self.retry_at = Some(now + wait);
            return self.retry_at;
        }
        self.window = None;
        let is_new = self.attached_at.is_some_and(|at| now < at + ATTACH_LIMIT);
        if is_new && !self.proven {
            self.status = SurfaceStatus::Attaching;
            self.retry_at = Some(now + ATTACH_INTERVAL);
            return self.retry_at;
        }
        log::info!("a surface is given up: {error}");
        self.target = None;
        self.pending = None;
        self.status = SurfaceStatus::Lost(error.message());
        None
    }
}

#[cfg(test)]
#[path = "drawing_tests.rs"]
mod tests;
