//! The proxy in its surroundings.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hubgate::app::{self, Running};
use hubgate::config::Config;
use hubgate::lifecycle::Intervals;
use hubgate::listener::Sockets;
use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf};
use hubgate_testkit::sender::{Answer, Message, Options, SendError, Sender};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};

use crate::application::Application;
use crate::settings::Settings;
use crate::waiting::comes_true;
pub use crate::webhook::{APP_SECRET, PATH, VERIFY_TOKEN, event};

/// What a world is made of; everything has a default.
pub struct Plan {
    /// The anchors that are trusted: label and certificate.
    anchors: Vec<(String, String)>,
    settings: Settings,
    /// Files beside the configuration: name and text.
    files: Vec<(String, String)>,
    intervals: Intervals,
    /// Leaves in place of the one for loopback.
    server_leaves: Vec<Leaf>,
}

pub struct World {
    pub dir: TempDir,
    /// The CA with pathlen 0 that signs Meta's leaf directly.
    pub meta_ca: Authority,
    /// The root and issuing CA of the chain from before.
    pub digicert_root: Authority,
    pub digicert: Authority,
    pub server_ca: Authority,
    pub app: Application,
    pub proxy: Running,
}

impl Plan {
    /// Both anchors trusted, one webhook, an application that says `ok`.
    pub fn new() -> Self {
        Self {
            anchors: Vec::new(),
            settings: Settings::default(),
            files: Vec::new(),
            intervals: Intervals {
                park_after: Duration::from_millis(50),
                first_request: Duration::from_millis(100),
                pool_sweep: Duration::from_millis(20),
                ..Intervals::default()
            },
            server_leaves: Vec::new(),
        }
    }

    /// A line more in `[limits]`.
    pub fn limit(mut self, line: &str) -> Self {
        self.settings.limits += &format!("{line}\n");
        self
    }

    /// A line more in `[server]`.
    pub fn server(mut self, line: &str) -> Self {
        self.settings.server += &format!("{line}\n");
        self
    }

    /// A certificate of the server, in place of the one for loopback.
    pub fn server_leaf(mut self, leaf: Leaf) -> Self {
        self.server_leaves.push(leaf);
        self
    }

    /// Another address to listen on than a free port of 127.0.0.1.
    pub fn listen(self, address: &str) -> Self {
        self.server(&format!("listen = [\"{address}\"]"))
    }

    /// A line more in `[[upstream]]`.
    pub fn upstream(mut self, line: &str) -> Self {
        self.settings.upstream += &format!("{line}\n");
        self
    }

    /// Another place for the upstream than the world's application.
    pub fn upstream_url(mut self, url: &str) -> Self {
        self.settings.upstream_url = url.to_owned();
        self
    }

    /// Other times than the short ones that a world has.
    pub fn intervals(mut self, set: impl FnOnce(&mut Intervals)) -> Self {
        set(&mut self.intervals);
        self
    }

    /// A line more in `[client_certificate]`.
    pub fn client_certificate(mut self, line: &str) -> Self {
        self.settings.client_certificate += &format!("{line}\n");
        self
    }

    /// A line more in the `[[webhook]]` at [`PATH`].
    pub fn webhook(mut self, line: &str) -> Self {
        self.settings.webhook += &format!("{line}\n");
        self
    }

    /// Whole sections at the end of the file, `{dir}` standing for the world's directory, `{app}` for
    /// the upstream's url.
    pub fn more(mut self, sections: &str) -> Self {
        self.settings.more += sections;
        self
    }

    /// A file beside the configuration, with this text.
    pub fn secret_file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Trusts this authority, and none but those named so.
    pub fn trust(mut self, label: &str, authority: &Authority) -> Self {
        self.anchors.push((label.to_owned(), authority.certificate_pem()));
        self
    }

    /// Leaves the key for them out.
    pub fn without_anchors(mut self) -> Self {
        self.settings.has_no_anchors = true;
        self
    }

    pub async fn start(self) -> World {
        let app = Application::start().await;
        self.start_before(app).await
    }

    pub async fn start_before(mut self, app: Application) -> World {
        let meta_ca = Authority::root(Ca::meta());
        let digicert_root = Authority::root(Ca::digicert_root());
        let digicert = digicert_root.intermediate(Ca::digicert_intermediate());
        let server_ca = Authority::root(Ca::named("a root that browsers know"));
        if self.anchors.is_empty() {
            self = self.trust("meta", &meta_ca).trust("digicert", &digicert_root);
        }
        let dir = tempfile::tempdir().unwrap();
        let leaves = match self.server_leaves.as_slice() {
            [] => vec![Leaf::loopback_server()],
            leaves => leaves.to_vec(),
        };
        let servers: Vec<_> = leaves.into_iter().map(|leaf| server_ca.issue(leaf)).collect();
        if self.settings.upstream_url.is_empty() {
            self.settings.upstream_url = format!("http://{}", app.address);
        }
        let config = self.write(dir.path(), &servers);
        let config = Config::load(&config).unwrap_or_else(|errors| panic!("{errors}"));
        let proxy = app::start_with(config, Sockets::default(), self.intervals).unwrap();
        World { dir, meta_ca, digicert_root, digicert, server_ca, app, proxy }
    }

