//! A wire between the proxy and an application, and somebody who reads along.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Passes bytes both ways, and keeps what goes to the application; gone when dropped.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    captured: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(super) async fn to(application: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let captured = Arc::new(Mutex::new(Vec::new()));
        let journal = Arc::clone(&captured);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(application).await.unwrap();
                connections.spawn(pass(near, far, Arc::clone(&journal)));
            }
        });
        Self { address, captured, task }
    }

    /// Everything that went to the application since this was asked last.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.captured.lock().unwrap())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(near: TcpStream, far: TcpStream, journal: Arc<Mutex<Vec<u8>>>) {
    let (mut from_proxy, mut to_proxy) = near.into_split();
    let (mut from_application, mut to_application) = far.into_split();
    let answers = tokio::io::copy(&mut from_application, &mut to_proxy);
    let requests = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_proxy.read(&mut buffer).await {
            journal.lock().unwrap().extend_from_slice(&buffer[..count]);
            if to_application.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    // Either side may end it.
    tokio::select! {
        _ = answers => {}
        () = requests => {}
    }
}
