//! At most one frame per vsync.

use crate::ndk::{NativeVsync, Ndk};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a vsync may fail to come before the next frame is drawn without it: the display may be off, or its vsync broken.
const VSYNC_LIMIT: Duration = Duration::from_millis(100);

/// The time between frames where there is no vsync: 60 Hz.
const WITHOUT_VSYNC: Duration = Duration::from_millis(16);

/// The gate between two frames. The first frame after a pause is drawn at once; after each frame the gate is closed until the next vsync.
pub(crate) struct Pacer {
    vsync: Option<NativeVsync>,
    /// A requested tick has not come yet.
    outstanding: Arc<AtomicBool>,
    closed_until: Option<Instant>,
}

impl Pacer {
    /// `wake` is called for each vsync that was asked for, on a thread of the system's.
    pub(crate) fn new(ndk: &Ndk, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let outstanding = Arc::new(AtomicBool::new(false));
        let arrived = outstanding.clone();
        let tick = move || {
            arrived.store(false, Ordering::Release);
            wake();
        };
        Self { vsync: NativeVsync::new(ndk, Arc::new(tick)), outstanding, closed_until: None }
    }

    /// A frame was drawn.
    pub(crate) fn close(&mut self, now: Instant) {
        // A second request would replace the first, and one that is never answered must not be waited for each time.
        let coming = !self.outstanding.load(Ordering::Acquire)
            && self.vsync.as_ref().is_some_and(|vsync| {
                // Before the request, whose answer may be faster than we are.
                self.outstanding.store(true, Ordering::Release);
                let coming = vsync.request();
                if !coming {
                    self.outstanding.store(false, Ordering::Release);
                }
                coming
            });
        self.closed_until = Some(now + if coming { VSYNC_LIMIT } else { WITHOUT_VSYNC });
    }

    /// A vsync has come.
    pub(crate) fn open(&mut self) {
        self.closed_until = None;
    }

    /// When a frame may be drawn at the latest, if not now.
    pub(crate) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        self.closed_until = self.closed_until.filter(|&until| now < until);
        self.closed_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_ohos_stand_in as stand_in;
    use std::path::Path;

    fn pacer(behaviour: stand_in::Vsync) -> (Pacer, Instant) {
        let library = Path::new(stand_in::LIBRARY);
        stand_in::set_vsync(1000, behaviour);
        (Pacer::new(&Ndk::load_from(library, library).expect("the stand-in"), || {}), Instant::now())
    }

    /// One test, as the stand-in has one behaviour at a time.
    #[test]
    fn the_gate_opens_with_the_vsync_or_when_it_fails_to_come() {
        let (mut pacer, now) = pacer(stand_in::Vsync::Silent);
        assert_eq!(pacer.closed_until(now), None, "the first frame waits for nothing");
        pacer.close(now);
        assert_eq!(pacer.closed_until(now), Some(now + VSYNC_LIMIT));
        let now = now + VSYNC_LIMIT;
        assert_eq!(pacer.closed_until(now), None);
        // It is still outstanding, so it is not waited for again.
        pacer.close(now);
        assert_eq!(pacer.closed_until(now), Some(now + WITHOUT_VSYNC));
        pacer.open();
        assert_eq!(pacer.closed_until(now), None);

        let (mut pacer, now) = self::pacer(stand_in::Vsync::Missing);
        pacer.close(now);
        assert_eq!(pacer.closed_until(now), Some(now + WITHOUT_VSYNC));

        let (mut pacer, mut now) = self::pacer(stand_in::Vsync::Ticks);
        for _ in 0..3 {
            pacer.close(now);
            assert_eq!(pacer.closed_until(now), Some(now + VSYNC_LIMIT), "a vsync is on its way");
            while pacer.outstanding.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            now += VSYNC_LIMIT;
        }
    }
}
