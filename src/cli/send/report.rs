//! What `send` prints: what was agreed on, what came back, and where to look if it is not right.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error_code::WithCauses;
use hubgate_testkit::pki::Identity;
use hubgate_testkit::sender::{Answer, Handshake, SendError};

pub(super) fn handshake(handshake: &Handshake) {
    let peer = handshake.peer.map_or_else(|| "?".into(), |peer| peer.to_string());
    println!("connected  {peer} in {}", milliseconds(handshake.connect_time));
    let parts = [
        Some(handshake.version),
        Some(handshake.cipher_suite),
        handshake.key_exchange.as_deref(),
        handshake.protocol.as_deref(),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    println!("handshake  {} in {}", parts.join(", "), milliseconds(handshake.handshake_time));
    for certificate in &handshake.server_chain {
        println!("server     {}", describe(certificate));
    }
}

pub(super) fn identity(identity: Option<&Identity>, requested: bool) {
    match (identity, requested) {
        (Some(identity), true) => println!("client     {}", describe(identity.leaf())),
        (Some(_), false) => println!("client     the server asked for no certificate"),
        (None, true) => println!("client     asked for a certificate and had none"),
        (None, false) => {}
    }
}

pub(super) fn answer(answer: &Answer) {
    let bytes = answer.body.len();
    println!("answer     {}, {bytes} bytes in {}", answer.status, milliseconds(answer.elapsed));
    if !answer.body.is_empty() {
        let start = answer.body.get(..BODY_SHOWN).unwrap_or(&answer.body);
        println!("           {}", String::from_utf8_lossy(start).escape_debug());
    }
}

pub(super) fn times(times: &mut [Duration]) {
    times.sort_unstable();
    let (Some(fastest), Some(median), Some(slowest)) =
        (times.first(), times.get(times.len() / 2), times.last())
    else {
        return;
    };
    if times.len() > 1 {
        println!(
            "answers    {} of 200 OK: fastest {}, median {}, slowest {}",
            times.len(),
            milliseconds(*fastest),
            milliseconds(*median),
            milliseconds(*slowest)
        );
    }
}

/// Why Meta would not be content with this answer, if it would not.
pub(in crate::cli) fn shortcoming(answer: &Answer, echo: Option<&Bytes>) -> Option<&'static str> {
    if answer.is_success() {
        let echoed = echo.is_none_or(|challenge| *challenge == answer.body);
        return (!echoed).then_some(
            "the answer must be the bare challenge: no quotes, no JSON, no newline around it",
        );
    }
    Some(match answer.status {
        StatusCode::FORBIDDEN if echo.is_some() => {
            "is the verify token the configured one? does the route demand a client certificate?"
        }
        StatusCode::FORBIDDEN => {
            "is the app secret the configured one? does the route demand a client certificate? \
             the server's log names the reason"
        }
        StatusCode::NOT_FOUND => "is the path the one of a [[webhook]]?",
        StatusCode::METHOD_NOT_ALLOWED => "does the endpoint take GET and POST?",
        StatusCode::PAYLOAD_TOO_LARGE => "Meta sends up to 3 MB: raise the limit on bodies",
        StatusCode::BAD_GATEWAY => "does the application behind the proxy run? see its log",
        StatusCode::GATEWAY_TIMEOUT => "the application is slow: acknowledge first, work later",
        status if status.is_success() => "Meta takes 200 alone for success",
        status if status.is_redirection() => "enter the URL that it redirects to: Meta wants a 200",
        _ => "Meta takes 200 alone for success; the server's log may say more",
    })
}

pub(super) fn look_at(what: &str) {
    println!("look at    {what}");
}

pub(super) fn failure(error: &SendError, with_identity: bool) -> ExitCode {
    eprintln!("failed     {}", WithCauses(error));
    eprintln!("look at    {}", advice(error, with_identity));
    ExitCode::FAILURE
}

pub(in crate::cli) fn advice(error: &SendError, with_identity: bool) -> &'static str {
    if error.is_server_distrusted() {
        return "the server's certificate: Meta refuses self-signed ones, other names and chains \
                without their intermediate; for a private root use --cacert";
    }
    if error.is_connect() {
        return "does anything listen there? DNS, firewall, listen address";
    }
    if error.is_timeout() {
        return "who is slow: the network before the handshake, the application after it";
    }
    match error.tls_alert() {
        Some(_) if !with_identity => {
            "the server demands a client certificate: --cert and --key; certs from `hubgate certs`"
        }
        Some("unknown_ca") => "the server does not trust the client's CA: its trust anchors",
        Some("certificate_expired") => {
            "the client certificate or its anchor is past its end, or the server's clock is wrong"
        }
        Some("certificate_revoked") => "the client certificate was taken back by its CA",
        Some("decrypt_error" | "bad_certificate" | "certificate_unknown" | "access_denied") => {
            "the server refused this client certificate: its name, its purpose or its signature; \
             the server's log names the reason"
        }
        Some("protocol_version") => "the server speaks no TLS version that was offered: --tls",
        Some("no_application_protocol") => "the server does not speak this HTTP version: --http2",
        Some(_) => "the server's log names the reason for this alert",
        None => "the connection broke without a word: something between, or a server that crashed",
    }
}

/// Subject, issuer and end of a certificate that a stranger may have written.
fn describe(der: &CertificateDer<'_>) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return "a certificate that cannot be read".into();
    };
    let text = format!(
        "{}; issued by {}; until {}",
        certificate.subject(),
        certificate.issuer(),
        certificate.validity().not_after
    );
    text.escape_debug().to_string()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

const BODY_SHOWN: usize = 200;
