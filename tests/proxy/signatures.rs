//! The payload signature, over the wire.

use std::collections::HashSet;

use hubgate_testkit::events::sign;
use hubgate_testkit::sender::{Answer, Http, Message, Sender};
use serde::Deserialize;

use crate::harness::world::{APP_SECRET, event, send};
use crate::harness::{Plan, World};

/// One case of `tests/fixtures/signatures.json`; its README says what each key means.
#[derive(Deserialize)]
struct Case {
    name: String,
    app_secrets: Vec<String>,
    body: String,
    headers: Vec<String>,
    outcome: String,
    matched_secret: Option<usize>,
    #[serde(default)]
    trimmed_by_http: bool,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../fixtures/signatures.json")).unwrap()
}

/// One world with a webhook for each list of secrets that the cases have.
struct Webhooks {
    world: World,
    lists: Vec<Vec<String>>,
    _secrets: tempfile::TempDir,
}

impl Webhooks {
    async fn start(cases: &[Case]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut lists: Vec<Vec<String>> = Vec::new();
        let mut plan = Plan::new();
        for case in cases {
            if lists.contains(&case.app_secrets) {
                continue;
            }
            let number = lists.len();
            let mut list = String::new();
            for (index, secret) in case.app_secrets.iter().enumerate() {
                let file = directory.path().join(format!("{number}-{index}"));
                std::fs::write(&file, secret).unwrap();
                list += &format!("{{ file = \"{}\", label = \"s{index}\" }}, ", file.display());
            }
            plan = plan.more(&format!(
                "[[webhook]]\npath = \"/{number}\"\nupstream = \"app\"\napp_secrets = [{list}]\n\
                 verification = \"off\"\n"
            ));
            lists.push(case.app_secrets.clone());
        }
        Self { world: plan.start().await, lists, _secrets: directory }
    }

    fn path(&self, case: &Case) -> String {
        let number = self.lists.iter().position(|list| *list == case.app_secrets).unwrap();
        format!("/{number}")
    }

    fn message(&self, case: &Case) -> Message {
        let message = Message::unsigned_event(case.body.clone()).target_path(&self.path(case));
        case.headers
            .iter()
            .fold(message, |message, value| message.header("x-hub-signature-256", value))
    }
}

#[tokio::test]
async fn every_case_of_the_fixture_has_its_outcome_over_both_versions_of_http() {
    let cases = cases();
    for http in [Http::One, Http::Two] {
        let webhooks = Webhooks::start(&cases).await;
        let world = &webhooks.world;
        let sender = Sender::new(world.meta().http(http)).unwrap();
        let mut delivered = 0;
        for case in &cases {
            // HTTP/2 has no white space around a value (RFC 9113 section 8.2.1).
            if case.trimmed_by_http && http == Http::Two {
                continue;
            }
            let path = webhooks.path(case);
            let refusals = world.counted("hubgate_refusals_total");
            let uses = world.counted("hubgate_secret_uses_total");
            let answer = sender.send(webhooks.message(case)).await.unwrap();
            if case.outcome == "verified" || case.trimmed_by_http {
                assert_eq!(answer.status, 200, "{}", case.name);
                delivered += 1;
                let received = world.app.received();
                assert_eq!(received.len(), delivered, "{}", case.name);
                assert_eq!(received[delivered - 1].body, case.body, "{}", case.name);
                let index = case.matched_secret.unwrap_or(0);
                let series = format!("route=\"{path}\",secret=\"s{index}\"");
                until_one_more(world, "hubgate_secret_uses_total", &uses, &series).await;
                until_same(world, "hubgate_refusals_total", &refusals).await;
            } else {
                assert_eq!(answer.status, 403, "{}", case.name);
                let series = format!("route=\"{path}\",reason=\"{}\"", case.outcome);
                until_one_more(world, "hubgate_refusals_total", &refusals, &series).await;
                until_same(world, "hubgate_secret_uses_total", &uses).await;
            }
        }
        assert_eq!(world.app.received().len(), delivered);
    }
}

/// One more of this series, and no more of any other.
async fn until_one_more(world: &World, metric: &str, before: &[(String, u64)], series: &str) {
    let mut expected = before.to_vec();
    match expected.iter_mut().find(|(labels, _)| labels == series) {
        Some((_, times)) => *times += 1,
        None => expected.push((series.to_owned(), 1)),
    }
    expected.sort();
    until_same(world, metric, &expected).await;
}

