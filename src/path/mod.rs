//! One way to write a path (RFC 3986 section 6.2.2), so that what is matched is what is forwarded.
//!
//! A pure function over the path of a request target. What an application could read as another
//! path than we do is refused: encoded slashes, backslashes, NUL and control characters, broken
//! escapes, and whatever would become one of these, or a dot segment, in lax hands ([`lax`]).

use std::borrow::Cow;

use crate::refusal::Refusal;

mod lax;
mod query;
mod readings;
pub(crate) mod reserved;

pub use query::PATH_PARAMETERS;

/// The path with unreserved characters decoded, dot segments taken out and slashes merged.
pub(crate) fn normalize(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode_unreserved(path.as_bytes())?;
    if !decoded.starts_with('/') {
        return Err(Refusal::PathInvalid);
    }
    let normal = merge_segments(&decoded);
    if lax::has_hidden_structure(&normal) {
        return Err(Refusal::PathInvalid);
    }
    Ok(Cow::Owned(normal))
}

/// Whether there is nothing to normalise: so it is with nearly every request.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let is_fine = match byte {
                b'/' | b'.' => before != b'/',
                b'%' | b'\\' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^' => false,
                other => other.is_ascii_graphic(),
            };
            before = byte;
            is_fine
        })
}

fn decode_unreserved(path: &[u8]) -> Result<String, Refusal> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            if !byte.is_ascii_graphic() || byte == b'\\' {
                return Err(Refusal::PathInvalid);
            }
            decoded.push(char::from(byte));
            continue;
        }
        let Some(([high, low], after)) = rest.split_first_chunk::<2>() else {
            return Err(Refusal::PathInvalid);
        };
        rest = after;
        match byte_of([*high, *low]).ok_or(Refusal::PathInvalid)? {
            byte if lax::divides(byte) => return Err(Refusal::PathInvalid),
            byte if is_unreserved(byte) => decoded.push(char::from(byte)),
            // Section 6.2.2.1: escapes are written in upper case.
            _ => {
                decoded.push('%');
                decoded.push(char::from(high.to_ascii_uppercase()));
                decoded.push(char::from(low.to_ascii_uppercase()));
            }
        }
    }
    Ok(decoded)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The byte that two hexadecimal digits stand for.
fn byte_of(digits: [u8; 2]) -> Option<u8> {
    let mut byte = [0];
    base16ct::mixed::decode(digits, &mut byte).ok()?;
    let [byte] = byte;
    Some(byte)
}

/// Section 5.2.4, with empty segments taken out, as nginx does by default.
fn merge_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_slash = false;
    for segment in path.split('/') {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut merged = String::with_capacity(path.len());
    for segment in &kept {
        merged.push('/');
        merged.push_str(segment);
    }
    if ends_in_slash {
        merged.push('/');
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> Option<String> {
        normalize(path).ok().map(Cow::into_owned)
    }

    #[test]
    fn a_plain_path_is_left_as_it_is() {
        for path in ["/", "/webhooks", "/a/b.c/", "/a.b/d...", "/a;b=c/@:!$&'()*+,="] {
            assert!(matches!(normalize(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn every_spelling_of_a_path_becomes_one() {
        for path in [
            "/webhooks",
            "//webhooks",
            "/./webhooks",
            "/a/../webhooks",
            "/%77ebhooks",
            "/a/%2e%2E/webhooks",
            "/../../webhooks",
            "/a//..//webhooks",
        ] {
            assert_eq!(normal(path).as_deref(), Some("/webhooks"), "{path}");
        }
        assert_eq!(normal("/a%c3%a9/").as_deref(), Some("/a%C3%A9/"));
        assert_eq!(normal("/a/..").as_deref(), Some("/"));
        assert_eq!(normal("/..a/.b/c..").as_deref(), Some("/..a/.b/c.."));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for path in
            ["/a%2fb", "/a%5Cb", "/a\\b", "/a%00", "/a%0d", "/a%", "/a%4", "/a%zz", "*", "a"]
        {
            assert_eq!(normal(path), None, "{path}");
        }
        // Decoded again, or less its parameters.
        for path in [
            "/a%252fb",
            "/a%25252Fb",
            "/a%25%32%66b",
            "/a%255cb",
            "/a%2500",
            "/a/..;b/c",
            "/a/.%3B",
            "/a/%252e%252E/c",
            "/a/..%20/c",
            "/%20../c",
            "/a%252525252541",
        ] {
            assert_eq!(normal(path), None, "{path}");
        }
        for fine in ["/a%2520b", "/100%25", "/100%25/b", "/a;b/c", "/a%252eb", "/...", "/..a;b"] {
            assert_eq!(normal(fine).as_deref(), Some(fine));
        }
    }
}
