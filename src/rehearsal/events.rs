//! What Meta sends, and how it signs it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `X-Hub-Signature-256` for these bytes.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body);
    let digits = mac
        .finalize()
        .into_bytes()
        .into_iter()
        .map(|byte| format!("{byte:02x}"));
    format!("sha256={}", digits.collect::<String>())
}
