//! The line that tells how far downloads are.

use crate::app::App;
use crate::args::size::human;
use crate::words::{are_watched, of_error, one_line, redraw, tell};
use anyhow::Result;
use sampan_download::{Progress, Request, State};
use sampan_manager::downloads::{Fetched, file_name};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the line is drawn on a terminal.
const PACE: Duration = Duration::from_millis(200);
/// How often it is written elsewhere.
const PLAIN_PACE: Duration = Duration::from_secs(5);

/// Downloads all that is not in the library yet. Ctrl-C leaves what came, for the next time.
pub fn fetch(app: &App, requests: Vec<Request>) -> Result<Vec<Fetched>> {
    let mut line = Line::new();
    let outcomes = app.cancellable(async |reporter| {
        let outcomes = app.manager.fetch(requests, reporter, |all| line.tell(all)).await;
        line.end();
        outcomes
    })?;
    let (mut fetched, mut failed) = (Vec::new(), Vec::new());
    for (name, outcome) in outcomes {
        match app.told_of(outcome) {
            Ok(one) => fetched.push(one),
            Err(error) => failed.push(error.context(name)),
        }
    }
    let Some(last) = failed.pop() else { return Ok(fetched) };
    for other in failed {
        tell(format_args!("sampan: {}", of_error(&other)));
    }
    Err(last)
}

/// One line on a terminal, drawn again and again; elsewhere a line now and then.
struct Line {
    terminal: bool,
    told: Option<Instant>,
    drawn: bool,
    troubles: BTreeMap<u64, String>,
}

impl Line {
    fn new() -> Self {
        Self { terminal: are_watched(), told: None, drawn: false, troubles: BTreeMap::new() }
    }

    fn tell(&mut self, all: &[Progress]) {
        for progress in all {
            let State::Waiting { error, .. } = &progress.state else { continue };
            let words = error.to_string();
            if self.troubles.get(&progress.id) != Some(&words) {
                self.end();
                tell(format_args!("{}: {}; trying again", file_name(&progress.to), one_line(&words)));
                self.troubles.insert(progress.id, words);
            }
        }
        let pace = if self.terminal { PACE } else { PLAIN_PACE };
        if self.told.is_some_and(|at| at.elapsed() < pace) {
            return;
        }
        let Some(words) = words(all) else { return };
        self.told = Some(Instant::now());
        if self.terminal {
            self.drawn = true;
            redraw(&words);
        } else {
            tell(words);
        }
    }

    /// What follows begins a line of its own.
    fn end(&mut self) {
        if std::mem::take(&mut self.drawn) {
            tell("");
        }
    }
}

/// How far they all are; `None` before anything is known.
fn words(all: &[Progress]) -> Option<String> {
    let what = match all {
        [one] => file_name(&one.to),
        several => {
            let done = several.iter().filter(|p| p.state == State::Done).count();
            format!("{done} of {} files", several.len())
        }
    };
    let sum = |of: fn(&Progress) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
    let (done, speed) = (sum(|p| p.loaded), sum(|p| p.speed));
    let total: Option<u64> =
        all.iter().map(|p| p.total).try_fold(0, |sum: u64, total| sum.checked_add(total?));
    if let [one] = all
        && one.state == State::Verifying
    {
        return Some(format!("{what}: checking {} of {}", human(one.verified), human(one.loaded)));
    }
    let Some(total) = total.filter(|total| *total > 0) else {
        return (done > 0).then(|| format!("{what}: {}, {}/s", human(done), human(speed)));
    };
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    let left = match total.saturating_sub(done).checked_div(speed) {
        Some(seconds) => format!("{} left", clock(seconds)),
        None => "waiting".to_owned(),
    };
    Some(format!("{what}: {percent} %, {} of {}, {}/s, {left}", human(done), human(total), human(speed)))
}

fn clock(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(state: State, loaded: u64, total: Option<u64>) -> Progress {
        Progress {
            id: 1,
            to: "/x/a.iso".into(),
            state,
            loaded,
            total,
            verified: 5 << 20,
            speed: 2 << 20,
            eta: None,
            connections: Vec::new(),
        }
    }

    #[test]
    fn the_line_tells_bytes_speed_and_the_time_that_is_left() {
        let one = progress(State::Loading, 10 << 20, Some(40 << 20));
        assert_eq!(
            words(std::slice::from_ref(&one)).as_deref(),
            Some("a.iso: 25 %, 10.0 MiB of 40.0 MiB, 2.0 MiB/s, 15 s left")
        );
        let done = progress(State::Done, 40 << 20, Some(40 << 20));
        assert_eq!(
            words(&[one, done]).as_deref(),
            Some("1 of 2 files: 62 %, 50.0 MiB of 80.0 MiB, 4.0 MiB/s, 7 s left")
        );
        assert_eq!(words(&[progress(State::Connecting, 0, None)]), None);
        assert_eq!(
            words(&[progress(State::Loading, 1 << 20, None)]).as_deref(),
            Some("a.iso: 1.0 MiB, 2.0 MiB/s")
        );
        assert_eq!(
            words(&[progress(State::Verifying, 10 << 20, Some(10 << 20))]).as_deref(),
            Some("a.iso: checking 5.0 MiB of 10.0 MiB")
        );
        let still = Progress { speed: 0, ..progress(State::Loading, 1, Some(2)) };
        assert_eq!(words(&[still]).as_deref(), Some("a.iso: 50 %, 1 bytes of 2 bytes, 0 bytes/s, waiting"));
        assert_eq!([clock(99), clock(100), clock(6001)], ["99 s", "2 min", "2 h"]);
    }
}
