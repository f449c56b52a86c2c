//! What is played, and what ought to come of it.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;

use super::counters::{Counters, Judgement};
use super::setup::DemoSetup;
use super::upstream::Received;
use crate::refusal::{ConnectionRefusal, Refusal};
use hubgate_testkit::events::{Event, sign, sign_sha1};
use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf, META_NAME};
use hubgate_testkit::sender::{Answer, Http, Message, Options, SendError, Sender, Tls};

/// One call.
pub(super) struct Case {
    /// What is sent and by whom, for people.
    pub(super) sent: String,
    pub(super) expected: Expected,
    options: Options,
    message: Message,
}

/// What ought to come of a call.
pub(super) enum Expected {
    /// 200, and the upstream got these bytes, once.
    Delivered(Bytes),
    /// The same, and this text, which a header of the caller's had, stands in none of those that
    /// the upstream got.
    DeliveredWithout(Bytes, &'static str),
    /// 200 with these bytes; the upstream heard nothing.
    Echoed(Bytes),
    /// No HTTP at all.
    ConnectionRefused(ConnectionRefusal),
    /// An answer that says no; the upstream heard nothing.
    Refused(Refusal),
}

/// What came of a call.
pub(super) struct CaseOutcome {
    pub(super) answer: Result<Answer, SendError>,
    pub(super) judgements: Vec<Judgement>,
    pub(super) anchor: Option<String>,
    pub(super) elapsed: Duration,
    received: Vec<Received>,
}

/// The verification request, then events of several kinds, over both shapes.
pub(super) fn of_meta(demo_setup: &DemoSetup) -> anyhow::Result<Vec<Case>> {
    let new =
        || Ok::<_, SendError>(demo_setup.caller()?.identity(demo_setup.setup.meta_client.clone()));
    let old = || {
        Ok::<_, SendError>(demo_setup.caller()?.identity(demo_setup.setup.digicert_client.clone()))
    };
    let challenge = "1158201444";
    let large = padded(3_000_000);
    Ok(vec![
        Case {
            sent: "verification request, Meta-shaped chain".into(),
            expected: Expected::Echoed(challenge.into()),
            options: new()?,
            message: Message::verification(&demo_setup.setup.verify_token, challenge),
        },
        genuine(demo_setup, "whatsapp_message", "Meta-shaped chain", new()?)?,
        genuine(demo_setup, "page_message", "Meta-shaped chain, TLS 1.2", new()?.tls(Tls::Only12))?,
        genuine(
            demo_setup,
            "ad_account_array",
            "Meta-shaped chain, HTTP/2",
            new()?.http(Http::Two),
        )?,
        genuine(demo_setup, "instagram_comment", "DigiCert-shaped chain", old()?)?,
        genuine(
            demo_setup,
            "user_photos",
            "DigiCert-shaped chain, TLS 1.2",
            old()?.tls(Tls::Only12),
        )?,
        genuine(
            demo_setup,
            "permissions",
            "DigiCert-shaped chain, HTTP/2",
            old()?.http(Http::Two),
        )?,
        Case {
            sent: "3 MB event, Meta-shaped chain".into(),
            message: Message::event(&demo_setup.setup.app_secret, large.clone()),
            expected: Expected::Delivered(large),
            options: new()?,
        },
    ])
}

/// First those without the right certificate, who never get as far as HTTP; then those who have
/// one and not the secret.
pub(super) fn of_attackers(demo_setup: &DemoSetup) -> anyhow::Result<Vec<Case>> {
    let mut cases = strangers(demo_setup)?;
    cases.extend(forgers(demo_setup)?);
    Ok(cases)
}

fn strangers(demo_setup: &DemoSetup) -> anyhow::Result<Vec<Case>> {
    let (setup, meta) = (&demo_setup.setup, &demo_setup.setup.meta);
    let event = Event::named("whatsapp_message").context("no such event")?;
    let stranger = |sent: &str, identity: Option<Identity>, connection_refusal| {
        let options = demo_setup.caller()?;
        Ok::<_, SendError>(Case {
            sent: sent.into(),
            expected: Expected::ConnectionRefused(connection_refusal),
            options: match identity {
                Some(identity) => options.identity(identity),
                None => options,
            },
            message: Message::event(&setup.app_secret, event.body),
        })
    };
    let other_ca = Authority::root(Ca::named("somebody else's CA")).issue(Leaf::meta());
    let longer = Leaf::named(&format!("{META_NAME}.evil.example"));
    let alternative = Leaf::with_alternative_name_only();
    Ok(vec![
        stranger("no certificate", None, ConnectionRefusal::CertificateMissing)?,
        stranger("right name, other CA", Some(other_ca), ConnectionRefusal::UnknownAnchor)?,
        stranger(
            "right name as prefix of a longer one",
            Some(meta.issue(longer)),
            ConnectionRefusal::NameMismatch,
        )?,
        stranger(
            "right name only as SAN",
            Some(meta.issue(alternative)),
            ConnectionRefusal::NameNotSingle,
        )?,
        stranger(
            "expired certificate",
            Some(meta.issue(Leaf::meta().expired())),
            ConnectionRefusal::CertificateExpired,
        )?,
    ])
}

fn forgers(demo_setup: &DemoSetup) -> anyhow::Result<Vec<Case>> {
    let secret = &demo_setup.setup.app_secret;
    let body = Event::named("whatsapp_message").context("no such event")?.body;
    let signature = sign(secret, body.as_bytes());
    let under_it =
        |body: String| Message::unsigned_event(body).header("x-hub-signature-256", &signature);
    let reserialised = serde_json::from_str::<serde_json::Value>(body)?.to_string();
    let changed = body.replacen("15550100002", "15550100003", 1);
    let sha1 = Message::unsigned_event(body)
        .header("x-hub-signature", &sign_sha1(secret, body.as_bytes()));
    let forger = |sent: &str, message, refusal| {
        Ok::<_, SendError>(Case {
            sent: sent.into(),
            expected: Expected::Refused(refusal),
            options: demo_setup.caller()?.identity(demo_setup.setup.meta_client.clone()),
            message,
        })
    };
    let spoofed = Message::event(secret, body)
        .header("x-forwarded-client-cert", "Subject=\"CN=spoofed.example\"");
    Ok(vec![
        forger(
            "verification request, wrong token",
            Message::verification("not the token", "1158201444"),
            Refusal::VerifyTokenMismatch,
        )?,
        forger("unsigned body", Message::unsigned_event(body), Refusal::SignatureMissing)?,
        forger("body changed by one byte", under_it(changed), Refusal::SignatureMismatch)?,
        forger("body re-serialised", under_it(reserialised), Refusal::SignatureMismatch)?,
        forger("SHA-1 signature only", sha1, Refusal::SignatureMissing)?,
        forger(
            "5 MiB body, well signed",
            Message::event(secret, padded(5 * 1024 * 1024)),
            Refusal::BodyTooLarge,
        )?,
        Case {
            sent: "spoofed X-Forwarded-Client-Cert".into(),
            expected: Expected::DeliveredWithout(body.into(), "spoofed.example"),
            options: demo_setup.caller()?.identity(demo_setup.setup.meta_client.clone()),
            message: spoofed,
        },
    ])
}

fn genuine(
    demo_setup: &DemoSetup,
    event: &str,
    over: &str,
    options: Options,
) -> anyhow::Result<Case> {
    let event = Event::named(event).context("no such event")?;
    Ok(Case {
        sent: format!("{}, {over}", event.name),
        expected: Expected::Delivered(event.body.into()),
        options,
        message: Message::event(&demo_setup.setup.app_secret, event.body),
    })
}

/// An event of exactly so many bytes.
fn padded(bytes: usize) -> Bytes {
    let (head, tail) = (r#"{"object":"page","entry":[{"id":""#, r#""}]}"#);
    let padding = bytes.saturating_sub(head.len() + tail.len());
    [head, &"0".repeat(padding), tail].concat().into()
}

impl Case {
    /// Calls, and waits until the proxy has said how it judged the call.
    pub(super) async fn play(&self, demo_setup: &DemoSetup) -> anyhow::Result<CaseOutcome> {
        let _left_over = demo_setup.upstream.take();
        let before = demo_setup.counters();
        let sender = Sender::new(self.options.clone())?;
        let begin = Instant::now();
        let answer = sender.send(self.message.clone()).await;
        let elapsed = begin.elapsed();
        let after = judged_since(&before, demo_setup).await;
        Ok(CaseOutcome {
            answer,
            judgements: after.judgements_since(&before),
            anchor: after.anchor_since(&before),
            elapsed,
            received: demo_setup.upstream.take(),
        })
    }
}

/// A refused caller knows of it before the proxy has counted it; a call that is never judged is
/// shown without a reason.
async fn judged_since(before: &Counters, demo_setup: &DemoSetup) -> Counters {
    let give_up = Instant::now() + Duration::from_secs(2);
    loop {
        let now = demo_setup.counters();
        if !now.judgements_since(before).is_empty() || Instant::now() > give_up {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl CaseOutcome {
    /// Whether everything is as it ought to be: answer, reason, and what the upstream got.
    pub(super) fn is(&self, expected: &Expected) -> bool {
        let judged = |judgement: Judgement| self.judgements == [judgement];
        let refused = |label: &str| judged(Judgement::Refused(label.to_owned()));
        let answer = self.answer.as_ref();
        let delivered = |body: &Bytes| match self.received.as_slice() {
            [received] => received.body == *body && answer.is_ok_and(Answer::is_success),
            _ => false,
        };
        match expected {
            Expected::Delivered(body) => delivered(body) && judged(Judgement::EventVerified),
            Expected::DeliveredWithout(body, text) => {
                delivered(body) && judged(Judgement::EventVerified) && !self.was_passed_on(text)
            }
            Expected::Echoed(challenge) => {
                answer.is_ok_and(|answer| answer.is_success() && answer.body == *challenge)
                    && self.received.is_empty()
                    && judged(Judgement::TokenVerified)
            }
            Expected::ConnectionRefused(connection_refusal) => {
                let alert = self.answer.as_ref().err().and_then(SendError::tls_alert);
                alert.is_some() && self.received.is_empty() && refused(connection_refusal.label())
            }
            Expected::Refused(refusal) => {
                answer.is_ok_and(|answer| answer.status == refusal.status())
                    && self.received.is_empty()
                    && refused(refusal.label())
            }
        }
    }

    /// Whether this text stands in a header that reached the upstream.
    pub(super) fn was_passed_on(&self, text: &str) -> bool {
        let mut values = self.received.iter().flat_map(|received| received.headers.values());
        values.any(|value| String::from_utf8_lossy(value.as_bytes()).contains(text))
    }

    /// How many requests reached the upstream.
    pub(super) fn deliveries(&self) -> usize {
        self.received.len()
    }
}
