//! Paths in a query, by which front controllers find what is asked for: `/?rest_route=/a` is `/a` to
//! WordPress, `/index.php?q=a` to Drupal, `/?/a` to CodeIgniter.
//!
//! Read are the values of a closed list of names, and names and values that are paths by
//! themselves; whoever has such a parameter for another purpose loses nothing unless its value is a
//! path that is closed.

use std::borrow::Cow;

use super::lax::{cut, decode, folded, narrowed};
use super::readings::{resolved, whole_readings};

/// Names of parameters in which frameworks, and what is written by hand after their example, look
/// for the path.
pub const PATH_PARAMETERS: [&str; 12] = [
    "__route__",
    "_route",
    "_url",
    "it",
    "kohana_uri",
    "q",
    "r",
    REST_ROUTE,
    "route",
    "s",
    "uri",
    "url",
];

/// A path that a query asks for.
#[derive(Debug)]
pub(super) struct AskedPath {
    /// As lax applications read it, beginning with a slash, or empty.
    pub(super) readings: Vec<String>,
    /// WordPress has it below `/wp-json`.
    pub(super) is_rest_route: bool,
}

/// Every path that is asked for; `None` if there are more than anybody means well.
pub(super) fn asked_paths(query: &str) -> Option<Vec<AskedPath>> {
    let mut asked = Vec::new();
    for pair in query.split('&') {
        // To some, semicolons divide, too.
        let parts = pair.contains(';').then(|| pair.split(';')).into_iter().flatten();
        for pair in std::iter::once(pair).chain(parts) {
            let Some((text, is_rest_route)) = path_of(pair) else { continue };
            if asked.len() == ASKED_MAX {
                return None;
            }
            asked.push(AskedPath { readings: readings(text)?, is_rest_route });
        }
    }
    Some(asked)
}

/// More than any application has.
const ASKED_MAX: usize = 16;

/// What of a parameter is a path, and whether WordPress takes it for one.
fn path_of(pair: &str) -> Option<(&str, bool)> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let bare = name.trim_start_matches(['?', '+']);
    let begins = |with: &str| bare.get(..3).is_some_and(|first| first.eq_ignore_ascii_case(with));
    if bare.starts_with(['/', '\\']) || begins("%2f") || begins("%5c") {
        return Some((bare, false));
    }
    if value.is_empty() || name.len() > LONGEST_ESCAPED {
        return None;
    }
    let name = plain_name(name);
    let is_known = |name: &str| PATH_PARAMETERS.contains(&name);
    if is_known(&name) {
        return Some((value, name == REST_ROUTE));
    }
    let (before, _) = name.split_once(['[', '\0'])?;
    // `q[]` is a list; where it is not closed, PHP reads `rest[route` as `rest_route`.
    let joined = name.replace('[', "_");
    let is_rest_route = before == REST_ROUTE || joined == REST_ROUTE;
    (is_known(before) || is_known(&joined)).then_some((value, is_rest_route))
}

const REST_ROUTE: &str = "rest_route";

/// As PHP and others see it: without escapes, case and leading blanks, and with `_` for what its
/// variables cannot have.
fn plain_name(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Cow::Borrowed(name);
    }
    let decoded = decode(name.replace('+', " ").as_bytes());
    let text = folded(String::from_utf8_lossy(&decoded).trim_start());
    text.replace([' ', '.'], "_").into()
}

/// The longest of the names with each letter escaped, and as much again before and behind it.
const LONGEST_ESCAPED: usize = 3 * 3 * 12;

/// A value as lax applications read it for a path; `None` if there is no end to it.
///
/// Nobody normalises it before them, as we do with paths: so in whatever order they decode it, cut
/// it, drop its parameters and resolve its dots.
fn readings(value: &str) -> Option<Vec<String>> {
    let spaced = value.contains('+').then(|| value.replace('+', " "));
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for value in std::iter::once(value).chain(spaced.as_deref()) {
        texts.push(decode(value.as_bytes()));
    }
    let mut readings = Vec::new();
    let mut read = 0;
    while let Some(bytes) = texts.get(read).cloned() {
        read += 1;
        let text = String::from_utf8_lossy(&bytes);
        if has_one_reading(&text) {
            let reading = folded(&resolved(&text));
            if !readings.contains(&reading) {
                readings.push(reading);
            }
            continue;
        }
        let path = resolved(&text);
        let next = [
            bytes.contains(&b'%').then(|| decode(&bytes)),
            narrowed(&bytes).map(String::into_bytes),
            // Whoever writes in C ends there.
            text.split(char::is_control).next().map(|end| end.as_bytes().to_vec()),
            Some(cut(&text, &['?', '#', '&']).as_bytes().to_vec()),
            Some(cut(&text, &[';']).as_bytes().to_vec()),
            text.contains(';').then(|| without_parameters(&text).into_bytes()),
            Some(path.clone().into_bytes()),
        ];
        for next in next.into_iter().flatten() {
            if !texts.contains(&next) {
                texts.push(next);
            }
        }
        if texts.len() > TEXTS_MAX {
            return None;
        }
        for path in [&*path, &text] {
            for reading in whole_readings(&folded(path)) {
                if !readings.contains(&reading) {
                    readings.push(reading);
                }
            }
        }
    }
    Some(readings)
}

/// Whether everybody reads the same path in it, as in most of what people look for.
fn has_one_reading(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_+ ".contains(&byte);
    text.bytes().all(is_plain) && text.split('/').all(|name| name.trim() == name)
}

/// More than anybody means well.
const TEXTS_MAX: usize = 64;

fn without_parameters(text: &str) -> String {
    let names: Vec<_> = text.split('/').map(|segment| cut(segment, &[';'])).collect();
    names.join("/")
}
