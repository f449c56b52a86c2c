//! `[limits]`: what one caller, and all of them together, may use.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::fault::Fault;
use super::file;
use super::findings::{Findings, Written};
use super::numbers::{count, milliseconds, size};

/// `[limits]`, checked. Each has its reason in `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections held at once, in all; one more takes the place of an idle one that has proven
    /// nothing, or waits in the kernel's queue.
    pub connections: NonZeroUsize,
    /// Of these, connections that have proven nothing: no client certificate, no right signature.
    /// One more takes the place of the one that has been idle for longest.
    pub unproven_connections: NonZeroUsize,
    /// Of these, those from one IPv4 address or one IPv6 /64; one more is closed at once.
    pub connections_per_network: NonZeroUsize,
    /// Handshakes under way at once, of each worker; one more takes the place of the
    /// longest, among those of the network that has most.
    pub handshakes: NonZeroUsize,
    /// From accept to the end of the TLS handshake; then the connection is dropped.
    pub handshake_timeout: Duration,
    /// From the end of the handshake to the end of the first request's headers, and from the first
    /// byte of a later request to the end of its headers; then the connection is dropped.
    pub header_timeout: Duration,
    /// Header fields in one request; one more is refused with 431.
    pub header_max_count: NonZeroUsize,
    /// Bytes of request line and headers; more are refused with 431.
    pub header_max_bytes: NonZeroUsize,
    /// From the end of the headers to the last byte of the body; then the request gets 408.
    pub body_timeout: Duration,
    /// Largest accepted request body; one byte more is refused with 413.
    pub body_max_bytes: NonZeroUsize,
    /// Memory that request bodies take at once, in all; a request that needs more gets 503. Callers
    /// of whom nothing is proven take at most half.
    pub body_memory_bytes: NonZeroUsize,
    /// Memory that the whole answers to webhooks take at once, in all; one that needs more goes out
    /// without its body.
    pub response_memory_bytes: NonZeroUsize,
    /// From the last byte of an answer that the caller took to giving the answer up: over HTTP/1
    /// with its connection, over HTTP/2 with its stream.
    pub write_timeout: Duration,
    /// From the end of one answer to the first byte of the next request; then it is closed.
    pub keep_alive_timeout: Duration,
    /// Requests on one connection; the last one's answer closes it.
    pub requests_per_connection: NonZeroUsize,
    /// Requests of proven callers to webhooks being answered at once, in all; one more gets 503.
    pub requests_in_flight: NonZeroUsize,
    /// Requests to sites, and of others to webhooks, being answered at once; one more gets 503.
    pub site_requests_in_flight: NonZeroUsize,
    /// WebSockets open at once; one more gets 503.
    pub tunnels: NonZeroUsize,
    /// HTTP/2 streams open at once on one connection.
    pub h2_concurrent_streams: u32,
    /// HTTP/2 streams that a caller may reset before the connection is closed.
    pub h2_pending_resets: usize,
    /// HTTP/2 frames that bring nothing, in a row; one more cuts the connection.
    pub h2_control_frames: u32,
}

impl Limits {
    pub(super) fn check(written: &file::RawLimits, findings: &mut Findings) -> Self {
        let connections = count(&written.connections, findings);
        let mut or = |written: &Option<Written<i64>>, default: usize| match written {
            Some(written) => count(written, findings),
            None => NonZeroUsize::new(default).unwrap_or(NonZeroUsize::MIN),
        };
        let unproven_connections = or(&written.unproven_connections, connections.get() / 2);
        let connections_per_network = or(&written.connections_per_network, connections.get() / 2);
        let unproven = unproven_connections.get();
        let site_requests_in_flight = or(&written.site_requests_in_flight, unproven / 4);
        let tunnels = or(&written.tunnels, unproven / 8);
        let limits = Self {
            connections,
            unproven_connections,
            connections_per_network,
            handshakes: count(&written.handshakes, findings),
            handshake_timeout: milliseconds(&written.handshake_timeout_ms, findings),
            header_timeout: milliseconds(&written.header_timeout_ms, findings),
            header_max_count: count(&written.header_max_count, findings),
            header_max_bytes: size(&written.header_max_bytes, HEADER_BYTES, findings),
            body_timeout: milliseconds(&written.body_timeout_ms, findings),
            body_max_bytes: size(&written.body_max_bytes, 1..=MAXIMUM_BODY, findings),
            body_memory_bytes: size(&written.body_memory_bytes, 1..=MAXIMUM_MEMORY, findings),
            response_memory_bytes: size(
                &written.response_memory_bytes,
                1..=MAXIMUM_MEMORY,
                findings,
            ),
            write_timeout: milliseconds(&written.write_timeout_ms, findings),
            keep_alive_timeout: milliseconds(&written.keep_alive_timeout_ms, findings),
            requests_per_connection: count(&written.requests_per_connection, findings),
            requests_in_flight: count(&written.requests_in_flight, findings),
            site_requests_in_flight,
            tunnels,
            h2_concurrent_streams: u32::try_from(
                count(&written.h2_concurrent_streams, findings).get(),
            )
            .unwrap_or(u32::MAX),
            h2_pending_resets: count(&written.h2_pending_resets, findings).get(),
            h2_control_frames: u32::try_from(count(&written.h2_control_frames, findings).get())
                .unwrap_or(u32::MAX),
        };
        limits.leave_places_for_events(written, findings);
        // What is no size at all has had its fault already.
        let body_max_bytes = written.body_max_bytes.value;
        let memory = &written.body_memory_bytes;
        let at_least = body_max_bytes.saturating_mul(2);
        if (1..at_least).contains(&memory.value) {
            findings.fault(&memory.at, Fault::BodyMemoryBelowBody { body_max_bytes });
        }
        limits
    }

