//! What is known of a viewer's path.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes that may wait for the pacer while a viewer still counts as ready: a quarter of a frame at the least rates.
const BACKLOG_READY: usize = 4 * 1024;

/// How much a path takes, shared between the transport, which measures, and the encoder, which obeys.
#[derive(Debug)]
pub struct Flow {
    target: AtomicU32,
    backlog: AtomicUsize,
    muted: AtomicBool,
    sent: AtomicU64,
    heard: AtomicU64,
}

impl Flow {
    /// A path believed to take `target` bits per second.
    pub fn new(target: u32) -> Self {
        Self {
            target: AtomicU32::new(target),
            backlog: AtomicUsize::new(0),
            muted: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            heard: AtomicU64::new(0),
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

    /// Whether a frame put on the path now would leave at once.
    pub fn can_take(&self) -> bool {
        !self.muted.load(Ordering::Relaxed) && self.backlog.load(Ordering::Relaxed) <= BACKLOG_READY
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
}
