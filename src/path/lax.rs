//! How lax applications read a path: those that decode again what is decoded, that ignore case,
//! parameters (`;a=b`), white space, extensions, or what follows the name of a script.
//!
//! What would be structure to one of them and is none to us is refused
//! ([`has_hidden_structure`]). What is left has a few [`Readings`], by which a site is kept off the
//! [`ReservedPaths`] of webhooks.

use std::borrow::Cow;
use std::collections::HashSet;

use super::hex;

/// Whether a decoded byte divides a path, or ends it, in some hands.
pub(super) fn divides(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f)
}

/// Whether somebody who decodes further, or drops parameters or white space, finds a slash or a dot
/// segment in a normalised path.
pub(super) fn has_hidden_structure(normal: &str) -> bool {
    let Some(decoded) = decoded(normal) else { return true };
    decoded.split('/').any(|segment| matches!(cut(segment, END_OF_NAME).trim(), "." | ".."))
}

/// Decoded until nothing is left to decode; `None` if something divides it on the way, or if there
/// is no end to it.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut decoded = path.as_bytes().to_vec();
    for _ in 0..DECODINGS_MAX {
        let again = decode(&decoded)?;
        if again == decoded {
            return Some(Cow::Owned(String::from_utf8_lossy(&decoded).into_owned()));
        }
        decoded = again;
    }
    None
}

/// The last one only sees that there is nothing to do. Nobody decodes more often by accident.
const DECODINGS_MAX: usize = 5;

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escape = after.split_first_chunk::<2>().filter(|_| byte == b'%');
        let value =
            escape.and_then(|([high, low], after)| Some((hex(*high)? << 4 | hex(*low)?, after)));
        match value {
            Some((value, _)) if divides(value) => return None,
            Some((value, after)) => {
                decoded.push(value);
                rest = after;
            }
            None => decoded.push(byte),
        }
    }
    Some(decoded)
}

fn cut<'a>(text: &'a str, at: &[char]) -> &'a str {
    text.split(at).next().unwrap_or(text)
}

/// Where a query begins for somebody who looks for one in a decoded path.
const QUERY: &[char] = &['?', '#'];

/// Where the name in a segment ends, and the whole path for those who drop all parameters at once.
const END_OF_NAME: &[char] = &[';', '?', '#'];

/// A path as lax applications read it; at least one reading, at most three.
#[derive(Debug)]
pub(crate) struct Readings {
    readings: Vec<String>,
}

impl Readings {
    /// Of a normalised path, or of one that stands in the configuration.
    pub(crate) fn of(normal: &str) -> Self {
        let decoded = decoded(normal).unwrap_or(Cow::Borrowed(normal));
        // Both ways, for there are letters that only one of them makes alike.
        let folded = match decoded.is_ascii() {
            true => decoded.to_ascii_lowercase(),
            false => decoded.to_uppercase().to_lowercase(),
        };
        let mut readings = vec![names_of(&folded)];
        for end in [QUERY, END_OF_NAME] {
            let cut = cut(&folded, end);
            if cut.len() < folded.len() {
                readings.push(names_of(cut));
            }
        }
        Self { readings }
    }

    /// Each, in lower case and without a slash at the end.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.readings.iter().map(String::as_str)
    }
}

/// The path less parameters, white space and dots at the ends of names, and empty segments.
fn names_of(path: &str) -> String {
    let mut names = String::with_capacity(path.len());
    for segment in path.split('/') {
        let name = cut(segment, &[';']).trim();
        let name = name.trim_end_matches(|end: char| end == '.' || end.is_whitespace());
        if !name.is_empty() {
            names.push('/');
            names.push_str(name);
        }
    }
    names
}

/// Paths that nobody may reach by another name.
#[derive(Debug)]
pub(crate) struct ReservedPaths {
    readings: HashSet<String>,
    /// In bytes: what is longer is none of them, and is not looked for.
    longest: usize,
}

impl ReservedPaths {
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let readings: HashSet<_> = paths.flat_map(|path| Readings::of(path).readings).collect();
        let longest = readings.iter().map(String::len).max().unwrap_or(0);
        Self { readings, longest }
    }

    /// Whether some application takes what is read so for one of them.
    pub(crate) fn has(&self, readings: &Readings) -> bool {
        let is_one = |path: &str| {
            let path = path.trim_end_matches('/');
            path.len() <= self.longest && self.readings.contains(path)
        };
        readings.all().any(|path| {
            is_one(path) || ends_at_dot(path).any(is_one) || ends_of_scripts(path).any(is_one)
        })
    }
}

/// `/a` of `/a.json`: some frameworks take it off, to know in what form to answer.
fn ends_at_dot(path: &str) -> impl Iterator<Item = &str> {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    path.match_indices('.').filter_map(move |(dot, _)| path.get(..dot).filter(|_| dot >= name))
}

/// `/a.php` of `/a.php/x`: what follows is for the script (`PATH_INFO`).
fn ends_of_scripts(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(slash, _)| {
        let start = path.get(..slash)?;
        start.rsplit('/').next().filter(|name| name.contains('.')).map(|_script| start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(reserved: &str, path: &str) -> bool {
        ReservedPaths::new([reserved].into_iter()).has(&Readings::of(path))
    }

    #[test]
    fn a_reserved_path_is_found_under_every_name_that_it_has() {
        for path in [
            "/webhooks",
            "/WebHooks",
            "/webhooks/",
            "/webhooks;a=b",
            "/webhooks;a=b/c",
            "/webhooks%3Fa",
            "/;/webhooks",
            "/%2577ebhooks",
            "/webhook%C5%BF",
            "/webhooks%20/",
            "/webhooks.json",
            "/webhooks.a.b",
        ] {
            assert!(has("/webhooks", path), "{path}");
        }
        for path in ["/", "/webhooks2", "/webhooks/a", "/a/webhooks", "/webhooks.a/b", "/webhook"] {
            assert!(!has("/webhooks", path), "{path}");
        }
    }

    #[test]
    fn what_is_below_a_reserved_script_is_the_script() {
        assert!(has("/hook.php", "/hook.php/a/b") && has("/Hook.php/", "/hook.PHP/a"));
        assert!(!has("/hook.php", "/hook/a") && !has("/hook", "/hook/a"));
    }

    #[test]
    fn a_path_that_begins_a_reserved_one_is_free() {
        assert!(!has("/a/b/c", "/a/b") && !has("/a.b", "/a") && !has("/a", ""));
    }
}
