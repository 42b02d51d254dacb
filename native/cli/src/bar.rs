//! How far long work is, on stderr: where a person looks at it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sampan_control::Progress;
use std::borrow::Cow;

/// How often it is drawn at most, a second.
const HERTZ: u8 = 5;

/// Numbers alone, which need no escaping.
const LINE: &str =
    "{percent:>3} %  {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";

/// A line that tells how far the work is.
#[derive(Default)]
pub struct Bar {
    /// What is being done, and its line. What follows begins anew.
    current: Option<(Cow<'static, str>, ProgressBar)>,
}

impl Bar {
    /// Draws it, if it is time.
    pub fn draw(&mut self, progress: &Progress) {
        if progress.total == 0 {
            return;
        }
        if self.current.as_ref().is_none_or(|(phase, _)| *phase != progress.phase) {
            self.end();
            let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
            let bar = ProgressBar::with_draw_target(Some(progress.total), target);
            bar.set_style(
                ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            self.current = Some((progress.phase.clone(), bar));
        }
        if let Some((_, bar)) = &self.current {
            bar.set_length(progress.total);
            bar.set_position(progress.done.min(progress.total));
        }
    }

    /// Its last state stays on a line of its own.
    fn end(&mut self) {
        if let Some((_, bar)) = self.current.take() {
            bar.abandon();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_one_that_can_be_drawn() {
        ProgressStyle::with_template(LINE).expect("a template");
        let mut bar = Bar::default();
        for (phase, done, total) in [("copy", 1, 0), ("copy", 5, 10), ("copy", 20, 10), ("memory", 0, 7)] {
            bar.draw(&Progress { phase: phase.into(), done, total });
        }
        let (phase, line) = bar.current.as_ref().expect("is drawn");
        assert_eq!((&**phase, line.position(), line.length()), ("memory", 0, Some(7)));
    }
}
