//! `hubgate doctor` against our own proxy, and against servers that are wrong on purpose.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf};
use rustls::pki_types::ServerName;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::backend::Backend;
use crate::harness::{PATH, Place, Process, Settings, VERIFY_TOKEN};

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Our own proxy with an application behind it, and files to examine it with.
struct Ours {
    place: Place,
    process: Process,
    backend: Backend,
}

impl Ours {
    async fn start() -> Self {
        let place = Place::new();
        let backend = Backend::good_at("127.0.0.1:0".parse().unwrap()).await;
        let settings = Settings { upstream_url: backend.url(), ..Settings::default() };
        let process = place.run(&settings).await;
        place.write("server-ca.pem", &place.server_ca.certificate_pem());
        present(&place, &place.meta_ca.issue(Leaf::meta()));
        Self { place, process, backend }
    }

    async fn examine(&self, path: &str, more: &str) -> Examined {
        examine(&self.place, self.process.address().port(), path, more).await
    }
}

fn present(place: &Place, identity: &Identity) {
    place.write("client.pem", &identity.chain_pem());
    place.write("client.key", &identity.key_pem());
}

const AS_META: &str = "--config config.toml --cert client.pem --key client.key";

/// What the command came to.
struct Examined {
    code: i32,
    page: String,
}

impl Examined {
    /// A line with this mark and subject says this.
    #[track_caller]
    fn assert_says(&self, mark: &str, what: &str, sentence: &str) {
        let is_it = |line: &str| {
            line.starts_with(mark) && line[6..].starts_with(what) && line.contains(sentence)
        };
        let is_said = self.page.lines().any(|line| line.len() > 6 && is_it(line));
        assert!(is_said, "not said: {mark} {what} {sentence}:\n{}", self.page);
    }
}

/// To `localhost` at this port of this machine.
async fn examine(place: &Place, port: u16, path: &str, more: &str) -> Examined {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
    command.current_dir(place.dir.path()).arg("doctor");
    command.arg("--url").arg(format!("https://localhost:{port}{path}"));
    command.arg("--resolve").arg(format!("localhost:{port}:127.0.0.1"));
    command.arg("--ca").arg("server-ca.pem").args(more.split_whitespace());
    let output = run(command).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let page = String::from_utf8(output.stdout).unwrap();
    // 5ec2e7 begins the app secret; the other two are the token, raw and encoded.
    for secret in ["5ec2e7", VERIFY_TOKEN, "token%7Ethat%2Bnobody+may%2Fsee"] {
        assert!(!page.contains(secret), "{page}");
    }
    let code = output.status.code().unwrap();
    assert_eq!(page.contains("would not be content"), code == 1, "{page}");
    Examined { code, page }
}

/// Beside the servers of the test, which share its thread.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn our_own_endpoint_is_found_healthy_with_one_event_that_arrives() {
    let ours = Ours::start().await;

    let examined = ours.examine(PATH, AS_META).await;

    assert_eq!(examined.code, 0, "{}", examined.page);
    examined.assert_says("ok", "connection", "127.0.0.1:");
    examined.assert_says("ok", "TLS", "1.3 and 1.2");
    examined.assert_says("ok", "certificate", "CN=localhost");
    examined.assert_says("ok", "client", "asks for a client certificate");
    examined.assert_says("ok", "verification", "bare");
    examined.assert_says("ok", "wrong token", "refused with 403");
    examined.assert_says("ok", "event", "200 in");
    examined.assert_says("ok", "wrong signature", "refused with 403");
    assert_eq!(ours.backend.bodies().len(), 1);
}

#[tokio::test]
async fn whoever_has_no_client_certificate_sees_that_one_is_demanded_and_no_fault() {
    let ours = Ours::start().await;

    let examined = ours.examine(PATH, "--token-file verify-token --secret-file app-secret").await;

    assert_eq!(examined.code, 0, "{}", examined.page);
    examined.assert_says("skip", "verification", "demands a client certificate");
    examined.assert_says("skip", "event", "demands a client certificate");
    assert_eq!(ours.backend.bodies().len(), 0);
}

