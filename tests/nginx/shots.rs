//! The same requests at nginx and at hubgate, side by side.

use http::Method;
use hubgate_testkit::pki::{Authority, Ca, Leaf};
use hubgate_testkit::sender::{Framing, Message, Options};

use crate::fixture::{APP_SECRET, Fixture, VERIFY_TOKEN};
use crate::verdict::{Nginx, Verdict, application, hubgate, verdict};

/// Who calls.
#[derive(Clone, Copy)]
enum Caller {
    Meta,
    /// Without a certificate.
    Stranger,
    /// Under Meta's CA, with this common name.
    Named(&'static str),
    /// With Meta's name, under a CA of its own.
    Impostor,
}

/// One request, and why hubgate is stricter, if it is.
struct Shot {
    what: &'static str,
    caller: Caller,
    path: &'static str,
    message: Message,
    why: Option<&'static str>,
}

fn shot(what: &'static str, caller: Caller, path: &'static str, message: Message) -> Shot {
    Shot { what, caller, path, message, why: None }
}

impl Shot {
    fn stricter(self, why: &'static str) -> Self {
        Self { why: Some(why), ..self }
    }
}

const LONGER_NAME: Caller = Caller::Named("client.webhooks.fbclientcerts.com.evil.example");

/// What every webhook gets.
fn at_webhook(path: &'static str, is_anchored: bool) -> Vec<Shot> {
    let event = || Message::event(APP_SECRET, "{}");
    let longer = shot("a longer name", LONGER_NAME, path, event());
    vec![
        shot("Meta's event", Caller::Meta, path, event()),
        shot("an event without signature", Caller::Meta, path, Message::unsigned_event("{}"))
            .stricter("the signature is proven"),
        shot(
            "an event signed with another secret",
            Caller::Meta,
            path,
            Message::event("ffffffffffffffffffffffffffffffff", "{}"),
        )
        .stricter("the signature is proven"),
        shot("no certificate", Caller::Stranger, path, event()),
        shot("another name under Meta's CA", Caller::Named("other.example"), path, event()),
        match is_anchored {
            true => longer,
            false => longer.stricter("the name is compared whole"),
        },
        shot("Meta's name under another CA", Caller::Impostor, path, event()),
        shot(
            "verification, right token",
            Caller::Meta,
            path,
            Message::verification(VERIFY_TOKEN, "1158201444"),
        )
        .stricter("hubgate knows the token and answers itself"),
        shot(
            "verification, wrong token",
            Caller::Meta,
            path,
            Message::verification("guessed", "1158201444"),
        )
        .stricter("hubgate knows the token"),
        shot("another method", Caller::Meta, path, event().method(Method::PUT))
            .stricter("Meta sends GET and POST"),
    ]
}

#[tokio::test]
async fn a_strict_server_block_is_taken_over_and_nothing_gets_in_that_did_not() {
    let event = || Message::event(APP_SECRET, "{}");
    let mut shots = at_webhook("/webhooks", false);
    shots.extend([
        shot("a path below", Caller::Meta, "/webhooks/other", event())
            .stricter("a webhook is one path"),
        shot("a path that only begins so", Caller::Meta, "/webhooks2", event())
            .stricter("a webhook is one path"),
        shot("a path of nobody", Caller::Meta, "/elsewhere", event()),
        shot("a path of nobody, no certificate", Caller::Stranger, "/", Message::new(Method::GET)),
        shot(
            "an event of 4 MiB and a byte",
            Caller::Meta,
            "/webhooks",
            Message::event(APP_SECRET, vec![b' '; (4 << 20) + 1]),
        ),
    ]);
    compare("strict", shots).await;
}

#[tokio::test]
async fn a_site_with_one_path_for_meta_is_taken_over_and_nothing_gets_in_that_did_not() {
    let get = || Message::new(Method::GET);
    let event = || Message::event(APP_SECRET, "{}");
    let mut shots = at_webhook("/webhooks/meta", false);
    shots.extend([
        shot("a browser", Caller::Stranger, "/", get()),
        shot("a browser, deeper", Caller::Stranger, "/shop/cart?item=1", get()),
        shot("a form", Caller::Stranger, "/contact", Message::new(Method::POST).body("a=b")),
        shot("the API", Caller::Stranger, "/api/items", get()),
        shot(
            "the API, a method that it has not",
            Caller::Stranger,
            "/api/items",
            Message::new(Method::DELETE),
        ),
        shot("a path that only begins like the API's", Caller::Stranger, "/apiary", get())
            .stricter("sites are whole segments"),
        shot("the probe", Caller::Stranger, "/health", get())
            .stricter("hubgate answers probes on its admin address"),
        shot("a file", Caller::Stranger, "/static/none.css", get()),
        shot("the office's path", Caller::Stranger, "/admin", get()),
        shot("what begins like the office's path", Caller::Stranger, "/admin.php", get()),
        shot("the office's path, spelled otherwise", Caller::Stranger, "/x/../%61dmin", get()),
        shot("below the webhook, no certificate", Caller::Stranger, "/webhooks/meta/x", event()),
        shot("what begins like the webhook", Caller::Stranger, "/webhooks/metax", event()),
        shot("the webhook, spelled otherwise", Caller::Stranger, "//webhooks/./meta", event()),
        shot("a browser with another's certificate", Caller::Impostor, "/", get()),
        shot(
            "an event of 10 MiB and a byte",
            Caller::Meta,
            "/webhooks/meta",
            Message::event(APP_SECRET, vec![b' '; (10 << 20) + 1]),
        ),
        shot(
            "a form of 10 MiB and a byte",
            Caller::Stranger,
            "/contact",
            Message::new(Method::POST).body(vec![b' '; (10 << 20) + 1]),
        ),
        shot(
            "a form in chunks",
            Caller::Stranger,
            "/contact",
            Message::new(Method::POST).body("a=b").framing(Framing::Chunked),
        ),
    ]);
    compare("mixed", shots).await;
}

#[tokio::test]
async fn a_configuration_in_many_files_is_taken_over_and_nothing_gets_in_that_did_not() {
    let get = || Message::new(Method::GET);
    let mut shots = at_webhook("/instagram", true);
    shots.extend(at_webhook("/whatsapp", true));
    shots.extend([
        shot("a browser", Caller::Stranger, "/", get()),
        shot("a path that nginx changes", Caller::Stranger, "/reports/today", get())
            .stricter("hubgate changes no paths"),
        shot("the changed path without its slash", Caller::Stranger, "/reports", get())
            .stricter("hubgate changes no paths"),
        shot("beside the changed path", Caller::Stranger, "/reports2", get()),
        shot("below a webhook", Caller::Stranger, "/instagram/x", get()),
        shot("a browser with another's certificate", Caller::Impostor, "/", get())
            .stricter("a certificate that is presented must be good"),
    ]);
    compare("split", shots).await;
}

/// Fires everything at both, shows the table, and then looks for what must not be.
async fn compare(name: &str, shots: Vec<Shot>) {
    let applications = [application().await, application().await];
    let fixture = Fixture::of(name, applications.each_ref().map(|one| one.address));
    let Some(_nginx) = Nginx::start(&fixture) else {
        eprintln!("SKIPPED: there is no nginx to compare `{name}` with");
        return;
    };
    let hubgate = hubgate(&fixture);
    let impostor = Authority::root(Ca::meta());
    let mut wrong = Vec::new();
    println!("\n{name:<44} {:<42} {:<42} why", "nginx", "hubgate");
    for shot in shots {
        let identity = match shot.caller {
            Caller::Meta => Some(fixture.meta_ca.issue(Leaf::meta())),
            Caller::Stranger => None,
            Caller::Named(name) => Some(fixture.meta_ca.issue(Leaf::named(name))),
            Caller::Impostor => Some(impostor.issue(Leaf::meta())),
        };
        let mut verdicts = Vec::new();
        for address in [fixture.nginx_address(443), *hubgate.addresses().first().unwrap()] {
            let options = Options::to_local(address, shot.path).unwrap();
            let mut options = options.trusting(&fixture.server_ca);
            if let Some(identity) = identity.clone() {
                options = options.identity(identity);
            }
            verdicts.push(verdict(options, shot.message.clone()).await);
        }
        let [before, after] = <[Verdict; 2]>::try_from(verdicts).unwrap();
        let why = shot.why.unwrap_or_default();
        let line =
            format!("{:<44} {:<42} {:<42} {why}", shot.what, before.to_string(), after.to_string());
        println!("{line}");
        // Laxer is wrong, stricter needs a reason, and a reason needs a difference.
        if after.rank() < before.rank() || (after.rank() > before.rank()) != shot.why.is_some() {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "laxer, or a difference without a reason:\n{}", wrong.join("\n"));
}
