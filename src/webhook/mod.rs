//! The two things that Meta sends to a webhook, what proves each of them, and what proves to the
//! application that they were proven.

pub(crate) mod challenge;
pub(crate) mod proof;
pub(crate) mod signature;
