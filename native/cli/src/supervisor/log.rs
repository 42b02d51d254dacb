//! What a supervisor logs: to its stderr, which is the run's log, up to a limit.

use crate::words::LogFile;
use sampan_manager::run::logs::MAX_LOG;
use std::io::{self, Write};

/// What the logger writes to stderr, up to a limit.
#[derive(Default)]
pub struct BoundedLog(u64);

impl Write for BoundedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.0;
        self.0 = before.saturating_add(bytes.len() as u64);
        if self.0 <= MAX_LOG {
            LogFile.write_all(bytes)?;
        } else if before <= MAX_LOG {
            LogFile.write_all(b"[the log is full; what follows is not kept]\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        LogFile.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_not_kept() {
        let mut log = BoundedLog(MAX_LOG - 1);
        assert_eq!(log.write(b"ab").expect("writes"), 2);
        assert_eq!(log.write(&[b'x'; 100]).expect("writes"), 100);
        assert_eq!(log.0, MAX_LOG + 101);
    }
}
