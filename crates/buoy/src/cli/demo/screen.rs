//! What the demo shows: steps, the command that does the same, and pictures; in colour where the terminal has it.

use std::io::{IsTerminal, Write};

use buoy_lwm2m::text::harmless;

use super::slots::Slots;

/// Whether there is colour (<https://no-color.org>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Colour,
    Plain,
}

impl Paint {
    fn of_terminal(is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> Self {
        let is_unwanted = no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb");
        if is_terminal && !is_unwanted { Self::Colour } else { Self::Plain }
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }
}

/// Standard output, line by line; in a terminal the last line may be drawn again and again.
pub(super) struct Screen {
    paint: Paint,
    is_terminal: bool,
    /// The last picture.
    drawn: Option<Slots>,
    /// Whether it stands in the last line, to be drawn over.
    is_open: bool,
}

impl Screen {
    pub(super) fn of_terminal() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let (no_color, term) = (std::env::var("NO_COLOR").ok(), std::env::var("TERM").ok());
        let paint = Paint::of_terminal(is_terminal, no_color.as_deref(), term.as_deref());
        Self { paint, is_terminal, drawn: None, is_open: false }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.end_picture();
        println!("{}", harmless(text));
    }

    pub(super) fn gap(&mut self) {
        self.end_picture();
        println!();
    }

    pub(super) fn step(&mut self, number: usize, name: &str) {
        self.end_picture();
        println!("\n{}", self.paint.bold(&format!("{number}. {name}")));
    }

    /// The command line that does what the step does.
    pub(super) fn command(&mut self, line: &str) {
        debug_assert!(crate::cli::is_command_line(line), "nobody can type this: {line}");
        self.end_picture();
        println!("   {}", self.paint.cyan(&format!("$ {line}")));
    }

    pub(super) fn detail(&mut self, text: &str) {
        self.end_picture();
        println!("   … {}", harmless(text));
    }

    pub(super) fn ok(&mut self, text: &str) {
        self.end_picture();
        println!("   {} {}", self.paint.green("ok:"), harmless(text));
    }

    /// Draws slots that have changed: in a terminal over the picture before.
    pub(super) fn slots(&mut self, slots: Slots) {
        if self.drawn.as_ref() == Some(&slots) {
            return;
        }
        let picture = slots.drawn(self.paint);
        if self.is_terminal {
            print!("\r\u{1b}[2K   {picture}");
            // A picture that is not seen is no loss.
            let _ = std::io::stdout().flush();
        } else {
            println!("   {picture}");
        }
        self.is_open = self.is_terminal;
        self.drawn = Some(slots);
    }

    /// What is said next has a line of its own.
    fn end_picture(&mut self) {
        if std::mem::take(&mut self.is_open) {
            println!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_colour_in_a_terminal_alone_and_not_where_it_is_unwanted() {
        assert_eq!(Paint::of_terminal(true, None, Some("xterm")), Paint::Colour);
        assert_eq!(Paint::of_terminal(true, Some(""), None), Paint::Colour);
        for (is_terminal, no_color, term) in
            [(false, None, None), (true, Some("1"), None), (true, None, Some("dumb"))]
        {
            assert_eq!(Paint::of_terminal(is_terminal, no_color, term), Paint::Plain);
        }
        assert_eq!((Paint::Plain.green("ok"), Paint::Colour.green("ok").len()), ("ok".to_owned(), 11));
    }
}
