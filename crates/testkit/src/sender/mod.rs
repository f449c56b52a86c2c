//! Plays Meta's side of a connection: TLS with a client certificate, then HTTP.
//!
//! In: [`Options`] (where to, as whom) and [`Message`]s. Out: an [`Answer`], or a [`SendError`]
//! that tells a TLS alert from a refused connect from a timeout. Decides nothing about what is
//! right: it also sends what must be refused.
//!
//! One [`Sender`] keeps its tickets, so that its second connection may be a resumed one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncBufRead, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use self::error::{SendError, Waiting};
use self::message::PacedBody;
pub use self::message::{Answer, Ending, Framing, Message, Pace};
pub use self::options::{Http, Options, Tls, Trust};
pub use self::trust::Handshake;
use self::trust::{Client, Presented, Presenter};

mod error;
mod message;
mod options;
#[cfg(test)]
mod tests;
mod trust;

/// Somebody who connects to one place as one identity.
#[derive(Debug)]
pub struct Sender {
    options: Options,
    config: Arc<rustls::ClientConfig>,
    presenter: Arc<Presenter>,
    presented: Arc<Presented>,
}

/// An open connection; dropped, it breaks off without close_notify. See [`Connection::close`].
#[derive(Debug)]
pub struct Connection {
    handshake: Handshake,
    requests: Requests,
    /// Moves the bytes; its result is the reason why a connection ended.
    driver: Mutex<Option<JoinHandle<hyper::Result<()>>>>,
    place: RequestTarget,
}

/// What a request must know of where it goes.
#[derive(Clone, Debug)]
struct RequestTarget {
    authority: HeaderValue,
    target: String,
    timeout: Duration,
}

#[derive(Debug)]
enum Requests {
    Http1(Mutex<http1::SendRequest<PacedBody>>),
    Http2(http2::SendRequest<PacedBody>),
}

impl Sender {
    /// Checks that roots and identity are usable; connects to nobody yet.
    pub fn new(options: Options) -> Result<Self, SendError> {
        let Client { config, presenter, presented } = trust::client_config(&options)?;
        Ok(Self { options, config, presenter, presented })
    }

    /// One connection, one request, closed again.
    pub async fn send(&self, message: Message) -> Result<Answer, SendError> {
        let connection = self.connect().await?;
        let answer = connection.request(message).await;
        connection.close().await;
        answer
    }

    /// TCP, TLS, and the beginning of HTTP.
    pub async fn connect(&self) -> Result<Connection, SendError> {
        let (stream, handshake) = self.handshake().await?;
        let stream = TokioIo::new(stream);
        let (requests, driver) = match self.options.http {
            Http::One => {
                let (requests, driver) =
                    http1::handshake(stream).await.map_err(SendError::from_hyper)?;
                (Requests::Http1(Mutex::new(requests)), tokio::spawn(driver))
            }
            Http::Two => {
                let builder = http2::Builder::new(TokioExecutor::new());
                let (requests, driver) =
                    builder.handshake(stream).await.map_err(SendError::from_hyper)?;
                (Requests::Http2(requests), tokio::spawn(driver))
            }
        };
        let place = RequestTarget {
            authority: self.options.authority.clone(),
            target: self.options.target.clone(),
            timeout: self.options.timeout,
        };
        Ok(Connection { handshake, requests, driver: Mutex::new(Some(driver)), place })
    }

    /// TCP and TLS alone, for a caller that writes its own bytes.
    ///
    /// In TLS 1.3 the server judges the client's certificate after the client's handshake is over.
    /// So this waits for whatever the server sends next: a ticket, data, or an alert.
    pub async fn handshake(&self) -> Result<(TlsStream<TcpStream>, Handshake), SendError> {
        let begin = Instant::now();
        let socket = within(self.options.timeout, Waiting::Connect, self.tcp()).await?;
        let connect_time = begin.elapsed();
        let (stream, facts) = self.handshake_over(socket).await?;
        Ok((stream, Handshake { connect_time, ..facts }))
    }

    /// TLS alone, over a connection that somebody else opened.
    pub async fn handshake_over(
        &self,
        mut socket: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Handshake), SendError> {
        let begin = Instant::now();
        let connector = TlsConnector::from(self.config.clone());
        let shaken = async {
            let name = self.options.server_name.clone();
            let preamble = &self.options.preamble;
            socket.write_all(preamble).await.map_err(SendError::from_tls_io)?;
            let mut stream =
                connector.connect(name, socket).await.map_err(SendError::from_tls_io)?;
            if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
                await_verdict(&mut stream).await?;
            }
            Ok(stream)
        };
        let stream = within(self.options.timeout, Waiting::Handshake, shaken).await?;
        let facts = Handshake::of(&stream, Duration::ZERO, begin.elapsed());
        Ok((stream, facts))
    }

    /// Whether the server asked for a client certificate in any full handshake so far.
    pub fn certificate_was_requested(&self) -> bool {
        self.presenter.was_asked()
    }

    /// What the server presented last, leaf first, also if the handshake failed after that. Known
    /// only to a sender that trusts [`Trust::Anything`].
    pub fn presented_chain(&self) -> Vec<CertificateDer<'static>> {
        self.presented.chain()
    }

    async fn tcp(&self) -> Result<TcpStream, SendError> {
        let host = self.options.server_name_text();
        let addresses: Vec<SocketAddr> = match self.options.address {
            Some(address) => vec![address],
            None => {
                let found = tokio::net::lookup_host((host.as_str(), self.options.port)).await;
                found
                    .map(Iterator::collect)
                    .map_err(|source| SendError::Resolve { host: host.clone(), source })?
            }
        };
        let mut outcome = Err(SendError::NoAddress { host });
        for address in addresses {
            match self.connect_to(address).await {
                Ok(socket) => {
                    // Only latency is at stake, and a socket that refuses this fails soon anyway.
                    socket.set_nodelay(true).ok();
                    return Ok(socket);
                }
                Err(source) => outcome = Err(SendError::Connect { address, source }),
            }
        }
        outcome
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let Some(source) = self.options.source else { return TcpStream::connect(address).await };
        let socket = if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(address).await
    }
}

