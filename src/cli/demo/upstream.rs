//! The application behind the proxy: takes everything, and remembers what arrived.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A server that runs until it is dropped.
pub(super) struct DemoUpstream {
    pub(super) address: SocketAddr,
    received: Inbox,
    server: JoinHandle<()>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) headers: HeaderMap,
    /// Empty if it broke off.
    pub(super) body: Bytes,
}

type Inbox = Arc<Mutex<Vec<Received>>>;

impl DemoUpstream {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let received = Inbox::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&received)));
        Ok(Self { address, received, server })
    }

    /// Everything that arrived since the last call.
    pub(super) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for DemoUpstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Connections end with the task that holds their set.
async fn serve(listener: TcpListener, inbox: Inbox) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let inbox = Arc::clone(&inbox);
        let application = service_fn(move |request| answer(request, Arc::clone(&inbox)));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), application);
        connections.spawn(connection);
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    inbox: Inbox,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    let received = Received { headers: head.headers, body };
    inbox.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    Ok(Response::new(Full::new(Bytes::from_static(b"EVENT_RECEIVED"))))
}
