//! Wakes the encoder's thread.

use std::sync::{Condvar, Mutex, PoisonError};
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
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condvar.notify_one();
    }

    /// Waits until the flag is raised, at the latest until `deadline`, and lowers it.
    pub fn wait(&self, deadline: Option<Instant>) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        while !*raised {
            raised = match deadline {
                None => self.condvar.wait(raised).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.condvar.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *raised = false;
    }
}
