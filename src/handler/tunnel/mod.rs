//! Carries what both sides say once they have agreed on a WebSocket, for as long as what the agreement
//! depends on holds.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

pub(super) use self::conditions::Conditions;
use crate::server::respond::{CallerResponse, ResponseBody};
use crate::state::RequestPermit;
use crate::telemetry::metrics::{GaugeGuard, TunnelEnd};
use crate::upstream::Lease;
use crate::upstream::headers::rewrite_response_headers;
use crate::upstream::websocket::WebsocketHandshake;

mod conditions;

/// The upstream's 101, as the caller gets it.
pub(super) fn switched(response: Response<Incoming>) -> CallerResponse {
    let (mut head, _no_body) = response.into_parts();
    rewrite_response_headers(&mut head.headers);
    head.extensions.clear();
    head.status = StatusCode::SWITCHING_PROTOCOLS;
    WebsocketHandshake::agree(&mut head.headers);
    Response::from_parts(head, ResponseBody::from(Bytes::new()))
}

/// A connection that belongs to its two ends from now on.
pub(super) struct Tunnel {
    pub(super) caller: OnUpgrade,
    pub(super) upstream: OnUpgrade,
    /// Between two pieces in either direction.
    pub(super) idle_timeout: Duration,
    pub(super) conditions: Conditions,
    pub(super) lease: Lease,
    pub(super) admitted: RequestPermit,
}

impl Tunnel {
    /// Copies both ways until both sides have ended, one breaks, nothing moves for too long, or the
    /// conditions no longer hold.
    pub(super) async fn carry(self) {
        let Self { caller, upstream, idle_timeout, mut conditions, lease, admitted } = self;
        let metrics = conditions.metrics();
        let open = GaugeGuard::new(&metrics, |metrics| &metrics.tunnels.open);
        let end = tokio::select! {
            end = copy_both(caller, upstream, idle_timeout) => end,
            end = conditions.end(&lease) => end,
        };
        metrics.tunnels.ended(end);
        conditions.log_end(end);
        drop((open, lease, admitted));
    }
}

async fn copy_both(caller: OnUpgrade, upstream: OnUpgrade, idle_timeout: Duration) -> TunnelEnd {
    let switched = timeout(idle_timeout, async { tokio::try_join!(caller, upstream) }).await;
    let (caller, upstream) = match switched {
        Ok(Ok(both)) => both,
        Ok(Err(_one_is_gone)) => return TunnelEnd::Closed,
        Err(_elapsed) => return TunnelEnd::Idle,
    };
    let (from_caller, to_caller) = tokio::io::split(TokioIo::new(caller));
    let (from_upstream, to_upstream) = tokio::io::split(TokioIo::new(upstream));
    let moved = Cell::new(true);
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
        () = both => TunnelEnd::Closed,
        () = idle => TunnelEnd::Idle,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Cell<bool>,
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

/// The most that one TLS record carries.
const BUFFER_BYTES: usize = 16 * 1024;
