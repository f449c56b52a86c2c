//! The webhook that every configuration of the tests has, and its events.

use hubgate_testkit::sender::Message;

/// 32 hex digits, as Meta's dashboard shows them, that are easily found where they should not be.
pub const APP_SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e700";
pub const VERIFY_TOKEN: &str = "token~that+nobody may/see";
/// The callback path.
pub const PATH: &str = "/webhooks";

/// A signed event with this body.
pub fn event(body: impl Into<bytes::Bytes>) -> Message {
    Message::event(APP_SECRET, body)
}
