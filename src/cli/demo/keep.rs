//! What can be tried by hand while the demo is left running.

use std::fs;

use anyhow::Context;

use super::setup::{DemoSetup, PATH};
use hubgate_testkit::events::{Event, sign};

/// Writes the body that the lines refer to, and prints lines that work when pasted.
pub(super) fn explain(demo_setup: &DemoSetup) -> anyhow::Result<()> {
    let event = Event::named("whatsapp_message").context("no such event")?;
    let file = demo_setup.directory().join("event.json");
    fs::write(&file, event.body).with_context(|| format!("cannot write `{}`", file.display()))?;

    let directory = demo_setup.directory().display();
    let url = format!("https://localhost:{}{PATH}", demo_setup.address.port());
    let token = &demo_setup.setup.verify_token;
    let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
    let signature = sign(&demo_setup.setup.app_secret, event.body.as_bytes());
    let server =
        format!("curl -sS -w ' -> %{{http_code}}\\n' --cacert '{directory}/server-ca.pem'");
    let identity = |shape: &str| {
        format!("--cert '{directory}/{shape}-client.pem' --key '{directory}/{shape}-client.key'")
    };
    let (meta, digicert) = (identity("meta"), identity("digicert"));
    let json = "-H 'Content-Type: application/json'";
    let signed = format!("-H 'X-Hub-Signature-256: {signature}'");
    let body = format!("--data-binary @'{directory}/event.json'");

    println!("\nStill running; Ctrl-C ends it and removes {directory}. To try:");
    let lines = [
        ("The challenge comes back", format!("{server} {meta} '{url}?{query}'")),
        ("A signed event: 200", format!("{server} {meta} {json} {signed} {body} {url}")),
        (
            "The same under the chain of old: 200",
            format!("{server} {digicert} {json} {signed} {body} {url}"),
        ),
        ("Without its signature: 403", format!("{server} {meta} {json} {body} {url}")),
        (
            "Without a certificate: no handshake",
            // In TLS 1.3 the alert comes after the handshake, and curl rarely shows it.
            format!("{server} --tls-max 1.2 {json} {signed} {body} {url}"),
        ),
    ];
    for (what, line) in lines {
        println!("\n# {what}\n{line}");
    }
    if let Some(admin) = demo_setup.admin_address() {
        println!("\n# What the proxy counted\ncurl -sS http://{admin}/metrics");
    }
    println!("\nIts configuration is {directory}/config.toml");
    Ok(())
}
