//! `[admin]`: the admin listener.

use std::net::SocketAddr;
use std::path::Path;

use super::error::ConfigErrors;
use super::fault::Fault;
use super::findings::Findings;
use super::server::address;
use super::{document, file};

/// `[admin]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address.
    pub listen: SocketAddr,
}

impl Admin {
    /// The section alone, for whoever asks a running process: the rest of the file may be broken by
    /// now, and name secrets that the asker may not read.
    pub fn read_alone(path: &Path) -> Result<Option<Self>, ConfigErrors> {
        let text = super::read(path)?;
        let mut findings = Findings::new(path, &text);
        let Some(file) = document::parse(&text, &mut findings, file::File::read) else {
            return findings.into_result(None);
        };
        let mut findings = Findings::new(path, &text);
        let admin = file.admin.map(|admin| Self::check(&admin, &mut findings));
        findings.into_result(admin)
    }

    /// `None` if it is not wanted, or not usable.
    pub(super) fn check(written: &file::RawAdmin, findings: &mut Findings) -> Option<Self> {
        let listen = address(&written.listen, findings)?;
        if !listen.ip().is_loopback() {
            findings.fault(&written.listen.at, Fault::NotLoopback);
        }
        written.enabled.then_some(Self { listen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{Fixture, faults, load};

    fn admin(listen: &str) -> String {
        format!("[admin]\nlisten = \"{listen}\"")
    }

    #[test]
    fn the_admin_listener_is_on_loopback_only() {
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
    fn the_admin_listener_can_be_disabled() {
        assert_eq!(load("[admin]\nenabled = false").admin, None);
    }

    #[test]
    fn the_admin_listener_is_found_in_a_file_that_is_broken_elsewhere() {
        let fixture = Fixture::new();
        let read = |text: &str| {
            fixture.write("hubgate.toml", text);
            Admin::read_alone(&fixture.path("hubgate.toml"))
        };
        let broken = "[server]\nlisten = 5\n[nonsense]\n[[webhook]]\n\
                      app_secrets = { file = \"absent\" }\n";

        let found = read(&format!("{broken}{}", admin("127.0.0.1:7"))).expect("is found");
        assert_eq!(found.map(|admin| admin.listen.port()), Some(7));
        let default = read(broken).expect("is found");
        assert_eq!(default.map(|admin| admin.listen.port()), Some(9180));
        assert_eq!(read("[admin]\nenabled = false").expect("is found"), None);
        for bad in ["[admin", "[admin]\nlisten = \"0.0.0.0:1\""] {
            let errors = read(bad).expect_err("has a fault").to_string();
            assert!(errors.contains("hubgate.toml:"), "{errors}");
        }
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
