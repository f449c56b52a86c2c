//! The admin listener, on a loopback address: `/live`, `/ready`, `/metrics`, `/status`.
//!
//! Plain HTTP/1.1, a few connections at a time, nothing that changes anything, for whoever asks this
//! machine by a name of its own ([`host`]). It is there until the last worker has ended, for a drain
//! is when people look.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;
use tracing::error;

use self::host::NamedHost;
use self::readiness::Readiness;
use crate::listener::{self, ListeningSocket};
use crate::state::ProcessState;

mod host;
mod readiness;
pub(crate) mod status;

/// Serves until every sender of `workers` is gone, which is when the workers are.
pub(crate) fn run(
    runtime: &Runtime,
    socket: ListeningSocket,
    shared: &Arc<ProcessState>,
    workers: mpsc::Receiver<Infallible>,
) {
    LocalSet::new().block_on(runtime, async {
        tokio::select! {
            () = serve_all(socket, shared) => {}
            () = all_gone(workers) => {}
        }
    });
}

async fn serve_all(socket: ListeningSocket, shared: &Arc<ProcessState>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let ListeningSocket { listener, is_inherited } = socket;
    let address = listener.local_addr();
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "cannot serve the admin address"),
    };
    tokio::select! {
        () = accept_loop(&listener, shared, &places) => {}
        () = shared.watcher.clone().draining(), if !is_inherited => {}
    }
    // A process that is to replace this one listens on the same port: from now on it alone should
    // be asked whether it is ready. If there is none, the port can be had.
    drop(listener);
    let again = address.and_then(listener::open_unshared).and_then(TcpListener::from_std);
    match again {
        Ok(listener) => accept_loop(&listener, shared, &places).await,
        Err(_taken) => std::future::pending().await,
    }
}

async fn all_gone(mut workers: mpsc::Receiver<Infallible>) {
    while workers.recv().await.is_some() {}
}

async fn accept_loop(listener: &TcpListener, shared: &Arc<ProcessState>, places: &Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(shared);
        tokio::task::spawn_local(async move {
            serve(stream, shared).await;
            drop(place);
        });
    }
}

/// A scraper, a health check, a person; not a load.
const CONNECTIONS_MAX: usize = 32;

/// After a failed accept, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request must be complete, and a kept connection used again, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

async fn serve(stream: TcpStream, shared: Arc<ProcessState>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &shared);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let _caller_told = builder.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, shared: &ProcessState) -> Response<Full<Bytes>> {
    match NamedHost::of(request) {
        NamedHost::Local => {}
        NamedHost::Foreign => return text(StatusCode::MISDIRECTED_REQUEST, TEXT, FOREIGN_HOST),
        NamedHost::Malformed => {
            return text(StatusCode::BAD_REQUEST, TEXT, "name exactly one Host\n");
        }
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    match request.uri().path() {
        "/live" => text(StatusCode::OK, TEXT, "live\n"),
        "/ready" => {
            let readiness = Readiness::of(shared);
            let status = match readiness {
                Readiness::Ready => StatusCode::OK,
                Readiness::Starting | Readiness::Draining | Readiness::NoGoodServer => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            text(status, TEXT, readiness.text())
        }
        "/metrics" => text(StatusCode::OK, OPEN_METRICS, shared.render_metrics()),
        "/status" => status_document(shared),
        _ => text(StatusCode::NOT_FOUND, TEXT, "try /live, /ready, /metrics or /status\n"),
    }
}

fn status_document(shared: &ProcessState) -> Response<Full<Bytes>> {
    let status = status::gather::status(shared, SystemTime::now());
    match serde_json::to_string_pretty(&status) {
        Ok(mut document) => {
            document.push('\n');
            text(StatusCode::OK, JSON, document)
        }
        Err(error) => {
            error!(%error, "cannot write the status");
            text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "cannot write the status\n")
        }
    }
}

fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // No web page can use an answer as a script or a style of its own.
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const FOREIGN_HOST: &str = "only loopback names are answered here: ask for http://localhost or \
                            http://127.0.0.1, with the port that you came to\n";

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