    /// What strangers hold must stay below what there is in all, at each step of the way.
    fn leave_places_for_events(&self, written: &file::RawLimits, findings: &mut Findings) {
        let (connections, unproven) = (self.connections.get(), self.unproven_connections.get());
        if let Some(written) = &written.unproven_connections
            && unproven >= connections
        {
            let fault = Fault::NotBelow { key: "limits.connections", value: connections };
            findings.fault(&written.at, fault);
        }
        let asked = [
            (&written.site_requests_in_flight, self.site_requests_in_flight),
            (&written.tunnels, self.tunnels),
        ];
        let in_use: usize = asked.iter().map(|(_, limit)| limit.get()).sum();
        if in_use < unproven {
            return;
        }
        if let Some(written) = asked.iter().find_map(|(written, _)| written.as_ref()) {
            let key = "limits.unproven_connections";
            findings.fault(&written.at, Fault::TogetherNotBelow { key, value: unproven, in_use });
        }
    }
}

/// hyper reads with a buffer of 8 KiB and takes no smaller limit; nobody needs more than 1 MiB.
const HEADER_BYTES: std::ops::RangeInclusive<u64> = 8_192..=1_048_576;

/// 1 GiB: a body is held in one piece.
const MAXIMUM_BODY: u64 = 1 << 30;

/// 1 TiB.
const MAXIMUM_MEMORY: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    #[test]
    fn written_limits_are_taken() {
        let limits = load("[limits]\nconnections = 7\nbody_timeout_ms = 1500").limits;

        assert_eq!(limits.connections.get(), 7);
        assert_eq!(limits.body_timeout.as_millis(), 1500);
    }

    #[test]
    fn limits_of_nothing_are_refused_on_their_lines() {
        let text = "[limits]\nconnections = 0\nhandshake_timeout_ms = 0\nh2_pending_resets = 0";

        assert_eq!(
            faults(text),
            [
                "2: `limits.connections`: must be greater than zero",
                "3: `limits.handshake_timeout_ms`: must be greater than zero",
                "4: `limits.h2_pending_resets`: must be greater than zero",
            ]
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let text = "[limits]\nconnections = -1\nheader_max_bytes = 8191\n\
                    body_timeout_ms = 99999999999999999999\nbody_max_bytes = 1.5";

        assert_eq!(
            faults(text),
            [
                "2: `limits.connections`: must be from 1 to 16777216",
                "3: `limits.header_max_bytes`: must be from 8192 to 1048576",
                "4: `limits.body_timeout_ms`: must be from 1 to 86400000",
                "5: `limits.body_max_bytes`: must be a whole number, but is a number with a fraction",
            ]
        );
        assert_eq!(load("[limits]\nheader_max_bytes = 8192").limits.header_max_bytes.get(), 8192);
        assert_eq!(
            faults("[limits]\nheader_max_bytes = 1048577"),
            ["2: `limits.header_max_bytes`: must be from 8192 to 1048576"]
        );
    }

    #[test]
    fn what_is_not_written_follows_from_the_number_of_connections() {
        let limits = load("[limits]\nconnections = 1000").limits;
        let derived = [
            limits.unproven_connections,
            limits.connections_per_network,
            limits.site_requests_in_flight,
            limits.tunnels,
        ];
        assert_eq!(derived.map(|limit| limit.get()), [500, 500, 125, 62]);
        let least = load("[limits]\nconnections = 1").limits;
        assert_eq!((least.unproven_connections.get(), least.tunnels.get()), (1, 1));
    }

    #[test]
    fn strangers_cannot_be_given_every_place() {
        assert_eq!(
            faults("[limits]\nconnections = 100\nunproven_connections = 100"),
            [
                "3: `limits.unproven_connections`: must be less than `limits.connections`, which is 100: \
              proven callers need places of their own"
            ]
        );
        assert_eq!(
            faults("[limits]\nunproven_connections = 100\ntunnels = 75"),
            [
                "3: `limits.tunnels`: must be less than `limits.unproven_connections`, which is 100: \
              `limits.site_requests_in_flight` and `limits.tunnels` are 100 together"
            ]
        );
        load("[limits]\nunproven_connections = 100\ntunnels = 74");
    }

    #[test]
    fn half_of_the_memory_must_hold_the_largest_body() {
        let limits = |memory: &str| {
            format!("[limits]\nbody_max_bytes = 5_000_000\nbody_memory_bytes = {memory}")
        };

        load(&limits("10_000_000"));
        assert_eq!(
            faults(&limits("0")),
            ["3: `limits.body_memory_bytes`: must be greater than zero"]
        );
        assert_eq!(
            faults(&limits("9_999_999")),
            [
                "3: `limits.body_memory_bytes`: must be at least twice `limits.body_max_bytes`, which is \
              5000000"
            ]
        );
    }
}
