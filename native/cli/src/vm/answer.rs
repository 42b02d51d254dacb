//! What a command gives back: for people and for programs.

use crate::exit::Code;
use crate::hints::code_of;
use crate::interrupt::is_interruption;
use crate::words::{of_error, one_line, say, say_json, tell};
use anyhow::Result;
pub use sampan_library::date;
use serde_json::{Value, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells of a terminal that a name takes at most in a table.
const MAX_NAME: usize = 40;

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

    /// What was asked for has gone to stdout, and nothing else is to be there.
    pub fn nothing() -> Self {
        Self::new(Value::Null, "")
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
        Ok(answer) if answer.json.is_null() && answer.text.is_empty() => {}
        Ok(answer) if as_json => say_json(&format_args!("{:#}", answer.json)),
        Ok(answer) if answer.text.is_empty() => {}
        Ok(answer) => say(&answer.text),
        Err(error) if as_json => {
            say_json(&error_json(&error));
        }
        Err(error) if code == Code::Interrupted => tell(format_args!("sampan: {}", of_error(&error))),
        Err(error) => return Err(error),
    }
    Ok(code)
}

/// An error for programs. Those that only this program makes have one code.
pub fn error_json(error: &anyhow::Error) -> Value {
    let code = code_of(error).unwrap_or_else(|| "failed".to_owned());
    json!({ "error": of_error(error), "code": code })
}

/// Rows with columns as wide as their widest cell; the first row is the heading. A cell is a line, whatever it holds.
pub fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        // Of the terminal's cells, of which a character may take two or none.
        let fill = |cell: &String, width: usize| " ".repeat(width.saturating_sub(cell.width()));
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", fill(cell, *width)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A name for a cell: a longer one is cut, so that the columns behind it stay on the line.
pub fn short(name: &str) -> String {
    let name = one_line(name);
    if name.width() <= MAX_NAME {
        return name;
    }
    let mut cut = String::new();
    for c in name.chars() {
        if cut.width() + c.width().unwrap_or(0) >= MAX_NAME {
            break;
        }
        cut.push(c);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_on_a_terminal() {
        let rows = ["NAME|STATE", "云云|on", "Gera\u{308}t|on", "plain|on", "🦆|on"];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.split('|').map(str::to_owned).collect()).collect();
        assert_eq!(table(&rows), "NAME   STATE\n云云   on\nGera\u{308}t  on\nplain  on\n🦆     on");
    }

    #[test]
    fn long_names_are_cut_and_others_are_not() {
        assert_eq!(short("debian"), "debian");
        assert_eq!(short(&"x".repeat(MAX_NAME)), "x".repeat(MAX_NAME));
        for long in ["x".repeat(100), "云".repeat(100), "e\u{301}".repeat(100)] {
            let cut = short(&long);
            assert!(cut.ends_with('…') && (MAX_NAME - 1..=MAX_NAME).contains(&cut.width()), "{cut}");
        }
    }
}
