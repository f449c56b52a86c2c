//! HTTP on one connection: serving it, its body limits, and the only maker of our own answers.

pub(crate) mod body;
pub(crate) mod caller_io;
mod control_frames;
pub(crate) mod drive;
pub(crate) mod linger;
pub(crate) mod memory;
pub(crate) mod request_line;
pub(crate) mod respond;
mod sent_body;
pub(crate) mod stream;
mod streams;
pub(crate) mod timeouts;
