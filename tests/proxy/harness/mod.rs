//! A small world: throw-away authorities, an application that records, a proxy between them and
//! Meta, all in this process, on free ports of loopback.

#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod application;
#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod backend;
#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod http2;
#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod hypercorn;
#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod load;
pub mod operator;
#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod raw;
pub mod websocket;
#[allow(dead_code, reason = "not every topic needs all of it")]
pub mod world;

pub use self::world::{Plan, World};
