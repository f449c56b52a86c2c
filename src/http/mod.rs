//! HTTP on one connection: serving it, its body limits, and the only maker of our own answers.

pub(crate) mod body;
pub(crate) mod caller_io;
pub(crate) mod pace;
pub(crate) mod respond;
pub(crate) mod serve;
pub(crate) mod stream;
