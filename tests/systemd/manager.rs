//! A service manager's side of `sd_notify(3)`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::waiting::PATIENCE;

/// What a process may send its notifications to.
pub struct Manager {
    name: String,
    socket: UnixDatagram,
}

impl Manager {
    /// Under a name that is in no file system.
    pub fn abstract_name() -> Self {
        let name = format!("hubgate-test-{}-{:?}", std::process::id(), std::thread::current().id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self::new(format!("@{name}"), UnixDatagram::bind_addr(&address).unwrap())
    }

    /// Under a path.
    pub fn at(directory: &std::path::Path) -> Self {
        let path = directory.join("notify");
        Self::new(path.display().to_string(), UnixDatagram::bind(&path).unwrap())
    }

    fn new(name: String, socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { name, socket }
    }

    pub fn watch(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.name);
    }

    /// The next message, if there is one within a moment.
    pub fn told(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    /// Waits for the first message that starts so, and returns all up to it.
    pub async fn until_told(&self, start: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while Instant::now() < deadline {
            tokio::task::yield_now().await;
            let Some(message) = self.told() else { continue };
            let is_it = message.starts_with(start);
            all.push(message);
            if is_it {
                return all;
            }
        }
        panic!("was never told `{start}`, but {all:?}");
    }
}
