//! `[server]`: where callers connect, and what they are shown.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::choices::UnknownSni;
use super::fault::Fault;
use super::findings::{At, Findings, Written};
use super::network::Networks;
use super::secret_source::{self, Environment};
use super::{file, numbers, paths};

/// `[server]`, checked.
#[derive(Clone, Debug)]
pub struct Server {
    /// Addresses to bind, unless a socket for them was inherited; may be empty if `inherit`.
    pub listen: Vec<SocketAddr>,
    /// Whether every inherited socket is served, whatever its address.
    pub inherit: bool,
    /// What callers are shown; at least one. The first is the one for names that none has.
    pub certificates: Vec<ServerCertificate>,
    /// What becomes of callers who ask for a name that no certificate has, or for none.
    pub unknown_sni: UnknownSni,
    /// Threads that serve callers, each with its own runtime and sockets.
    pub workers: NonZeroUsize,
    /// From the stop signal to the moment when connections still busy are dropped.
    pub drain_timeout: Duration,
    /// Whose connections begin with a PROXY protocol header; nobody else's do.
    pub proxy_protocol_from: Networks,
    /// Whose `X-Forwarded-For` says who called; nobody else's does.
    pub trusted_proxies: Networks,
    /// Addresses for plain HTTP, which serve trusted proxies alone; none of them is in `listen`.
    pub plain_listen: Vec<SocketAddr>,
}

/// A certificate of the server with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    /// PEM file with the leaf first and its intermediates after it.
    pub certificate: PathBuf,
    /// PEM file with the leaf's private key; may be the same file.
    pub private_key: PathBuf,
}

impl Server {
    pub(super) fn check(
        written: &file::RawServer,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let (inherited, addresses): (Vec<_>, Vec<_>) =
            written.listen.iter().partition(|text| text.value == INHERITED);
        findings.must_differ(inherited.iter().map(|text| (&text.value, &text.at)));
        let mut listen = Vec::new();
        for text in addresses {
            listen.extend(address(text, findings).map(|address| (address, &text.at)));
        }
        // Port 0 asks for any free port, so it may be asked for twice.
        let fixed = listen.iter().filter(|(address, _)| address.port() != 0);
        findings.must_differ(fixed.map(|(address, at)| (*address, *at)));
        let plain_listen = plain_addresses(written, &listen, findings);
        let mut certificates = Vec::new();
        for written in &written.certificates {
            let mut check = |file: &Option<_>| {
                file.as_ref().and_then(|file| pem_file(file, environment, findings))
            };
            let pair = (check(&written.certificate), check(&written.private_key));
            if let (Some(certificate), Some(private_key)) = pair {
                certificates.push(ServerCertificate { certificate, private_key });
            }
        }
        Some(Self {
            listen: listen.into_iter().map(|(address, _)| address).collect(),
            inherit: !inherited.is_empty(),
            workers: workers(&written.workers, findings),
            drain_timeout: numbers::milliseconds(&written.drain_timeout_ms, findings),
            proxy_protocol_from: Networks::check(&written.proxy_protocol_from, findings),
            trusted_proxies: Networks::check(&written.trusted_proxies, findings),
            plain_listen,
            // Else there was a fault.
            certificates: Some(certificates).filter(|certificates| !certificates.is_empty())?,
            unknown_sni: written.unknown_sni,
        })
    }
}

impl Server {
    /// Every address to bind, whichever protocol is spoken there.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listen.iter().chain(&self.plain_listen).copied().collect()
    }

    /// The same as they are written, as far as they are any.
    pub(super) fn written_addresses(
        written: &file::RawServer,
    ) -> impl Iterator<Item = (SocketAddr, &At)> {
        let texts = written.listen.iter().chain(&written.plain_listen);
        texts.filter_map(|text| Some((text.value.parse().ok()?, &text.at)))
    }

    /// Whether callers at this address, as it was configured, speak plain HTTP.
    pub fn is_plain(&self, address: SocketAddr) -> bool {
        self.plain_listen.contains(&address)
    }
}

