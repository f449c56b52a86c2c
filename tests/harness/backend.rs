//! An application that speaks its protocol byte by byte, for behaviour that no HTTP library has.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use crate::waiting::PATIENCE;

/// A listening backend; its sockets are gone when it is dropped.
pub struct Backend {
    pub address: SocketAddr,
    journal: Journal,
    task: JoinHandle<()>,
}

/// What a backend read, whole requests only.
#[derive(Clone, Default)]
pub struct Journal(Arc<Entries>);

#[derive(Default)]
struct Entries {
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
}

/// One whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub body: Bytes,
    /// Which of the backend's connections it came on, counted from zero.
    pub connection: usize,
}

/// One connection, seen from the backend.
pub struct Hop<S = TcpStream> {
    pub stream: S,
    /// Counted from zero.
    pub connection: usize,
    journal: Journal,
    unread: Vec<u8>,
}

impl Backend {
    /// Does with each connection whatever `serve` does.
    pub async fn scripted<F>(serve: impl FnMut(Hop) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::scripted_at("127.0.0.1:0".parse().unwrap(), serve).await
    }

    /// The same on an address that somebody had before.
    pub async fn scripted_at<F>(
        address: SocketAddr,
        mut serve: impl FnMut(Hop) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::default();
        let entries = journal.clone();
        let task = tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(Hop::new(stream, connection, entries.clone())));
            }
        });
        Self { address, journal, task }
    }

    /// Gives each request the bytes that `answer` makes of its body, and closes.
    pub async fn answering(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::scripted(move |mut hop| {
            let answer = Arc::clone(&answer);
            async move {
                if let Some(body) = hop.request().await {
                    hop.write(&answer(&body)).await;
                }
            }
        })
        .await
    }

    /// Reads each event at once, and answers one for each permit.
    pub async fn held() -> (Self, Arc<Semaphore>) {
        Self::holding(b"").await
    }

    /// The same for events whose body starts so; others are answered at once.
    pub async fn holding(start: &'static [u8]) -> (Self, Arc<Semaphore>) {
        let release = Arc::new(Semaphore::new(0));
        let permits = Arc::clone(&release);
        let backend = Self::scripted(move |mut hop| {
            let permits = Arc::clone(&permits);
            async move {
                while let Some(body) = hop.request().await {
                    if body.starts_with(start) {
                        permits.acquire().await.unwrap().forget();
                    }
                    hop.write(OK).await;
                }
            }
        })
        .await;
        (backend, release)
    }

    /// Answers every request with 200 and `ok`, and keeps the connection.
    pub async fn good_at(address: SocketAddr) -> Self {
        Self::scripted_at(address, |mut hop| async move {
            while hop.request().await.is_some() {
                hop.write(OK).await;
            }
        })
        .await
    }

    /// Closes its sockets, and says what had arrived whole until then.
    pub async fn kill(mut self) -> Vec<Bytes> {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
        self.bodies()
    }

    /// For a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that arrived whole, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.journal.seen()
    }

    /// The bodies of everything that arrived whole, in order.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.seen().into_iter().map(|seen| seen.body).collect()
    }

    /// Waits until so many requests arrived whole.
    pub async fn until_seen(&self, count: usize) {
        self.journal.until_seen(count).await;
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Journal {
    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    pub async fn until_seen(&self, count: usize) {
        let reached = async {
            loop {
                let changed = self.0.changed.notified();
                if self.seen().len() >= count {
                    return;
                }
                changed.await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        assert!(reached.is_ok(), "{} requests arrived, not {count}", self.seen().len());
    }

    fn write_down(&self, seen: Seen) {
        self.0.seen.lock().unwrap().push(seen);
        self.0.changed.notify_waiters();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hop<S> {
    pub fn new(stream: S, connection: usize, journal: Journal) -> Self {
        Self { stream, connection, journal, unread: Vec::new() }
    }

    /// Reads one whole request, writes it down and returns its body; `None` at the end.
    pub async fn request(&mut self) -> Option<Bytes> {
        let head = self.head().await?;
        let body = self.body(&head).await?;
        self.journal.write_down(Seen { body: body.clone(), connection: self.connection });
        Some(body)
    }

    /// Reads the body that a head announced; `None` if it broke off.
    pub async fn body(&mut self, head: &str) -> Option<Bytes> {
        let length: usize = header(head, "content-length").map_or(0, |text| text.parse().unwrap());
        while self.unread.len() < length {
            self.read_more().await?;
        }
        Some(self.unread.drain(..length).collect::<Vec<_>>().into())
    }

    /// Says everything back in upper case, until the other side closes.
    pub async fn shout(&mut self) {
        loop {
            let said = std::mem::take(&mut self.unread);
            self.write(&said.to_ascii_uppercase()).await;
            if self.read_more().await.is_none() {
                return;
            }
        }
    }

    /// Reads to the end of one request's headers and no further than the kernel gives at once.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            let end = self.unread.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.unread.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            self.read_more().await?;
        }
    }

    /// Writes, as far as the other side takes it.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _the_other_side_may_be_gone = self.stream.write_all(bytes).await;
    }

    /// Waits until the other side closes, in whatever way.
    pub async fn until_closed(&mut self) {
        while self.read_more().await.is_some() {}
    }

    async fn read_more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.unread).await;
        read.is_ok_and(|length| length > 0).then_some(())
    }
}

impl Hop {
    /// Closes without a close_notify, so that the other side's kernel says "connection reset".
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// A place of loopback that nobody listens on. Its IP address is its own, so that the kernel gives
/// its port to no other socket of these tests meanwhile.
pub fn deserted_address() -> SocketAddr {
    static TAKEN: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    deserted_port([127, high | 0x40, low, TAKEN.fetch_add(1, Ordering::Relaxed)].into())
}

/// A port of this address that nobody listens on, until the kernel gives it away.
pub fn deserted_port(ip: Ipv4Addr) -> SocketAddr {
    std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// The answer of a backend that has nothing to say.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
