//! A fixture on free ports of loopback, before an application of the test.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use hubgate::config::{is_identity_name, known_keys};
use hubgate_nginx::{Import, ImportError, ImportOptions, Vocabulary, import};
use hubgate_testkit::pki::{Authority, Ca, Leaf};
use rustls::pki_types::ServerName;
use tempfile::TempDir;

pub use crate::webhook::{APP_SECRET, VERIFY_TOKEN};

/// A copy of a fixture, with everything in it that it names.
pub struct Fixture {
    pub dir: TempDir,
    pub meta_ca: Authority,
    pub server_ca: Authority,
    /// Where nginx listens, by the port that the fixture has.
    ports: HashMap<u16, u16>,
}

impl Fixture {
    /// Copies the fixture of this name; requests go to `applications`.
    pub fn of(name: &str, applications: [SocketAddr; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = [80, 443, 444].map(|port| (port, free_port()));
        let fixture = Self {
            dir,
            meta_ca: Authority::root(Ca::meta()),
            server_ca: Authority::root(Ca::named("a root that browsers know")),
            ports: HashMap::from(ports),
        };
        let source = source(name);
        fixture.copy(&source, &fixture.path(""), applications);
        fs::create_dir_all(fixture.path("tls")).unwrap();
        let names = ["localhost", "app.example.com", "hooks.example.com"];
        let names = names.map(|name| ServerName::try_from(name).unwrap());
        let server = fixture.server_ca.issue(Leaf::server(&names));
        fixture.write("tls/fullchain.pem", &server.chain_pem());
        fixture.write("tls/privkey.pem", &server.key_pem());
        fixture.write("tls/meta-ca.pem", &fixture.meta_ca.certificate_pem());
        fixture.write("app-secret", APP_SECRET);
        fixture.write("verify-token", VERIFY_TOKEN);
        fs::create_dir_all(fixture.path("www/acme")).unwrap();
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where nginx listens in place of this port.
    pub fn nginx_address(&self, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], *self.ports.get(&port).unwrap()))
    }

    pub fn import(&self) -> Result<Import, ImportError> {
        let options = ImportOptions {
            server: None,
            webhook_paths: Vec::new(),
            app_secret_file: self.path("app-secret").display().to_string(),
            verify_token_file: self.path("verify-token").display().to_string(),
        };
        let vocabulary =
            Vocabulary { known_keys: known_keys(), may_name_identity: is_identity_name };
        import(&self.path("nginx.conf"), &options, &vocabulary)
    }

    fn copy(&self, from: &Path, to: &Path, applications: [SocketAddr; 2]) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                fs::create_dir_all(&to).unwrap();
                self.copy(&entry.path(), &to, applications);
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                fs::write(&to, self.placed(&text, applications)).unwrap();
            }
        }
    }

    /// The text with this machine's paths and ports.
    fn placed(&self, text: &str, applications: [SocketAddr; 2]) -> String {
        let [first, second] = applications;
        let dir = self.dir.path().display();
        let mut text = text
            .replace("/etc/nginx/", &format!("{dir}/"))
            .replace("/var/log/nginx/", &format!("{dir}/"))
            .replace("/var/www/", &format!("{dir}/www/"))
            .replace("/run/nginx.pid", &format!("{dir}/nginx.pid"))
            .replace("127.0.0.1:3000", &first.to_string())
            .replace("127.0.0.1:3001", &second.to_string());
        for port in self.ports.keys() {
            let address = self.nginx_address(*port);
            text = text
                .replace(&format!("listen {port} "), &format!("listen {address} "))
                .replace(&format!("listen {port};"), &format!("listen {address};"));
        }
        text
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
}

/// The fixture as it is committed.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nginx").join(name)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
