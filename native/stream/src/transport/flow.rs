//! What is known of a viewer's path.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes that may wait for the pacer while a viewer still counts as ready: a quarter of a frame at the least rates.
const BACKLOG_READY: usize = 4 * 1024;

/// How much a path takes, shared between the transport, which measures, and the encoder, which obeys.
#[derive(Debug)]
pub struct Flow {
    target: AtomicU32,
    careful: AtomicBool,
    known: AtomicBool,
    /// Milliseconds.
    way: AtomicU32,
    backlog: AtomicUsize,
    muted: AtomicBool,
    sent: AtomicU64,
    heard: AtomicU64,
    due: AtomicBool,
    probed: AtomicBool,
}

impl Flow {
    /// A path believed to take `target` bits per second.
    pub fn new(target: u32) -> Self {
        Self {
            target: AtomicU32::new(target),
            careful: AtomicBool::new(false),
            known: AtomicBool::new(false),
            way: AtomicU32::new(0),
            backlog: AtomicUsize::new(0),
            muted: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            due: AtomicBool::new(false),
            probed: AtomicBool::new(false),
        }
    }

    /// The congestion control's target in bits per second.
    pub fn target(&self) -> u32 {
        self.target.load(Ordering::Relaxed)
    }

    /// Sets the target.
    pub fn set_target(&self, bits_per_second: u32) {
        self.target.store(bits_per_second, Ordering::Relaxed);
    }

    /// Whether the path was full a short while ago.
    pub fn is_careful(&self) -> bool {
        self.careful.load(Ordering::Relaxed)
    }

    /// Notes that the path was full a short while ago, or not.
    pub fn set_careful(&self, careful: bool) {
        self.careful.store(careful, Ordering::Relaxed);
    }

    /// How long it takes at the least now until a packet is reported: both ways, and the queue in front of them.
    pub fn way(&self) -> Duration {
        Duration::from_millis(u64::from(self.way.load(Ordering::Relaxed)))
    }

    /// Notes how long that takes.
    pub fn set_way(&self, way: Duration) {
        self.way.store(u32::try_from(way.as_millis()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Notes that something was heard of the path; answers whether it is the first time.
    pub fn set_known(&self) -> bool {
        !self.known.swap(true, Ordering::Relaxed)
    }

    /// Whether a frame put on the path now would leave at once. After the first one the next waits until something was heard of the
    /// path: it may take far less than is believed.
    pub fn can_take(&self) -> bool {
        let is_first = self.known.load(Ordering::Relaxed) || self.sent.load(Ordering::Relaxed) == 0;
        is_first
            && !self.muted.load(Ordering::Relaxed)
            && self.backlog.load(Ordering::Relaxed) <= BACKLOG_READY
    }

    /// Sets the bytes that wait in the pacer; answers whether the path has become ready by it.
    pub fn set_backlog(&self, bytes: usize) -> bool {
        let before = self.backlog.swap(bytes, Ordering::Relaxed);
        before > BACKLOG_READY && bytes <= BACKLOG_READY
    }

    /// Notes that the viewer shows no life, or shows it again.
    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// Whether the viewer shows no life.
    pub fn muted(&self) -> bool {
        self.muted.load(Ordering::Relaxed)
    }

    /// Counts packets sent.
    pub fn count_sent(&self, packets: u64) {
        self.sent.fetch_add(packets, Ordering::Relaxed);
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts a report of the viewer's.
    pub fn count_heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports so far.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Notes that a first few packets are to tell how much the path takes, before it is given more.
    pub fn set_probed(&self, probed: bool) {
        self.probed.store(probed, Ordering::Relaxed);
    }

    /// Whether that is so still.
    pub fn is_probed(&self) -> bool {
        self.probed.load(Ordering::Relaxed)
    }

    /// Notes that the connection has something to send that it would send only after its next timer.
    pub fn set_due(&self) {
        self.due.store(true, Ordering::Relaxed);
    }

    /// Whether it has, once.
    pub fn take_due(&self) -> bool {
        self.due.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_first_picture_the_path_is_to_be_heard_of() {
        let flow = Flow::new(1_000_000);
        assert!(flow.can_take());
        flow.count_sent(10);
        assert!(!flow.can_take());
        assert!(flow.set_known() && flow.can_take());
        assert!(!flow.set_known());
        assert!(flow.set_backlog(BACKLOG_READY + 1) | !flow.can_take());
        assert!(flow.set_backlog(BACKLOG_READY) && flow.can_take());
    }
}
