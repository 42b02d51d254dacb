//! What a command gives back: for people and for programs.

use crate::exit::Code;
use crate::interrupt::is_interruption;
use crate::words::{one_line, say, say_json, tell};
use anyhow::Result;
use serde_json::{Value, json};

/// An answer in both forms.
pub struct Answer {
    /// For programs.
    pub json: Value,
    /// For people; nothing is printed where it is empty.
    pub text: String,
}

impl Answer {
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into() }
    }

    /// It is done, and there is nothing to tell.
    pub fn done() -> Self {
        Self::new(json!({}), "")
    }
}

/// Prints an answer in the form that was asked for. Errors are told as JSON too.
pub fn print(outcome: Result<Answer>, as_json: bool) -> Result<Code> {
    let code = match &outcome {
        Err(error) if is_interruption(error) => Code::Interrupted,
        Err(_) => Code::CouldNotStart,
        Ok(_) => Code::Done,
    };
    match outcome {
        Ok(answer) if as_json => say_json(&format_args!("{:#}", answer.json)),
        Ok(answer) if answer.text.is_empty() => {}
        Ok(answer) => say(&answer.text),
        Err(error) if as_json => {
            say_json(&json!({ "error": format!("{error:#}") }));
        }
        Err(error) if code == Code::Interrupted => tell(format_args!("sampan: {error:#}")),
        Err(error) => return Err(error),
    }
    Ok(code)
}

/// Rows with columns as wide as their widest cell; the first row is the heading. A cell is a line, whatever it holds.
pub fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A time for people, UTC.
pub fn date(seconds: u64) -> String {
    // Civil from days (proleptic Gregorian calendar), counting years from March.
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_dates_are_right() {
        let rows = [vec!["NAME".into(), "STATE".into()], vec!["云".into(), "on".into()]];
        assert_eq!(table(&rows), "NAME  STATE\n云     on");
        // By `date -u -d @N`.
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
