//! The exact name: one common name, equal byte for byte, whatever else a certificate says.

use hubgate_testkit::pki::{Attribute, Identity, Leaf, META_NAME, Spelling, Subject};
use hubgate_testkit::sender::{Handshake, SendError, Sender, Tls};

use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const VERSIONS: [Tls; 2] = [Tls::Only12, Tls::Only13];

fn with_name(spelling: Spelling, name: &str) -> Leaf {
    Leaf::meta().subject(Subject::of(Attribute::common_name(spelling, name)))
}

/// Under a trusted anchor, in both versions of TLS: no HTTP, this reason, this many times.
async fn assert_all_refused(leaves: Vec<Leaf>, reason: &str) {
    let world = World::start().await;
    let mut count = 0;
    for leaf in leaves {
        for authority in [&world.meta_ca, &world.digicert] {
            let identity = authority.issue(leaf.clone());
            for tls in VERSIONS {
                let error = send(world.caller(identity.clone()).tls(tls), event("{}"))
                    .await
                    .expect_err(&format!("must not connect: {leaf:?}"));
                assert_eq!(error.tls_alert(), Some("access_denied"), "{error:?} {leaf:?}");
                count += 1;
            }
        }
    }
    let expected = [(&*format!("reason=\"{reason}\""), count)];
    world.until_counted("hubgate_handshake_refusals_total", &expected).await;
    world.until_counted("hubgate_anchor_uses_total", &[]).await;
    world.until_counted("hubgate_requests_total", &[]).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn a_name_that_only_contains_the_right_one_is_refused() {
    let names = [
        format!("{META_NAME}.evil.example"),
        format!("{META_NAME}-x"),
        format!("evil.{META_NAME}"),
        format!("evil-{META_NAME}"),
        format!("evil.example/{META_NAME}"),
        format!("CN={META_NAME}"),
        format!("evil.example, CN={META_NAME}"),
        format!("{META_NAME},CN=evil.example"),
    ];
    assert_all_refused(names.iter().map(|name| Leaf::named(name)).collect(), "name_mismatch").await;
}

#[tokio::test]
async fn a_name_that_a_careless_comparison_takes_for_the_right_one_is_refused() {
    let mut names = vec![
        META_NAME.to_uppercase(),
        META_NAME.replacen('c', "C", 1),
        format!("{META_NAME}."),
        format!(".{META_NAME}"),
        format!(" {META_NAME}"),
        format!("{META_NAME} "),
        format!("{META_NAME}\t"),
        format!("{META_NAME}\n"),
        format!("{META_NAME}\0"),
        format!("{META_NAME}\0.evil.example"),
        format!("\0{META_NAME}"),
        "*.webhooks.fbclientcerts.com".to_owned(),
        "*".to_owned(),
        String::new(),
        META_NAME.replacen('c', "\u{441}", 1),     // Cyrillic
        META_NAME.replacen("fb", "f\u{200b}b", 1), // zero width
        META_NAME[1..].to_owned(),
        META_NAME[..META_NAME.len() - 1].to_owned(),
    ];
    names.push("fbclientcerts.com".to_owned());
    assert_all_refused(names.iter().map(|name| Leaf::named(name)).collect(), "name_mismatch").await;
}

#[tokio::test]
async fn a_nul_is_no_end_of_a_name_in_any_spelling() {
    let name = format!("{META_NAME}\0.evil.example");
    let leaves = [Spelling::Printable, Spelling::Utf8, Spelling::Ia5, Spelling::Teletex];
    let leaves = leaves.map(|spelling| with_name(spelling, &name));
    assert_all_refused(leaves.to_vec(), "name_mismatch").await;
}

#[tokio::test]
async fn two_common_names_are_refused_separate_or_joined_also_if_both_are_right() {
    let pairs = [
        [META_NAME, "evil.example"],
        ["evil.example", META_NAME],
        [META_NAME, META_NAME],
        [META_NAME, ""],
    ];
    let separate = pairs.iter().map(|pair| Leaf::with_common_names(pair));
    let joined = pairs.iter().map(|pair| Leaf::with_joined_common_names(pair));
    let mut leaves: Vec<_> = separate.chain(joined).collect();
    leaves.push(Leaf::with_common_names(&["a.example", META_NAME, "b.example"]));
    assert_all_refused(leaves, "name_not_single").await;
}

#[tokio::test]
async fn the_right_name_anywhere_but_in_the_common_name_is_refused() {
    let leaves = vec![
        Leaf::with_unit_only(),
        Leaf::with_alternative_name_only(),
        Leaf::meta().subject(Subject::organization(META_NAME)),
        Leaf::meta().subject(Subject::organization(&format!("x, CN={META_NAME}"))),
        Leaf::meta().subject(Subject::empty()),
    ];
    assert_all_refused(leaves, "name_not_single").await;
    let beside_a_wrong_one = vec![
        Leaf::named("evil.example").alternative_name(META_NAME),
        Leaf::meta().subject(
            Subject::of(Attribute::organizational_unit(Spelling::Utf8, META_NAME))
                .and(Attribute::common_name(Spelling::Utf8, "evil.example")),
        ),
    ];
    assert_all_refused(beside_a_wrong_one, "name_mismatch").await;
}

#[tokio::test]
async fn the_right_name_in_a_string_type_that_conforming_authorities_do_not_use_is_refused() {
    let spellings = [Spelling::Ia5, Spelling::Teletex, Spelling::Bmp, Spelling::Universal];
    let mut leaves = spellings.map(Leaf::spelled).to_vec();
    // The right bytes, claiming to be two or four bytes a character.
    for spelling in [Spelling::Bmp, Spelling::Universal] {
        let name = Attribute::raw_common_name(spelling, META_NAME.as_bytes());
        leaves.push(Leaf::meta().subject(Subject::of(name)));
    }
    assert_all_refused(leaves, "name_mismatch").await;
}

async fn knock(world: &World, identity: Identity, tls: Tls) -> Result<Handshake, SendError> {
    let connection = Sender::new(world.caller(identity).tls(tls))?.connect().await?;
    assert_eq!(connection.request(event("{}")).await?.status, 200);
    Ok(connection.handshake().clone())
}

#[tokio::test]
async fn the_right_name_passes_as_printable_and_as_utf8_string_whatever_stands_beside_it() {
    let world = World::start().await;
    let unit = Attribute::organizational_unit(Spelling::Utf8, "evil.example");
    let leaves = [
        Leaf::spelled(Spelling::Printable),
        Leaf::spelled(Spelling::Utf8),
        Leaf::meta().alternative_name("elsewhere.example"),
        Leaf::meta()
            .subject(Subject::of(unit).and(Attribute::common_name(Spelling::Printable, META_NAME))),
    ];
    let mut expected = 0;
    for leaf in leaves {
        for (tls, version) in VERSIONS.into_iter().zip(["TLS 1.2", "TLS 1.3"]) {
            for authority in [&world.meta_ca, &world.digicert] {
                let handshake = knock(&world, authority.issue(leaf.clone()), tls).await.unwrap();
                assert_eq!(handshake.version, version);
                expected += 1;
            }
        }
    }
    assert_eq!(world.app.received().len(), expected);
    world.until_counted("hubgate_handshake_refusals_total", &[]).await;
}

#[tokio::test]
async fn only_configured_names_are_right() {
    let world = Plan::new()
        .client_certificate("common_names = [\"a.example\", \"b.example\"]")
        .start()
        .await;
    for name in ["a.example", "b.example"] {
        knock(&world, world.meta_ca.issue(Leaf::named(name)), Tls::Both).await.unwrap();
    }
    for leaf in [Leaf::meta(), Leaf::with_common_names(&["a.example", "b.example"])] {
        knock(&world, world.meta_ca.issue(leaf), Tls::Both).await.expect_err("must not connect");
    }
    world
        .until_counted(
            "hubgate_handshake_refusals_total",
            &[("reason=\"name_mismatch\"", 1), ("reason=\"name_not_single\"", 1)],
        )
        .await;
    assert_eq!(world.app.received().len(), 2);
}
