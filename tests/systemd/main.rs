//! Life as a service: what the service manager is told and hands over, reload, replacement without
//! loss, the units, and a real systemd that runs them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    clippy::print_stderr,
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

#[allow(dead_code, reason = "shared with the tests of the executable, which need all of it")]
#[path = "../binary/harness.rs"]
mod harness;

mod booted;
mod handover;
mod load;
mod machine;
mod manager;
mod notify;
mod reload;
mod units;
