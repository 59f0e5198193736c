//! How answers are printed: tables for people, JSON for scripts.
//!
//! All that `buoy ctl` writes to a terminal goes through this module, and most of it was said by a device: nothing is written for people
//! but through [`harmless`]. JSON is exact, since a script wants what was said and JSON's own escapes keep it harmless.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place of this command that writes")]

mod names;
mod yaml;

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::OnceLock;

use buoy_api::PathValue;
use buoy_lwm2m::text::{harmless, is_harmful};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;
use serde_json::Value;

/// In which form answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// Tables that fit the terminal.
    Table,
    /// Tables with the whole of each cell, however wide.
    Wide,
    /// JSON: one document, or one line an event.
    Json,
    /// JSON, one line an entry.
    Jsonl,
    /// YAML.
    Yaml,
    /// Names or ids alone, one a line.
    Name,
    /// The columns of the table, separated by commas.
    Csv,
}

/// The form of tables, which [`begin`] sets.
static LAYOUT: OnceLock<Output> = OnceLock::new();

/// Sets the form of the tables of this process.
pub(super) fn begin(out: Output) {
    // The command line is read once.
    let _ = LAYOUT.set(out);
}

impl Output {
    /// Whether a person reads it, who wants to know what goes on.
    pub(super) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }

    /// Prints a document for scripts, or what `table` makes for people.
    pub(super) fn print(self, document: &impl Serialize, table: impl FnOnce()) -> anyhow::Result<()> {
        match self {
            Self::Json => println!("{}", json(&serde_json::to_string_pretty(document)?)),
            Self::Jsonl => {
                for entry in names::entries(&serde_json::to_value(document)?) {
                    println!("{}", json(&entry.to_string()));
                }
            }
            Self::Yaml => print!("{}", yaml::document(&serde_json::to_value(document)?)),
            Self::Name => names::of(&serde_json::to_value(document)?).iter().for_each(line),
            Self::Table | Self::Wide | Self::Csv => table(),
        }
        Ok(())
    }

    /// Prints one of a stream of documents: for scripts on one line, for people on one line for each of `lines`.
    pub(super) fn print_line(
        self,
        document: &impl Serialize,
        lines: impl FnOnce() -> Vec<String>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Json | Self::Jsonl => println!("{}", json(&serde_json::to_string(document)?)),
            Self::Yaml => print!("---\n{}", yaml::document(&serde_json::to_value(document)?)),
            Self::Name => names::of(&serde_json::to_value(document)?).iter().for_each(line),
            Self::Table | Self::Wide | Self::Csv => lines().iter().for_each(line),
        }
        Ok(())
    }
}

/// JSON that says the same without a character that acts on a terminal: what serde leaves as it is, as U+202E and DEL, becomes `\\u202e`
/// (RFC 8259 section 7). The line ends of the layout stay.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) && character != '\n' {
            let mut units = [0; 2];
            character.encode_utf16(&mut units).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
        } else {
            out.push(character);
        }
    }
    out
}

/// Prints a line.
pub(super) fn line(text: impl Display) {
    println!("{}", harmless(&text.to_string()));
}

/// Prints a line to standard error, so that standard output has values alone.
pub(super) fn note(text: impl Display) {
    eprintln!("{}", harmless(&text.to_string()));
}

/// Prints rows below their headings: within the width of the terminal, if there is one.
pub(super) fn table<R: IntoIterator<Item = String>>(headings: &[&str], rows: impl IntoIterator<Item = R>) {
    let rows = rows.into_iter().map(|row| row.into_iter().collect::<Vec<_>>());
    let layout = LAYOUT.get().copied().unwrap_or(Output::Table);
    if layout == Output::Csv {
        let headings = headings.iter().map(|heading| heading.to_lowercase().replace(' ', "_")).collect();
        return csv(std::iter::once(headings).chain(rows));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.iter().copied());
    if let Some(width) = terminal_width().filter(|_| layout == Output::Table) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        table.set_constraints(headings.iter().map(|heading| {
            // A heading is not broken in its midst: it is found by its words. A blank is on each side.
            let words = heading.split(' ').map(str::len).max().unwrap_or_default();
            ColumnConstraint::LowerBoundary(Width::Fixed(words as u16 + 2))
        }));
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| harmless(cell).to_string()).collect::<Vec<_>>());
    }
    println!("{}", table.trim_fmt());
}

/// The columns of the terminal, if the standard output is one.
fn terminal_width() -> Option<u16> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = ratatui::crossterm::terminal::size().ok();
    size.map(|(width, _)| width).filter(|width| *width > 0)
}

/// Begins a new picture of something that is watched: on a terminal in place of the one before.
pub(super) fn new_picture() {
    if std::io::stdout().is_terminal() {
        // Cursor to the upper left corner, and the screen empty (ECMA-48).
        print!("\u{1b}[H\u{1b}[2J");
    }
}

/// Prints rows as CSV (RFC 4180). A cell that a spreadsheet would take for a formula gets an apostrophe in front.
pub(super) fn csv(rows: impl Iterator<Item = Vec<String>>) {
    for row in rows {
        let cells: Vec<_> = row.iter().map(|text| cell(text)).collect();
        println!("{}", cells.join(","));
    }
}

fn cell(text: &str) -> String {
    let text = harmless(text).to_string();
    let is_number = text.parse::<f64>().is_ok();
    let guard = if text.starts_with(['=', '+', '-', '@']) && !is_number { "'" } else { "" };
    if text.contains([',', '"', '\n', ' ']) || !guard.is_empty() {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// Prints names and what they name.
pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) {
    if LAYOUT.get() == Some(&Output::Csv) {
        return csv(pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
    }
    for (name, value) in pairs {
        println!("{name:<14} {}", harmless(&value));
    }
}

/// A value as a person reads it.
pub(super) fn text(value: &PathValue) -> String {
    match (&value.value, value.kind.as_deref()) {
        (Value::Number(millis), Some("time")) => millis.as_i64().map_or_else(|| millis.to_string(), time),
        (Value::Null, _) => "(empty)".into(),
        (value, _) => plain(value),
    }
}

/// A JSON value without the quotes of text.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time in UTC, as in "2026-11-25T13:00:00Z".
pub(super) fn time(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis);
    at.map_or_else(|_| millis.to_string(), |at| format!("{at:.0}"))
}

/// How long ago, in words, as in "5 min".
pub(super) fn ago(millis: u64) -> String {
    let now = jiff::Timestamp::now().as_millisecond();
    let seconds = u64::try_from(now).unwrap_or(0).saturating_sub(millis) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_well() {
        let of = |value: Value, kind: &str| {
            text(&PathValue { path: "/3/0/0".into(), value, kind: Some(kind.into()), at: None })
        };
        assert_eq!(of(json!("Buoy"), "string"), "Buoy");
        assert_eq!(of(json!(75), "integer"), "75");
        assert_eq!(of(json!(1_795_466_474_000_i64), "time"), "2026-11-23T20:41:14Z");
    }

    #[test]
    fn json_is_exact_and_yet_acts_on_no_terminal() {
        let hostile = json!({"value": "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{e0001}\n\"b"});
        let shown = super::json(&serde_json::to_string_pretty(&hostile).unwrap());
        assert!(shown.lines().all(buoy_lwm2m::text::is_harmless), "{shown:?}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), hostile);
    }
}
