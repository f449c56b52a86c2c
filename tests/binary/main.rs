//! The real executable: exit codes, signals, what it writes, what it does at its limits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    missing_docs,
    unreachable_pub,
    reason = "a test stops at the first thing that is not as it says"
)]

#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/backend.rs"]
mod backend;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/settings.rs"]
mod settings;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/waiting.rs"]
mod waiting;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/webhook.rs"]
mod webhook;

mod descriptors;
mod doctor;
mod explain;
mod harness;
mod held_memory;
mod log_bound;
mod memory;
mod quiet;
mod records;
mod secrecy;
mod signals;
mod starting;
mod status;
mod streaming;
mod terminal;
mod verdicts;
