//! What messages have in common.

/// A time for people, UTC.
#[must_use]
pub fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    // A time after the year 9999 is nobody's.
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// A name as a shell takes it.
#[must_use]
pub fn shell_word(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', "'\\''"))
}

/// Who holds a machine, and since when, as far as that is known.
pub(crate) fn holder(pid: Option<u32>, since: u64) -> String {
    let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    if since == 0 { who } else { format!("{who} since {}", date(since)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        // By `date -u -d @N`.
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_795_893_331, "2026-11-28 19:15 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (u64::MAX, "an unknown time"),
        ] {
            assert_eq!(date(seconds), text);
        }
        assert_eq!(holder(Some(7), 951_782_400), "process 7 since 2000-02-29 00:00 UTC");
        assert_eq!(holder(None, 0), "another process");
    }

    #[test]
    fn names_survive_a_shell() {
        assert_eq!(shell_word("debian-12.5"), "debian-12.5");
        assert_eq!(shell_word("my VM"), "'my VM'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("/a/b"), "/a/b");
    }
}
