//! What the floods say over HTTP/2, in frames by hand.

pub(crate) use crate::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
    literal,
};

pub(crate) const PRIORITY: u8 = 2;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;
/// A type that no RFC has given a meaning.
pub(crate) const UNKNOWN: u8 = 0x42;

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113 section 6.5.2) with this value.
pub(crate) fn initial_window(bytes: u32) -> Vec<u8> {
    [&[0, 4][..], &bytes.to_be_bytes()].concat()
}

/// What every connection begins with, and these settings.
pub(crate) fn preface(settings: &[u8]) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, settings)[..]].concat()
}

/// The header block of a request, with more headers behind it.
pub(crate) fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", crate::pki::HOST),
        (":path", path),
    ];
    pseudo.iter().chain(more).flat_map(|(name, value)| literal(name, value)).collect()
}
