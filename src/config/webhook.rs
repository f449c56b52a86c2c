//! `[[webhook]]`: the routes that Meta calls.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::choices::{Demand, Enforcement, Verification};
use super::fault::Fault;
use super::findings::{At, Findings};
use super::limits::Limits;
use super::route::RoutePlace;
use super::secret::Secret;
use super::secret_source::Environment;
use super::{file, numbers, route};

/// One `[[webhook]]`, checked.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What logs and metrics call it; unique. `path`, or host and path, unless written.
    pub name: String,
    /// The callback path, compared byte for byte with the request's.
    pub path: String,
    /// Only requests for this host (lower case, no port), or any.
    pub host: Option<String>,
    /// Index into [`super::Config::upstreams`].
    pub upstream: usize,
    /// Secrets, any of which may have signed; at least one, labels unique.
    pub app_secrets: Vec<Secret>,
    /// Tokens, any of which a verification request may carry; empty only if it is never answered.
    pub verify_tokens: Vec<Secret>,
    /// Who answers a verification request whose token is right.
    pub verification: Verification,
    /// Whether events must come with a proven client certificate.
    pub client_certificate: Demand,
    /// Whether verification requests must, too.
    pub verification_client_certificate: Demand,
    /// What becomes of an event whose signature is not right.
    pub signature: Enforcement,
    /// From the last genuine event, or the start, to the alarm; `None`: there is none.
    pub quiet_alarm: Option<Duration>,
    /// Largest accepted body on this route.
    pub body_max_bytes: NonZeroUsize,
}

impl Webhook {
    /// One webhook, given the names that its upstream may have.
    pub(super) fn check(
        written: &file::RawWebhook,
        upstreams: &[&str],
        limits: Option<&Limits>,
        environment: Environment<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let path = written.path.as_ref().and_then(|path| route::path(path, findings));
        let host = written.host.as_ref().map(|host| route::host(host, findings));
        let upstream =
            written.upstream.as_ref().and_then(|name| route::upstream(name, upstreams, findings));
        let app_secrets = Secret::check_all(&written.app_secrets, environment, findings);
        let verify_tokens = checked_tokens(written, environment, findings);
        let events = written.client_certificate.value;
        let verification = written.verification_client_certificate.as_ref();
        let body_max_bytes = match (&written.body_max_bytes, limits) {
            (Some(own), _) => Some(numbers::size(own, 1..=MAXIMUM_BODY, findings)),
            (None, limits) => limits.map(|limits| limits.body_max_bytes),
        };
        // An outer `None` is a key that is not there, an inner one a value that is no good.
        let (path, host) = (path?, host.map_or(Some(None), |host| host.map(Some))?);
        let name = route::name(written.name.as_ref(), host.as_deref(), &path, findings);
        Some(Self {
            name: name?,
            path,
            host,
            upstream: upstream?,
            app_secrets,
            verify_tokens,
            verification: written.verification,
            client_certificate: events,
            signature: checked_signature(written, findings),
            quiet_alarm: written.quiet_alarm_ms.as_ref().map(|alarm| {
                Duration::from_millis(numbers::within(alarm, QUIET_ALARM_MS, findings))
            }),
            body_max_bytes: body_max_bytes?,
            verification_client_certificate: verification.map_or(events, |demand| demand.value),
        })
    }
}

impl Webhook {
    /// All of them: those that may sign, and those that may ask.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.app_secrets.iter().chain(&self.verify_tokens)
    }

    pub(super) fn place<'a>(&'a self, written: &'a file::RawWebhook) -> RoutePlace<'a> {
        RoutePlace {
            host: &self.host,
            path: &self.path,
            is_prefix: false,
            name: &self.name,
            path_at: written.path.as_ref().map_or(&written.at, |path| &path.at),
            name_at: written.name.as_ref().map(|name| &name.at),
        }
    }
}

/// `signature` and `client_certificate` together: without either proof, anybody could send.
fn checked_signature(written: &file::RawWebhook, findings: &mut Findings) -> Enforcement {
    let signature = &written.signature;
    if signature.value == Enforcement::Report && written.client_certificate.value == Demand::None {
        findings.fault(&signature.at, Fault::ReportWithoutCertificate);
    }
    signature.value
}

