//! What nginx does on port 80, and what hubgate does there after the import.

use std::net::SocketAddr;

use hubgate::config::Config;
use hubgate_nginx::Outcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::Fixture;
use crate::verdict::{Nginx, application, hubgate};

/// A request, and what both must say of it: status, `Location`, body.
const SHOTS: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    ("GET / HTTP/1.1", "301", Some("https://app.example.com/"), None),
    ("HEAD /a HTTP/1.1", "301", Some("https://app.example.com/a"), None),
    ("GET /a//b?c=d&e HTTP/1.1", "301", Some("https://app.example.com/a//b?c=d&e"), None),
    ("GET /webhooks/meta HTTP/1.1", "301", Some("https://app.example.com/webhooks/meta"), None),
    ("GET /.well-known/acme-challenge/token HTTP/1.1", "200", None, Some("token.thumbprint")),
    ("GET /.well-known/acme-challenge/none HTTP/1.1", "404", None, None),
];

#[tokio::test]
async fn port_80_sends_to_https_and_answers_tokens_as_nginx_did() {
    let applications = [application().await, application().await];
    let fixture = Fixture::of("mixed", applications.each_ref().map(|one| one.address));
    let tokens = fixture.path("www/acme/.well-known/acme-challenge");
    std::fs::create_dir_all(&tokens).unwrap();
    std::fs::write(tokens.join("token"), "token.thumbprint").unwrap();
    let nginx = Nginx::start(&fixture);
    if nginx.is_none() {
        eprintln!("SKIPPED: there is no nginx to compare port 80 with");
    }
    let hubgate = hubgate(&fixture);
    let ours = *hubgate.addresses().last().unwrap();
    let mut both = vec![ours];
    both.extend(nginx.is_some().then(|| fixture.nginx_address(80)));
    for (line, status, location, body) in SHOTS {
        for address in &both {
            let (head, said) = ask(*address, line, "app.example.com").await;
            assert_eq!(head.split(' ').nth(1), Some(*status), "{address} {line}: {head}");
            let found = head.lines().find_map(|line| line.strip_prefix("Location: "));
            let found = found.or_else(|| head.lines().find_map(|l| l.strip_prefix("location: ")));
            assert_eq!(found, *location, "{address} {line}");
            assert!(body.is_none_or(|body| body == said), "{address} {line}: {said}");
        }
    }
    // Where nginx would lose a body, hubgate keeps it, with its method.
    let (head, _) = ask(ours, "POST /contact HTTP/1.1", "app.example.com").await;
    assert_eq!(head.split(' ').nth(1), Some("308"), "{head}");
    assert!(applications.iter().all(|one| one.received().is_empty()));
}

#[test]
fn the_server_block_on_port_80_becomes_a_redirect() {
    let fixture = Fixture::of("mixed", [3000, 3001].map(|port| ([127, 0, 0, 1], port).into()));

    let import = fixture.import().unwrap();

    let path = fixture.path("config.toml");
    std::fs::write(&path, &import.text).unwrap();
    let redirect = Config::load(&path).unwrap().redirect.unwrap();
    assert_eq!(redirect.listen, [fixture.nginx_address(80)]);
    let tokens = fixture.path("www/acme/.well-known/acme-challenge");
    assert_eq!(redirect.acme_directory, Some(tokens));
    for directive in ["listen 127.0.0.1", "location /.well-known/acme", "root ", "return 301"] {
        let about = import.findings.iter().filter(|one| one.directive.starts_with(directive));
        let outcomes: Vec<_> = about.map(|one| one.outcome).collect();
        assert!(!outcomes.is_empty(), "{directive}");
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Carried), "{directive}");
    }
}

/// Head and body of the answer.
async fn ask(address: SocketAddr, line: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
