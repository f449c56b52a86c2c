//! Fetches one revocation list over plain HTTP.
//!
//! In: a place that a proven certificate names. Out: bytes under a limit, or why not; what they are
//! worth is for [`super::refresh`]. No proxy and no redirect is followed: the CA alone says
//! where to call, and whoever stands on the way must not choose another host.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The URL is not one that can be called.
    #[error("not an http URL with a host")]
    Url,
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Not HTTP, or broken off.
    #[error("no whole answer")]
    Http(#[source] hyper::Error),
    /// Another status than 200.
    #[error("answered with status {0}")]
    Status(StatusCode),
    /// More bytes than allowed.
    #[error("larger than `client_certificate.crl_max_bytes`")]
    TooLarge,
    /// Too slow.
    #[error("not done within `client_certificate.crl_timeout_ms`")]
    TimedOut,
}

/// Gets what is at `uri`; `timeout` is for all of it.
pub(super) async fn fetch(
    uri: &Uri,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Vec<u8>, FetchError> {
    let fetched = tokio::time::timeout(timeout, exchange(uri, max_bytes)).await;
    fetched.unwrap_or(Err(FetchError::TimedOut))
}

async fn exchange(uri: &Uri, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let request = request(uri).ok_or(FetchError::Url)?;
    let host = uri.host().ok_or(FetchError::Url)?;
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(FetchError::Connect)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(FetchError::Http)?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(FetchError::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut body = answer.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(FetchError::Http)?.into_data() else { continue };
            if bytes.len() + data.len() > max_bytes {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        bytes = &mut answer => bytes,
        // The connection ends first if the server closes it; what was read is still to be taken.
        _ended = connection => answer.await,
    }
}

fn request(uri: &Uri) -> Option<Request<Empty<Bytes>>> {
    let path = uri.path_and_query()?.as_str();
    Request::get(path)
        .header(HOST, uri.authority()?.as_str())
        .header(USER_AGENT, concat!("hubgate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/pkix-crl, */*")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .ok()
}