#[tokio::test]
async fn a_wrong_token_path_or_certificate_is_told_as_meta_would() {
    let ours = Ours::start().await;
    ours.place.write("other-token", "another token");
    let as_meta = "--cert client.pem --key client.key";

    let token = ours.examine(PATH, &format!("{as_meta} --token-file other-token")).await;
    token.assert_says("no", "verification", "403");
    token.assert_says("  ", "Meta says", "HTTP Status Code = 403; HTTP Message = Forbidden");
    token.assert_says("  ", "to do", "verify token");

    let path = ours.examine("/elsewhere", &format!("{as_meta} --token-file verify-token")).await;
    path.assert_says("  ", "Meta says", "HTTP Status Code = 404; HTTP Message = Not Found");
    path.assert_says("  ", "to do", "[[webhook]]");

    present(&ours.place, &ours.place.meta_ca.impostor().issue(Leaf::meta()));
    let certificate = ours.examine(PATH, AS_META).await;
    certificate.assert_says("no", "verification", "no answer, but the alert ");
    assert_eq!([token.code, path.code, certificate.code], [1, 1, 1]);
}

#[tokio::test]
async fn each_way_to_present_a_wrong_certificate_is_named_and_gets_no_secret() {
    let place = Place::new();
    place.write("server-ca.pem", &place.server_ca.certificate_pem());
    let root = &place.server_ca;
    let issuing = root.intermediate(Ca::named("an intermediate"));
    let ended = root.intermediate(Ca::named("an old intermediate").expired());
    let private = Authority::root(Ca::named("a root of our own"));
    let elsewhere = Leaf::server(&[ServerName::try_from("hooks.example").unwrap()]);
    let gap = "unable to get local issuer certificate";

    for (identity, told, said) in [
        (Leaf::loopback_server().self_signed(), "it is self-signed", "self-signed certificate"),
        (root.issue(elsewhere), "names hooks.example, and not `localhost`", "target host name"),
        (root.issue(Leaf::loopback_server().expired()), "it expired at", "has expired"),
        (root.issue(Leaf::loopback_server().not_yet_valid()), "not valid before", "not yet valid"),
        (issuing.issue(Leaf::loopback_server()).leaf_only(), "CN=an intermediate", gap),
        (ended.issue(Leaf::loopback_server()), "CN=an old intermediate was valid", "has expired"),
        (private.issue(Leaf::loopback_server()), "CN=a root of our own", gap),
        (
            private.issue(Leaf::loopback_server()).and_presenting(&private),
            "its root is not a public one",
            "self-signed certificate in certificate chain",
        ),
        (root.issue(Leaf::meta()), "names nobody", "target host name"),
    ] {
        let server = Server::start(&identity, BOTH, quoting).await;
        let more = "--token-file verify-token --secret-file app-secret";

        let examined = examine(&place, server.port, PATH, more).await;

        assert_eq!(examined.code, 1, "{}", examined.page);
        examined.assert_says("no", "certificate", told);
        examined.assert_says("  ", "Meta says", said);
        examined.assert_says("skip", "requests", "nothing is sent");
        assert_eq!(server.requests.load(Ordering::Relaxed), 0, "{}", examined.page);
    }
    // Two faults at once are both named.
    let leaf = Leaf::server(&[ServerName::try_from("hooks.example").unwrap()]).expired();
    let server = Server::start(&leaf.self_signed(), BOTH, quoting).await;
    let examined = examine(&place, server.port, PATH, "").await;
    for told in ["it expired at", "names hooks.example", "it is self-signed"] {
        examined.assert_says("no", "certificate", told);
    }
    assert!(examined.page.contains("3 things are wrong"), "{}", examined.page);
}

#[tokio::test]
async fn a_chain_with_its_intermediate_is_in_order_and_an_application_that_checks_nothing_is_not() {
    let place = Place::new();
    place.write("server-ca.pem", &place.server_ca.certificate_pem());
    let issuing = place.server_ca.intermediate(Ca::named("an intermediate"));
    let identity = issuing.issue(Leaf::loopback_server());
    let more = "--token-file verify-token --secret-file app-secret";

    let server = Server::start(&identity, BOTH, echoing).await;
    let examined = examine(&place, server.port, PATH, more).await;
    examined.assert_says("ok", "certificate", "issued by O=hubgate test, CN=an intermediate");
    examined.assert_says("look", "client", "asks for no client certificate");
    examined.assert_says("ok", "verification", "bare");
    examined.assert_says("no", "wrong token", "anybody could register");
    examined.assert_says("no", "wrong signature", "anybody could send events");

    let server = Server::start(&identity, &[&rustls::version::TLS12], quoting).await;
    let examined = examine(&place, server.port, PATH, more).await;
    examined.assert_says("look", "TLS", "1.2, not 1.3: alert protocol_version");
    examined.assert_says("no", "verification", "something else than the challenge");
    examined.assert_says("  ", "Meta says", "Response does not match challenge, expected value=");
    assert_eq!(examined.code, 1);

    let server = Server::start(&identity, BOTH, str::to_owned).await;
    let examined = examine(&place, server.port, PATH, more).await;
    examined.assert_says("  ", "Meta says", "received=\"(the token is in it)\"");

    let server = Server::start(&identity, BOTH, silent_to_strangers).await;
    let examined =
        examine(&place, server.port, PATH, "--token-file verify-token --timeout 1").await;
    examined.assert_says("ok", "verification", "bare");
    examined.assert_says("look", "wrong token", "no answer in time");
}

