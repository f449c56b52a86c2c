//! `[admin]`: the operator's own window.

use std::net::SocketAddr;

use super::error::Fault;
use super::file;
use super::findings::Findings;
use super::server::address;

/// `[admin]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address.
    pub listen: SocketAddr,
}

impl Admin {
    /// `None` if it is not wanted, or not usable.
    pub(super) fn check(written: &file::Admin, findings: &mut Findings) -> Option<Self> {
        let listen = address(&written.listen, findings)?;
        if !listen.ip().is_loopback() {
            findings.fault(&written.listen.at, Fault::NotLoopback);
        }
        written.enabled.then_some(Self { listen })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    fn admin(listen: &str) -> String {
        format!("[admin]\nlisten = \"{listen}\"")
    }

    #[test]
    fn the_operators_window_is_on_loopback_only() {
        for listen in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1"] {
            let admin = load(&admin(listen)).admin.expect("is on");
            assert_eq!(admin.listen.to_string(), listen);
        }
        for listen in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(
                faults(&admin(listen)),
                [
                    "2: `admin.listen`: must be a loopback address, such as `127.0.0.1:9180`: it has \
                  no access control"
                ]
            );
        }
    }

    #[test]
    fn the_operators_window_can_be_shut() {
        assert_eq!(load("[admin]\nenabled = false").admin, None);
    }

    #[test]
    fn callers_and_the_operator_do_not_share_an_address() {
        let server = "[server]\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n\
                      listen = [\"127.0.0.1:1\"]";

        load(&format!("{}\n{server}", admin("127.0.0.1:2")));
        assert_eq!(
            faults(&format!("{}\n{server}", admin("127.0.0.1:1"))),
            ["2: `admin.listen`: must differ from `server.listen`, but is the same"]
        );
    }
}
