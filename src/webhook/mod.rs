//! The two things that Meta sends to a webhook, and what proves each of them.

pub(crate) mod challenge;
pub(crate) mod signature;
