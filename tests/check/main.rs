//! `hubgate check`, as the operator runs it: the real executable, its output and its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    missing_docs,
    unreachable_pub,
    reason = "a test stops at the first thing that is not as it says"
)]

#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/settings.rs"]
mod settings;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/webhook.rs"]
mod webhook;

mod addresses;
mod faults;
mod report;
mod secrets;
mod server_certificates;
mod setup;
mod trust;
