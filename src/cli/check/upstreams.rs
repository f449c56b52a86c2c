//! Where proven requests go, and whether anybody accepts connections there.

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::net::{TcpStream, UnixStream};

use super::Problems;
use crate::config::{self, Config, UpstreamAddress};
use crate::worker;

/// One server of an upstream.
#[derive(Debug, Serialize)]
pub(super) struct UpstreamReport {
    pub(super) name: String,
    pub(super) url: String,
    /// Whether a connection was accepted within the upstream's connect timeout.
    #[serde(rename = "reachable")]
    pub(super) is_reachable: bool,
    /// Why not.
    pub(super) problem: Option<String>,
}

/// Connects to all of them at once, so that many dead ones take no longer than one.
pub(super) fn inspect(
    config: &Config,
    problems: &mut Problems,
) -> anyhow::Result<Vec<UpstreamReport>> {
    let runtime = worker::runtime().context("cannot start the runtime for connections")?;
    let outcomes = runtime.block_on(async {
        let connect = |(upstream, server): (&config::Upstream, &UpstreamAddress)| {
            tokio::spawn(connect(server.clone(), upstream.connect_timeout))
        };
        let attempts: Vec<_> = servers(config).map(connect).collect();
        let mut outcomes = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            outcomes.push(attempt.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked))));
        }
        outcomes
    });
    // A name server that does not answer must not keep the report back.
    runtime.shutdown_background();
    let upstreams = servers(config).zip(outcomes).map(|((upstream, server), outcome)| {
        let problem = outcome.err().map(|error| error.to_string());
        if let Some(problem) = &problem {
            problems.warn(format!(
                "upstream `{}` cannot be connected to: {problem} ({}); until it can, events get \
                 502, unless another server takes them",
                upstream.name, server
            ));
        }
        let (name, url) = (upstream.name.clone(), server.to_string());
        UpstreamReport { name, url, is_reachable: problem.is_none(), problem }
    });
    Ok(upstreams.collect())
}

fn servers(config: &Config) -> impl Iterator<Item = (&config::Upstream, &UpstreamAddress)> {
    config.upstreams.iter().flat_map(|upstream| upstream.servers.iter().map(move |s| (upstream, s)))
}

async fn connect(address: UpstreamAddress, limit: Duration) -> io::Result<()> {
    let connected = async {
        match address {
            UpstreamAddress::Http { host, port } | UpstreamAddress::Https { host, port, .. } => {
                TcpStream::connect((host, port)).await.map(drop)
            }
            UpstreamAddress::Unix { path } => UnixStream::connect(path).await.map(drop),
        }
    };
    let late = |_elapsed| io::Error::new(io::ErrorKind::TimedOut, "connect_timeout_ms is over");
    tokio::time::timeout(limit, connected).await.map_err(late)?
}
