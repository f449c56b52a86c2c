//! A real application: Quart on Hypercorn, which takes `Upgrade: h2c` and speaks WebSocket.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::backend::deserted_address;
use crate::waiting::until_bound;

/// A running Hypercorn with the application of tests/fixtures/hypercorn; ended when dropped.
pub struct Hypercorn {
    process: Child,
    pub address: SocketAddr,
}

impl Hypercorn {
    /// `None`, with a message, where tests/tools/install was not run.
    pub async fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let address = deserted_address();
        let started = Command::new(root.join("target/tools/venv/bin/hypercorn"))
            .args(["app:app", "--bind", &address.to_string()])
            .current_dir(root.join("tests/fixtures/hypercorn"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            eprintln!("SKIPPED: there is no Hypercorn in target/tools; .ci/run installs it");
            return None;
        };
        let mut hypercorn = Self { process, address };
        until_bound(address, &mut hypercorn.process).await;
        Some(hypercorn)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request that reached the application, asked beside the proxy.
    pub async fn seen(&self) -> Vec<Value> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connect = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = connect.await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(Method::GET).uri("/seen").header("host", "a");
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }
}

impl Drop for Hypercorn {
    fn drop(&mut self) {
        // Its worker is a process of its own, which ends with the first one's end of file or signal.
        let _may_have_ended = Command::new("kill").arg(self.process.id().to_string()).status();
        let _reaped = self.process.wait();
    }
}
