//! Where log lines go and how they look. Set once a process, by the command line.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;

use tracing::{debug, info};
use tracing_subscriber::filter::LevelFilter;

use super::json::{self, JsonLine};
use super::lines::{Flush, Lines};
use super::metrics::{ConnectionCut, TunnelEnd};
use super::refusal_log::{self, RefusalLine, RefusalLog};
use crate::config::{Log, LogFormat, LogLevel};
use crate::refusal::{ConnectionRefusal, Refusal, Severity};

/// Sends this process's log to standard error, in the configured form. What is logged while the
/// answer lives is written out by the time it is dropped.
pub fn init(log: &Log) -> io::Result<Flush> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let is_terminal = io::stderr().is_terminal();
    let is_text = match log.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let has_color =
        is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lost = if is_text { |lines| format!("{lines} lines lost\n") } else { json::lost };
    let (lines, flush) = Lines::to(io::stderr(), lost)?;
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(lines).with_ansi(has_color);
    // A second call finds the first one's subscriber in place, which is as good.
    let _already_set = if is_text {
        builder.try_init()
    } else {
        builder.event_format(JsonLine::default()).try_init()
    };
    Ok(flush)
}

/// A caller whose connection or certificate is refused, in the words of its log line.
pub(crate) struct RefusedClient<'a> {
    pub(crate) reason: ConnectionRefusal,
    /// Of the certificate that it presented, if it could be read.
    pub(crate) subject: Option<&'a str>,
    pub(crate) issuer: Option<&'a str>,
    pub(crate) serial: Option<&'a str>,
    pub(crate) sha256: Option<&'a str>,
    /// The candidate anchor that would have vouched.
    pub(crate) candidate: Option<&'a str>,
    /// The name that was asked for in TLS, where it is unknown.
    pub(crate) server_name: Option<&'a str>,
}

/// Logs why a connection ended before HTTP, with what was presented.
pub(crate) fn connection_refused(
    refusals: &RefusalLog,
    peer: SocketAddr,
    refused: &RefusedClient<'_>,
) {
    if refusals.admits(peer.ip(), RefusalLine::Connection(refused.reason)) {
        refused.log(&peer, "connection refused");
    }
}

/// Logs why what a load balancer says of a client certificate was not enough.
pub(crate) fn certificate_refused(
    refusals: &RefusalLog,
    client: &str,
    refused: &RefusedClient<'_>,
) {
    let line = RefusalLine::Certificate(refused.reason);
    if refusal_log::address_of(client).is_none_or(|client| refusals.admits(client, line)) {
        refused.log(&client, "client certificate refused");
    }
}

impl RefusedClient<'_> {
    fn log(&self, client: &dyn fmt::Display, message: &'static str) {
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    target: "handshake",
                    client = %client,
                    reason = self.reason.label(),
                    subject = self.subject,
                    issuer = self.issuer,
                    serial = self.serial,
                    sha256 = self.sha256,
                    candidate = self.candidate,
                    server_name = self.server_name,
                    hint = self.reason.hint(),
                    "{message}"
                )
            };
        }
        match self.reason.severity() {
            Severity::Noise => line!(debug),
            Severity::Notice | Severity::Fault => line!(info),
        }
    }
}

/// Logs why a WebSocket was ended here; it has had its access record.
pub(crate) fn tunnel_ended(client: &str, route: &str, end: TunnelEnd) {
    info!(target: "access", client, route, reason = end.label(), "WebSocket ended");
}

/// Logs why a caller's bytes became no request; there is no access record of what never was one.
pub(crate) fn no_request(refusals: &RefusalLog, peer: SocketAddr, refusal: Refusal) {
    if !refusals.admits(peer.ip(), RefusalLine::NoRequest(refusal)) {
        return;
    }
    info!(
        target: "access",
        client = %peer,
        refusal = refusal.label(),
        hint = refusal.hint(),
        "connection ended without a request"
    );
}

/// Logs why a connection was cut while HTTP was spoken; its requests have records of their own.
pub(crate) fn connection_cut(refusals: &RefusalLog, peer: SocketAddr, cut: ConnectionCut) {
    if refusals.admits(peer.ip(), RefusalLine::Cut(cut)) {
        info!(target: "access", client = %peer, reason = cut.label(), "connection cut");
    }
}
