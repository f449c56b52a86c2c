//! TLS towards callers: what this server shows, and which certificates it accepts.
//!
//! In: PEM files and the checked settings. Out: a `rustls::ServerConfig` for each worker, and for
//! each connection a [`client_auth::VerifiedClient`] or the [`crate::refusal::ConnectionRefusal`]
//! that ended it.
//! Knows nothing of HTTP.

pub mod anchor;
pub mod certificate;
pub mod client_auth;
pub(crate) mod crl_cache;
mod distinguished_name;
pub(crate) mod distribution_point;
pub(crate) mod identity;
mod key_pem;
pub mod known_anchors;
pub mod link;
pub mod material;
mod path;
mod public_key;
pub mod revocation;
pub(crate) mod server_config;
mod sni;
pub(crate) mod subject;
mod subject_text;
pub mod trust;
mod verifier;
