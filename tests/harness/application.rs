//! The application behind the proxy: records what arrives and answers as it is told.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// One request as the application saw it.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
    /// Which of its connections it came on, counted from zero.
    pub connection: usize,
}

/// An application on a free port; gone when dropped.
pub struct Application {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Application {
    /// Answers every request with 200 and `ok`.
    pub async fn start() -> Self {
        Self::answering(|_| Response::new(Full::new(Bytes::from_static(b"ok")))).await
    }

    /// Answers as `answer` says, once the whole request is there and recorded.
    pub async fn answering(
        answer: impl Fn(&Received) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&received);
        let answer = Arc::new(answer);
        let mut next_connection = 0;
        let serve = move |stream| {
            let (recorder, answer) = (Arc::clone(&recorder), Arc::clone(&answer));
            let connection = next_connection;
            next_connection += 1;
            serve_http(stream, connection, recorder, answer)
        };
        Self::serving(received, serve).await
    }

    /// Does with each connection whatever `serve` does, byte by byte.
    pub async fn scripted<F>(serve: impl FnMut(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::serving(Arc::default(), serve).await
    }

    async fn serving<F>(
        received: Arc<Mutex<Vec<Received>>>,
        mut serve: impl FnMut(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { address, received, task }
    }

    /// Everything that arrived whole, in order.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The only request that arrived.
    pub fn only(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "exactly one request should have arrived: {received:?}");
        received.into_iter().next().unwrap()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_http(
    stream: TcpStream,
    connection: usize,
    recorder: Arc<Mutex<Vec<Received>>>,
    answer: Arc<impl Fn(&Received) -> Response<Full<Bytes>>>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (recorder, answer) = (Arc::clone(&recorder), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            let body = body.to_bytes();
            let received = Received {
                method: parts.method,
                uri: parts.uri,
                headers: parts.headers,
                body,
                trailers,
                connection,
            };
            let answer = answer(&received);
            recorder.lock().unwrap().push(received);
            Ok::<_, hyper::Error>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    // It takes whatever the proxy lets through, and what the proxy adds.
    builder.max_headers(1000);
    let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
}
