//! A directory with all that a configuration names, and processes of the executable.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::Options;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

pub use crate::settings::Settings;
use crate::waiting::{PATIENCE, comes_true, found};
pub use crate::webhook::{APP_SECRET, PATH, VERIFY_TOKEN, event};

/// The surroundings of a process.
pub struct Place {
    pub dir: TempDir,
    pub meta_ca: Authority,
    pub server_ca: Authority,
}

/// A process of the executable; killed when dropped.
pub struct Process {
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// What a process wrote so far.
#[derive(Clone, Default)]
struct Output(Arc<Written>);

#[derive(Default)]
struct Written {
    text: Mutex<String>,
    changed: Notify,
    /// While somebody holds it, nothing more is read.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
            meta_ca: Authority::root(Ca::meta()),
            server_ca: Authority::root(Ca::named("a root that browsers know")),
        };
        let server = place.server_ca.issue(Leaf::loopback_server());
        place.write("server.pem", &server.chain_pem());
        place.write("server.key", &server.key_pem());
        place.write("meta.pem", &place.meta_ca.certificate_pem());
        place.write("app-secret", APP_SECRET);
        place.write("verify-token", VERIFY_TOKEN);
        place
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Writes `config.toml`.
    pub fn configure(&self, settings: &Settings) {
        self.write("config.toml", &settings.text());
    }

    /// Replaces `from`, which must be there, by `to` in `config.toml`.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.dir.path().join("config.toml")).unwrap();
        assert!(text.contains(from), "`{from}` is not in:\n{text}");
        self.write("config.toml", &text.replace(from, to));
    }

    /// `hubgate run` with the configuration.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
        command.env_remove("NO_COLOR");
        command.arg("run").arg("--config").arg(self.dir.path().join("config.toml"));
        command
    }

    /// A process that serves with this configuration.
    pub async fn run(&self, settings: &Settings) -> Process {
        self.configure(settings);
        let process = Process::start(self.command());
        process.until_written("serving").await;
        process
    }

    /// Meta, to the webhook of a process.
    pub fn meta(&self, process: &Process) -> Options {
        self.stranger(process).identity(self.meta_ca.issue(Leaf::meta()))
    }

    /// A caller without a certificate, to the webhook of a process.
    pub fn stranger(&self, process: &Process) -> Options {
        Options::to_local(process.address(), PATH).unwrap().trusting(&self.server_ca)
    }
}

fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines()
}

