//! The applications behind, and what is sent to them.

use super::{Outcome, Row};

pub(super) const TABLE: &[Row] = &[
    (
        &["proxy_http_version", "proxy_socket_keepalive", "keepalive", "keepalive_time"],
        Outcome::Unneeded,
        "connections to an upstream are HTTP/1.1 and kept; how many is `upstream.connections`, how \
         long `upstream.idle_timeout_ms`",
    ),
    (
        &[
            "proxy_buffering",
            "proxy_buffers",
            "proxy_buffer_size",
            "proxy_busy_buffers_size",
            "proxy_request_buffering",
            "proxy_max_temp_file_size",
            "proxy_temp_file_write_size",
            "proxy_temp_path",
            "client_body_buffer_size",
            "client_body_temp_path",
            "client_body_in_file_only",
            "client_body_in_single_buffer",
            "client_header_buffer_size",
            "proxy_limit_rate",
            "proxy_force_ranges",
        ],
        Outcome::Unneeded,
        "a webhook's body is held in memory until it is proven, everything else is streamed; \
         nothing goes to disk",
    ),
    (
        &["proxy_next_upstream", "proxy_next_upstream_tries", "proxy_next_upstream_timeout"],
        Outcome::Stricter,
        "a failed connect is tried once more, and then nothing is repeated, since the application \
         may have acted; see `upstream.repeat`",
    ),
    (
        &[
            "proxy_pass_request_headers",
            "proxy_pass_request_body",
            "proxy_set_body",
            "proxy_method",
        ],
        Outcome::Missing,
        "what the sender signed is what the application gets: requests are not changed",
    ),
    (
        &[
            "proxy_ssl_session_reuse",
            "proxy_ssl_protocols",
            "proxy_ssl_ciphers",
            "proxy_ssl_conf_command",
        ],
        Outcome::Unneeded,
        "TLS to an upstream is 1.2 or 1.3 with what rustls offers, and resumes sessions",
    ),
    (
        &["proxy_ssl_verify_depth", "proxy_ssl_crl", "proxy_ssl_password_file"],
        Outcome::Missing,
        "an https upstream is verified against the public roots or `upstream.ca`, no more and no \
         less",
    ),
    (
        &[
            "fastcgi_pass",
            "fastcgi_param",
            "fastcgi_index",
            "fastcgi_split_path_info",
            "uwsgi_pass",
            "uwsgi_param",
            "scgi_pass",
            "scgi_param",
            "grpc_pass",
            "grpc_set_header",
            "memcached_pass",
            "mirror",
            "stub_status",
            "empty_gif",
            "dav_methods",
            "js_content",
            "perl",
            "proxy_bind",
        ],
        Outcome::Missing,
        "hubgate speaks HTTP to applications, and nothing else",
    ),
    (
        &[
            "zone",
            "least_conn",
            "queue",
            "ntlm",
            "state",
            "sticky",
            "ip_hash",
            "hash",
            "random",
            "fair",
            "check",
            "health_check",
        ],
        Outcome::Unneeded,
        "the least loaded server gets the request, and one that fails is ejected for a while",
    ),
    (&["upstream", "server"], Outcome::Unneeded, "no route that was taken over leads there"),
];
