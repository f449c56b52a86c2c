//! The hop to the application: which headers it sees, and pooled connections with deadlines.
//!
//! In: a request that was proven, its deadline. Out: the application's whole answer, or a refusal.

pub(crate) mod client;
mod connect;
pub(crate) mod headers;
mod request_body;

pub(crate) use self::connect::Target;
pub(crate) use self::connect::TargetError;
pub(crate) use self::request_body::RequestBody;