#[tokio::test]
async fn another_address_of_the_name_with_an_old_certificate_is_noticed() {
    let place = Place::new();
    place.write("server-ca.pem", &place.server_ca.certificate_pem());
    let current = place.server_ca.issue(Leaf::loopback_server());
    let old = place.server_ca.issue(Leaf::loopback_server().expired());
    let server = Server::start(&current, BOTH, echoing).await;
    let more = format!("--resolve localhost:{}:127.0.0.2", server.port);
    Server::start_at(&format!("127.0.0.2:{}", server.port), &old, BOTH, echoing).await;

    let examined = examine(&place, server.port, PATH, &more).await;

    examined.assert_says("ok", "certificate", "CN=localhost");
    examined.assert_says("look", "address", "127.0.0.2");
    examined.assert_says("no", "certificate", "it expired at");
    assert_eq!(examined.code, 1);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_or_speaks_no_tls_is_told_where_it_ends() {
    let place = Place::new();
    place.write("server-ca.pem", &place.server_ca.certificate_pem());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let examined = examine(&place, closed, PATH, "").await;
    examined.assert_says("no", "connection", "does not accept");
    examined.assert_says("  ", "Meta says", "curl_errno = 7; ");

    let plain = Backend::scripted(|mut hop| async move {
        hop.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let examined = examine(&place, plain.address.port(), PATH, "").await;
    examined.assert_says("no", "TLS", "neither 1.3 nor 1.2");
    assert!(!examined.page.contains("certificate "), "{}", examined.page);

    let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
    command.args(["doctor", "--timeout", "5", "--url", "https://no.such.name.invalid/webhooks"]);
    let output = run(command).await;
    let page = String::from_utf8(output.stdout).unwrap();
    let said = "curl_errno = 6; curl_error = Could not resolve host: no.such.name.invalid";
    assert!(page.contains(said) && output.status.code() == Some(1), "{page}");
}

/// A TLS server that answers each request with what `answer` makes of its first line.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        answer: fn(&str) -> String,
    ) -> Self {
        Self::start_at("127.0.0.1:0", identity, versions, answer).await
    }

    async fn start_at(
        address: &str,
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        answer: fn(&str) -> String,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), socket, Arc::clone(&counter), answer));
            }
        });
        Self { port, requests }
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    requests: Arc<AtomicUsize>,
    answer: fn(&str) -> String,
) {
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let body = answer(String::from_utf8_lossy(&read).lines().next().unwrap());
    if body == SILENCE {
        let _until_it_gives_up = stream.read_buf(&mut read).await;
        return;
    }
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _gone_either_way = stream.write_all((head + &body).as_bytes()).await;
    let _gone_either_way = stream.shutdown().await;
}

/// Registers anybody, as a first draft of an application does.
fn echoing(line: &str) -> String {
    let challenge = line.split_once("hub.challenge=").map_or("", |(_, rest)| rest);
    challenge.split('&').next().unwrap_or_default().to_owned()
}

/// Takes the right token and says nothing to a wrong one.
fn silent_to_strangers(line: &str) -> String {
    let is_right = line.contains("token%7Ethat%2Bnobody+may%2Fsee");
    if is_right { echoing(line) } else { SILENCE.to_owned() }
}

/// In place of an answer.
const SILENCE: &str = "(silence)";

/// Registers nobody: the challenge is in quotes.
fn quoting(line: &str) -> String {
    format!("\"{}\"", echoing(line))
}
