//! hubgate: a reverse proxy that lets in only what Meta really sent.
//!
//! It stands in front of an application that Meta's webhooks call. It terminates TLS, proves the
//! client certificate (chain and exact name), answers verification requests, proves each event's
//! signature, and hands what is proven to the application. `README.md` and `docs/` are for whoever
//! runs it; this page is the map for whoever works on it.
//!
//! # The path of a request
//!
//! ```text
//! socket -> PROXY header, if any -> TLS handshake: chain, name -> HTTP -> route
//!    GET   verification request  -> token -> challenge                         -> response
//!    POST  event notification    -> body under limits -> signature -> upstream -> response
//!    any   a site's request      -> streamed to the upstream and back          -> response
//! socket -> PROXY header, if any -> HTTP, where [redirect] listens -> to https, or an ACME token
//! ```
//!
//! A stage takes a value and returns a value or a refusal; it does not log, and what it counts is
//! handed to it. [`connection`] and the handlers call the stages in order and record what happened,
//! once.
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
//! # Modules, in reading order
//!
//! | module | job |
//! | --- | --- |
//! | `main.rs`, [`cli`] | arguments in, exit code out; one file a command; the only place that prints |
//! | [`app`] | start, `reload`, graceful shutdown; `signals`, `watch`: what asks for a reload or a stop; `systemd`, `self_check`: what the service manager is told |
//! | [`admin`] | the operator's listener on a loopback address: probes, metrics, status |
//! | [`maintenance`] | what time changes: certificates that expire, CRLs to fetch, events that stay away, health checks |
//! | **serving** | |
//! | [`worker`] | one core's thread: accept loops, graceful shutdown |
//! | [`connection`] | one connection: handshake, then HTTP |
//! | [`handler`] | one request: route, then `handler/webhook.rs` (proofs, upstream), `handler/site.rs` (passed through), `handler/tunnel/` (WebSockets) or `handler/redirect/` (plain HTTP) |
//! | [`state`] | what all workers share, and what one worker has: generation, pools, admission |
//! | [`caller`] | who calls, and what was proven of it; the connection as its requests see it |
//! | [`generation`] | everything derived from one configuration: built whole, swapped whole |
//! | **stages** | |
//! | [`listener`] | sockets, accepting from them, and the places for connections |
//! | [`proxy_protocol`] | who really called, as a trusted load balancer says before the TLS bytes |
//! | [`tls`] | PEM files, what callers are shown, and the proof of who calls |
//! | [`server`] | HTTP served under limits in bytes and time; our own responses |
//! | [`path`], [`route`] | one way to write a path; host and path to a webhook or a site |
//! | [`webhook`] | the proofs of the two things that Meta sends: token and signature |
//! | [`upstream`] | headers to the application, pooled connections to it, deadlines, health of its servers |
//! | **used by all layers** | |
//! | [`telemetry`] | log lines, metrics, the access log, traces |
//! | [`config`] | the file as written, then as checked; secrets; every fault with its line |
//! | [`refusal`] | the closed lists of what callers are refused for: label, status, severity, hint |
//! | [`error_code`] | the closed list of what keeps a configuration from being put in force |
//! | [`lifecycle`] | starting, serving, draining, and swaps of the generation; one owner, many watchers |
//! | **packages of their own** | |
//! | [`hubgate_testkit`] | `crates/testkit/`: plays Meta, for `demo`, `send`, `certs`, `doctor` and the tests |
//! | [`hubgate_nginx`] | `crates/nginx/`: reads an nginx configuration and writes one of ours, for `import-nginx` |
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
//! 6. A proven event whose delivery has begun is finished, also if the caller disconnects.
//! 7. The bytes that were signed are the bytes that the application gets. Nothing is parsed to be
//!    verified.
//! 8. Every header that the application may trust is set here and removed from what came in.
//! 9. A configuration or certificate that cannot be used leaves the old generation in force, and
//!    says so in log, metrics and status.
//! 10. No globals but the log's subscriber, which the command line sets; secrets are in no log,
//!     error, metric or `Debug`.
//! 11. What strangers can cause at will is never logged above INFO.
//!
//! # Threads
//!
//! A worker is a thread with a runtime of its own, its own listening socket on each address
//! (`SO_REUSEPORT`), its own connections and its own pool to each upstream, so that no request
//! crosses cores. Workers share the current generation (one atomic load), counters, the places for
//! connections and requests, and the budget for bodies. Admin, maintenance and signals have runtimes beside them, and one thread writes
//! the log.
//!
//! # Where do I find ..
//!
//! | what | where |
//! | --- | --- |
//! | **limits and time** | |
//! | header and idle (keep-alive) timeouts of a connection | `server/timeouts.rs` says when, `server/drive.rs` does it |
//! | lingering close: what is thrown away, and after which answers | `server/linger.rs`; `must_linger` in `server/timeouts.rs` |
//! | the handshake timeout | [`connection`] |
//! | heads that never end or cannot become a request (431, 400), the longest request line | `server/request_line.rs` |
//! | body limits: size, memory, time (413, 408, 503) | `server/body.rs`; streamed ones `server/stream.rs` |
//! | what bodies and answers are charged for, and how small pieces are gathered | `server/memory.rs` |
//! | connect, response and idle timeouts of an upstream | `upstream/client.rs`, `upstream/pool.rs` |
//! | connection limits: in all, without proof, of one network | `listener/places.rs`; which connection gives way: `listener/slots.rs` |
//! | requests in flight: proven, of sites, tunnels | `RequestClass` in [`state`] |
//! | accept back-off | `listener/mod.rs` |
//! | answers that are not taken: a blocked socket, a closed window of HTTP/2 | `server/caller_io.rs`, `server/streams.rs`; `server/drive.rs` ends them |
//! | HTTP/2 frames that bring nothing, and how much of a connection is read a turn | `server/control_frames.rs`, `server/caller_io.rs` |
//! | when an idle connection is parked (gives back its buffers) | `server/timeouts.rs`, `server/drive.rs` |
//! | graceful shutdown (drain) | `lifecycle.rs` announces it, [`worker`] stops accepting and waits, `must_go` in [`connection`] ends connections |
//! | what a reload changes, and what needs a restart | `app/reload.rs` |
//! | what a reload does to open connections and tunnels | `must_go` in [`connection`], `prove_again` in [`caller`], `handler/tunnel/conditions.rs` |
//! | **proof** | |
//! | the rule for names | `configured_name` and `expected_name` in `tls/client_auth/mod.rs`, over `tls/subject.rs`; for a name that is text `tls/subject_text.rs` |
//! | what is checked of a chain beyond webpki | `tls/path.rs`, `tls/public_key.rs`, and `tls/revocation.rs` for CRLs |
//! | what a load balancer says of a client certificate | `handler/alb.rs` reads it, `tls/client_auth/alb.rs` proves it |
//! | why a handshake failed | `tls/verifier.rs` leaves the reason, [`connection`] logs it |
//! | the comparison of signatures | `webhook/signature.rs` |
//! | the proof that the application can check | `webhook/proof.rs` makes it, `upstream/proof.rs` sets it at each attempt |
//! | when a CRL is fetched, and whether it is taken | `maintenance/refresh.rs` |
//! | the CAs that `check` recognises | [`tls::known_anchors`] |
//! | **requests** | |
//! | which certificate a caller is shown (SNI) | `tls/sni.rs` |
//! | whose address the caller's is (X-Forwarded-For) | `proxy_protocol/`, `handler/x_forwarded.rs`, for networks of `config/network.rs` |
//! | how an application may misread a path | `path/lax.rs`, `path/readings.rs`, `path/query.rs`; which names a path has: `path/reserved/`; what that is tested against: `route/confusion/` |
//! | which headers pass, and which are set | `upstream/headers/mod.rs`; which no caller may set: `upstream/headers/reserved.rs` |
//! | which upgrade passes, and which 101 is taken | `upstream/websocket.rs` |
//! | what a tunnel depends on, and when that ends it | `handler/tunnel/conditions.rs` |
//! | the value of an identity header | `tls/identity.rs`, `tls/distinguished_name.rs`, `upstream/forwarded_header.rs` |
//! | **upstreams** | |
//! | what becomes of an event whose caller disconnects | `upstream/delivery.rs` |
//! | what is tried again, and what is not (retries) | `upstream/client.rs` |
//! | which connections are kept alive, and which responses taken | `upstream/pool.rs`, `upstream/answer.rs` |
//! | which server is tried (least load), and which is ejected (circuit breaker, half-open) | `upstream/balance.rs`, `upstream/health.rs` |
//! | active health checks | `upstream/probe.rs`, `maintenance/health_checks.rs` |
//! | TLS towards an application | `upstream/tls.rs` |
//! | **telemetry and commands** | |
//! | a key of the configuration | `config.toml` for people, `config/file/` as written, its section's file as checked |
//! | the status, label and hint of a refusal | `refusal/request.rs`; before HTTP: `refusal/connection.rs` |
//! | a metric's name | `telemetry/metrics/` |
//! | how many lines strangers can have logged | `telemetry/refusal_log.rs` |
//! | a field of the access log | `telemetry/access.rs` |
//! | the form of a log line, and its way out of the process | `telemetry/json.rs`, `telemetry/lines.rs` |
//! | which `traceparent` passes, and how one is begun | `telemetry/trace.rs` |
//! | when a webhook counts as quiet | `maintenance/quiet.rs` |
//! | what makes the status yellow or red | `admin/status/advice/mod.rs` |
//! | what `check` finds fault with | `cli/check/`, and the constructors of [`config`] |
//! | what `explain` says of a code | `cli/explain/`, a file for each list of codes |
//! | why a certificate would be accepted or not | `cli/explain/certificate.rs`, with what `tls/link.rs` reads |
//! | what Meta would say of an endpoint | `cli/doctor/`, a file for each thing that is looked at |
//! | what becomes of a directive of nginx | `crates/nginx/src/known/`, and [`hubgate_nginx`] for those that become something |
//! | a certificate that is wrong on purpose | [`hubgate_testkit::pki`] |
//! | how the proxy behaves | `tests/proxy/`, over real sockets |
//! | how the program behaves | `tests/check/` and its neighbours, with the real executable |

#[cfg(feature = "internals")]
pub mod bench_api;
pub mod cli;

// The application.
pub mod admin;
pub mod app;
mod maintenance;

// Serving.
mod connection;
mod handler;
mod worker;

mod caller;
pub mod generation;
mod state;

// The stages of a request.
pub mod listener;
mod path;
mod proxy_protocol;
mod route;
mod server;
pub mod tls;
mod upstream;
mod webhook;

// Used by all layers.
pub mod config;
pub mod error_code;
pub mod lifecycle;
pub mod refusal;
pub mod telemetry;

// What the documentation lists: the queries that are read, and the headers that no caller may set.
pub use path::PATH_PARAMETERS;
pub use upstream::headers::{HeaderClaim, RESERVED_HEADERS, ReservedHeader};
