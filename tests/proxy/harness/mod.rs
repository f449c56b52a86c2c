//! A small world: throw-away authorities, an application that records, a proxy between them and
//! Meta, all in this process, on free ports of loopback.

pub mod application;
pub mod world;

pub use self::application::{Application, Received};
pub use self::world::{Plan, World};
