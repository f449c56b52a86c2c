//! The value of one series, without the text of all others.

use std::fmt;

/// Takes what is encoded, keeps the line that it is at, and takes no more once it has the value.
pub(super) struct Wanted<'a> {
    series: &'a str,
    line: String,
    pub(super) value: Option<f64>,
}

impl<'a> Wanted<'a> {
    /// `series` is a name with its labels, spelled as in the text format.
    pub(super) fn new(series: &'a str) -> Self {
        Self { series, line: String::new(), value: None }
    }

    fn end_line(&mut self) {
        let value = self.line.strip_prefix(self.series).and_then(|rest| rest.strip_prefix(' '));
        self.value = value.and_then(|value| value.parse().ok());
        self.line.clear();
    }
}

impl fmt::Write for Wanted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            self.line.push_str(piece.trim_end_matches('\n'));
            if piece.ends_with('\n') {
                self.end_line();
            }
            if self.value.is_some() {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_series_is_found_however_its_text_comes_and_nothing_is_taken_after_it() {
        let text = "# TYPE a counter\na_total{x=\"1\"} 3\na_total{x=\"12\"} 4\na 5\n# EOF\n";
        for (series, value) in
            [("a_total{x=\"1\"}", Some(3.0)), ("a_total{x=\"12\"}", Some(4.0)), ("a", Some(5.0))]
        {
            let mut wanted = Wanted::new(series);
            let taken = text.chars().map(|c| wanted.write_char(c)).take_while(Result::is_ok);
            assert!(taken.count() < text.len(), "{series}");
            assert_eq!(wanted.value, value);
            let mut wanted = Wanted::new(series);
            assert!(wanted.write_str(text).is_err());
            assert_eq!(wanted.value, value);
        }
        for absent in ["a_total", "a_total{x=\"2\"}", "b", "total{x=\"1\"}", "# TYPE"] {
            let mut wanted = Wanted::new(absent);
            assert!(wanted.write_str(text).is_ok());
            assert_eq!(wanted.value, None, "{absent}");
        }
    }
}
