//! Plays the sender of Meta's webhooks: its certificate authorities, its events, its client.
//!
//! For `hubgate demo`, `send`, `certs` and `doctor`, for the tests and the benches, and for whoever
//! tests a receiver of their own. Knows nothing of the proxy.

pub mod events;
pub mod pki;
pub mod sender;
pub mod setup;