impl Process {
    /// Starts it with both outputs read as they come.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Output::read_from(child.stdout.take().unwrap());
        let stderr = Output::read_from(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts it with a terminal as its standard error.
    pub fn start_on_terminal(mut command: Command) -> Self {
        let (terminal, end) = terminal();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(end);
        let mut child = command.spawn().unwrap();
        let stdout = Output::read_from(child.stdout.take().unwrap());
        Self { child, stdout, stderr: Output::read_from(File::from(terminal)) }
    }

    /// Where callers connect, as its log says.
    pub fn address(&self) -> SocketAddr {
        format!("127.0.0.1:{}", self.port_after("addresses")).parse().unwrap()
    }

    /// Where the operator looks, as its log says.
    pub fn admin_address(&self) -> SocketAddr {
        format!("127.0.0.1:{}", self.port_after("admin")).parse().unwrap()
    }

    fn port_after(&self, key: &str) -> u16 {
        let stderr = self.stderr();
        let line = stderr.lines().find(|line| line.contains("serving")).unwrap();
        let rest = &line[line.find(key).unwrap()..];
        let end = rest.find([')', ']']).unwrap();
        // The first bracket that closes may be that of `[::]`.
        let end = if rest[end..].starts_with("]:") {
            end + 1 + rest[end + 1..].find([')', ']']).unwrap()
        } else {
            end
        };
        rest[..end].rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Its log so far, a JSON object a line.
    pub fn log(&self) -> Vec<Value> {
        whole_lines(&self.stderr())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Waits until standard error has a whole line with this text.
    pub async fn until_written(&self, text: &str) {
        self.until_written_times(text, 1).await;
    }

    /// Waits until so many whole lines of standard error have this text.
    pub async fn until_written_times(&self, text: &str, count: usize) {
        let lines = |written: &str| whole_lines(written).filter(|l| l.contains(text)).count();
        self.stderr.until(|written| lines(written) >= count, text).await;
    }

    /// Waits for a line that may take longer than anything else.
    pub async fn until_written_within(&self, text: &str, patience: Duration) {
        let is_there = |written: &str| whole_lines(written).any(|line| line.contains(text));
        self.stderr.until_within(is_there, text, patience).await;
    }

    /// Waits until the log has this many access records, and returns them.
    pub async fn until_records(&self, count: usize) -> Vec<Value> {
        let is_record = |line: &&str| line.contains(r#""target":"access""#);
        let is_reached = |written: &str| whole_lines(written).filter(is_record).count() >= count;
        self.stderr.until(is_reached, "access records").await;
        self.log().into_iter().filter(|line| line["target"] == "access").collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }

    /// Its current metrics, over a connection of their own.
    pub async fn metrics(&self) -> String {
        Admin::connect(self).await.get("/metrics").await
    }

    /// Nothing of its log is read while this is locked, save what is being read already.
    pub fn log_gate(&self) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.stderr.0.gate)
    }

    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.exited().await;
        // Whatever it wrote last is read before anybody looks.
        for output in [&self.stdout, &self.stderr] {
            output.until(|written| written.ends_with(END), "end of output").await;
        }
        status
    }

    /// Waits for its end, whether or not what it wrote is read.
    pub async fn exited(&mut self) -> ExitStatus {
        let status = found(async || self.child.try_wait().unwrap()).await;
        status.unwrap_or_else(|| panic!("still runs: {}", self.stderr()))
    }
}

/// A terminal to read from, and the end of it that a process writes to.
pub fn terminal() -> (OwnedFd, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    (terminal, File::options().read(true).write(true).open(path).unwrap())
}

impl Drop for Process {
    fn drop(&mut self) {
        let _has_ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Output {
    fn read_from(mut pipe: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let writer = output.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                drop(writer.0.gate.blocking_lock());
                let length = pipe.read(&mut buffer).unwrap_or(0);
                let read = String::from_utf8_lossy(&buffer[..length]);
                writer.0.text.lock().unwrap().push_str(if length == 0 { END } else { &read });
                writer.0.changed.notify_waiters();
                if length == 0 {
                    return;
                }
            }
        });
        output
    }

    fn text(&self) -> String {
        let text = self.0.text.lock().unwrap();
        text.strip_suffix(END).unwrap_or(&text).to_owned()
    }

    async fn until(&self, is_reached: impl Fn(&str) -> bool, what: &str) {
        self.until_within(is_reached, what, PATIENCE).await;
    }

    async fn until_within(
        &self,
        is_reached: impl Fn(&str) -> bool,
        what: &str,
        patience: Duration,
    ) {
        let reached = async {
            loop {
                let changed = self.0.changed.notified();
                if is_reached(&self.0.text.lock().unwrap()) {
                    return;
                }
                changed.await;
            }
        };
        let reached = tokio::time::timeout(patience, reached).await;
        assert!(reached.is_ok(), "never came: {what}; only:\n{}", self.text());
    }
}

/// Put behind an output that is closed; no process writes it.
const END: &str = "\u{4}end of output";

/// A kept connection to the admin listener of a process.
pub struct Admin(TcpStream);

impl Admin {
    pub async fn connect(process: &Process) -> Self {
        Self(TcpStream::connect(process.admin_address()).await.unwrap())
    }

    /// The body of the answer.
    pub async fn get(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            assert!(self.0.read_buf(&mut answer).await.unwrap() > 0, "closed");
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.unwrap().parse::<usize>().unwrap() {
                return body.to_owned();
            }
        }
    }

    /// Waits until the series is as wished.
    pub async fn until_metric(&mut self, series: &str, is_reached: impl Fn(f64) -> bool) {
        let reached = comes_true(async || is_reached(self.metric(series).await)).await;
        assert!(reached, "`{series}` is {}", self.metric(series).await);
    }

    /// The value of one series.
    pub async fn metric(&mut self, series: &str) -> f64 {
        let text = self.get("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no series `{series}` in:\n{text}")).parse().unwrap()
    }
}
