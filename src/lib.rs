//! hubgate: a reverse proxy that lets in only what Meta really sent.
// The map is written when the rooms stand; see the bottom of this change.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
mod connection;
mod exchange;
pub mod generation;
mod http;
pub mod lifecycle;
mod listener;
mod path;
pub mod refusal;
pub mod rehearsal;
pub mod reload;
mod route;
mod signals;
pub mod telemetry;
pub mod tls;
mod upstream;
mod webhook;
mod worker;
