//! Asks a server how it is, over a connection of its own, and judges by several answers in a row.
//!
//! No request waits for it, and the connection is not one of the pool's.

use std::io;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use tokio::time::timeout;

use super::request_body::RequestBody;
use super::target::{Target, UpstreamServer};
use crate::config::HealthCheck;

/// Why a server did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Complaint {
    /// No connection, or a bad one.
    #[error("cannot be connected to")]
    Connect(#[source] io::Error),
    /// A connection, and no answer on it.
    #[error("does not answer")]
    Answer(#[source] hyper::Error),
    /// An answer of another status.
    #[error("answers with status {0}")]
    Status(StatusCode),
    /// Nothing within `timeout_ms`.
    #[error("does not answer in time")]
    Late,
}

/// One question, and its answer's status.
pub(crate) async fn ask(
    target: &Target,
    server: &UpstreamServer,
    check: &HealthCheck,
) -> Result<(), Complaint> {
    let answer = async {
        let mut opened = target.open_aside(server).await.map_err(Complaint::Connect)?;
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = Uri::from(check.path.clone());
        let headers = request.headers_mut();
        headers.insert(HOST, server.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("hubgate"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        opened.sender.send_request(request).await.map_err(Complaint::Answer)
    };
    let answer = timeout(check.timeout, answer).await.map_err(|_elapsed| Complaint::Late)??;
    match answer.status() {
        good if good.is_success() || good.is_redirection() => Ok(()),
        status => Err(Complaint::Status(status)),
    }
}

/// Answers of one kind in a row.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    good: usize,
    bad: usize,
}

impl Streak {
    /// Whether the server is healthy from now on; `None`: as before.
    pub(crate) fn judge(&mut self, is_available: bool, check: &HealthCheck) -> Option<bool> {
        let (streak, other, needed) = match is_available {
            true => (&mut self.good, &mut self.bad, check.healthy_after),
            false => (&mut self.bad, &mut self.good, check.unhealthy_after),
        };
        *other = 0;
        *streak = streak.saturating_add(1);
        (*streak >= needed.get()).then_some(is_available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::load;

    #[test]
    fn only_answers_in_a_row_change_the_verdict() {
        let upstream = "[[upstream]]\nname = \"app\"\nurl = \"http://a\"\n\
                        health_check = { path = \"/\", unhealthy_after = 3, healthy_after = 2 }";
        let config = load(upstream);
        let check = config.upstreams.first().and_then(|upstream| upstream.health_check.as_ref());
        let check = check.expect("is on");
        let mut streak = Streak::default();
        let answers = [
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(false)),
            (false, Some(false)),
            (true, None),
            (false, None),
            (true, None),
            (true, Some(true)),
        ];
        for (index, (is_available, verdict)) in answers.into_iter().enumerate() {
            assert_eq!(streak.judge(is_available, check), verdict, "answer {index}");
        }
    }
}
