//! What Meta sends, and whether it would be content with the answers: a verification request with
//! the right token and with a wrong one, an event with the right signature and with a wrong one.

use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http::StatusCode;

use super::diagnostic::Diagnostic;
use crate::cli::send::report;
use crate::error_code::WithCauses;
use hubgate_testkit::events::Event;
use hubgate_testkit::sender::{Answer, Message, Options, SendError, Sender};
use hubgate_testkit::setup::random_hex;

/// Whoever asks, and what it has to show.
pub(super) struct Patient {
    /// With the roots that the server was proven under, so that no secret goes to anybody else.
    pub(super) options: Options,
    pub(super) has_identity: bool,
    pub(super) asks_for_certificate: bool,
    pub(super) token: Option<String>,
    pub(super) secret: Option<String>,
}

impl Patient {
    pub(super) async fn examine(&self, diagnostics: &mut Vec<Diagnostic>) -> Result<(), SendError> {
        let sender = Sender::new(self.options.clone())?;
        let Some(token) = &self.token else {
            let sentence = "no token is known: --token-file, or --config with this path";
            diagnostics.push(Diagnostic::skipped("verification", sentence));
            return self.examine_events(&sender, diagnostics).await;
        };
        let challenge = random_hex();
        let outcome = sender.send(Message::verification(token, &challenge)).await;
        let is_answered = matches!(&outcome, Ok(answer) if answer.is_success());
        diagnostics.push(self.verified(outcome, &challenge));
        if is_answered {
            let outcome = sender.send(Message::verification(&random_hex(), &challenge)).await;
            diagnostics.push(refusal("wrong token", outcome, "anybody could register this URL"));
        }
        self.examine_events(&sender, diagnostics).await
    }

    fn verified(&self, outcome: Result<Answer, SendError>, challenge: &str) -> Diagnostic {
        const WHAT: &str = "verification";
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return self.unanswered(WHAT, &error),
        };
        if answer.status == StatusCode::FORBIDDEN && self.lacks_certificate() {
            let sentence = "403: a client certificate may be demanded, or the token is another one";
            return Diagnostic::warning(WHAT, sentence).remedy(CERTIFICATE);
        }
        let echo = Bytes::copy_from_slice(challenge.as_bytes());
        let Some(remedy) = report::shortcoming(&answer, Some(&echo)) else {
            return Diagnostic::good(WHAT, "200, and the challenge came back bare");
        };
        if answer.is_success() {
            let received = self.shown(&answer.body);
            let diagnostic =
                Diagnostic::wrong(WHAT, "200, but with something else than the challenge");
            let said = format!(
                "Response does not match challenge, expected value=\"{challenge}\", \
                 received=\"{received}\""
            );
            return diagnostic.meta_says(said).remedy(remedy);
        }
        not_ok(WHAT, answer.status, remedy)
    }

    /// The beginning of a body, unless it has the token in it: some answer with the whole query.
    fn shown(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let encoded = |token: &str| byte_serialize(token.as_bytes()).collect::<String>();
        let has_token = |token: &String| {
            [token, &encoded(token)].iter().any(|token| text.contains(token.as_str()))
        };
        if self.token.as_ref().is_some_and(has_token) {
            return "(the token is in it)".to_owned();
        }
        text.chars().take(BODY_SHOWN).collect::<String>().escape_debug().to_string()
    }

    async fn examine_events(
        &self,
        sender: &Sender,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<(), SendError> {
        let (Some(secret), Some(event)) = (&self.secret, Event::named(EVENT)) else {
            let sentence = "none is sent without --secret-file, or --config and --cert";
            diagnostics.push(Diagnostic::skipped("event", sentence));
            return Ok(());
        };
        let outcome = sender.send(Message::event(secret, event.body)).await;
        let is_taken = matches!(&outcome, Ok(answer) if answer.is_success());
        diagnostics.push(self.delivered(outcome));
        if is_taken {
            let outcome = sender.send(Message::event(&random_hex(), event.body)).await;
            diagnostics.push(refusal("wrong signature", outcome, "anybody could send events"));
        }
        Ok(())
    }

    fn delivered(&self, outcome: Result<Answer, SendError>) -> Diagnostic {
        const WHAT: &str = "event";
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return self.unanswered(WHAT, &error),
        };
        if answer.status == StatusCode::FORBIDDEN && self.lacks_certificate() {
            let sentence = "403: a client certificate may be demanded, or the secret is another";
            return Diagnostic::warning(WHAT, sentence).remedy(CERTIFICATE);
        }
        let Some(remedy) = report::shortcoming(&answer, None) else {
            let took = answer.elapsed.as_secs_f64();
            let sentence = format!("200 in {:.1} ms", took * 1000.0);
            return match took < PATIENCE_SECONDS {
                true => Diagnostic::good(WHAT, sentence),
                false => Diagnostic::warning(WHAT, sentence)
                    .remedy("Messenger and Instagram wait for 5 s: acknowledge first, work later"),
            };
        };
        not_ok(WHAT, answer.status, remedy)
    }

    fn unanswered(&self, what: &'static str, error: &SendError) -> Diagnostic {
        if error.tls_alert().is_some() && self.lacks_certificate() {
            let sentence = "the server demands a client certificate, as it should";
            return Diagnostic::skipped(what, sentence).remedy(CERTIFICATE);
        }
        let sentence = match error.tls_alert() {
            Some(alert) => format!("no answer, but the alert {alert}"),
            None => format!("no answer: {}", WithCauses(error)),
        };
        Diagnostic::wrong(what, sentence)
            .curl(if error.is_timeout() { 28 } else { 56 }, "no answer")
            .remedy(report::advice(error, self.has_identity))
    }

    fn lacks_certificate(&self) -> bool {
        self.asks_for_certificate && !self.has_identity
    }
}

fn not_ok(what: &'static str, status: StatusCode, remedy: &'static str) -> Diagnostic {
    let (code, reason) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    let said = format!("HTTP Status Code = {code}; HTTP Message = {reason}");
    Diagnostic::wrong(what, format!("{code}, and Meta takes 200 alone"))
        .meta_says(said)
        .remedy(remedy)
}

/// What must not be let in.
fn refusal(
    what: &'static str,
    outcome: Result<Answer, SendError>,
    danger: &'static str,
) -> Diagnostic {
    match outcome {
        Ok(answer) if answer.status.is_success() => {
            Diagnostic::wrong(what, format!("{}: {danger}", answer.status.as_u16()))
                .remedy("put a check of it in front of the application")
        }
        Ok(answer) => Diagnostic::good(what, format!("refused with {}", answer.status.as_u16())),
        // Silence refuses nothing: the application may have it.
        Err(error) if error.is_timeout() => {
            Diagnostic::warning(what, "no answer in time, so whether it was refused is not known")
        }
        Err(_closed) => Diagnostic::good(what, "refused without an answer"),
    }
}

/// A made-up event that changes nothing in an application that looks its ids up.
const EVENT: &str = "page_message";
const PATIENCE_SECONDS: f64 = 5.0;
const BODY_SHOWN: usize = 200;
const CERTIFICATE: &str =
    "to see further, give --cert and --key of a certificate under one of your trust anchors";
