//! Plays Meta: its certificate authorities, its events, its sender. For `demo`, `send`, `certs`,
//! the tests and the benches; nothing on the road knows this room.

pub mod events;
pub mod pki;
pub mod props;
pub mod sender;
