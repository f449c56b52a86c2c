//! `[[upstream]]`: the applications behind us.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::choices::{HostHeader, Repeat};
use super::fault::Fault;
use super::findings::{Findings, Written};
use super::health_check::HealthCheck;
use super::identity::IdentityHeaders;
use super::proof::ProofSecret;
use super::secret_source::Environment;
use super::upstream_tls::UpstreamTls;
use super::url::UpstreamAddress;
use super::{file, names, numbers, url};

/// One `[[upstream]]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What routes, logs and metrics call it.
    pub name: String,
    /// Where it is: its servers, all alike; at least one.
    pub servers: Vec<UpstreamAddress>,
    /// Which `Host` it is sent.
    pub host_header: HostHeader,
    /// In which headers its application is told who called.
    pub identity: IdentityHeaders,
    /// The secret that it shares with us, so that it can tell what is proven; `None`: it cannot.
    pub proof: Option<ProofSecret>,
    /// TLS towards it, if its servers speak TLS.
    pub tls: UpstreamTls,
    /// How its servers are asked how they are; `None`: nobody asks.
    pub health_check: Option<HealthCheck>,
    /// Whether a request whose connection broke goes to it once more.
    pub repeat: Repeat,
    /// From the start of a connect (and of its TLS handshake) to giving it up.
    pub connect_timeout: Duration,
    /// From the moment a request is ready to be sent to the last byte of its answer, in all.
    pub timeout: Duration,
    /// How long an unused connection is kept; below the backend's own keep-alive time.
    pub idle_timeout: Duration,
    /// Connections to each server that may carry events at once, of one worker; an event that finds
    /// none waits for one.
    pub connections: NonZeroUsize,
    /// The same for requests to sites.
    pub site_connections: NonZeroUsize,
    /// Largest answer to a webhook that is passed on; more is a 502.
    pub response_max_bytes: NonZeroUsize,
}

impl Upstream {
    pub(super) fn check(
        written: &file::RawUpstream,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let connect_timeout_ms = &written.connect_timeout_ms;
        let timeout_ms = written.timeout_ms.value;
        // What is no time at all gets its fault below.
        if (1..connect_timeout_ms.value).contains(&timeout_ms) {
            findings.fault(&connect_timeout_ms.at, Fault::ConnectAboveTimeout { timeout_ms });
        }
        let response = 1..=MAXIMUM_RESPONSE;
        let name = written.name.as_ref().and_then(|name| names::visible(name, findings));
        let servers = checked_servers(written, findings);
        let is_https = |server: &_| matches!(server, UpstreamAddress::Https { .. });
        // Of servers that cannot be read nothing is known.
        let is_all_https = servers.as_ref().is_none_or(|servers| servers.iter().all(is_https));
        let check = written.health_check.as_ref();
        let health_check = check.and_then(|check| HealthCheck::check(check, findings));
        let proof = written.proof.as_ref();
        let proof = proof.map(|proof| ProofSecret::check(proof, environment, findings));
        let tls = UpstreamTls::check(written, is_all_https, environment, findings);
        Some(Self {
            connect_timeout: numbers::milliseconds(connect_timeout_ms, findings),
            timeout: numbers::milliseconds(&written.timeout_ms, findings),
            idle_timeout: numbers::milliseconds(&written.idle_timeout_ms, findings),
            connections: numbers::count(&written.connections, findings),
            site_connections: numbers::count(&written.site_connections, findings),
            response_max_bytes: numbers::size(&written.response_max_bytes, response, findings),
            name: name?,
            servers: servers?,
            host_header: written.host_header,
            proof: proof.map_or(Some(None), |proof| proof.map(Some))?,
            tls: tls?,
            health_check,
            identity: IdentityHeaders::check(written, findings),
            repeat: written.repeat,
        })
    }
}

impl Upstream {
    /// Whether requests to either may reach the same application, as far as addresses tell.
    pub(super) fn has_server_of(&self, other: &Self) -> bool {
        let is_there = |server: &UpstreamAddress| {
            let place = server.place();
            other.servers.iter().any(|other| other.place() == place)
        };
        self.servers.iter().any(is_there)
    }
}

/// Either `url`, or `servers`.
fn checked_servers(
    written: &file::RawUpstream,
    findings: &mut Findings,
) -> Option<Vec<UpstreamAddress>> {
    let urls: Vec<&Written<String>> = match (&written.url, &written.servers) {
        (Some(url), None) => vec![url],
        (None, Some(servers)) => servers.iter().collect(),
        (None, None) => {
            findings.fault(&written.at.child("url"), Fault::Missing);
            return None;
        }
        (Some(_), Some(_)) => {
            findings.fault(&written.at.child("servers"), Fault::UrlAndServers);
            return None;
        }
    };
    findings.must_differ(urls.iter().map(|url| (&url.value, &url.at)));
    let parse = |url: &&Written<String>| {
        url::parse(&url.value).map_err(|fault| findings.fault(&url.at, fault)).ok()
    };
    let servers: Vec<_> = urls.iter().map(parse).collect();
    servers.into_iter().collect()
}

/// 1 GiB: an answer to a webhook is held in one piece.
const MAXIMUM_RESPONSE: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use crate::config::fixture::{faults, load};

    /// With `rest` from line 3 on.
    fn upstream(rest: &str) -> String {
        format!("[[upstream]]\nname = \"app\"\n{rest}")
    }

    #[test]
    fn a_connect_may_take_as_long_as_all_and_no_longer() {
        let url = "url = \"unix:/run/app.sock\"";

        load(&upstream(&format!("{url}\nconnect_timeout_ms = 2000\ntimeout_ms = 2000")));
        assert_eq!(
            faults(&upstream(&format!("{url}\nconnect_timeout_ms = 2001\ntimeout_ms = 2000"))),
            ["4: `upstream[0].connect_timeout_ms`: must not be greater than `timeout_ms` of the \
              same upstream, which is 2000"]
        );
    }

    #[test]
    fn names_are_there_and_unique() {
        let text = r#"[[upstream]]
            url = "http://a"
            [[upstream]]
            name = "app"
            url = "http://a"
            [[upstream]]
            name = "app"
            url = "gopher://a""#;

        assert_eq!(
            faults(text),
            [
                "1: `upstream[0].name`: is missing",
                "7: `upstream[2].name`: must differ from `upstream[1].name`, but is the same",
                "8: `upstream[2].url`: must start with `http://`, `https://` or `unix:`",
            ]
        );
    }
}
