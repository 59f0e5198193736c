//! Logs, to standard error.
//!
//! Much of what is logged was said by a device, so the text form writes no field as it came: what could forge a line, or act on the
//! terminal, is escaped in this one place (CWE-117, CWE-150). The JSON form escapes by its own rules.

use std::fmt::{self, Debug};
use std::io::IsTerminal;

use buoy_lwm2m::text::harmless;
use clap::ValueEnum;
use tracing::Level;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging at `level`, which `RUST_LOG` overrides: a level, or levels by module as in `info,buoy_net=debug`.
pub(crate) fn start(format: LogFormat, level: &str) {
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let parsed = wanted.as_deref().map(str::parse::<Targets>);
    let default = || level.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
    let filter = parsed.as_ref().and_then(|parsed| parsed.as_ref().ok()).cloned().unwrap_or_else(default);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A file keeps no colours.
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(lines.fmt_fields(HarmlessFields)).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
    if let (Some(wanted), Some(Err(error))) = (wanted, parsed) {
        tracing::warn!(RUST_LOG = wanted, %error, "RUST_LOG cannot be read and is ignored; it is as in info,buoy_net=debug");
    }
}

/// Writes fields as `name=value` behind the message, on one line whatever they hold.
struct HarmlessFields;

impl<'writer> FormatFields<'writer> for HarmlessFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_first: true, outcome: Ok(()) };
        fields.record(&mut line);
        line.outcome
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, field: &Field, value: &str) {
        let separator = if self.is_first { "" } else { " " };
        self.is_first = false;
        let written = match field.name() {
            "message" => write!(self.writer, "{separator}{}", harmless(value)),
            name => write!(self.writer, "{separator}{name}={}", value_of(value)),
        };
        self.outcome = self.outcome.and(written);
    }
}

/// A value that could be read as several fields stands in quotes.
fn value_of(value: &str) -> String {
    let shown = harmless(value).to_string();
    let is_one_word = !shown.is_empty() && !shown.contains([' ', '"', '=']);
    if is_one_word { shown } else { format!("\"{}\"", shown.replace('"', "\\\"")) }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.write(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let builder = tracing_subscriber::fmt().fmt_fields(HarmlessFields).with_ansi(true).without_time();
        tracing::subscriber::with_default(builder.with_writer(move || writer.clone()).finish(), log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_field_and_no_message_can_forge_a_log_line_or_act_on_a_terminal() {
        let hostile = "x\n2026-01-01T00:00:00Z ERROR buoy: forged\r\u{1b}[2J\u{9b}1A\u{202e}\u{200b}";
        for text in [
            logged(|| tracing::warn!(endpoint = hostile, "a message")),
            logged(|| tracing::warn!(address = %hostile, "a message")),
            logged(|| tracing::warn!(address = ?hostile.to_owned(), "a message")),
            logged(|| tracing::warn!("a request was refused: {hostile}")),
            logged(|| tracing::warn!(error = &std::io::Error::other(hostile) as &dyn std::error::Error, "m")),
        ] {
            assert_eq!(text.lines().count(), 1, "{text:?}");
            let plain = text.replace("\u{1b}[33m", "").replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
            assert!(buoy_lwm2m::text::is_harmless(plain.trim_end_matches('\n')), "{text:?}");
        }
    }

    #[test]
    fn a_value_cannot_look_like_another_field() {
        let text = logged(|| tracing::warn!(endpoint = "a\" code=2.05 x=\"", count = 3, "a message"));
        assert!(text.ends_with("a message endpoint=\"a\\\" code=2.05 x=\\\"\" count=3\n"), "{text}");
    }
}
