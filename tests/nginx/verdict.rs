//! A real nginx with the original, a hubgate with the import, and what each of them says.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hubgate::app::{self, Running};
use hubgate::config::Config;
use hubgate_testkit::sender::{Message, Options, Sender};

use crate::application::Application;
use crate::fixture::Fixture;

/// What became of a request, from the laxest to the strictest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The application got it.
    LetIn(String),
    /// The proxy itself said yes.
    Answered(String),
    /// The proxy said no, or nothing.
    Refused(String),
}

impl Verdict {
    pub fn rank(&self) -> usize {
        match self {
            Self::LetIn(_) => 0,
            Self::Answered(_) => 1,
            Self::Refused(_) => 2,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, detail) = match self {
            Self::LetIn(detail) => ("let in", detail),
            Self::Answered(detail) => ("answered", detail),
            Self::Refused(detail) => ("refused", detail),
        };
        write!(formatter, "{word}, {detail}")
    }
}

/// The application: its answers are known by a header.
pub async fn application() -> Application {
    Application::answering(|_| {
        Response::builder().header("x-application", "1").body(Full::new(Bytes::new())).unwrap()
    })
    .await
}

/// Sends over a connection of its own and looks at what comes back.
pub async fn verdict(options: Options, message: Message) -> Verdict {
    let answer = match Sender::new(options).unwrap().send(message).await {
        Ok(answer) => answer,
        Err(error) => {
            let alert = error.tls_alert().map(|alert| format!("TLS {alert}"));
            return Verdict::Refused(alert.unwrap_or_else(|| error.to_string()));
        }
    };
    let status = answer.status.as_str().to_owned();
    if answer.headers.contains_key("x-application") {
        Verdict::LetIn(status)
    } else if answer.status.is_success() || answer.status.is_redirection() {
        Verdict::Answered(status)
    } else {
        Verdict::Refused(status)
    }
}

/// hubgate with what was taken over, on any free port; that of plain HTTP has an address of its own.
pub fn hubgate(fixture: &Fixture) -> Running {
    let mut text = fixture.import().unwrap().text;
    for (port, any) in [(80, "127.0.0.2:0"), (443, "127.0.0.1:0")] {
        text = text.replace(&fixture.nginx_address(port).to_string(), any);
    }
    let path = fixture.path("config.toml");
    std::fs::write(&path, format!("{text}\n[admin]\nenabled = false\n")).unwrap();
    let config = Config::load(&path).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    app::start(config).unwrap()
}

/// nginx with the original; ended when dropped.
pub struct Nginx(Child);

impl Nginx {
    /// `None` where there is no nginx.
    pub fn start(fixture: &Fixture) -> Option<Self> {
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| {
            let version = Command::new(program).arg("-v").stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        })?;
        // Not a part of the fixture: nginx as a plain user has nowhere to put these.
        let text = std::fs::read_to_string(fixture.path("nginx.conf")).unwrap();
        let dir = fixture.dir.path().display();
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {dir}/temp-{name};"));
        let text = text.replace("http {", &format!("http {{ {}", places.join(" ")));
        fixture.write("nginx-here.conf", &text);
        let child = Command::new(program)
            .args(["-e", "stderr", "-g", "daemon off; master_process off;", "-p"])
            .arg(fixture.dir.path())
            .arg("-c")
            .arg(fixture.path("nginx-here.conf"))
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut nginx = Self(child);
        nginx.await_listening(fixture.nginx_address(443));
        Some(nginx)
    }

    fn await_listening(&mut self, address: SocketAddr) {
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none(), "nginx ended: {ended:?}");
            assert!(began.elapsed() < Duration::from_secs(20), "nginx does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}