async fn until_same(world: &World, metric: &str, expected: &[(String, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(l, times)| (l.as_str(), *times)).collect();
    world.until_counted(metric, &expected).await;
}

/// What a forger can see of an answer.
fn looks(answer: &Answer) -> String {
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    format!("{} {headers:?} {:?}", answer.status, answer.body)
}

#[tokio::test]
async fn missing_malformed_and_wrong_signatures_look_alike_from_outside_and_differ_in_metrics() {
    let world = World::start().await;
    let body = "{\"object\":\"page\"}";
    let right = sign(APP_SECRET, body.as_bytes());
    for http in [Http::One, Http::Two] {
        let forgeries = [
            Message::unsigned_event(body),
            Message::unsigned_event(body).header("x-hub-signature-256", "sha256=0"),
            Message::unsigned_event(body)
                .header("x-hub-signature-256", &right)
                .header("x-hub-signature-256", &right),
            Message::event("another secret", body),
        ];
        let mut seen = HashSet::new();
        for forgery in forgeries {
            let answer = send(world.meta().http(http), forgery).await.unwrap();
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (403, &b"Forbidden"[..]));
            seen.insert(looks(&answer));
        }
        assert_eq!(seen.len(), 1, "{seen:#?}");
    }
    world
        .until_counted(
            "hubgate_refusals_total",
            &[
                ("route=\"/webhooks\",reason=\"signature_malformed\"", 4),
                ("route=\"/webhooks\",reason=\"signature_mismatch\"", 2),
                ("route=\"/webhooks\",reason=\"signature_missing\"", 2),
            ],
        )
        .await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_sha1_signature_proves_nothing_alone_and_harms_nothing_beside_the_right_one() {
    let world = World::start().await;
    // HMAC-SHA1 of `{}` with the app secret.
    let sha1 = "sha1=80797d364ae52b33f184d6f6a876e198fb150aa3";
    let alone = Message::unsigned_event("{}").header("x-hub-signature", sha1);
    assert_eq!(send(world.meta(), alone).await.unwrap().status, 403);
    world.until_refused("signature_missing", 1).await;
    world.assert_application_untouched();

    let beside = event("{}").header("x-hub-signature", sha1);
    assert_eq!(send(world.meta(), beside).await.unwrap().status, 200);
    assert_eq!(world.app.only().body, "{}");
}

/// Which secret is still in use is what an operator must know before taking one away.
#[tokio::test]
async fn either_secret_of_a_rotation_lets_in_and_is_counted_by_its_label() {
    let secrets = tempfile::tempdir().unwrap();
    let (old, new) = ("11111111111111111111111111111111", "22222222222222222222222222222222");
    std::fs::write(secrets.path().join("old"), format!("{old}\n")).unwrap();
    std::fs::write(secrets.path().join("new"), new).unwrap();
    let directory = secrets.path().display();
    let world = Plan::new()
        .webhook(&format!(
            "app_secrets = [{{ file = \"{directory}/new\", label = \"2026\" }}, \
             {{ file = \"{directory}/old\" }}]"
        ))
        .start()
        .await;
    let meta = Sender::new(world.meta()).unwrap().connect().await.unwrap();
    for secret in [old, new, old] {
        assert_eq!(meta.request(Message::event(secret, "{}")).await.unwrap().status, 200);
    }
    let third = Message::event("33333333333333333333333333333333", "{}");
    assert_eq!(meta.request(third).await.unwrap().status, 403);
    // Neither the other's bytes nor the file's newline are part of a secret.
    let with_newline = Message::event(&format!("{old}\n"), "{}");
    assert_eq!(send(world.meta(), with_newline).await.unwrap().status, 403);

    let expected =
        [("route=\"/webhooks\",secret=\"2026\"", 1), ("route=\"/webhooks\",secret=\"old\"", 2)];
    world.until_counted("hubgate_secret_uses_total", &expected).await;
    world.until_refused("signature_mismatch", 2).await;
    assert_eq!(world.app.received().len(), 3);
}

/// A replay of the signature over another body, and of another webhook's signature.
#[tokio::test]
async fn a_signature_is_worth_something_for_its_own_body_and_webhook_only() {
    let cases = [("first", "1"), ("second", "2")].map(|(path, digit)| (path, digit.repeat(32)));
    let secrets = tempfile::tempdir().unwrap();
    let mut plan = Plan::new();
    for (path, secret) in &cases {
        let file = secrets.path().join(path);
        std::fs::write(&file, secret).unwrap();
        plan = plan.more(&format!(
            "[[webhook]]\npath = \"/{path}\"\nupstream = \"app\"\nverification = \"off\"\n\
             app_secrets = [{{ file = \"{}\" }}]\n",
            file.display()
        ));
    }
    let world = plan.start().await;
    let signed = Message::event(&cases[0].1, "{\"a\":1}").target_path("/first");
    assert_eq!(send(world.meta(), signed.clone()).await.unwrap().status, 200);

    for forged in [signed.clone().target_path("/second"), signed.body("{\"a\":2}")] {
        assert_eq!(send(world.meta(), forged).await.unwrap().status, 403);
    }

    assert_eq!(world.app.only().body, "{\"a\":1}");
}
