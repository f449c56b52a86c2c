//! Each dialect of identity headers says what another program says of the same certificate.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use hubgate_testkit::pki::{Attribute, Identity, Leaf, META_NAME, Spelling, Subject};
use hubgate_testkit::sender::Message;

use crate::harness::application::Received;
use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

/// The values of these headers as the application saw them; one that is not there is empty.
fn values<const N: usize>(received: &Received, names: [&str; N]) -> [String; N] {
    names.map(|name| {
        let values: Vec<_> = received.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name}: {values:?}");
        values.first().map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    })
}

async fn world(dialect: &str) -> World {
    Plan::new().upstream(&format!("identity_headers = [\"{dialect}\"]")).start().await
}

async fn told(world: &World, identity: &Identity) -> Received {
    let answer = send(world.caller(identity.clone()), event("{}")).await.unwrap();
    assert_eq!(answer.status, 200);
    world.app.received().pop().unwrap()
}

/// What `openssl x509` prints of a certificate, after the first `=`.
fn openssl(identity: &Identity, arguments: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["x509", "-inform", "DER"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl, to compare with");
    child.stdin.take().unwrap().write_all(identity.leaf()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once('=').map_or(text.clone(), |(_, value)| value.trim_end().to_owned())
}

/// Meta's name among attributes that need escaping, or are of kinds that are seldom seen.
fn odd_subject() -> Subject {
    let unit = |text| Attribute::organizational_unit(Spelling::Utf8, text);
    Subject::organization("Meta, \"Platforms\" + <Inc.>; a\\b=c")
        .and(unit("Caf\u{e9} \u{4e2d}\u{1f600}"))
        .and(unit("#1 "))
        .and(unit(" \r\nX-Forged: 1\0\u{7f}"))
        .and(Attribute::organizational_unit(Spelling::Bmp, "b\u{e9}\u{4e2d}"))
        .and(Attribute::organizational_unit(Spelling::Universal, "u\u{1f600}"))
        .and(Attribute::raw(&[0x55, 0x04, 0x0b], 0x14, b"t\xe9"))
        // What is no text, and an attribute without a name.
        .and(Attribute::raw(&[0x55, 0x04, 0x2d], 0x03, &[0, 0xa5]))
        .and(Attribute::raw(&[0x2a, 0x03, 0x04], 0x0c, b"unheard of"))
        .and_joined(vec![unit("joined"), Attribute::common_name(Spelling::Utf8, META_NAME)])
}

fn leaves() -> [Leaf; 2] {
    [Leaf::meta(), Leaf::meta().subject(odd_subject())]
}

#[tokio::test]
async fn nginx_headers_have_the_values_of_nginxs_variables() {
    let world = world("nginx").await;
    for leaf in leaves() {
        let identity = world.meta_ca.issue(leaf);
        let received = told(&world, &identity).await;

        let fingerprint = openssl(&identity, &["-noout", "-fingerprint", "-sha1"]);
        let names = [
            "x-ssl-client-verify",
            "x-ssl-client-s-dn",
            "x-ssl-client-i-dn",
            "x-ssl-client-serial",
            "x-ssl-client-fingerprint",
            "client-cert",
        ];
        assert_eq!(
            values(&received, names),
            [
                "SUCCESS",
                &openssl(&identity, &["-noout", "-subject", "-nameopt", "RFC2253"]),
                &openssl(&identity, &["-noout", "-issuer", "-nameopt", "RFC2253"]),
                &openssl(&identity, &["-noout", "-serial"]),
                &fingerprint.replace(':', "").to_lowercase(),
                "",
            ]
        );
    }
}

#[tokio::test]
async fn alb_headers_have_the_form_of_awss_load_balancer() {
    let world = world("alb").await;
    for leaf in leaves() {
        let identity = world.meta_ca.issue(leaf);
        let received = told(&world, &identity).await;

        let date = |which| openssl(&identity, &["-noout", which, "-dateopt", "iso_8601"]);
        let [from, until] = ["-startdate", "-enddate"].map(date).map(|date| date.replace(' ', "T"));
        let names = ["subject", "issuer", "serial-number", "validity", "leaf"];
        let names = names.map(|name| format!("x-amzn-mtls-clientcert-{name}"));
        let [subject, issuer, serial, validity, leaf] =
            values(&received, names.each_ref().map(String::as_str));
        assert_eq!(subject, openssl(&identity, &["-noout", "-subject", "-nameopt", "RFC2253"]));
        assert_eq!(issuer, openssl(&identity, &["-noout", "-issuer", "-nameopt", "RFC2253"]));
        assert_eq!(serial, openssl(&identity, &["-noout", "-serial"]));
        assert_eq!(validity, format!("NotBefore={from};NotAfter={until}"));
        let pem = identity.chain_pem().replace("\r\n", "\n");
        assert_eq!(leaf, pem.replace('\n', "%0A").replace(' ', "%20"));
    }
}

#[tokio::test]
async fn the_xfcc_header_has_envoys_form() {
    let world = world("xfcc").await;
    let identity = world.meta_ca.issue(Leaf::meta());
    let received = told(&world, &identity).await;

    let hash = openssl(&identity, &["-noout", "-fingerprint", "-sha256"]);
    let hash = hash.replace(':', "").to_lowercase();
    let pem = identity.chain_pem().replace("\r\n", "\n");
    let escapes = [("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")];
    let pem = escapes.iter().fold(pem, |pem, (plain, escaped)| pem.replace(plain, escaped));
    let subject = openssl(&identity, &["-noout", "-subject", "-nameopt", "RFC2253"]);
    let [value] = values(&received, ["x-forwarded-client-cert"]);
    assert_eq!(value, format!("Hash={hash};Cert=\"{pem}\";Subject=\"{subject}\""));
}

#[tokio::test]
async fn the_chain_of_rfc_9440_has_neither_leaf_nor_anchor() {
    let both = "identity_headers = [\"rfc9440\", \"rfc9440_chain\"]";
    let world = Plan::new().upstream(both).start().await;
    let sequence = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
    let old = world.digicert.issue(Leaf::meta()).and_presenting(&world.digicert_root);
    let received = told(&world, &old).await;
    assert_eq!(
        values(&received, ["client-cert", "client-cert-chain"]),
        [sequence(old.leaf()), sequence(world.digicert.certificate())]
    );

    let new = world.meta_ca.issue(Leaf::meta());
    let received = told(&world, &new).await;
    assert_eq!(
        values(&received, ["client-cert", "client-cert-chain"]),
        [sequence(new.leaf()), String::new()]
    );
}

#[tokio::test]
async fn the_forwarded_header_has_the_form_of_rfc_7239() {
    let world = world("forwarded").await;
    let options = world.meta().authority("localhost:444".try_into().unwrap());
    assert_eq!(send(options, event("{}")).await.unwrap().status, 200);
    let expected = "for=127.0.0.1;host=\"localhost:444\";proto=https";
    assert_eq!(values(&world.app.only(), ["forwarded", "client-cert"]), [expected, ""]);
}

/// Under the names of its own upstream and of others, in every spelling.
const FORGED: [&str; 8] = [
    "X-Tls-Ok",
    "x_tls_ok",
    "Caller.Name",
    "Caller-Name",
    "X-Other-Serial",
    "X_OTHER_SERIAL",
    "X-SSL-Client-Verify",
    "Client-Cert",
];

#[tokio::test]
async fn names_of_ones_own_are_set_and_can_be_claimed_towards_no_upstream() {
    let names = "identity_headers = [\"nginx\"]\n\
                 identity_header_names = { verify = \"X-Tls-Ok\", subject = \"caller_name\" }";
    let other = "[[upstream]]\nname = \"other\"\nurl = \"http://127.0.0.1:9\"\n\
                 identity_headers = [\"nginx\"]\n\
                 identity_header_names = { serial = \"x-other-serial\" }\n\
                 [[site]]\nupstream = \"app\"\n";
    let world = Plan::new().upstream(names).more(other).start().await;
    let forged = |message: Message| {
        FORGED.iter().fold(message, |message, name| message.header(name, "forged"))
    };
    let seen = ["x-tls-ok", "caller_name", "x-ssl-client-serial", "client-cert"];

    let meta = world.meta_ca.issue(Leaf::meta());
    let subject = openssl(&meta, &["-noout", "-subject", "-nameopt", "RFC2253"]);
    let event = forged(event("{}"));
    assert_eq!(send(world.caller(meta), event).await.unwrap().status, 200);
    let page = forged(Message::new(Method::GET).target_path("/page"));
    assert_eq!(send(world.stranger(), page).await.unwrap().status, 200);

    let received = world.app.received();
    assert_eq!(values(&received[0], seen), ["SUCCESS", &subject, "", ""]);
    assert_eq!(values(&received[1], seen), ["NONE", "", "", ""]);
    for received in received {
        assert!(received.headers.values().all(|value| value != "forged"), "{received:?}");
    }
}