/// From a second, to which events are known, to 31 days: some apps are quiet for a month.
const QUIET_ALARM_MS: RangeInclusive<u64> = 1_000..=31 * 24 * 60 * 60 * 1_000;

/// 1 GiB, as for `limits.body_max_bytes`.
const MAXIMUM_BODY: u64 = 1 << 30;

/// Tokens and `verification` together.
fn checked_tokens(
    written: &file::RawWebhook,
    environment: Environment<'_>,
    findings: &mut Findings,
) -> Vec<Secret> {
    match (written.verification, &written.verify_token) {
        (Verification::Answer | Verification::Forward, None) => {
            findings.fault(&written.at.child("verify_token"), Fault::TokenMissing);
        }
        (Verification::Off, Some(tokens)) => findings.fault(&tokens.at, Fault::TokenUnused),
        (Verification::Answer | Verification::Forward, Some(_)) | (Verification::Off, None) => {}
    }
    let tokens = written.verify_token.as_ref().map_or(&[][..], |tokens| &tokens.value);
    Secret::check_all(tokens, environment, findings)
}

/// The first place where a client certificate is asked for.
pub(super) fn first_demand(webhooks: &[file::RawWebhook]) -> Option<&At> {
    webhooks.iter().find_map(|webhook| {
        let verification = webhook.verification_client_certificate.as_ref();
        [Some(&webhook.client_certificate), verification]
            .into_iter()
            .flatten()
            .find(|demand| demand.value == Demand::Required)
            .map(|demand| &demand.at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::{faults, load};

    /// With `rest` from line 5 on.
    fn webhook(path: &str, rest: &str) -> String {
        format!(
            "[[webhook]]\npath = \"{path}\"\napp_secrets = [{{ file = \"secret\" }}]\n\
             verify_token = {{ file = \"token\" }}\n{rest}\nupstream = \"app\""
        )
    }

    fn first(text: &str) -> Webhook {
        load(text).webhooks.into_iter().next().expect("one is written")
    }

    #[test]
    fn a_webhook_is_called_by_its_host_and_path_unless_named() {
        assert_eq!(first(&webhook("/hooks", "")).name, "/hooks");
        assert_eq!(first(&webhook("/hooks", "name = \"meta\"")).name, "meta");
        let hosted = first(&webhook("/hooks", "host = \"Hooks.Example\""));
        assert_eq!(hosted.name, "hooks.example/hooks");
        assert_eq!(hosted.host.as_deref(), Some("hooks.example"));
    }

    #[test]
    fn paths_that_can_be_written_in_two_ways_are_refused() {
        for path in ["/", "/a", "/a/", "/a.b/..c", "/a-b_c~d"] {
            assert_eq!(first(&webhook(path, "")).path, path);
        }
        let cases = [
            ("", "must start with `/`"),
            ("a", "must start with `/`"),
            ("/a?b", "must not have the character '?'"),
            ("/a#b", "must not have the character '#'"),
            ("/%61", "must not have the character '%'"),
            ("/a b", "must not have the character ' '"),
            ("/a\\t", "must not have the character '\\t'"),
            ("/\u{e9}", "must not have the character '\u{e9}'"),
            ("//a", "must not have the segment `//`"),
            ("/a/./b", "must not have the segment `/.`"),
            ("/a/..", "must not have the segment `/..`"),
            ("/a/..;b", "must not have the segment `/..`"),
        ];
        for (path, sentence) in cases {
            let faults = faults(&webhook(path, ""));
            let [fault] = faults.as_slice() else { unreachable!("{faults:?}") };
            let expected = format!("2: `webhook[0].path`: {sentence}");
            assert!(fault.starts_with(&expected), "{fault}");
        }
    }

    #[test]
    fn a_host_has_no_port() {
        let host = |host: &str| webhook("/", &format!("host = \"{host}\""));

        assert_eq!(first(&host("[::1]")).host.as_deref(), Some("[::1]"));
        for bad in ["a.example:8443", "[::1]:8443"] {
            assert_eq!(
                faults(&host(bad)),
                ["5: `webhook[0].host`: must not have a port; requests are matched by the name \
                  alone"]
            );
        }
        for bad in ["", "a/b", "::1", "a..b"] {
            assert_eq!(
                faults(&host(bad)),
                ["5: `webhook[0].host`: must be a host name or an IP address (IPv6 in brackets)"]
            );
        }
    }

    #[test]
    fn an_unknown_upstream_is_refused_with_those_that_there_are() {
        let text = webhook("/", "").replace("\"app\"", "\"ap\"");

        assert_eq!(
            faults(&text),
            ["6: `webhook[0].upstream`: names no `[[upstream]]`; there is `app`"]
        );
    }

    #[test]
    fn two_webhooks_for_the_same_requests_clash() {
        let (one, hosted) = (webhook("/a", ""), webhook("/a", "host = \"a.example\""));

        assert_eq!(load(&format!("{one}\n{hosted}")).webhooks.len(), 2);
        for text in [&one, &hosted] {
            assert_eq!(
                faults(&format!("{text}\n{text}")),
                ["8: `webhook[1].path`: has the same host and path as `webhook[0].path`"]
            );
        }
    }

    #[test]
    fn two_webhooks_of_one_name_clash() {
        let (one, other) = (webhook("/a", "name = \"same\""), webhook("/b", "name = \"same\""));

        assert_eq!(
            faults(&format!("{one}\n{other}")),
            ["11: `webhook[1].name`: must differ from `webhook[0].name`, but is the same"]
        );
    }

    #[test]
    fn a_webhook_without_secrets_or_token_is_refused() {
        let text = r#"[[webhook]]
            path = "/a"
            upstream = "app"
            [[webhook]]
            path = "/b"
            upstream = "app"
            app_secrets = []
            verify_token = []"#;

        assert_eq!(
            faults(text),
            [
                "1: `webhook[0].app_secrets`: is missing",
                "1: `webhook[0].verify_token`: is missing, so that no verification request could \
                 be answered; if that is meant, write `verification = \"off\"`",
                "7: `webhook[1].app_secrets`: must have at least one entry",
                "8: `webhook[1].verify_token`: must have at least one entry",
            ]
        );
    }

    #[test]
    fn verification_that_is_off_needs_no_token_and_takes_none() {
        let with_token = webhook("/a", "verification = \"off\"");
        let without = with_token.replace("verify_token = { file = \"token\" }", "");

        let webhook = first(&without);
        assert_eq!((webhook.verification, webhook.verify_tokens.len()), (Verification::Off, 0));
        assert_eq!(
            faults(&with_token),
            [
                "4: `webhook[0].verify_token`: is never used with `verification = \"off\"`; take out \
              one of the two"
            ]
        );
    }

    #[test]
    fn the_quiet_alarm_is_off_unless_written_and_takes_a_second_to_a_month() {
        let alarm = |ms: u64| first(&webhook("/", &format!("quiet_alarm_ms = {ms}"))).quiet_alarm;

        assert_eq!(first(&webhook("/", "")).quiet_alarm, None);
        assert_eq!(alarm(1_800_000), Some(Duration::from_secs(30 * 60)));
        assert_eq!(alarm(2_678_400_000), Some(Duration::from_secs(31 * 24 * 60 * 60)));
        for bad in [999, 2_678_400_001_u64] {
            assert_eq!(
                faults(&webhook("/", &format!("quiet_alarm_ms = {bad}"))),
                ["5: `webhook[0].quiet_alarm_ms`: must be from 1000 to 2678400000"]
            );
        }
    }

    #[test]
    fn verification_asks_for_the_certificate_that_events_ask_for_unless_written() {
        let demands = |rest: &str| {
            let webhook = first(&webhook("/", rest));
            (webhook.client_certificate, webhook.verification_client_certificate)
        };
        let signature_only = "client_certificate = \"none\"";

        assert_eq!(demands(""), (Demand::Required, Demand::Required));
        assert_eq!(demands(signature_only), (Demand::None, Demand::None));
        assert_eq!(
            demands("verification_client_certificate = \"none\""),
            (Demand::Required, Demand::None)
        );
        assert_eq!(
            demands(&format!("{signature_only}\nverification_client_certificate = \"required\"")),
            (Demand::None, Demand::Required)
        );
        assert_eq!(
            faults(&webhook("/", "client_certificate = \"optional\"")),
            ["5: `webhook[0].client_certificate`: must be one of `required`, `none`"]
        );
    }
}
