//! Proves that the checks are on: a right request passes, a wrong signature and a wrong name do not.
//!
//! Blocking and one at a time; nothing here is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Stream};
use serde_json::{Value, json};

use crate::Target;
use crate::http1;
use crate::pki::HOST;
use crate::request::Request;
use crate::tls::{self, Identity, Sessions};

/// Probes the proxy; `unsigned` says that it is known not to look at signatures.
pub(crate) fn run(target: &Target, origin: SocketAddr, unsigned: bool) -> Value {
    let right = Request::signed(&target.pki, 1024).into_bytes();
    let forged = Request::signed(&target.pki, 1024).with_wrong_signature().into_bytes();

    let before = count(origin);
    let let_in = post(target, Identity::Right, &right);
    let passed = count(origin) - before;
    let wrong_name = post(target, Identity::WrongName, &right);
    let wrong_signature = (!unsigned).then(|| post(target, Identity::Right, &forged));
    let leaked = count(origin) - before - passed;

    // A name is refused in TLS by a proxy that can, and by an answer of 403 by one that cannot.
    let name_refused = wrong_name.starts_with("tls: ") || wrong_name == "403";
    let signature_refused = wrong_signature.as_deref().is_none_or(|outcome| outcome == "403");
    json!({
        "ok": let_in == "200" && passed == 1 && name_refused && signature_refused && leaked == 0,
        "right": let_in,
        "wrong_name": wrong_name,
        "wrong_signature": wrong_signature,
        "passed": passed,
        "leaked": leaked,
    })
}

/// The status, or how TLS ended.
fn post(target: &Target, identity: Identity, request: &[u8]) -> String {
    let config = tls::client(&target.pki, identity, Sessions::Forgotten);
    let name = ServerName::try_from(HOST).expect("a constant, and a DNS name");
    let mut tls = ClientConnection::new(config, name).unwrap();
    let mut socket = connect(target.connect);
    let mut stream = Stream::new(&mut tls, &mut socket);

    if let Err(error) = stream.write_all(request) {
        return format!("tls: {error}");
    }
    let mut answer = vec![0; 4096];
    match stream.read(&mut answer) {
        Ok(count) => status(&answer[..count]),
        Err(error) => format!("tls: {error}"),
    }
}

fn status(answer: &[u8]) -> String {
    answer
        .get(9..12)
        .map_or_else(|| "nothing".to_owned(), |digits| String::from_utf8_lossy(digits).into_owned())
}

/// How many requests the application has seen.
fn count(origin: SocketAddr) -> u64 {
    let mut socket = connect(origin);
    socket.write_all(b"GET /count HTTP/1.1\r\nHost: origin\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    loop {
        if let Some(length) = http1::head_length(&answer) {
            let wanted = http1::content_length(&answer[..length]).unwrap();
            if answer.len() >= length + wanted {
                return str::from_utf8(&answer[length..]).unwrap().parse().unwrap();
            }
        }
        let count = socket.read(&mut part).unwrap();
        assert_ne!(count, 0, "the origin has closed");
        answer.extend_from_slice(&part[..count]);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}
