//! How lax applications decode a path: again what is decoded, by rules that are none, or not all of
//! it.
//!
//! What would be structure to one of them and is none to us is refused
//! ([`has_hidden_structure`]). What is left has [`super::readings`].

use std::borrow::Cow;

use super::byte_of;

/// Whether a decoded byte divides a path, or ends it, in some hands.
pub(super) fn divides(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f)
}

/// Whether somebody who decodes further, or drops parameters or white space, finds a slash or a dot
/// segment in a normalised path.
pub(super) fn has_hidden_structure(normal: &str) -> bool {
    let Some(decoded) = decoded(normal) else { return true };
    let decoded = String::from_utf8_lossy(&decoded);
    decoded.split('/').any(|segment| matches!(cut(segment, END_OF_NAME).trim(), "." | ".."))
}

/// Decoded until nothing is left to decode; `None` if something divides it on the way, or if there
/// is no end to it.
pub(super) fn decoded(path: &str) -> Option<Cow<'_, [u8]>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path.as_bytes()));
    }
    let mut decoded = path.as_bytes().to_vec();
    for _ in 0..DECODINGS_MAX {
        let again = decode(&decoded);
        if again == decoded {
            return Some(Cow::Owned(decoded));
        }
        // What is neither of an escape nor of the path as it was came out of an escape.
        let divided = |bytes: &[u8]| bytes.iter().filter(|byte| divides(**byte)).count();
        if divided(&again) > divided(&decoded) {
            return None;
        }
        decoded = again;
    }
    None
}

/// The last one only sees that there is nothing to do. Nobody decodes more often by accident.
const DECODINGS_MAX: usize = 5;

/// Once; what is no escape stays.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            if let [high, low, after @ ..] = after
                && let Some(value) = byte_of([*high, *low])
            {
                decoded.push(value);
                rest = after;
                continue;
            }
            if let Some((character, after)) = unicode_escape(after) {
                decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
        }
        decoded.push(byte);
    }
    decoded
}

/// The rest of `%u0077`, as IIS has it.
fn unicode_escape(rest: &[u8]) -> Option<(char, &[u8])> {
    let [b'u' | b'U', a, b, c, d, after @ ..] = rest else { return None };
    let value = u32::from(byte_of([*a, *b])?) << 8 | u32::from(byte_of([*c, *d])?);
    Some((char::from_u32(value)?, after))
}

/// With ASCII for what some take for it: letters of full width (the best fit of Windows's code
/// pages), bytes that are longer than they need be (overlong UTF-8), and without what cannot be seen.
/// `None` if that is no other text.
pub(super) fn narrowed(bytes: &[u8]) -> Option<String> {
    if bytes.is_ascii() {
        return None;
    }
    let mut short = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match rest {
            [] => break,
            [lead @ (0xc0 | 0xc1), next @ 0x80..=0xbf, after @ ..]
            | [0xe0, lead @ (0x80 | 0x81), next @ 0x80..=0xbf, after @ ..]
            | [0xf0, 0x80, lead @ (0x80 | 0x81), next @ 0x80..=0xbf, after @ ..] => {
                short.push((lead & 1) << 6 | next & 0x3f);
                rest = after;
            }
            [byte, after @ ..] => {
                short.push(*byte);
                rest = after;
            }
        }
    }
    let text = String::from_utf8_lossy(&short);
    let narrow = |character: char| match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => None,
        '\u{130}' => Some('i'),
        other => Some(other),
    };
    let narrowed: String = text.chars().filter_map(narrow).collect();
    (narrowed.as_bytes() != bytes).then_some(narrowed)
}

/// Both ways, for there are letters that only one of them makes alike.
pub(super) fn folded(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => text.to_uppercase().to_lowercase(),
    }
}

/// What stands before the first of these.
pub(super) fn cut<'a>(text: &'a str, at: &[char]) -> &'a str {
    text.split(at).next().unwrap_or(text)
}

/// Where the name in a segment ends, and the whole path for those who drop all parameters at once.
pub(super) const END_OF_NAME: &[char] = &[';', '?', '#'];
