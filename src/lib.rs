//! hubgate: a reverse proxy that lets in only what Meta really sent.
//!
//! It stands in front of an application that Meta's webhooks call. It ends TLS, proves the client
//! certificate (chain and exact name), answers verification requests, proves each event's
//! signature, and hands what is proven to the application. `README.md` and `docs/` are for whoever runs
//! it; this page is the map for whoever works on it.
//!
//! # The road
//!
//! ```text
//! socket -> PROXY header, if any -> TLS handshake: chain, name -> HTTP -> route
//!    GET   verification request  -> token -> challenge                         -> answer
//!    POST  event notification    -> body under limits -> signature -> upstream -> answer
//!    any   a site's request      -> streamed to the upstream and back          -> answer
//! socket -> PROXY header, if any -> HTTP, where [redirect] listens -> to https, or an ACME token
//! ```
//!
//! Data flows down the road, imports point up it. A station takes a value and returns a value or a
//! refusal; it does not log, and what it counts is handed to it. The conductors ([`connection`],
//! [`exchange`], [`redirect`]) call the bench_api in order and record what happened, once.
//!
//! # The rooms, in reading order
//!
//! | room | job |
//! | --- | --- |
//! | `main.rs`, [`cli`] | arguments in, exit code out; one file a command; the only place that prints |
//! | [`app`] | start, `reload`, drain; `signals`, `watch`: what asks for a reload or a stop; `systemd`, `self_check`: what the service manager is told |
//! | **vocabulary** | |
//! | [`refusal`] | the closed lists of what strangers are refused for: label, status, severity, hint |
//! | [`error_code`] | the closed list of what keeps a configuration from being put in force |
//! | [`lifecycle`] | starting, serving, draining, and swaps of the generation; one owner, many watchers |
//! | [`config`] | the file as written, then as checked; secrets; every fault with its line |
//! | **the road** | |
//! | [`listener`] | sockets, and accepting from them under permits |
//! | [`proxy_protocol`] | who really called, as a trusted load balancer says before the TLS bytes |
//! | [`tls`] | PEM files, what callers are shown, and the proof of who calls |
//! | [`server`] | one connection served under its limits in bytes and time; our own answers |
//! | [`path`], [`route`] | one way to write a path; host and path to a webhook or a site |
//! | [`webhook`] | the proofs of the two things that Meta sends: token and signature |
//! | [`upstream`] | headers to the application, pooled connections to it, deadlines |
//! | **conductors** | |
//! | [`connection`] | one connection: handshake, then HTTP |
//! | [`exchange`] | one request: route, then `exchange/webhook.rs` (proofs, upstream) or `exchange/site.rs` (passed through; `exchange/tunnel/` once it is a WebSocket) |
//! | [`redirect`] | one request in plain HTTP: to https, or an ACME client's token |
//! | **beside the road** | |
//! | [`worker`] | one core's thread: accept loops, drain |
//! | [`caller`] | who calls, and what was proven of it; the connection as its requests see it |
//! | [`state`] | what all workers share, and what one worker has: generation, pools, admission |
//! | [`generation`] | everything derived from one configuration: built whole, swapped whole |
//! | [`upkeep`] | what time changes: certificates that end, revocation lists to fetch, events that stay away |
//! | [`telemetry`] | log lines, metrics, the record of each request |
//! | [`admin`] | the operator's window on a loopback address; how it is, judged |
//! | [`hubgate_nginx`] | `crates/nginx/`: reads an nginx configuration and writes one of ours, for `import-nginx` |
//! | [`bench_api`] | doors into private rooms for `benches/micro`, which measures them; nothing on the road knows it |
//! | [`hubgate_testkit`] | `crates/testkit/`: plays Meta, for `demo`, `send`, `certs`, `doctor` and the tests |
//!
//! # Layers
//!
//! A module imports its own layer or one below, and no modules import each other in a circle;
//! `tests/structure` holds both against this drawing.
//!
//! ```layers
//! main, cli, bench_api
//! app, admin, maintenance
//! worker, connection, handler
//! state, caller, generation
//! listener, proxy_protocol, server, tls, path, route, webhook, upstream
//! telemetry
//! config, refusal, error_code, lifecycle
//! ```
//!
//! # Invariants
//!
//! 1. A webhook's upstream gets a body only out of a `VerifiedBody`, which only
//!    `webhook::signature` makes, or, where the operator wrote `signature = "report"`, out of a
//!    `ReportedBody`, which takes a proven client; a verification request goes there without a body.
//!    The proof that the application can check comes out of a `VerifiedBody` or a `ProvenChallenge`.
//!    A site carries no known other name of a webhook's path; applications have more than are known,
//!    so no path is a proof.
//! 2. A check fails closed: without a secret, a token or an anchor, or with an unreadable file, the
//!    configuration is refused. Nothing means "accept all".
//! 3. A client's subject has exactly one common name, and it equals a configured one byte for byte.
//! 4. Whoever calls is proven by this process under the current trust, also on a resumed session:
//!    a new generation has new ticket keys, and the chain out of a ticket is proven again. Where the
//!    operator says that a load balancer ends TLS, its headers are proven instead, from it alone.
//!    No tunnel outlives the trust that it was opened under, and none is anything but a WebSocket.
//! 5. Everything has a limit, each with a default and its reason in `config.toml`; what goes beyond
//!    is refused with a label of its own, or waits where the limit says so.
//! 6. A proven event whose delivery has begun is finished, also if the caller hangs up.
//! 7. The bytes that were signed are the bytes that the application gets. Nothing is parsed to be
//!    verified.
//! 8. Every header that the application may trust is set here and removed from what came in.
//! 9. A configuration or certificate that cannot be used leaves the old generation in force, and
//!    says so in log, metrics and status.
//! 10. No globals but the log's subscriber, which the command line sets; secrets are in no log,
//!     error, metric or `Debug`.
//! 11. What strangers can cause at will is never louder than INFO.
//!
//! # Threads
//!
//! A worker is a thread with a runtime of its own, its own listening socket on each address
//! (`SO_REUSEPORT`), its own connections and its own pool to each upstream, so that nothing on the
//! road crosses cores. Workers share the current generation (one atomic load), counters, permits
//! and the budget for bodies. Admin, upkeep and signals have runtimes beside them, and one thread
//! writes the log.
//!
//! # Where do I find ..
//!
//! | what | where |
//! | --- | --- |
//! | a key of the configuration | `config.toml` for people, `config/file/` as written, its section's file as checked |
//! | the status, label and hint of a refusal | [`refusal`] |
//! | what `explain` says of a code | `cli/explain/`, a file for each list of codes |
//! | why a certificate would be believed or not | `cli/explain/certificate.rs`, with what `tls/link.rs` reads |
//! | what Meta would say of an endpoint | `cli/doctor/`, a file for each thing that is looked at |
//! | the rule for names | `tls/subject.rs`, and for a name that is text `tls/subject_text.rs` |
//! | what a load balancer says of a client certificate | `exchange/forwarded_client.rs` reads it, `tls/client_auth/forwarded.rs` proves it |
//! | when an idle connection gives back its buffers | `http/timeouts.rs` says when, `http/serve.rs` does it |
//! | which certificate a caller is shown | `tls/sni.rs` |
//! | how an application may misread a path | `path/lax.rs`, `path/readings.rs`, `path/query.rs`; which names a path has: `path/reserved/`; what that must hold against: `route/confusion/` |
//! | what is checked of a chain beyond webpki | `tls/path.rs`, and `tls/revocation.rs` for revocation lists |
//! | when a revocation list is fetched, and whether it is taken | `upkeep/refresh.rs` |
//! | the CAs that `check` recognises | [`tls::known_anchors`] |
//! | whose address the caller's is | `proxy_protocol/`, `exchange/forwarded.rs`, for networks of `config/network.rs` |
//! | why a handshake failed | `tls/verifier.rs` leaves the reason, [`connection`] logs it |
//! | the comparison of signatures | `webhook/signature.rs` |
//! | what tells an application that hubgate proved a request | `webhook/proof.rs`, set at each attempt by `upstream/proof.rs` |
//! | which headers pass, and which are set | `upstream/headers/mod.rs`; which no caller may set: `upstream/headers/reserved.rs` |
//! | which upgrade passes, and which 101 is taken | `upstream/websocket.rs` |
//! | what a tunnel rests on, and when that ends it | `exchange/tunnel/conditions.rs` |
//! | how a server is asked how it is, and when | `upstream/probe.rs`, `upkeep/health.rs` |
//! | TLS towards an application | `upstream/tls.rs` |
//! | the value of an identity header | `tls/identity.rs`, `tls/distinguished_name.rs`, `upstream/forwarded.rs` |
//! | what becomes of an event whose caller hangs up | `upstream/delivery.rs` |
//! | what is tried again, and what is not | `upstream/client.rs` |
//! | which connections are kept, and which answers taken | `upstream/pool.rs`, `upstream/answer.rs` |
//! | which server of an upstream is tried, and which passed over | `upstream/balance.rs`, `upstream/health.rs` |
//! | a metric's name | `telemetry/metrics/` |
//! | a field of the access record | `telemetry/access.rs` |
//! | the form of a log line, and its way out of the process | `telemetry/json.rs`, `telemetry/lines.rs` |
//! | which `traceparent` passes, and how one is begun | `telemetry/trace.rs` |
//! | when a webhook counts as quiet | `upkeep/quiet.rs` |
//! | what makes the status yellow or red | `admin/status/advice.rs` |
//! | what a reload changes, and what needs a restart | [`app::reload`] |
//! | what `check` finds fault with | `cli/check/`, and the constructors of [`config`] |
//! | what becomes of a directive of nginx | `crates/nginx/src/known.rs`, and [`hubgate_nginx`] for those that become something |
//! | a certificate that is wrong on purpose | [`hubgate_testkit::pki`] |
//! | how the proxy behaves | `tests/proxy/`, over real sockets |
//! | how the program behaves | `tests/check.rs` and its neighbours, with the real executable |

pub mod app;
pub mod cli;

// Vocabulary.
pub mod config;
pub mod error_code;
pub mod lifecycle;
pub mod refusal;

// The road.
pub mod listener;
mod path;
mod proxy_protocol;
mod route;
mod server;
pub mod tls;
mod upstream;
mod webhook;

// What the documentation lists: the queries that are read, and the headers that no caller may set.
pub use path::PATH_PARAMETERS;
pub use upstream::headers::{Believed, RESERVED_HEADERS, ReservedHeader};

// Conductors.
mod caller;
mod connection;
mod handler;

// Beside the road.
pub mod admin;
pub mod bench_api;
pub mod generation;
mod maintenance;
mod state;
pub mod telemetry;
mod worker;
