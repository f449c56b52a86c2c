//! Carries what both sides say after they agreed on another protocol, such as a WebSocket.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::http::respond::{Answer, AnswerBody};
use crate::upstream::headers::towards_caller;

/// The upstream's 101, as the caller gets it.
pub(super) fn switched(response: Response<Incoming>, protocol: HeaderValue) -> Answer {
    let (mut head, _no_body) = response.into_parts();
    towards_caller(&mut head.headers);
    head.extensions.clear();
    head.status = StatusCode::SWITCHING_PROTOCOLS;
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(header::UPGRADE, protocol);
    Response::from_parts(head, AnswerBody::from(Bytes::new()))
}

/// Copies both ways until both sides have ended, one breaks, or nothing moves for too long.
pub(super) async fn carry(caller: OnUpgrade, upstream: OnUpgrade, idle_timeout: Duration) {
    let Ok(Ok((caller, upstream))) =
        timeout(idle_timeout, async { tokio::try_join!(caller, upstream) }).await
    else {
        return;
    };
    let (from_caller, to_caller) = tokio::io::split(TokioIo::new(caller));
    let (from_upstream, to_upstream) = tokio::io::split(TokioIo::new(upstream));
    let moved = std::cell::Cell::new(true);
    let both = async {
        tokio::join!(
            copy(from_caller, to_upstream, &moved),
            copy(from_upstream, to_caller, &moved)
        );
    };
    // Whatever moves in one direction keeps both alive; looked at once in each idle time.
    let idle = async {
        while moved.replace(false) {
            tokio::time::sleep(idle_timeout).await;
        }
    };
    tokio::select! {
        () = both => {}
        () = idle => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &std::cell::Cell<bool>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        moved.set(true);
        let Some(bytes) = buffer.get(..count) else { break };
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    // The other side learns that nothing more comes; what it still says passes.
    let _closed_already = to.shutdown().await;
}

/// One TLS record's worth.
const BUFFER_BYTES: usize = 16 * 1024;
