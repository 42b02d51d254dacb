//! Ctrl-C in the midst of long work: the first breaks it off cleanly, the second ends the program at once.

use crate::hints::code_of;
use anyhow::{Context, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Turns true with the first Ctrl-C. There is one for the program: where nobody listens any more, a Ctrl-C would be
/// lost, since what was there before a handler never comes back.
static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// From now on Ctrl-C is told by this flag, for as long as the program lives; the words tell the person that it was
/// heard.
pub fn interruption() -> Result<Arc<AtomicBool>> {
    heard("\nsampan: breaking off; once more to end at once\n")
}

/// The same of what ends at once and leaves nothing.
pub fn quiet_interruption() -> Result<Arc<AtomicBool>> {
    heard("")
}

fn heard(words: &'static str) -> Result<Arc<AtomicBool>> {
    let mut known = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(flag) = &*known {
        return Ok(Arc::clone(flag));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("Ctrl-C cannot be listened to")?;
    let mut signals = {
        let _within = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
            .context("Ctrl-C cannot be listened to")?
    };
    let flag = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&flag);
    std::thread::Builder::new()
        .name("sampan-interrupt".into())
        .spawn(move || {
            runtime.block_on(async {
                signals.recv().await;
                told.store(true, Ordering::Relaxed);
                crate::words::ask(words);
                signals.recv().await;
            });
            std::process::exit(130);
        })
        .context("Ctrl-C cannot be listened to")?;
    *known = Some(Arc::clone(&flag));
    Ok(flag)
}

/// Whether an error says that its caller broke off the work.
pub fn is_interruption(error: &anyhow::Error) -> bool {
    code_of(error).as_deref() == Some("cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;
    use sampan_library::{BlockError, Error as LibraryError};
    use sampan_session::vm::VmError;

    #[test]
    fn work_that_was_broken_off_is_told_from_work_that_failed() {
        for error in [
            LibraryError::Cancelled.into(),
            anyhow::Error::new(LibraryError::Cancelled).context("the image cannot be imported"),
            VmError::from(LibraryError::Cancelled).into(),
            BlockError::Cancelled.into(),
        ] {
            assert!(is_interruption(&error), "{error:#}");
        }
        for error in [anyhow!("cancelled"), LibraryError::Suspended.into()] {
            assert!(!is_interruption(&error), "{error:#}");
        }
    }
}
