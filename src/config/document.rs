//! A TOML document whose values know where they stand.
//!
//! In: the text of a configuration. Out: typed values with their key paths and lines, taken one by
//! one, so that a fault in one hides no other. A [`Table`] remembers what it was asked for; what
//! nobody asked for is an unknown key. Knows no key by name and no rule.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::fault::Fault;
use super::findings::{At, Findings, Written};

/// Parses the text, and hands its top level to `read` if all of it is TOML.
pub(super) fn parse<T>(
    text: &str,
    findings: &mut Findings,
    read: impl FnOnce(&mut Table<'_, '_>) -> T,
) -> Option<T> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(Table::read(Some(document.get_ref()), At::default(), findings, read));
    }
    let mut lines = Vec::new();
    for mut error in errors {
        error.set_input(None);
        let line = error.span().map(|span| findings.line(span.start));
        let key = String::new();
        // A second one on a line is what the parser makes of the rest of the first.
        if !lines.contains(&line) {
            lines.push(line);
            findings.fault(&At { line, key }, Fault::Syntax { error });
        }
    }
    None
}

/// A table that is being read: a section, an entry of a list of tables, or an inline table.
pub(super) struct Table<'d, 'f> {
    /// `None` for a section that is not there.
    entries: Option<&'d DeTable<'d>>,
    at: At,
    findings: &'f mut Findings,
    asked: Vec<&'static str>,
}

impl<'d, 'f> Table<'d, 'f> {
    fn read<T>(
        entries: Option<&'d DeTable<'d>>,
        at: At,
        findings: &'f mut Findings,
        read: impl FnOnce(&mut Table<'d, 'f>) -> T,
    ) -> T {
        let mut table = Table { entries, at, findings, asked: Vec::new() };
        let value = read(&mut table);
        table.report_unasked();
        value
    }

    /// Where the table itself stands.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    /// The value of a key, if it is there.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Item<'d, '_>> {
        self.asked.push(key);
        let (name, value) = self.entries?.iter().find(|(name, _)| name.get_ref() == key)?;
        let line = Some(self.findings.line(name.span().start));
        let at = At { line, ..self.at.child(key) };
        Some(Item { value, at, findings: self.findings })
    }

    /// The value of a key; that it is not there is a fault.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Item<'d, '_>> {
        let is_there = self.entries.is_some_and(|entries| entries.contains_key(key));
        if !is_there {
            self.findings.fault(&self.at.child(key), Fault::Missing);
        }
        self.optional(key)
    }

    /// A section, read whether it is there or not, so that its defaults and missing keys show.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'_, '_>) -> T,
    ) -> Option<T> {
        match self.optional(key) {
            Some(item) => item.table(read),
            None => Some(Table::read(None, self.at.child(key), self.findings, read)),
        }
    }

    /// A number, or its default. A fault leaves the default as a stand-in; nobody will see it.
    pub(super) fn number_or(&mut self, key: &'static str, default: i64) -> Written<i64> {
        let at = self.at.child(key);
        self.optional(key).and_then(Item::number).unwrap_or(Written { value: default, at })
    }

    /// `true` or `false`, or the default.
    pub(super) fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        self.optional(key).and_then(Item::flag).unwrap_or(default)
    }

    /// The value that a word stands for.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        allowed: &[(&'static str, T)],
    ) -> Option<Written<T>> {
        self.optional(key)?.choice(allowed)
    }

    fn report_unasked(self) {
        let path = without_indexes(&self.at);
        for key in &self.asked {
            self.findings.know(path.child(key).key);
        }
        for (name, _) in self.entries.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if !self.asked.contains(&key) {
                let line = Some(self.findings.line(name.span().start));
                let at = At { line, ..self.at.child(key) };
                let near = nearest(key, &self.asked);
                self.findings.fault(&at, Fault::UnknownKey { near });
            }
        }
    }
}

/// A value that is being read.
pub(super) struct Item<'d, 'f> {
    value: &'d Spanned<DeValue<'d>>,
    at: At,
    findings: &'f mut Findings,
}

