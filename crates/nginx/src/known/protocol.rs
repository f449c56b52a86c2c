//! How HTTP is spoken with callers.

use super::{Outcome, Row};

pub(super) const TABLE: &[Row] = &[
    (
        &["http2", "http3", "quic_retry", "quic_gso"],
        Outcome::Unneeded,
        "HTTP/1.1 and HTTP/2 are both there, as the caller likes; HTTP/3 is not",
    ),
    (
        &["underscores_in_headers"],
        Outcome::Stricter,
        "a header with an underscore in its name never passes: backends take it for another one",
    ),
    (
        &[
            "ignore_invalid_headers",
            "merge_slashes",
            "absolute_redirect",
            "port_in_redirect",
            "server_name_in_redirect",
            "chunked_transfer_encoding",
            "lingering_close",
            "lingering_time",
            "lingering_timeout",
            "send_timeout",
            "send_lowat",
            "client_body_timeout",
            "keepalive_disable",
            "http2_max_field_size",
            "http2_max_header_size",
            "http2_max_requests",
            "http2_idle_timeout",
            "http2_recv_timeout",
            "http2_chunk_size",
            "http2_body_preread_size",
            "http2_recv_buffer_size",
            "http2_push",
            "http2_push_preload",
        ],
        Outcome::Unneeded,
        "hubgate has its own rule for this, and a limit for everything; see `[limits]`",
    ),
];
