//! Behaviour of the proxy, over real sockets with real TLS. One file a topic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    missing_docs,
    unreachable_pub,
    reason = "a test stops at the first thing that is not as it says"
)]

#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/application.rs"]
mod application;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/backend.rs"]
mod backend;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/settings.rs"]
mod settings;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/waiting.rs"]
mod waiting;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/webhook.rs"]
mod webhook;

mod admin_host;
mod alb;
mod allowed_methods;
mod backends;
mod bodies;
mod caller_gone;
mod candidates;
mod client_chains;
mod client_names;
mod connection_limits;
mod cookies;
mod drain;
mod endless_heads;
mod expiry;
mod frame_floods;
mod haproxy;
mod harness;
mod http2_frames;
mod http_rules;
mod identity_dialects;
mod identity_headers;
mod memory;
mod mixed_demands;
mod parking;
mod plain_http;
mod proof;
mod proxy_protocol;
mod redirect;
mod refused_callers;
mod reissued_anchors;
mod reload;
mod reload_load;
mod request_path;
mod resumption;
mod revocation;
mod rotation;
mod server_names;
mod signatures;
mod sites;
mod status;
mod strangers;
mod trace_context;
mod trusted_proxies;
mod tunnels;
mod upgrades;
mod verification;
mod websocket;
mod write_timeout;
