//! The checks of docs/security.md, each in a small application of its language behind a real proxy,
//! against somebody who captured a genuine request and reaches the application beside the proxy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hubgate_testkit::sender::Message;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::relay::Relay;
use super::{SECRET, SECRET_BEFORE, made, now, time_of};
use crate::harness::Plan;
use crate::harness::backend::deserted_port;
use crate::harness::world::{VERIFY_TOKEN, event, send};
use crate::waiting::{PATIENCE, until_bound};

#[tokio::test]
async fn the_check_in_python_takes_what_is_proven_and_refuses_what_is_forged() {
    let language = Language { block: "python", program: "python3", extension: "py" };
    let start = |dir: &Path, port: &str| language.run(&[path(dir, "app.py"), port.to_owned()]);
    try_all(language, start).await;
}

#[tokio::test]
async fn the_check_in_node_takes_what_is_proven_and_refuses_what_is_forged() {
    let language = Language { block: "js", program: "node", extension: "js" };
    let start = |dir: &Path, port: &str| language.run(&[path(dir, "app.js"), port.to_owned()]);
    try_all(language, start).await;
}

#[tokio::test]
async fn the_check_in_php_takes_what_is_proven_and_refuses_what_is_forged() {
    let language = Language { block: "php", program: "php", extension: "php" };
    let start = |dir: &Path, port: &str| {
        language.run(&["-S".to_owned(), format!("127.0.0.1:{port}"), path(dir, "app.php")])
    };
    try_all(language, start).await;
}

#[tokio::test]
async fn the_check_in_ruby_takes_what_is_proven_and_refuses_what_is_forged() {
    let language = Language { block: "ruby", program: "ruby", extension: "rb" };
    let start = |dir: &Path, port: &str| language.run(&[path(dir, "app.rb"), port.to_owned()]);
    try_all(language, start).await;
}

#[tokio::test]
async fn the_check_in_go_takes_what_is_proven_and_refuses_what_is_forged() {
    let language = Language { block: "go", program: "go", extension: "go" };
    let start = |dir: &Path, port: &str| {
        // Without a module there is nothing to download.
        let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools");
        let built = Command::new("go")
            .args(["build", "-o", "app", "app.go", "proof.go"])
            .current_dir(dir)
            .envs([("GO111MODULE", "off"), ("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0")])
            .env("GOCACHE", tools.join("go-cache"))
            .env("GOPATH", tools.join("go-path"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Language { program: &path(dir, "app"), ..language }.run(&[port.to_owned()])
    };
    try_all(language, start).await;
}

/// One good event; the same again, as long as it is young; and everything that must not pass.
async fn try_all(language: Language<'_>, start: impl Fn(&Path, &str) -> Child) {
    let Some(application) = Application::start(language, start).await else { return };
    let relay = Relay::to(application.address).await;
    let plan = Plan::new()
        .upstream_url(&format!("http://{}", relay.address))
        .upstream("proof = { file = \"app-proof\" }")
        .secret_file("app-proof", SECRET)
        .webhook("verification = \"forward\"")
        .more("[[site]]\nupstream = \"app\"\n");
    let world = plan.start().await;

    let body = r#"{"object":"page","text":"\u00e9 é"}"#;
    let genuine = event(body).query("app=7&x=%2F%C3%A9");
    assert_eq!(send(world.meta(), genuine).await.unwrap().status, 200, "a genuine event");
    let genuine = Captured::read(&relay.take());
    let large = event("x".repeat(100_000));
    assert_eq!(send(world.meta(), large).await.unwrap().status, 200, "a large one");
    let verification = Message::verification(VERIFY_TOKEN, "1158201444");
    assert_eq!(send(world.meta(), verification).await.unwrap().status, 200, "a verification");
    relay.take();

    // The header is what another program makes of the captured request, so what is made below is
    // what hubgate would have made then.
    assert_eq!(genuine.proof, genuine.made(SECRET, time_of(&genuine.proof)));
    let young = genuine.with_proof(&genuine.made(SECRET, now() - 290));
    let before = genuine.with_proof(&genuine.made(SECRET_BEFORE, now()));
    for (what, request) in [("itself", &genuine), ("290 s old", &young), ("rotated", &before)] {
        assert_eq!(application.answers(request).await, 200, "{what}");
    }
    for (what, request) in forgeries(&genuine) {
        assert_eq!(application.answers(&request).await, 403, "{what}");
    }

    // Through a site, with everything that the genuine one has.
    let stolen = event(body)
        .target_path("/another-name-of-it?app=7")
        .header("X-Hubgate-Proof", &genuine.proof)
        .header("X-Hubgate-Verified", &genuine.verified);
    assert_eq!(send(world.stranger(), stolen).await.unwrap().status, 403, "through a site");
    assert!(relay.take().starts_with(b"POST /another-name-of-it?app=7 "));
}

/// What somebody can make who has the genuine request, and not the secret.
fn forgeries(genuine: &Captured) -> Vec<(&'static str, Captured)> {
    let mut forged = Vec::new();
    let mut add = |what, change: &dyn Fn(&mut Captured)| {
        let mut request = genuine.clone();
        change(&mut request);
        assert_ne!(request, *genuine, "{what}");
        forged.push((what, request));
    };
    let old = genuine.made(SECRET, now() - 301);
    let (time, digits) = genuine.proof.split_once(",v1=").unwrap();
    add("none", &|request| request.proof.clear());
    add("old", &|request| request.proof.clone_from(&old));
    add("another path", &|request| request.target = "/webhooks?app=8&x=%2F%C3%A9".to_owned());
    add("another body", &|request| request.body.push(' '));
    add("another secret", &|r| r.proof = r.made("guessed0123456789guessed0123456789", now()));
    add("replayed after its time, which is mended", &|request| {
        request.proof = old.replace(&format!("t={}", time_of(&old)), &format!("t={}", now()));
    });

    add("from the future", &|request| request.proof = request.made(SECRET, now() + 320));
    add("without a secret", &|request| request.proof = request.made("", now()));
    add("another method", &|request| request.method = "GET".to_owned());
    add("the path decoded", &|request| request.target = request.target.replace("%2F", "/"));
    add("the path alone", &|request| request.target = "/webhooks".to_owned());
    add("other words", &|request| request.verified = "signature".to_owned());
    add("no words", &|request| request.verified.clear());
    add("no digits", &|request| request.proof = format!("{time},v1="));
    add("fewer digits", &|request| request.proof.truncate(request.proof.len() - 2));
    add("more digits", &|request| request.proof.push_str("00"));
    add("digits in upper case", &|r| r.proof = format!("{time},v1={}", digits.to_uppercase()));
    add("another version", &|request| request.proof = format!("{time},v2={digits}"));
    add("something more", &|request| request.proof.push_str(",v2=0"));
    add("a time in another form", &|request| request.proof = request.proof.replace("t=", "t=0"));
    add("a time with a sign", &|request| request.proof = request.proof.replace("t=", "t=+"));
    add("no time", &|request| request.proof = format!("t=,v1={digits}"));
    add("no form at all", &|request| request.proof = "signature".to_owned());
    forged
}

/// A request on the wire.
#[derive(Clone, Debug, PartialEq)]
struct Captured {
    method: String,
    target: String,
    /// Empty: not there.
    verified: String,
    /// Empty: not there.
    proof: String,
    body: String,
}

impl Captured {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut words = head.split([' ', '\r']).map(str::to_owned);
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut values = lines.filter(|(found, _)| *found == name).map(|(_, value)| value);
            values.next().unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
        };
        Self {
            method: words.next().unwrap(),
            target: words.next().unwrap(),
            verified: header("x-hubgate-verified"),
            proof: header("x-hubgate-proof"),
            body: body.to_owned(),
        }
    }

    fn made(&self, secret: &str, time: u64) -> String {
        let head = [self.method.as_str(), &self.target, &self.verified];
        made(secret, time, head, self.body.as_bytes())
    }

    fn with_proof(&self, proof: &str) -> Self {
        Self { proof: proof.to_owned(), ..self.clone() }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { method, target, verified, proof, body } = self;
        let mut text = format!(
            "{method} {target} HTTP/1.1\r\nhost: app\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in [("x-hubgate-verified", verified), ("x-hubgate-proof", proof)] {
            if !value.is_empty() {
                text += &format!("{name}: {value}\r\n");
            }
        }
        format!("{text}\r\n{body}").into_bytes()
    }
}

