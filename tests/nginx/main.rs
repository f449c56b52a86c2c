//! What was taken over from nginx does what nginx did, or refuses more.
//!
//! Each fixture is imported and loaded, and then a real nginx with the original and a hubgate with
//! the import get the same requests. Without nginx on the machine that part is skipped with a message.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by it, and this one shows a table"
)]

#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/application.rs"]
mod application;
#[allow(dead_code, reason = "each test binary needs a part of it")]
#[path = "../harness/webhook.rs"]
mod webhook;

mod fixture;
mod identity;
mod import;
mod plain;
mod shots;
mod verdict;
mod websockets;
