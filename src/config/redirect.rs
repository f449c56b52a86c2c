//! `[redirect]`: where plain HTTP is sent on to https.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use super::fault::Fault;
use super::findings::{At, Findings, Written};
use super::server::{Server, address};
use super::{file, numbers};

/// `[redirect]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Addresses to bind; none of them is listened on for anything else.
    pub listen: Vec<SocketAddr>,
    /// The port that callers are sent to.
    pub https_port: NonZeroU16,
    /// Where an ACME client puts its tokens. It need not be there all the time.
    pub acme_directory: Option<PathBuf>,
}

impl Redirect {
    /// Given what is listened on for callers, as far as that is written.
    pub(super) fn check(
        written: &file::RawRedirect,
        server: Option<&file::RawServer>,
        findings: &mut Findings,
    ) -> Self {
        let mut listen: Vec<(SocketAddr, &At)> = Vec::new();
        for text in &written.listen {
            listen.extend(address(text, findings).map(|address| (address, &text.at)));
        }
        // Also port 0 is there once: an address says which protocol is spoken.
        let mut all: Vec<(SocketAddr, &At)> = Vec::new();
        let others = server.iter().flat_map(|server| Server::written_addresses(server));
        for (other, at) in others {
            let is_new = all.iter().all(|(address, _)| *address != other);
            if is_new && listen.iter().any(|(address, _)| *address == other) {
                all.push((other, at));
            }
        }
        findings.must_differ(all.into_iter().chain(listen.iter().copied()));
        let port = numbers::within(&written.https_port, 1..=u64::from(u16::MAX), findings);
        let port = u16::try_from(port).ok().and_then(NonZeroU16::new);
        let acme_directory = written.acme_directory.as_ref();
        Self {
            listen: listen.into_iter().map(|(address, _)| address).collect(),
            https_port: port.unwrap_or(NonZeroU16::MIN),
            acme_directory: acme_directory.map(|directory| acme(directory, findings)),
        }
    }
}

/// Some clients make the directory for each renewal and take it away afterwards.
fn acme(written: &Written<String>, findings: &mut Findings) -> PathBuf {
    let path = findings.resolve(&written.value);
    if path.exists() && !path.is_dir() {
        findings.fault(&written.at, Fault::NotADirectory { path: path.clone() });
    }
    path
}

#[cfg(test)]
mod tests {
    use crate::config::fixture::{Fixture, faults, load};

    fn redirect(rest: &str) -> String {
        format!("[redirect]\n{rest}")
    }

    #[test]
    fn there_is_no_redirect_unless_it_is_written() {
        assert_eq!(load("").redirect, None);
        assert_eq!(faults(&redirect("")), ["1: `redirect.listen`: is missing"]);
        assert_eq!(
            faults(&redirect("listen = []")),
            ["2: `redirect.listen`: must have at least one entry"]
        );
    }

    #[test]
    fn callers_are_sent_to_the_port_of_https_unless_another_is_written() {
        let port = |rest: &str| {
            let text = redirect(&format!("listen = [\"127.0.0.1:80\"]\n{rest}"));
            load(&text).redirect.expect("is there").https_port.get()
        };
        assert_eq!([port(""), port("https_port = 8443")], [443, 8443]);
        for (bad, fault) in
            [("0", "must be greater than zero"), ("65536", "must be from 1 to 65535")]
        {
            let text = redirect(&format!("listen = [\"127.0.0.1:80\"]\nhttps_port = {bad}"));
            assert_eq!(faults(&text), [format!("3: `redirect.https_port`: {fault}")]);
        }
    }

    #[test]
    fn an_address_is_for_one_purpose() {
        let server = "[server]\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n\
                      trusted_proxies = [\"10.0.0.1\"]\n\
                      listen = [\"127.0.0.1:1\"]\nplain_listen = [\"127.0.0.1:2\"]\n";
        let text = |listen: &str| format!("{server}[redirect]\nlisten = [{listen}]\n");
        let good = load(&text("\"127.0.0.1:3\", \"[::]:80\""));
        assert_eq!(good.addresses().len(), 4);

        assert_eq!(
            faults(&text("\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\", \"127.0.0.1:3\"")),
            [
                "8: `redirect.listen[0]`: must differ from `server.listen[0]`, but is the same",
                "8: `redirect.listen[1]`: must differ from `server.plain_listen[0]`, but is the same",
                "8: `redirect.listen[3]`: must differ from `redirect.listen[2]`, but is the same",
            ]
        );
        let admin = "[admin]\nlisten = \"127.0.0.1:3\"";
        assert_eq!(
            faults(&format!("{}{admin}", text("\"127.0.0.1:3\""))),
            ["10: `admin.listen`: must differ from `redirect.listen`, but is the same"]
        );
        assert_eq!(
            faults(&text("\"80\"")),
            ["8: `redirect.listen[0]`: must be an IP address and a port, as in `[::]:8443` or \
              `127.0.0.1:9180`"]
        );
    }

    #[test]
    fn the_directory_of_tokens_may_come_later_but_is_a_directory() {
        let fixture = Fixture::new();
        let text = |directory: &str| {
            redirect(&format!("listen = [\"127.0.0.1:80\"]\nacme_directory = \"{directory}\""))
        };
        let later = fixture.load(&text("later")).expect("has no fault").redirect;
        let later = later.and_then(|redirect| redirect.acme_directory);
        assert_eq!(later, Some(fixture.path("later")));
        assert_eq!(
            fixture.faults(&text("chain.pem")),
            ["3: `redirect.acme_directory`: names `chain.pem`, which is not a directory"]
        );
    }
}
