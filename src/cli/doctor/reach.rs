//! Whether the world finds the endpoint: a name that has addresses, and addresses that accept.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::diagnostic::Diagnostic;

/// The addresses of a host, none of them tried yet.
pub(super) async fn resolve(
    host: &ServerName<'_>,
    port: u16,
    limit: Duration,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<SocketAddr> {
    let host = host.to_str();
    let found = timeout(limit, lookup_host((host.as_ref(), port))).await;
    let found = found.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
    let mut addresses: Vec<_> = match found {
        Ok(found) => found.collect(),
        Err(error) => {
            let diagnostic =
                Diagnostic::wrong("name", format!("`{host}` cannot be resolved: {error}"));
            diagnostics.push(unresolved(diagnostic, &host));
            return Vec::new();
        }
    };
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        let diagnostic = Diagnostic::wrong("name", format!("`{host}` has no address"));
        diagnostics.push(unresolved(diagnostic, &host));
        return addresses;
    }
    let listed: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let sentence = format!("{host} is {}", listed.join(", "));
    diagnostics.push(match addresses.iter().all(|address| is_public(address.ip())) {
        true => Diagnostic::good("name", sentence),
        false => Diagnostic::warning("name", format!("{sentence}: not all of these are public"))
            .remedy("Meta calls public addresses alone; is this the name as the world sees it?"),
    });
    addresses
}

fn unresolved(diagnostic: Diagnostic, host: &str) -> Diagnostic {
    let diagnostic = diagnostic.curl(6, format!("Could not resolve host: {host}"));
    diagnostic.remedy("make an A or AAAA record for it; a new one may take a while to be seen")
}

/// Those that accept; all of them are tried, for Meta may take any.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    limit: Duration,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<SocketAddr> {
    let mut accepting = Vec::new();
    let mut failed = Vec::new();
    for address in addresses {
        let began = Instant::now();
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(_stream)) => {
                let took = began.elapsed().as_secs_f64() * 1000.0;
                diagnostics
                    .push(Diagnostic::good("connection", format!("{address}, {took:.1} ms")));
                accepting.push(*address);
            }
            Ok(Err(error)) => failed.push((address, error)),
            Err(_elapsed) => failed.push((address, io::ErrorKind::TimedOut.into())),
        }
    }
    for (address, error) in failed {
        let (number, said) = if error.kind() == io::ErrorKind::TimedOut {
            (28, "Connection timed out")
        } else if error.kind() == io::ErrorKind::ConnectionRefused {
            (7, "Connection refused")
        } else {
            (7, "No route to host")
        };
        let sentence = format!("{address} does not accept: {error}");
        let (ip, port) = (address.ip(), address.port());
        diagnostics.push(match accepting.is_empty() {
            true => Diagnostic::wrong("connection", sentence)
                .curl(number, format!("Failed to connect to {ip} port {port}: {said}"))
                .remedy("does anything listen there? listen address, firewall, port forwarding"),
            false => Diagnostic::warning("connection", sentence)
                .remedy("Meta uses IPv4 and IPv6: serve this address, or take it out of DNS"),
        });
    }
    accepting
}

/// Neither this machine's nor a private network's; the ranges that stable code can tell.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}