/// Where plain HTTP is spoken: nobody would be there to serve without trusted proxies.
fn plain_addresses(
    written: &file::RawServer,
    listen: &[(SocketAddr, &At)],
    findings: &mut Findings,
) -> Vec<SocketAddr> {
    let mut plain = Vec::new();
    for text in &written.plain_listen {
        plain.extend(address(text, findings).map(|address| (address, &text.at)));
    }
    // Also port 0 is there once: an address says which protocol is spoken.
    let all = listen.iter().filter(|(address, _)| plain.iter().any(|(other, _)| other == address));
    findings.must_differ(all.take(1).chain(&plain).map(|(address, at)| (*address, *at)));
    if let Some(first) = written.plain_listen.first()
        && written.trusted_proxies.is_empty()
    {
        findings.fault(&first.at, Fault::ProxiesMissing);
    }
    plain.into_iter().map(|(address, _)| address).collect()
}

/// Stands among the addresses for the sockets that the service manager hands over.
const INHERITED: &str = "systemd";

/// The path of a file that is there and can be read, wherever its name was written.
pub(super) fn pem_file(
    written: &file::PemFile,
    environment: Environment<'_>,
    findings: &mut Findings,
) -> Option<PathBuf> {
    let name = match written {
        file::PemFile::Path(path) => return paths::readable(path, findings),
        file::PemFile::Credential(name) => name,
    };
    let path = secret_source::credential_path(&name.value, environment)
        .and_then(|path| paths::open(&path).map(|_readable| path));
    path.map_err(|fault| findings.fault(&name.at, fault)).ok()
}

/// An address to bind.
pub(super) fn address(text: &Written<String>, findings: &mut Findings) -> Option<SocketAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        findings.fault(&text.at, Fault::NotAnAddress);
    }
    address
}

/// Zero stands for one a core.
fn workers(written: &Written<i64>, findings: &mut Findings) -> NonZeroUsize {
    if written.value == 0 {
        return thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    }
    numbers::size(written, 0..=MAXIMUM_WORKERS, findings)
}

