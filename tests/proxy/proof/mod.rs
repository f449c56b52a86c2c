//! `X-Hubgate-Proof`: what hubgate proved, told to an application so that nobody else could say it.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use hubgate_testkit::events::sign;

mod applications;
mod header;
mod relay;

/// The secret between hubgate and the application.
const SECRET: &str = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789";
/// The one before it, which the application still takes.
const SECRET_BEFORE: &str = "decade0123456789decade0123456789decade0123456789decade0123456789";

/// The header's value as docs/security.md describes it, made with other libraries than hubgate's.
fn made(secret: &str, time: u64, [method, target, verified]: [&str; 3], body: &[u8]) -> String {
    let body: String =
        digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = ["v1", &time.to_string(), method, target, verified, &body].join("\n");
    let signed = sign(secret, lines.as_bytes());
    format!("t={time},v1={}", signed.strip_prefix("sha256=").unwrap())
}

/// The seconds of a value.
fn time_of(value: &str) -> u64 {
    value.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
