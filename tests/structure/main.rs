//! What the source's own structure promises, held against its syntax tree.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may"
)]

mod layers;
mod map;
mod proofs;
mod source;
