//! What applications read in a path, beside what stands there: without case, parameters (`;a=b`),
//! white space, or sessions in a segment of their own; and a query where there is none for us.

use std::borrow::Cow;

use super::lax::{END_OF_NAME, cut, decoded, folded, narrowed};

/// A path as lax applications read it, whole; at least one reading.
#[derive(Debug)]
pub(super) struct Readings<'a> {
    first: Cow<'a, str>,
    more: Vec<String>,
    /// What some take for one.
    pub(super) query: Option<String>,
    /// There is too much in it to read; nobody means that well.
    pub(super) is_overdone: bool,
}

impl<'a> Readings<'a> {
    /// Of a normalised path, or of one that stands in the configuration.
    pub(super) fn of(normal: &'a str) -> Self {
        if has_one_reading(normal) {
            let first = Cow::Borrowed(normal);
            return Self { first, more: Vec::new(), query: None, is_overdone: false };
        }
        let decoded = decoded(normal).unwrap_or(Cow::Borrowed(normal.as_bytes()));
        let text = String::from_utf8_lossy(&decoded);
        let folded_text = folded(&text);
        let first = names_of(&folded_text).into();
        let mut readings = Self { first, more: Vec::new(), query: None, is_overdone: false };
        if folded_text.matches(SESSION).count() > SESSIONS_MAX {
            readings.is_overdone = true;
            return readings;
        }
        readings.read(&folded_text);
        if let Some(narrowed) = narrowed(&decoded) {
            readings.read(&resolved(&folded(&narrowed)));
        }
        readings.query = text.find(QUERY).and_then(|at| text.get(at + 1..)).map(str::to_owned);
        readings
    }

    /// Each, in lower case; with a slash at the end, if there is one.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.first).chain(self.more.iter().map(String::as_str))
    }

    fn read(&mut self, text: &str) {
        for reading in whole_readings(text) {
            if self.all().all(|known| known != reading) {
                self.more.push(reading);
            }
        }
    }
}

/// Whether every application reads it alike: so it is with nearly every request.
fn has_one_reading(normal: &str) -> bool {
    let mut before = b'/';
    let is_plain = normal.bytes().all(|byte| {
        let is_fine = match byte {
            b'/' => before != b'.',
            b'%' | b';' | b'?' | b'#' | b'&' | b'(' | b':' | b'A'..=b'Z' => false,
            other => other.is_ascii_graphic(),
        };
        before = byte;
        is_fine
    });
    is_plain && before != b'.' && normal.starts_with('/')
}

/// A folded text as it is, less whatever follows the path, and less sessions.
pub(super) fn whole_readings(text: &str) -> impl Iterator<Item = String> {
    let sessions = [true, false].map(|with_slash| without_sessions(text, with_slash));
    let texts =
        std::iter::once(Cow::Borrowed(text)).chain(sessions.into_iter().flatten().map(Cow::Owned));
    texts.flat_map(|text| {
        let ends = [cut(&text, QUERY), cut(&text, END_OF_NAME), cut(&text, &[';', '?', '#', '&'])];
        let shorter = ends.into_iter().filter(|end| end.len() < text.len());
        let mut readings: Vec<_> = std::iter::once(&*text).chain(shorter).map(names_of).collect();
        // To some, neither semicolons nor colons mean anything.
        readings.extend(text.contains([';', ':']).then(|| whole_names_of(&text)));
        readings
    })
}

/// Where a query begins for somebody who looks for one in a decoded path, or puts the path into one.
const QUERY: &[char] = &['?', '#', '&'];

/// The path less parameters, white space and dots at the ends of names, NTFS's streams, and empty
/// segments but the last.
fn names_of(path: &str) -> String {
    let name = |segment| {
        let name = cut(segment, &[';']);
        let name = name.split("::").next().unwrap_or(name);
        name.split(":$").next().unwrap_or(name)
    };
    joined(path.split('/').map(name))
}

/// The path less white space and dots at the ends of names, and empty segments but the last.
fn whole_names_of(path: &str) -> String {
    joined(path.split('/'))
}

fn joined<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let mut names = String::new();
    let mut ends_in_slash = false;
    for segment in segments {
        let name = segment.trim();
        let name = name.trim_end_matches(|end: char| end == '.' || end.is_whitespace());
        ends_in_slash = name.is_empty();
        if !name.is_empty() {
            names.push('/');
            names.push_str(name);
        }
    }
    if ends_in_slash {
        names.push('/');
    }
    names
}

/// Section 5.2.4 of RFC 3986 for a text in which anything may divide, with empty segments taken out.
pub(super) fn resolved(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_slash = false;
    for segment in text.split(['/', '\\']) {
        let name = cut(segment, END_OF_NAME).trim();
        ends_in_slash = segment.is_empty() || matches!(name, "." | "..");
        match name {
            ".." => {
                kept.pop();
            }
            _ if ends_in_slash => {}
            _ => kept.push(segment),
        }
    }
    let last = ends_in_slash.then_some("/");
    kept.iter().flat_map(|segment| ["/", segment]).chain(last).collect()
}

/// Without `/(S(x))`, which ASP.NET takes for a session and out of the path, or with its slash left;
/// `None` if there is none. Lower case.
fn without_sessions(text: &str, with_slash: bool) -> Option<String> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once(SESSION) {
        kept.push_str(before);
        match after_session(opened) {
            Some(after) => {
                kept.push_str(if with_slash { "" } else { "/" });
                rest = after;
            }
            None => {
                kept.push_str(SESSION);
                rest = opened;
            }
        }
    }
    kept.push_str(rest);
    (kept.len() < text.len()).then_some(kept)
}

const SESSION: &str = "/(";

/// Each costs a look at the whole rest; nobody has two.
const SESSIONS_MAX: usize = 16;

/// Behind `S(x)F(y))`.
fn after_session(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let inner = rest.strip_prefix(|first: char| first.is_ascii_alphabetic())?;
        let (_, after) = inner.strip_prefix('(')?.split_once(')')?;
        match after.strip_prefix(')') {
            Some(after) => return Some(after),
            None => rest = after,
        }
    }
}