/// More threads than any machine has cores.
const MAXIMUM_WORKERS: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{Fixture, faults, load};

    /// With `rest` from line 4 on.
    fn server(rest: &str) -> String {
        format!("[server]\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n{rest}")
    }

    #[test]
    fn zero_workers_are_one_a_core() {
        let cores = thread::available_parallelism().ok();
        assert_eq!(Some(load("").server.workers), cores);
        assert_eq!(load(&server("workers = 3")).server.workers.get(), 3);
        assert_eq!(
            faults(&server("workers = 1025")),
            ["4: `server.workers`: must be from 0 to 1024"]
        );
    }

    #[test]
    fn addresses_to_listen_on_are_checked() {
        let good = r#"listen = ["127.0.0.1:8443", "[::1]:8443", "[::1]:0", "[::1]:0"]"#;
        assert_eq!(load(&server(good)).server.listen.len(), 4);

        assert_eq!(
            faults(&server("listen = []")),
            ["4: `server.listen`: must have at least one entry"]
        );
        let bad = "listen = [\n\"127.0.0.1:1\",\n\"localhost:1\",\n\"127.0.0.1:1\",\n1]";
        assert_eq!(
            faults(&server(bad)),
            [
                "6: `server.listen[1]`: must be an IP address and a port, as in `[::]:8443` or \
                 `127.0.0.1:9180`",
                "7: `server.listen[2]`: must differ from `server.listen[0]`, but is the same",
                "8: `server.listen[3]`: must be a text in quotes, but is a whole number",
            ]
        );
    }

    #[test]
    fn inherited_sockets_may_stand_among_addresses_or_alone() {
        let alone = load(&server(r#"listen = ["systemd"]"#)).server;
        assert!(alone.inherit && alone.listen.is_empty());
        let both = load(&server(r#"listen = ["127.0.0.1:1", "systemd"]"#)).server;
        assert!(both.inherit && both.listen.len() == 1);
        assert!(!load("").server.inherit);

        assert_eq!(
            faults(&server(r#"listen = ["systemd", "systemd"]"#)),
            ["4: `server.listen[1]`: must differ from `server.listen[0]`, but is the same"]
        );
    }

    #[test]
    fn networks_that_speak_for_others_are_checked() {
        let good = r#"proxy_protocol_from = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]"#;
        let networks = load(&server(good)).server.proxy_protocol_from;
        let shown: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        assert!(load("").server.proxy_protocol_from.is_empty());

        assert_eq!(
            faults(&server("proxy_protocol_from = []")),
            ["4: `server.proxy_protocol_from`: must have at least one entry"]
        );
        let bad = "proxy_protocol_from = [\n\"10.0.0.1/8\",\n\"::1\",\n\"lb\",\n\"::1/128\"]";
        assert_eq!(
            faults(&server(bad)),
            [
                "5: `server.proxy_protocol_from[0]`: must be a network or an address, as in \
                 `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`, without bits behind the prefix",
                "7: `server.proxy_protocol_from[2]`: must be a network or an address, as in \
                 `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`, without bits behind the prefix",
                "8: `server.proxy_protocol_from[3]`: must differ from \
                 `server.proxy_protocol_from[1]`, but is the same",
            ]
        );
    }

    #[test]
    fn plain_http_is_for_trusted_proxies_at_addresses_of_its_own() {
        let good = "plain_listen = [\"127.0.0.1:80\"]\ntrusted_proxies = [\"10.0.0.0/8\"]";
        let checked = load(&server(good)).server;
        assert_eq!(checked.addresses().len(), 2);
        assert!(checked.is_plain(([127, 0, 0, 1], 80).into()));
        assert!(!checked.listen.iter().any(|address| checked.is_plain(*address)));

        assert_eq!(
            faults(&server("plain_listen = [\"127.0.0.1:80\"]")),
            ["4: `server.plain_listen[0]`: needs `server.trusted_proxies`: what a load balancer \
              says is trusted from there alone"]
        );
        let bad = "listen = [\"127.0.0.1:0\"]\nplain_listen = [\"127.0.0.1:0\", \"[::]:80\", \
                   \"[::]:80\", \"80\"]\ntrusted_proxies = [\"10.0.0.0/8\"]";
        assert_eq!(
            faults(&server(bad)),
            [
                "5: `server.plain_listen[3]`: must be an IP address and a port, as in `[::]:8443` \
                 or `127.0.0.1:9180`",
                "5: `server.plain_listen[0]`: must differ from `server.listen[0]`, but is the same",
                "5: `server.plain_listen[2]`: must differ from `server.plain_listen[1]`, but is \
                 the same",
            ]
        );
    }

    #[test]
    fn certificate_and_key_may_be_credentials() {
        let text = |chain: &str, key: &str| {
            format!(
                "[server]\ncertificate = {{ credential = \"{chain}\" }}\n\
                 private_key = {{ credential = \"{key}\" }}"
            )
        };
        let fixture = Fixture::new();

        let server = fixture.load(&text("token", "token")).expect("has no fault").server;

        let token = fixture.path("credentials/token");
        let pair = ServerCertificate { certificate: token.clone(), private_key: token };
        assert_eq!(server.certificates, [pair]);
        assert_eq!(
            fixture.faults(&text("absent", "../secret")),
            [
                "2: `server.certificate.credential`: names `credentials/absent`, which cannot be \
                 read: No such file or directory (os error 2)",
                "3: `server.private_key.credential`: must be the plain name of a credential, \
                 without `/`",
            ]
        );
        assert_eq!(
            faults("[server]\ncertificate = \"chain.pem\"\nprivate_key = { file = \"key.pem\" }"),
            [
                "3: `server.private_key.credential`: is missing",
                "3: `server.private_key.file`: is not a known key",
            ]
        );
    }

    #[test]
    fn certificates_may_be_several_each_with_its_key() {
        let text = "[server]\nunknown_sni = \"refuse\"\n\
                    [[server.certificate]]\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n\
                    [[server.certificate]]\ncertificate = \"old.pem\"\nprivate_key = \"key.pem\"";
        let fixture = Fixture::new();

        let server = fixture.load(text).expect("has no fault").server;

        let files: Vec<_> = server.certificates.iter().map(|pair| &pair.certificate).collect();
        assert_eq!(files, [&fixture.path("chain.pem"), &fixture.path("old.pem")]);
        assert_eq!(server.unknown_sni, UnknownSni::Refuse);
        assert_eq!(
            faults(
                "[server]\nprivate_key = \"key.pem\"\n[[server.certificate]]\ncertificate = \"absent\""
            ),
            [
                "2: `server.private_key`: is not a known key",
                "3: `server.certificate[0].private_key`: is missing",
                "4: `server.certificate[0].certificate`: names `absent`, which cannot be read: No \
                 such file or directory (os error 2)",
            ]
        );
    }

    #[test]
    fn files_are_looked_for_beside_the_configuration() {
        let text = "[server]\ncertificate = \"credentials\"\nprivate_key = \"absent.pem\"";

        assert_eq!(
            faults(text),
            [
                "2: `server.certificate`: names `credentials`, which is not a regular file",
                "3: `server.private_key`: names `absent.pem`, which cannot be read: No such file \
                 or directory (os error 2)",
            ]
        );
    }
}
