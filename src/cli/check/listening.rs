//! Where hubgate will listen, and whether the address can be had now.

use std::io;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::Problems;
use crate::config::Config;
use crate::error_code::{ErrorCode, FaultReport};
use crate::listener;

/// One address.
#[derive(Debug, Serialize)]
pub(super) struct ListeningReport {
    pub(super) address: SocketAddr,
    pub(super) purpose: Purpose,
    pub(super) state: BindState,
}

/// Who connects there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    /// Meta, and everybody else.
    Callers,
    /// Trusted proxies, in plain HTTP.
    Proxies,
    /// Whoever is to be sent to https.
    Redirect,
    /// The operator.
    Admin,
}

/// What came of trying to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BindState {
    /// Nobody has it.
    Free,
    /// Somebody listens there, perhaps a hubgate.
    InUse,
    /// Not with the rights of whoever runs this check.
    Denied,
    /// Not at all.
    Unusable,
}

pub(super) fn inspect(config: &Config, problems: &mut Problems) -> Vec<ListeningReport> {
    let callers = config.server.listen.iter().map(|address| (*address, Purpose::Callers));
    let plain = config.server.plain_listen.iter().map(|address| (*address, Purpose::Proxies));
    let redirect = config.redirect.iter().flat_map(|redirect| &redirect.listen);
    let redirect = redirect.map(|address| (*address, Purpose::Redirect));
    let admin = config.admin.iter().map(|admin| (admin.listen, Purpose::Admin));
    let mut seen: Vec<ListeningReport> = Vec::new();
    for (address, purpose) in callers.chain(plain).chain(redirect).chain(admin) {
        if let Some(other) = seen.iter().find(|other| overlap(other.address, address)) {
            let sentence = format!(
                "`{address}` and `{}` cannot both be listened on: one covers the other",
                other.address
            );
            problems.told(vec![FaultReport { code: ErrorCode::StartListenFailed, sentence }]);
        }
        let state = state(address, problems);
        seen.push(ListeningReport { address, purpose, state });
    }
    seen
}

fn state(address: SocketAddr, problems: &mut Problems) -> BindState {
    let Err(error) = listener::probe(address) else { return BindState::Free };
    if error.kind() == io::ErrorKind::AddrInUse {
        problems.warn(format!(
            "`{address}` is in use: right if that is the hubgate to be reloaded or replaced, else \
             another program has it"
        ));
        return BindState::InUse;
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        problems.warn(format!(
            "`{address}` cannot be bound by whoever runs this check; ports below 1024 need a \
             privilege (CAP_NET_BIND_SERVICE)"
        ));
        return BindState::Denied;
    }
    let sentence = format!("cannot listen on `{address}`: {error}");
    problems.told(vec![FaultReport { code: ErrorCode::StartListenFailed, sentence }]);
    BindState::Unusable
}

/// A wildcard covers the port on every address of its family; `[::]` takes IPv4, too.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: SocketAddr, narrow: SocketAddr| match wide.ip() {
        IpAddr::V6(ip) => ip.is_unspecified(),
        IpAddr::V4(ip) => ip.is_unspecified() && narrow.is_ipv4(),
    };
    one.port() != 0 && one.port() == other.port() && (covers(one, other) || covers(other, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_overlaps_with_what_it_covers_and_nothing_else() {
        let overlap = |one: &str, other: &str| {
            overlap(one.parse().expect("an address"), other.parse().expect("an address"))
        };
        for (one, other) in [
            ("[::]:1", "127.0.0.1:1"),
            ("127.0.0.1:1", "[::]:1"),
            ("[::]:1", "0.0.0.0:1"),
            ("0.0.0.0:1", "127.0.0.1:1"),
        ] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("[::]:1", "127.0.0.1:2"),
            ("[::]:0", "127.0.0.1:0"),
            ("0.0.0.0:1", "[::1]:1"),
            ("127.0.0.1:1", "127.0.0.2:1"),
        ] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }
}
