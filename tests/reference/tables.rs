//! The tables of refusals and metrics in docs/.

use std::collections::BTreeSet;
use std::fs;

use hubgate::app;
use hubgate::config::{Config, known_keys};
use hubgate::refusal::{ConnectionRefusal, Refusal};
use hubgate::{HeaderClaim, PATH_PARAMETERS, RESERVED_HEADERS};
use hubgate_testkit::pki::{Authority, Ca};
use hubgate_testkit::setup::Setup;

const REFUSALS: &str = include_str!("../../docs/refusals.md");
const METRICS: &str = include_str!("../../docs/metrics.md");
const CONFIG: &str = include_str!("../../config.toml");
const SECURITY: &str = include_str!("../../docs/security.md");

#[test]
fn the_page_of_refusals_says_of_each_what_to_do() {
    let of_connections = table(
        ["label", "what to do"],
        ConnectionRefusal::ALL.map(|connection_refusal| {
            [code(connection_refusal.label()), connection_refusal.hint().to_owned()]
        }),
    );
    assert_shown(REFUSALS, "refusals.md", &of_connections);
    let of_requests = table(
        ["label", "status", "what to do"],
        Refusal::ALL.map(|refusal| {
            let status = refusal.status().as_u16().to_string();
            [code(refusal.label()), status, refusal.hint().to_owned()]
        }),
    );
    assert_shown(REFUSALS, "refusals.md", &of_requests);
}

#[test]
fn the_page_on_security_has_every_limit_with_its_default() {
    let (_, section) = SECURITY.split_once("\n## Limits\n").expect("is there");
    let (section, _) = section.split_once("\n## ").expect("is not the last");
    let keys = known_keys();
    let limits = keys.iter().filter(|key| key.starts_with("limits."));
    let more = ["upstream.connections", "upstream.site_connections", "upstream.response_max_bytes"];
    let mut count = 0;
    for key in limits.map(String::as_str).chain(more) {
        let (part, name) = key.split_once('.').expect("has a section");
        let marked = format!("#{name} = ");
        let mut lines = CONFIG.lines().skip_while(|line| line.trim_matches(['[', ']']) != part);
        let default = lines.find_map(|line| line.strip_prefix(&marked));
        let default = default.expect("is in the reference").replace('_', "");
        let row = section.lines().find_map(|line| line.strip_prefix(&format!("| `{key}` | ")));
        let shown = row.and_then(|row| row.split_once(" |"));
        let (shown, _) = shown.expect(key);
        // What follows from another key is said in words.
        assert!(shown == default || shown.contains("of `"), "{key}: {shown}, not {default}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}

#[test]
fn the_page_on_security_has_every_header_that_no_caller_may_set() {
    let rows = HeaderClaim::ALL.map(|claim| {
        let names = RESERVED_HEADERS.iter().filter(|reserved| reserved.claim == claim);
        let names: Vec<_> = names.map(|reserved| code(reserved.name)).collect();
        [claim.to_string(), names.join(", ")]
    });
    let table = table(["what applications take it for", "headers"], rows);
    assert_shown(SECURITY, "security.md", &table);
}

#[test]
fn the_page_on_security_has_every_parameter_that_is_read_for_a_path() {
    let (_, from) = SECURITY.split_once("hubgate reads the parameters").expect("is there");
    let (named, _) = from.split_once("under\nevery spelling").expect("is there");
    let words = named.split('`').skip(1).step_by(2);
    let words: BTreeSet<_> = words.filter(|word| !word.starts_with('/')).collect();
    assert_eq!(words, BTreeSet::from(PATH_PARAMETERS));
}

#[test]
fn the_page_of_metrics_has_every_one_that_the_program_has() {
    let rendered = rendered_metrics();
    let mut rows = Vec::new();
    for line in rendered.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let kind = format!("# TYPE {name} ");
        let kind = rendered.lines().find_map(|line| line.strip_prefix(&kind)).expect("has a type");
        let (shown, sample) = match kind {
            "counter" => (format!("{name}_total"), format!("{name}_total")),
            "histogram" => (name.to_owned(), format!("{name}_sum")),
            _ => (name.to_owned(), name.to_owned()),
        };
        let help = help.trim_end_matches('.').to_owned();
        rows.push([code(&shown), kind.to_owned(), labels_of(&rendered, &sample), help]);
    }
    assert!(rows.len() > 15, "{rendered}");
    let table = table(["metric", "type", "labels", "what it says"], rows);
    assert_shown(METRICS, "metrics.md", &table);
}

/// The labels of a metric's first sample; a histogram's sum has none for the buckets.
fn labels_of(rendered: &str, sample: &str) -> String {
    let rest = rendered.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix('{'));
    let labels = rest.and_then(|rest| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
    let names = labels.split(',').filter_map(|label| label.split_once('='));
    names.map(|(name, _)| code(name)).collect::<Vec<_>>().join(", ")
}

/// The metrics of a proxy that was started and reloaded, so that no family is without a series.
pub(crate) fn rendered_metrics() -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let name = "localhost".try_into().expect("a name");
    Setup::new(&[name]).write(directory.path(), false).expect("can be written");
    // Its list is looked for at a port where nothing listens.
    let ca = Authority::root(Ca::meta().crl_url("http://127.0.0.1:9/"));
    fs::write(directory.path().join("meta-ca.pem"), ca.certificate_pem()).expect("can be written");
    let next = Authority::root(Ca::meta()).certificate_pem();
    fs::write(directory.path().join("next-ca.pem"), next).expect("can be written");
    let path = directory.path().join("config.toml");
    let text = r#"
        server = { listen = ["127.0.0.1:0"], certificate = "server.pem", private_key = "server.key" }
        client_certificate = { trust_anchors = ["meta-ca.pem"], candidate_anchors = ["next-ca.pem"],
            crl_fetch = "distribution_points" }
        upstream = [{ name = "app", url = "http://127.0.0.1:9", health_check = { path = "/" } }]
        admin = { enabled = false }
        [[webhook]]
        path = "/webhooks"
        upstream = "app"
        app_secrets = { file = "app-secret" }
        verify_token = { file = "verify-token" }
        "#;
    fs::write(&path, text).expect("can be written");
    let proxy = app::start(Config::load(&path).expect("loads")).expect("starts");
    proxy.reload_from(&path).expect("loads again");
    let rendered = proxy.metrics();
    proxy.stop();
    rendered
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A table as Markdown has it.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| {
        // An empty cell has one blank, not two.
        let cells = cells
            .iter()
            .map(|cell| if cell.is_empty() { " ".to_owned() } else { format!(" {cell} ") });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rows = rows.into_iter().map(|row| line(&row)).collect::<String>();
    line(&head.map(str::to_owned)) + &line(&head.map(|_| "---".to_owned())) + &rows
}

/// The table to be put there is in the message.
fn assert_shown(page: &str, name: &str, table: &str) {
    assert!(page.contains(table), "docs/{name} should have:\n\n{table}");
}
