//! Where listening sockets come from: inherited from the service manager, or bound here.
//!
//! A worker's own socket (`SO_REUSEPORT`) keeps each connection on one core. An inherited socket is
//! one for all workers: each gets a duplicate of it, and whoever handed it over keeps it open.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error_code::{ErrorCode, FaultReport};

/// What this process was given to listen with at its start.
#[derive(Debug, Default)]
pub struct Sockets {
    inherited: Vec<(SocketAddr, TcpListener)>,
    is_beside_another: bool,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system does not give the address.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The operating system's answer.
        source: io::Error,
    },
    /// What was handed over is not a listening TCP socket.
    #[error(
        "inherited socket {position} is not a listening TCP socket; a socket unit needs \
         `ListenStream=` with an address and `Accept=no`"
    )]
    NotListening {
        /// Counted from one.
        position: usize,
    },
    /// `systemd` stands in the list, but the process was started without sockets.
    #[error(
        "`server.listen` says `systemd`, but no socket was handed over; start `hubgate.socket` \
         first, or write addresses"
    )]
    NothingInherited,
    /// Callers would queue on a socket that nobody accepts from.
    #[error(
        "a socket for {address} was handed over, but `server.listen` names neither it nor \
         `systemd`, and neither `server.plain_listen` nor `redirect.listen` names it"
    )]
    NotNamed {
        /// Where it is bound.
        address: SocketAddr,
    },
}

impl ListenError {
    /// The fault; there is one.
    pub fn fault_reports(&self) -> Vec<FaultReport> {
        vec![FaultReport::of(self.code(), self)]
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Bind { .. } => ErrorCode::StartListenFailed,
            Self::NotListening { .. } => ErrorCode::StartSocketNotListening,
            Self::NothingInherited => ErrorCode::StartSocketMissing,
            Self::NotNamed { .. } => ErrorCode::StartSocketNotNamed,
        }
    }
}

/// The sockets of one address, one for each worker.
#[derive(Debug)]
pub(crate) struct OpenedSockets {
    pub(crate) bound: SocketAddr,
    pub(crate) sockets: Vec<ListeningSocket>,
}

/// One worker's socket.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    pub(crate) listener: TcpListener,
    /// Somebody else holds it open: what is queued is for whoever accepts next.
    pub(crate) is_inherited: bool,
}

impl Sockets {
    /// Serves what another process bound and handed over.
    pub fn inherit(mut self, sockets: Vec<TcpListener>) -> Result<Self, ListenError> {
        for (index, socket) in sockets.into_iter().enumerate() {
            let not_listening = ListenError::NotListening { position: index + 1 };
            if !matches!(SockRef::from(&socket).is_listener(), Ok(true)) {
                return Err(not_listening);
            }
            let Ok(address) = socket.local_addr() else { return Err(not_listening) };
            let failed = |source| ListenError::Bind { address, source };
            socket.set_nonblocking(true).map_err(failed)?;
            self.inherited.push((address, socket));
        }
        Ok(self)
    }

    /// Binds although another process of ours listens there, which is about to leave.
    pub fn beside_another(mut self) -> Self {
        self.is_beside_another = true;
        self
    }

    /// Every address to listen on: those named, and those inherited if they are wanted.
    pub(crate) fn addresses(
        &self,
        named: &[SocketAddr],
        inherit: bool,
    ) -> Result<Vec<SocketAddr>, ListenError> {
        let mut addresses = named.to_vec();
        for (address, _) in &self.inherited {
            match (named.contains(address), inherit) {
                (true, _) => {}
                (false, true) => addresses.push(*address),
                (false, false) => return Err(ListenError::NotNamed { address: *address }),
            }
        }
        if inherit && self.inherited.is_empty() {
            return Err(ListenError::NothingInherited);
        }
        Ok(addresses)
    }

    /// A socket for each worker.
    pub(crate) fn open(
        &self,
        address: SocketAddr,
        workers: usize,
    ) -> Result<OpenedSockets, ListenError> {
        let inherited = self.inherited.iter().find(|(inherited, _)| *inherited == address);
        let opened = match inherited {
            Some((_, socket)) => duplicate(socket, address, workers),
            None => bind(address, workers, self.is_beside_another),
        };
        opened.map_err(|source| ListenError::Bind { address, source })
    }
}

