//! The application behind the proxy, for senders and strangers alike: one thread.
//!
//! In: HTTP/1.1. Out: 200 after the whole body, a megabyte for `/big`, and agreement to every
//! WebSocket, which is then held and never answered.

use std::convert::Infallible;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

/// Says where it listens, and serves until it is killed.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening {}", listener.local_addr().unwrap());
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer))
                .with_upgrades();
            // A connection that the proxy gives up ends with an error, which is nobody's here.
            tokio::task::spawn_local(async { drop(connection.await) });
        }
    });
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() {
        tokio::task::spawn_local(async move {
            if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
                hold(TokioIo::new(upgraded)).await;
            }
        });
        return Ok(agreement(key.as_bytes()));
    }
    let body: &'static [u8] = if request.uri().path() == "/big" { &BIG } else { b"ok" };
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    Ok(Response::new(Full::new(Bytes::from_static(body))))
}

/// Reads until the other side closes.
async fn hold(mut socket: impl tokio::io::AsyncRead + Unpin) {
    let mut part = [0; 256];
    while matches!(socket.read(&mut part).await, Ok(1..)) {}
}

/// RFC 6455 section 4.2.2.
fn agreement(key: &[u8]) -> Response<Full<Bytes>> {
    let salted = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let accept = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default())
        .unwrap()
}

/// More than any buffer between the application and a reader that stops.
static BIG: [u8; 1 << 20] = [b'.'; 1 << 20];
