//! Wakes the encoder's thread.

use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// A flag that a thread can wait for: raised any number of times, it is seen once.
#[derive(Default)]
pub struct Signal {
    raised: Mutex<bool>,
    condvar: Condvar,
}

impl Signal {
    /// Raises the flag. It costs a lock that is never held long.
    pub fn raise(&self) {
        *self.raised.lock() = true;
        self.condvar.notify_one();
    }

    /// Waits until the flag is raised, at the latest until `deadline`, and lowers it.
    pub fn wait(&self, deadline: Option<Instant>) {
        let mut raised = self.raised.lock();
        while !*raised {
            match deadline {
                None => self.condvar.wait(&mut raised),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.condvar.wait_for(&mut raised, left);
                }
            }
        }
        *raised = false;
    }
}