fn duplicate(socket: &TcpListener, bound: SocketAddr, workers: usize) -> io::Result<OpenedSockets> {
    let duplicate = |_| Ok(ListeningSocket { listener: socket.try_clone()?, is_inherited: true });
    let sockets = (0..workers).map(duplicate).collect::<io::Result<_>>()?;
    Ok(OpenedSockets { bound, sockets })
}

/// Port 0 is resolved by the first socket, and taken by the others.
fn bind(address: SocketAddr, workers: usize, is_beside_another: bool) -> io::Result<OpenedSockets> {
    let mut address = address;
    if !is_beside_another || address.port() == 0 {
        // Without SO_REUSEPORT first: with it, a second hubgate on the same port would bind
        // happily and take half of the connections.
        let probe = socket(address, false)?;
        address = probe.local_addr()?.as_socket().unwrap_or(address);
    }
    let listen = |_| {
        let listener = socket(address, true)?;
        listener.listen(BACKLOG)?;
        Ok(ListeningSocket { listener: listener.into(), is_inherited: false })
    };
    let sockets = (0..workers).map(listen).collect::<io::Result<_>>()?;
    Ok(OpenedSockets { bound: address, sockets })
}

/// Whether `address` could be bound now. Listens to nothing, so no caller can land here.
pub(crate) fn probe(address: SocketAddr) -> io::Result<()> {
    socket(address, false).map(drop)
}

/// A socket on an address that this process had and nobody else has now.
pub(crate) fn open_unshared(address: SocketAddr) -> io::Result<TcpListener> {
    let OpenedSockets { sockets, .. } = bind(address, 1, false)?;
    let socket = sockets.into_iter().next();
    socket.map(|socket| socket.listener).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the process before us may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What the kernel may queue while all workers are busy; it cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        (listener.local_addr().expect("is bound"), listener)
    }

    #[test]
    fn a_port_in_use_is_refused_unless_it_is_to_be_shared() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let first = Sockets::default().open(any, 2).expect("a free port");

        let again = Sockets::default().open(first.bound, 1);
        assert!(matches!(again, Err(ListenError::Bind { .. })), "{again:?}");

        let beside = Sockets::default().beside_another().open(first.bound, 2);
        assert_eq!(beside.expect("may be shared").bound, first.bound);
    }

    #[test]
    fn an_inherited_socket_is_duplicated_for_each_worker() {
        let (address, listener) = listener();
        let sockets = Sockets::default().inherit(vec![listener]).expect("listens");

        let opened = sockets.open(address, 3).expect("can be duplicated");

        assert_eq!(opened.bound, address);
        assert_eq!(opened.sockets.len(), 3);
        assert!(opened.sockets.iter().all(|socket| socket.is_inherited));
    }

    #[test]
    fn inherited_sockets_are_served_only_if_the_configuration_says_so() {
        let (address, listener) = listener();
        let sockets = Sockets::default().inherit(vec![listener]).expect("listens");
        let other: SocketAddr = "127.0.0.1:1".parse().expect("an address");

        assert_eq!(sockets.addresses(&[other], true).ok(), Some(vec![other, address]));
        assert_eq!(sockets.addresses(&[address], true).ok(), Some(vec![address]));
        assert_eq!(sockets.addresses(&[address], false).ok(), Some(vec![address]));
        let unnamed = sockets.addresses(&[other], false);
        assert!(matches!(unnamed, Err(ListenError::NotNamed { .. })), "{unnamed:?}");
        let nothing = Sockets::default().addresses(&[], true);
        assert!(matches!(nothing, Err(ListenError::NothingInherited)), "{nothing:?}");
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let socket = socket("127.0.0.1:0".parse().expect("an address"), false).expect("is free");

        let refused = Sockets::default().inherit(vec![socket.into()]);

        assert!(matches!(refused, Err(ListenError::NotListening { position: 1 })), "{refused:?}");
    }
}