impl<'d> Item<'d, '_> {
    pub(super) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    pub(super) fn text(self) -> Option<Written<String>> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(Written { value: text.to_owned(), at: self.at }),
            None => self.wrong_type("a text in quotes"),
        }
    }

    /// A number that is too large for the type becomes the largest, which no range contains.
    pub(super) fn number(self) -> Option<Written<i64>> {
        match self.value.get_ref().as_integer() {
            Some(number) => Some(Written { value: saturated(number), at: self.at }),
            None => self.wrong_type("a whole number"),
        }
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self.value.get_ref().as_bool() {
            Some(flag) => Some(flag),
            None => self.wrong_type("`true` or `false`"),
        }
    }

    /// The value that a word stands for.
    pub(super) fn choice<T: Copy>(self, allowed: &[(&'static str, T)]) -> Option<Written<T>> {
        let Some(word) = self.value.get_ref().as_str() else {
            return self.wrong_type("a word in quotes");
        };
        match allowed.iter().find(|(name, _)| *name == word) {
            Some((_, value)) => Some(Written { value: *value, at: self.at }),
            None => {
                let allowed = allowed.iter().map(|(name, _)| *name).collect();
                self.refuse(Fault::NotOneOf { allowed })
            }
        }
    }

    /// The entries of a list, each through `read`; one that `read` refuses is left out.
    pub(super) fn list<T>(
        self,
        read: impl FnMut(Item<'d, '_>) -> Option<T>,
    ) -> Option<Written<Vec<T>>> {
        if !self.is_list() {
            return self.wrong_type("a list");
        }
        self.one_or_list(read)
    }

    /// As [`Item::list`], but a single value stands for a list of one.
    pub(super) fn one_or_list<T>(
        self,
        mut read: impl FnMut(Item<'d, '_>) -> Option<T>,
    ) -> Option<Written<Vec<T>>> {
        let at = self.at.clone();
        let Some(entries) = self.value.get_ref().as_array() else {
            return Some(Written { value: read(self).into_iter().collect(), at });
        };
        if entries.is_empty() {
            self.findings.fault(&at, Fault::EmptyList);
        }
        let mut value = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let line = Some(self.findings.line(entry.span().start));
            let at = At { line, key: format!("{}[{index}]", at.key) };
            value.extend(read(Item { value: entry, at, findings: self.findings }));
        }
        Some(Written { value, at })
    }

    pub(super) fn table<T>(self, read: impl FnOnce(&mut Table<'_, '_>) -> T) -> Option<T> {
        match self.value.get_ref().as_table() {
            Some(entries) => {
                let line = Some(self.findings.line(self.value.span().start));
                let at = At { line, ..self.at };
                Some(Table::read(Some(entries), at, self.findings, read))
            }
            None => self.wrong_type("a table"),
        }
    }

    /// Refuses the value for a reason that the caller knows.
    pub(super) fn refuse<T>(self, fault: Fault) -> Option<T> {
        self.findings.fault(&self.at, fault);
        None
    }

    fn wrong_type<T>(self, expected: &'static str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date or a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.refuse(Fault::WrongType { expected, found })
    }
}

/// What TOML calls an integer has 64 bits and a sign; the library hands over longer ones, too.
fn saturated(number: &DeInteger<'_>) -> i64 {
    let is_negative = number.as_str().starts_with('-');
    let beyond = if is_negative { i64::MIN } else { i64::MAX };
    i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(beyond)
}

/// `webhook[1].app_secrets[0]` as `webhook.app_secrets`.
fn without_indexes(at: &At) -> At {
    let names = at.key.split('.').filter_map(|part| part.split('[').next());
    At { line: None, key: names.collect::<Vec<_>>().join(".") }
}

/// The known key that an unknown one was probably meant to be.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), *known))
        .filter(|(likeness, _)| *likeness > LIKELY)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Lets `timeout` stand for `timeout_ms` and `webhooks` for `webhook`, but not `port` for `path`.
const LIKELY: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::nearest;
    use crate::config::fixture::{Fixture, faults};

    #[test]
    fn an_unknown_key_is_refused_with_what_was_probably_meant() {
        let text = "[limits]\nconections = 5\nbody_max = 5\nwhatever = 5\n[logs]\naccess = true";

        assert_eq!(
            faults(text),
            [
                "2: `limits.conections`: is not a known key; did you mean `connections`?",
                "3: `limits.body_max`: is not a known key; did you mean `body_max_bytes`?",
                "4: `limits.whatever`: is not a known key",
                "5: `logs`: is not a known key; did you mean `log`?",
            ]
        );
        assert_eq!(nearest("port", &["path", "host"]), None);
    }

    #[test]
    fn a_value_in_place_of_a_table_or_a_list_is_told_so() {
        assert_eq!(
            faults("[upstream]\nname = \"app\"").first().map(String::as_str),
            Some("1: `upstream`: must be a list, but is a table")
        );
        assert_eq!(faults("limits = 3"), ["1: `limits`: must be a table, but is a whole number"]);
    }

    #[test]
    fn every_line_that_is_not_toml_is_named() {
        let fixture = Fixture::new();
        let errors =
            fixture.load_only("[server]\na = \n\nb = 1\nb = 2\n[server").expect_err("is not");

        let shown = fixture.shown(&errors);
        let lines: Vec<_> = shown.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(lines, ["2", "5", "6"], "{shown:?}");
    }
}