/// A language of docs/security.md.
#[derive(Clone, Copy)]
struct Language<'a> {
    /// What its block of code is marked with.
    block: &'a str,
    program: &'a str,
    extension: &'a str,
}

impl Language<'_> {
    fn run(&self, arguments: &[String]) -> Child {
        Command::new(self.program)
            .args(arguments)
            // One that is not filled in is no secret.
            .env("PROOF_SECRETS", format!(",{SECRET_BEFORE},{SECRET}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn is_here(&self) -> bool {
        let flag = if self.program == "go" { "version" } else { "--version" };
        let mut command = Command::new(self.program);
        command.arg(flag).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// The block of code as it stands in the documentation.
    fn check(&self) -> String {
        let fence = format!("\n```{}\n", self.block);
        let mut blocks = SECURITY.split(&fence).skip(1);
        let (first, second) = (blocks.next().unwrap(), blocks.next());
        assert!(second.is_none(), "two blocks of {}", self.block);
        let code = first.split("\n```\n").next().unwrap();
        match self.block {
            "go" => format!("package main\n\n{code}\n"),
            "php" => format!("<?php\n{code}\n"),
            "js" => format!("{code}\nmodule.exports = {{ isProven }};\n"),
            _ => format!("{code}\n"),
        }
    }
}

/// One that checks every request; ended when dropped.
struct Application {
    process: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Application {
    /// `None`, with a message, where its language is not there.
    async fn start(language: Language<'_>, start: impl Fn(&Path, &str) -> Child) -> Option<Self> {
        let Language { program, extension, .. } = language;
        if !language.is_here() {
            eprintln!("SKIPPED: there is no {program} here; .ci/run installs it");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let fixtures: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "proof"].iter().collect();
        let file = format!("app.{extension}");
        fs::copy(fixtures.join(&file), dir.path().join(&file)).unwrap();
        fs::write(dir.path().join(format!("proof.{extension}")), language.check()).unwrap();
        let address = deserted_port(Ipv4Addr::LOCALHOST);
        let process = start(dir.path(), &address.port().to_string());
        let mut application = Self { process, address, _dir: dir };
        until_bound(address, &mut application.process).await;
        Some(application)
    }

    /// The status that a request gets that is sent to it beside the proxy.
    async fn answers(&self, request: &Captured) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&request.bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _gently_or_not = tokio::time::timeout(PATIENCE, read).await.expect("must answer");
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no answer to {request:?}: {answer}"))
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _may_have_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

const SECURITY: &str = include_str!("../../../docs/security.md");
