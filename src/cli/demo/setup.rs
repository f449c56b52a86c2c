//! Everything that the demo needs running, and the files behind it.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rustls::pki_types::ServerName;

use super::counters::Counters;
use super::upstream::DemoUpstream;
use crate::app::{self, Running};
use crate::config::Config;
use hubgate_testkit::sender::{Options, SendError};
use hubgate_testkit::setup::{Setup, random_hex};

/// The callback path.
pub(super) const PATH: &str = "/webhooks";

/// An upstream, a proxy in front of it, and what both were made from.
pub(super) struct DemoSetup {
    pub(super) setup: Setup,
    pub(super) upstream: DemoUpstream,
    /// Where callers connect.
    pub(super) address: SocketAddr,
    proxy: Running,
    directory: Directory,
}

impl DemoSetup {
    /// Makes everything on free ports of this machine.
    pub(super) async fn set() -> anyhow::Result<Self> {
        let directory = Directory::make()?;
        let names = ["localhost", "127.0.0.1", "::1"];
        let names = names.map(|name| ServerName::try_from(name).expect("a name or an address"));
        let setup = Setup::new(&names);
        setup.write(directory.path(), false)?;
        let upstream = DemoUpstream::start().await.context("cannot start the upstream")?;

        // A file, not a made-up value: the demo runs what an operator would run.
        let file = directory.path().join("config.toml");
        fs::write(&file, configuration(upstream.address))
            .with_context(|| format!("cannot write `{}`", file.display()))?;
        let proxy = app::start(Config::load(&file)?)?;
        let address = *proxy.addresses().first().context("the proxy listens nowhere")?;
        Ok(Self { setup, upstream, address, proxy, directory })
    }

    /// A caller who trusts the server and has no client certificate yet.
    pub(super) fn caller(&self) -> Result<Options, SendError> {
        let options = Options::to_local(self.address, PATH)?;
        Ok(options.trusting(&self.setup.server_ca).timeout(Duration::from_secs(10)))
    }

    /// What the proxy has counted so far.
    pub(super) fn counters(&self) -> Counters {
        Counters::parse(&self.proxy.metrics())
    }

    /// Where metrics and status are.
    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        self.proxy.admin_address()
    }

    /// Where the files are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Drains the proxy, then removes the files.
    pub(super) async fn clear(self) {
        let proxy = self.proxy;
        // Its threads need this runtime for the upstream until they have ended.
        let stopped = tokio::task::spawn_blocking(move || proxy.stop()).await;
        if let Err(panicked) = stopped {
            eprintln!("hubgate: the proxy did not stop well: {panicked}");
        }
    }
}

/// A directory that only its owner can enter, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("hubgate-demo-{}", random_hex()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make the directory `{}`", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("hubgate: cannot remove `{}`: {error}", self.0.display());
        }
    }
}

fn configuration(upstream: SocketAddr) -> String {
    format!(
        r#"[server]
listen = ["127.0.0.1:0"]
certificate = "server.pem"
private_key = "server.key"
workers = 1
drain_timeout_ms = 1000

[client_certificate]
trust_anchors = [
    {{ file = "meta-ca.pem", label = "meta" }},
    {{ file = "digicert-root.pem", label = "digicert" }},
]

[[upstream]]
name = "app"
url = "http://{upstream}"

[[webhook]]
path = "{PATH}"
upstream = "app"
app_secrets = [{{ file = "app-secret" }}]
verify_token = {{ file = "verify-token" }}

[admin]
listen = "127.0.0.1:0"
"#
    )
}
