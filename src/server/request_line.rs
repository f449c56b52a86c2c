//! How long a request line may be, and when the beginning of a head is worth another look.
//!
//! hyper parses a head when its first piece comes, and then not before its end or its limit. What
//! can never become a request would keep a connection until the header timeout; so the pieces are
//! followed here, and hyper is made to parse again what it has ([`super::drive`]) when one of them
//! may have decided it.

use http::{Method, Uri};

use super::timeouts::ConnectionPhase;

/// Whether the request line, without its end, is longer than [`REQUEST_LINE_MAX_BYTES`].
pub(crate) fn is_too_long(method: &Method, uri: &Uri) -> bool {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let origin = match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => scheme.len() + "://".len() + authority.as_str().len(),
        (_, Some(authority)) => authority.as_str().len(),
        (_, None) => 0,
    };
    method.as_str().len() + " ".len() + origin + target + " HTTP/1.1".len() > REQUEST_LINE_MAX_BYTES
}

/// How long the head may become that begins so, where `limit` is that of any.
pub(super) fn head_max(beginning: &[u8], limit: usize) -> usize {
    // RFC 9112 section 2.2: empty lines before it are passed over.
    let line = beginning.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let line = line.and_then(|start| beginning.get(start..)).unwrap_or_default();
    let is_endless = line.len() >= LINE_MAX_BYTES && !line.contains(&b'\n');
    if is_endless { LINE_MAX_BYTES } else { limit }
}

/// The head of a request of HTTP/1 that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct HeadPieces {
    bytes: usize,
    looks: usize,
    /// Something has come that may decide what the head is, and was not looked at.
    is_decided: bool,
}

impl HeadPieces {
    /// A piece has come to a connection that was in this phase; answers whether hyper, if it has not
    /// found a request then, is to look at all of them again.
    pub(super) fn arrived(&mut self, piece: &[u8], phase: ConnectionPhase) -> bool {
        match phase {
            ConnectionPhase::Idle => *self = Self::default(),
            ConnectionPhase::ReadingHeaders => {}
            ConnectionPhase::Busy | ConnectionPhase::Lingering => return false,
        }
        let before = self.bytes;
        self.bytes = before.saturating_add(piece.len());
        let is_long_now = before / LINE_MAX_BYTES < self.bytes / LINE_MAX_BYTES;
        // The first piece was just parsed. Of another, only an end of line or what no head has can
        // decide anything.
        let decides = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        if is_long_now || before > 0 && piece.iter().any(decides) {
            self.is_decided = self.looks < LOOKS_MAX;
        }
        self.is_decided
    }

    /// Hyper looks at all that has come.
    pub(super) fn looked_at(&mut self) {
        self.is_decided = false;
        self.looks += 1;
    }
}

/// What Apache takes, and nginx to within two bytes; RFC 9112 section 3 asks for 8000. Header lines
/// have no limit of their own, for a certificate, or a ticket of Kerberos, is longer at times.
const REQUEST_LINE_MAX_BYTES: usize = 8190;

/// With its end.
const LINE_MAX_BYTES: usize = REQUEST_LINE_MAX_BYTES + "\r\n".len();

/// More lines than a head has by default. Each look costs as much as the head is long, so whoever
/// sends more pieces than that waits for the header timeout.
const LOOKS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_endless_from_its_limit_on() {
        let line = vec![b'a'; LINE_MAX_BYTES];
        assert_eq!(head_max(&line, 32768), LINE_MAX_BYTES);
        assert_eq!(head_max(&[b'a'; LINE_MAX_BYTES - 1], 32768), 32768);
        let after_empty = [b"\r\n", line.as_slice()].concat();
        assert_eq!(head_max(&after_empty, 32768), LINE_MAX_BYTES);
        let ended = [b"GET / HTTP/1.1\r\nx: ", line.as_slice()].concat();
        assert_eq!(head_max(&ended, 32768), 32768);
        assert_eq!(head_max(b"", 32768), 32768);
        assert_eq!(head_max(b"\r\n\r\n", 32768), 32768);
    }

    #[test]
    fn the_pieces_that_may_decide_are_looked_at_and_no_others() {
        use ConnectionPhase::{Busy, Idle, ReadingHeaders};
        let mut head = HeadPieces::default();
        let mut looks = |piece: &[u8], phase| {
            let looks = head.arrived(piece, phase);
            head.looked_at();
            looks
        };
        assert!(!looks(b"GET / HTTP/1.1\r\n", Idle));
        assert!(!looks(b"x: a\tb", ReadingHeaders));
        assert!(looks(b"c\r\n", ReadingHeaders) && looks(b"\0", ReadingHeaders));
        assert!(!looks(&[b'a'; 8000], ReadingHeaders) && looks(&[b'a'; 400], ReadingHeaders));
        assert!(!looks(&[b'a'; 7000], ReadingHeaders) && looks(&[b'a'; 7000], ReadingHeaders));
        assert!(!looks(b"\r\n", Busy));
        assert!(looks(&[b'a'; 9000], Idle));
        let count = (0..1000).filter(|_| looks(b"\n", ReadingHeaders)).count();
        assert_eq!(count, LOOKS_MAX - 1);
    }

    #[test]
    fn what_may_decide_is_not_forgotten_for_what_comes_before_the_look() {
        let mut head = HeadPieces::default();
        head.arrived(b"a", ConnectionPhase::Idle);
        assert!(head.arrived(b"\n", ConnectionPhase::ReadingHeaders));
        assert!(head.arrived(b"b", ConnectionPhase::ReadingHeaders));
        head.looked_at();
        assert!(!head.arrived(b"b", ConnectionPhase::ReadingHeaders));
        assert!(!head.arrived(b"a", ConnectionPhase::Idle));
    }

    #[test]
    fn a_request_line_is_measured_as_it_was_sent() {
        let of = |target: &str| is_too_long(&Method::GET, &target.parse().expect("a target"));
        let target = |length: usize| format!("/{}", "a".repeat(length - 1));
        // "GET " and " HTTP/1.1" are thirteen.
        assert!(!of(&target(8190 - 13)) && of(&target(8190 - 12)));
        assert!(!of(&format!("http://a{}", target(8190 - 21))));
        assert!(of(&format!("http://a{}", target(8190 - 20))));
    }
}