impl Connection {
    /// What was agreed on in the handshake.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Sends one request and reads the whole answer. Over HTTP/1.1 a second one waits for the
    /// first; over HTTP/2 they run side by side.
    pub async fn request(&self, message: Message) -> Result<Answer, SendError> {
        let begin = Instant::now();
        let exchange = async {
            let response = self.send(message).await?;
            let to_headers = begin.elapsed();
            let (head, body) = response.into_parts();
            let body = match Limited::new(body, ANSWER_MAX_BYTES).collect().await {
                Ok(body) => body.to_bytes(),
                Err(source) => return Err(SendError::Answer { source }),
            };
            let (status, headers) = (head.status, head.headers);
            Ok(Answer { status, headers, body, to_headers, elapsed: begin.elapsed() })
        };
        match within(self.place.timeout, Waiting::Answer, exchange).await {
            Err(error) if error.tls_alert().is_none() => Err(self.end_reason(error).await),
            outcome => outcome,
        }
    }

    /// Closes in HTTP and TLS and waits until that is written.
    pub async fn close(mut self) {
        let driver = self.driver.get_mut().take();
        // The driver ends by itself once nobody can send through it any more.
        drop(self);
        if let Some(mut driver) = driver
            && tokio::time::timeout(CLOSE_TIMEOUT, &mut driver).await.is_err()
        {
            driver.abort();
        }
    }

    async fn send(&self, message: Message) -> Result<http::Response<Incoming>, SendError> {
        let response = match &self.requests {
            Requests::Http1(requests) => {
                let request = self.place.request(message, Http::One)?;
                let mut requests = requests.lock().await;
                requests.ready().await.map_err(SendError::from_hyper)?;
                requests.send_request(request).await
            }
            Requests::Http2(requests) => {
                let request = self.place.request(message, Http::Two)?;
                let mut requests = requests.clone();
                requests.ready().await.map_err(SendError::from_hyper)?;
                requests.send_request(request).await
            }
        };
        response.map_err(SendError::from_hyper)
    }

    /// An alert may end the connection before the request is written; then the driver knows why
    /// and the request only that it was cancelled.
    async fn end_reason(&self, error: SendError) -> SendError {
        if !matches!(error, SendError::Http { .. }) {
            return error;
        }
        let Some(mut driver) = self.driver.lock().await.take() else {
            return error;
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, &mut driver).await {
            Ok(Ok(Err(reason))) => SendError::from_hyper(reason),
            Ok(_) => error,
            Err(_) => {
                driver.abort();
                error
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.get_mut() {
            driver.abort();
        }
    }
}

impl RequestTarget {
    fn request(&self, message: Message, http: Http) -> Result<Request<PacedBody>, SendError> {
        let target = message.target(&self.target);
        let uri = match http {
            Http::One => target.clone(),
            Http::Two => {
                format!("https://{}{target}", self.authority.to_str().unwrap_or_default())
            }
        };
        let mut request = Request::new(PacedBody::of(&message));
        let announced_length = message.announced_length();
        *request.method_mut() = message.method;
        *request.uri_mut() =
            uri.parse().map_err(|_| SendError::Url { url: target, problem: "not a path" })?;
        *request.headers_mut() = message.headers;
        if let Some(length) = announced_length {
            request.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        if matches!(http, Http::One) && !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.authority.clone());
        }
        Ok(request)
    }
}

impl Answer {
    /// Whether Meta would count this as delivered: nothing but 200 is.
    pub fn is_success(&self) -> bool {
        self.status == StatusCode::OK
    }
}

/// Waits for what the server says next without taking it. A server that sends no tickets and
/// speaks second says nothing; then silence counts as consent.
async fn await_verdict(stream: &mut TlsStream<TcpStream>) -> Result<(), SendError> {
    let verdict = std::future::poll_fn(|context| {
        let polled = match Pin::new(&mut *stream).poll_fill_buf(context) {
            Poll::Ready(Ok([])) => Poll::Ready(Err(SendError::Closed)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(SendError::from_tls_io(error))),
            Poll::Pending => Poll::Pending,
        };
        if polled.is_pending() && stream.get_ref().1.tls13_tickets_received() > 0 {
            return Poll::Ready(Ok(()));
        }
        polled
    });
    tokio::time::timeout(SILENCE, verdict).await.unwrap_or(Ok(()))
}

async fn within<T>(
    limit: Duration,
    waiting: Waiting,
    work: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    let timed_out = Err(SendError::TimedOut { waiting, after: limit });
    tokio::time::timeout(limit, work).await.unwrap_or(timed_out)
}

/// How long a server that has not spoken yet may take to object to our certificate.
const SILENCE: Duration = Duration::from_millis(300);
/// How long a connection may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;