    fn write(&self, dir: &Path, servers: &[Identity]) -> std::path::PathBuf {
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        let mut settings = self.settings.clone();
        for (index, server) in servers.iter().enumerate() {
            let name = if index == 0 { "server".to_owned() } else { format!("server-{index}") };
            write(&format!("{name}.pem"), &server.chain_pem());
            write(&format!("{name}.key"), &server.key_pem());
            if servers.len() > 1 {
                settings.server += &format!(
                    "[[server.certificate]]\ncertificate = \"{name}.pem\"\nprivate_key = \"{name}.key\"\n"
                );
            }
        }
        write("app-secret", APP_SECRET);
        write("verify-token", VERIFY_TOKEN);
        for (name, text) in &self.files {
            write(name, text);
        }
        let mut anchors = String::new();
        for (label, pem) in &self.anchors {
            write(&format!("{label}.pem"), pem);
            anchors += &format!("\"{label}.pem\", ");
        }
        if !settings.has_no_anchors {
            settings.client_certificate += &format!("trust_anchors = [{anchors}]\n");
        }
        settings.more = settings.more.replace("{dir}", &dir.display().to_string());
        settings.more = settings.more.replace("{app}", &settings.upstream_url);
        write("config.toml", &settings.text());
        dir.join("config.toml")
    }
}

impl World {
    pub async fn start() -> Self {
        Plan::new().start().await
    }

    /// One that looks out for a CA, `next`, that it does not trust.
    pub async fn start_with_candidate() -> (Self, Authority) {
        let world = Self::start().await;
        let next = Authority::root(Ca::named("the CA after this one"));
        std::fs::write(world.dir.path().join("next.pem"), next.certificate_pem()).unwrap();
        let candidate = "[client_certificate]\ncandidate_anchors = [\"next.pem\"]";
        world.edit_config("[client_certificate]", candidate);
        world.reload();
        (world, next)
    }

    /// A caller without a certificate, to the webhook.
    pub fn stranger(&self) -> Options {
        let options = Options::to_local(self.proxy.addresses()[0], PATH).unwrap();
        options.trusting(&self.server_ca)
    }

    /// A caller with this certificate, to the webhook.
    pub fn caller(&self, identity: Identity) -> Options {
        self.stranger().identity(identity)
    }

    /// Meta, as it is since 2026.
    pub fn meta(&self) -> Options {
        self.caller(self.meta_ca.issue(Leaf::meta()))
    }

    /// Meta, as it was until 2026.
    pub fn meta_before(&self) -> Options {
        self.caller(self.digicert.issue(Leaf::meta()))
    }

    /// A connection from this address to the second one that is listened on, without a word yet.
    pub async fn plain(&self, source: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        socket.connect(self.proxy.addresses()[1]).await.unwrap()
    }

    /// The configuration file that the proxy was started with.
    pub fn config_file(&self) -> std::path::PathBuf {
        self.dir.path().join("config.toml")
    }

    /// Replaces `from` by `to` in the configuration file; `from` must be there.
    pub fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config_file()).unwrap();
        assert!(text.contains(from), "`{from}` is not in:\n{text}");
        std::fs::write(self.config_file(), text.replace(from, to)).unwrap();
    }

    /// Puts the configuration file, as it is now, in force.
    pub fn reload(&self) {
        self.proxy.reload_from(&self.config_file()).unwrap();
    }

    /// The value of one series in the proxy's metrics; absent is an error of the test.
    pub fn metric(&self, series: &str) -> f64 {
        let value = self.proxy.metric(series);
        value.unwrap_or_else(|| panic!("no series `{series}` in:\n{}", self.proxy.metrics()))
    }

    /// Waits until the series has this value: what is counted may be counted after the answer.
    pub async fn until_metric(&self, series: &str, expected: f64) {
        let is_reached = comes_true(async || self.metric(series) == expected).await;
        assert!(is_reached, "`{series}` is {}, not {expected}", self.metric(series));
    }

    /// Waits until request bodies take at least so much memory.
    pub async fn until_held(&self, bytes: usize) {
        let held = || self.metric("hubgate_body_memory_bytes");
        let is_reached = comes_true(async || held() >= bytes as f64).await;
        assert!(is_reached, "{} bytes are held, not {bytes}", held());
    }

    /// Every series of this metric that is not zero: its labels and its value.
    pub fn counted(&self, metric: &str) -> Vec<(String, u64)> {
        let text = self.proxy.metrics();
        let series = text.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(metric)?.strip_prefix('{')?.split_once("} ")?;
            Some((labels.to_owned(), value.parse().unwrap()))
        });
        let mut series: Vec<_> = series.filter(|(_, value)| *value != 0).collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        series
    }

    /// Waits until the series of this metric that are not zero are these, in the order of their
    /// labels, and no others.
    pub async fn until_counted(&self, metric: &str, expected: &[(&str, u64)]) {
        let expected: Vec<_> =
            expected.iter().map(|(labels, times)| ((*labels).to_owned(), *times)).collect();
        let is_reached = comes_true(async || self.counted(metric) == expected).await;
        assert!(is_reached, "`{metric}` is {:?}, not {expected:?}", self.counted(metric));
    }

    /// Nothing was sent to the application, nor a connection to it opened.
    pub fn assert_application_untouched(&self) {
        assert_eq!(self.metric("hubgate_upstream_connects_total{upstream=\"app\"}"), 0.0);
        assert!(self.app.received().is_empty(), "{:?}", self.app.received());
    }

    /// How often a handshake was refused for `reason`.
    pub async fn until_handshake_refused(&self, reason: &str, times: usize) {
        let series = format!("hubgate_handshake_refusals_total{{reason=\"{reason}\"}}");
        self.until_metric(&series, times as f64).await;
    }

    /// How often a request to the webhook at [`PATH`] was refused for `reason`.
    pub async fn until_refused(&self, reason: &str, times: usize) {
        let series = format!("hubgate_refusals_total{{route=\"{PATH}\",reason=\"{reason}\"}}");
        self.until_metric(&series, times as f64).await;
    }
}

/// One message over a connection of its own.
pub async fn send(options: Options, message: Message) -> Result<Answer, SendError> {
    Sender::new(options)?.send(message).await
}
