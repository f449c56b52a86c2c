//! The hop to the application: which headers it sees, and pooled connections with deadlines.
//!
//! In: a request that was proven, or one of a site. Out: the application's answer, or a refusal.

mod answer;
mod balance;
pub(crate) mod client;
pub(crate) mod delivery;
mod forwarded_header;
pub(crate) mod headers;
mod health;
pub(crate) mod pool;
pub(crate) mod probe;
mod proof;
mod request_body;
mod resolve;
mod target;
mod target_error;
mod tls;
pub(crate) mod websocket;

pub(crate) use self::health::HealthState;
pub(crate) use self::pool::Lease;
pub(crate) use self::request_body::{RequestBody, WebhookBody};
pub(crate) use self::target::Target;
pub(crate) use self::target_error::TargetError;
