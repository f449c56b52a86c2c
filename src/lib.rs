//! hubgate: a reverse proxy that lets in only what Meta really sent.
// The map is written when the rooms stand; see the bottom of this change.

pub mod cli;
pub mod config;
pub mod refusal;
pub mod rehearsal;
