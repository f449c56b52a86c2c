//! TLS towards callers.

use super::{Outcome, Row};

pub(super) const TABLE: &[Row] = &[
    (
        &[
            "ssl_ciphers",
            "ssl_prefer_server_ciphers",
            "ssl_ecdh_curve",
            "ssl_dhparam",
            "ssl_conf_command",
        ],
        Outcome::Unneeded,
        "the cipher suites and key exchanges of rustls are all good, and in a good order",
    ),
    (
        &[
            "ssl_session_cache",
            "ssl_session_timeout",
            "ssl_session_tickets",
            "ssl_session_ticket_key",
            "ssl_buffer_size",
            "ssl_early_data",
            "ssl_handshake_timeout",
        ],
        Outcome::Unneeded,
        "sessions are resumed, and the client certificate is looked at again each time",
    ),
    (
        &[
            "ssl_stapling",
            "ssl_stapling_verify",
            "ssl_stapling_file",
            "ssl_stapling_responder",
            "resolver",
            "resolver_timeout",
        ],
        Outcome::Unneeded,
        "Meta does not ask for a stapled answer, and names of upstreams are resolved by the system",
    ),
    (&["ssl"], Outcome::Unneeded, "what listens in `[server]` speaks TLS"),
    (
        &["ssl_crl"],
        Outcome::Missing,
        "a revoked certificate would pass: where this hubgate has a key for revocation lists, name \
         the file there",
    ),
    (
        &["ssl_ocsp", "ssl_ocsp_responder", "ssl_ocsp_cache"],
        Outcome::Missing,
        "Meta's CA has no OCSP",
    ),
    (
        &["ssl_password_file"],
        Outcome::Missing,
        "write the private key without a password into a file that only hubgate may read",
    ),
];
