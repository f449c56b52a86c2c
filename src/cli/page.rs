//! A page of text for people: sections, keys in a column, colours where there is a terminal.

use std::fmt::Write as _;

/// Lines, with keys in a column.
pub(super) struct Page {
    pub(super) text: String,
    pub(super) paint: Paint,
}

impl Page {
    /// Nothing yet; in colour where people look at it.
    pub(super) fn for_terminal(stream: &impl std::io::IsTerminal) -> Self {
        Self { text: String::new(), paint: Paint::for_terminal(stream) }
    }

    pub(super) fn line(&mut self, line: &str) {
        let _infallible = writeln!(self.text, "{line}");
    }

    pub(super) fn section(&mut self, title: &str) {
        let title = self.paint.title(title);
        self.line(&format!("\n{title}"));
    }

    pub(super) fn heading(&mut self, title: &str) {
        self.line(&format!("  {title}"));
    }

    pub(super) fn row(&mut self, key: &str, value: &str) {
        self.line(&format!("    {key:<KEY_WIDTH$}  {value}"));
    }

    /// Rows whose keys are somebody's names, however long.
    pub(super) fn rows(&mut self, rows: &[(String, String)]) {
        let longest = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        let width = longest.max(KEY_WIDTH);
        for (key, value) in rows {
            self.line(&format!("    {key:<width$}  {value}"));
        }
    }
}

/// The longest key that is not somebody's name or address.
const KEY_WIDTH: usize = 14;

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    /// <https://no-color.org>: set and not empty means none.
    fn for_terminal(stream: &impl std::io::IsTerminal) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_on: stream.is_terminal() && !no_color }
    }

    pub(super) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn error(self, text: &str) -> String {
        self.with("31", text)
    }

    /// ECMA-48 "select graphic rendition".
    fn with(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
