//! A small world: throw-away authorities, an application that records, a proxy between them and
//! Meta, all in this process, on free ports of loopback.

pub mod http2;
pub mod hypercorn;
pub mod load;
pub mod operator;
pub mod raw;
pub mod websocket;
pub mod world;

pub use self::world::{Plan, World};
pub(crate) use crate::{application, backend};
