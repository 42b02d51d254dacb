//! How long to wait before the next try.

use crate::error::DownloadError;
use crate::settings::Retry;
use std::time::Duration;

/// The wait after `failures` in a row, or `None` when it is time to give up. `random` varies it.
pub(crate) fn wait(retry: &Retry, failures: u32, error: &DownloadError, random: u32) -> Option<Duration> {
    if !error.is_transient() || failures > retry.tries {
        return None;
    }
    let varied = varied(retry, failures, random);
    match error {
        DownloadError::Status { retry_after: Some(after), .. } => {
            (*after <= retry.longest_retry_after).then(|| varied.max(*after))
        }
        _ => Some(varied),
    }
}

/// The wait before try number `times`, whatever the reason.
pub(crate) fn backoff(retry: &Retry, times: u32) -> Duration {
    varied(retry, times, random())
}

fn varied(retry: &Retry, times: u32, random: u32) -> Duration {
    let doubled =
        retry.first_wait.saturating_mul(1 << times.saturating_sub(1).min(20)).min(retry.longest_wait);
    // Between a half and the whole.
    doubled / 2 + (doubled / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

pub(crate) fn random() -> u32 {
    // Without randomness the waits are merely not varied.
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<u64>) -> DownloadError {
        let retry_after = retry_after.map(Duration::from_secs);
        DownloadError::Status { url: String::new(), status, hint: "", retry_after }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let retry = Retry { tries: 10, ..Retry::default() };
        let seconds = |failures| wait(&retry, failures, &status(503, None), u32::MAX).map(|w| w.as_secs());
        assert_eq!([1, 2, 3, 7, 10, 11].map(seconds), [Some(1), Some(2), Some(4), Some(60), Some(60), None]);
        let least = wait(&retry, 2, &status(503, None), 0);
        assert_eq!(least, Some(Duration::from_secs(1)), "at least a half");
        assert_eq!(wait(&retry, 1, &status(404, None), 0), None, "what is gone stays gone");
        let none = Retry { tries: 0, ..retry };
        assert_eq!(wait(&none, 1, &status(503, None), 0), None);
    }

    #[test]
    fn a_server_is_asked_again_when_it_says_but_not_in_a_day() {
        let retry = Retry::default();
        assert_eq!(wait(&retry, 1, &status(503, Some(90)), 0), Some(Duration::from_secs(90)));
        assert_eq!(wait(&retry, 1, &status(503, Some(86_400)), 0), None);
        assert_eq!(wait(&retry, 1, &status(429, Some(0)), u32::MAX), Some(Duration::from_secs(1)));
    }
}
