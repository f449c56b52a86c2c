//! Reads the PROXY protocol header that a trusted load balancer puts before the TLS bytes.
//!
//! In: a fresh socket, its peer, and the networks that are trusted to speak for others. Out: who
//! really called, and the socket standing at the first byte after the header. A peer in these
//! networks must send a header, and nobody else may. Consumes exactly the header. Knows nothing of
//! TLS or HTTP; the deadline is the connection's.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use self::wire::{HeaderFault, Progress};
use crate::config::Networks;
use crate::refusal::ConnectionRefusal;

mod wire;

/// Who called, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoints {
    /// The caller's address, canonical: `[::ffff:192.0.2.1]` is a v4 caller on a socket that takes
    /// both.
    pub(crate) caller: SocketAddr,
    /// The port that it connected to.
    pub(crate) port: u16,
}

impl Endpoints {
    /// Those of the socket, where no PROXY protocol header says otherwise.
    pub(crate) fn of(peer: SocketAddr, local_port: u16) -> Self {
        Self { caller: canonical(peer), port: local_port }
    }

    /// What a trusted peer says instead of its own, or that a stranger says nothing of the kind.
    pub(crate) async fn announced(
        self,
        stream: &mut TcpStream,
        trusted: &Networks,
    ) -> Result<Self, ConnectionRefusal> {
        if !trusted.contains(self.caller.ip()) {
            return no_header(stream).await.map(|()| self);
        }
        let announced = read(stream).await?;
        Ok(announced
            .map_or(self, |endpoints| Self::of(endpoints.source, endpoints.destination.port())))
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Takes one header off the stream. Bytes are looked at before they are taken, so none of what
/// follows is; what is looked at and goes on is taken, so that the next look waits for news.
async fn read(stream: &mut TcpStream) -> Result<Option<wire::Addresses>, ConnectionRefusal> {
    let mut seen = Vec::new();
    loop {
        let taken = seen.len();
        let arrived = look(stream, &mut seen).await?;
        match wire::parse(&seen) {
            Ok(Progress::Whole { endpoints, length }) => {
                take(stream, length.saturating_sub(taken)).await?;
                return Ok(endpoints);
            }
            Ok(Progress::More) => take(stream, arrived).await?,
            Err(HeaderFault::Missing) => return Err(ConnectionRefusal::ProxyHeaderMissing),
            Err(HeaderFault::Malformed) => return Err(ConnectionRefusal::ProxyHeaderMalformed),
        }
    }
}

/// Passes at the first byte that no header begins with, without taking anything from the stream.
async fn no_header(stream: &mut TcpStream) -> Result<(), ConnectionRefusal> {
    let mut seen = Vec::new();
    loop {
        let taken = seen.len();
        let arrived = look(stream, &mut seen).await?;
        if wire::is_header(&seen) {
            return Err(ConnectionRefusal::ProxyHeaderFromStranger);
        }
        if wire::parse(&seen).is_err() {
            // What was taken before begins like a header, so it is no TLS, whatever comes.
            return if taken == 0 { Ok(()) } else { Err(ConnectionRefusal::HandshakeFailed) };
        }
        take(stream, arrived).await?;
    }
}

/// Adds what has arrived to `seen`, and leaves it on the stream; returns how much it is.
async fn look(stream: &mut TcpStream, seen: &mut Vec<u8>) -> Result<usize, ConnectionRefusal> {
    let taken = seen.len();
    // A header that may be longer has been refused by then, so this is never nothing.
    let room = wire::V2_MAX_BYTES.saturating_sub(taken).clamp(1, LOOK_BYTES);
    seen.resize(taken + room, 0);
    let arrived = match seen.get_mut(taken..) {
        Some(room) => stream.peek(room).await.unwrap_or(0),
        None => 0,
    };
    seen.truncate(taken + arrived);
    if arrived == 0 { Err(ConnectionRefusal::HandshakeFailed) } else { Ok(arrived) }
}

/// Takes so many bytes that have arrived.
async fn take(stream: &mut TcpStream, count: usize) -> Result<(), ConnectionRefusal> {
    let mut taken = [0; LOOK_BYTES];
    let taken = taken.get_mut(..count).ok_or(ConnectionRefusal::ProxyHeaderMalformed)?;
    stream
        .read_exact(taken)
        .await
        .map(|_all| ())
        .map_err(|_gone| ConnectionRefusal::HandshakeFailed)
}

/// Most headers are whole within the first look.
const LOOK_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What is announced of a peer that sends these bytes at once and closes, and what is left.
    async fn after(sent: &[u8], trusted: &str) -> (Result<Endpoints, ConnectionRefusal>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        let mut peer = TcpStream::connect(address).await.expect("is listened on");
        let (mut stream, from) = listener.accept().await.expect("has connected");
        peer.write_all(sent).await.expect("is taken");
        drop(peer);
        let trusted = [trusted.parse().expect("a network")].into_iter().collect();
        let announced = Endpoints::of(from, address.port()).announced(&mut stream, &trusted).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("is closed gently");
        (announced, rest)
    }

    #[tokio::test]
    async fn what_comes_with_the_header_in_one_piece_stays_on_the_stream() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n\x16\x03\x01rest";
        let long = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x02\x0c", &[192, 0, 2, 7, 0, 0, 0, 0][..]];
        let long = [&long.concat()[..], &[0x30, 0x39, 0x01, 0xbb], &[7; 512]].concat();
        for sent in [&line[..], &[&long[..], b"\x16\x03\x01rest"].concat()] {
            let (announced, rest) = after(sent, "127.0.0.1").await;
            let announced = announced.expect("is a header");
            assert_eq!(announced.caller.to_string(), "192.0.2.7:12345");
            assert_eq!(announced.port, 443);
            assert_eq!(rest, b"\x16\x03\x01rest");
        }
    }

    #[tokio::test]
    async fn nothing_of_a_stranger_is_taken() {
        let (announced, rest) = after(b"\x16\x03\x01rest", "192.0.2.1").await;
        assert!(announced.is_ok());
        assert_eq!(rest, b"\x16\x03\x01rest");
    }
}
