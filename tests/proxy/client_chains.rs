//! Who may vouch: both of Meta's eras, and every chain that must not count.

use std::sync::{Arc, Mutex};

use hubgate_testkit::pki::{Authority, Ca, Identity, Key, Leaf, Purpose, Usage};
use hubgate_testkit::sender::{Sender, Tls};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;

use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const VERSIONS: [Tls; 2] = [Tls::Only12, Tls::Only13];

/// In both versions of TLS: no HTTP, this reason, this alert, nothing else counted.
async fn assert_refused(world: &World, identity: Identity, reason: &str, alert: &str) {
    let mut expected = world.counted("hubgate_handshake_refusals_total");
    for tls in VERSIONS {
        let error = send(world.caller(identity.clone()).tls(tls), event("{}"))
            .await
            .expect_err("must not connect");
        assert_eq!(error.tls_alert(), Some(alert), "{reason} {tls:?}: {error:?}");
    }
    let label = format!("reason=\"{reason}\"");
    match expected.iter_mut().find(|(known, _)| *known == label) {
        Some((_, times)) => *times += 2,
        None => expected.push((label, 2)),
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let expected: Vec<_> = expected.iter().map(|(l, times)| (l.as_str(), *times)).collect();
    world.until_counted("hubgate_handshake_refusals_total", &expected).await;
    world.until_counted("hubgate_anchor_uses_total", &[]).await;
    world.assert_application_untouched();
}

async fn assert_passes(world: &World, identity: Identity) {
    for tls in VERSIONS {
        let answer = send(world.caller(identity.clone()).tls(tls), event("{}")).await;
        assert_eq!(answer.unwrap().status, 200);
    }
}

async fn trusting(anchor: &Authority) -> World {
    Plan::new().trust("anchor", anchor).start().await
}

#[tokio::test]
async fn both_eras_pass_with_rsa_and_with_ecdsa_and_are_told_apart_by_their_anchor() {
    for key in [Key::Rsa2048, Key::EcdsaP256, Key::EcdsaP384] {
        let meta = Authority::root(Ca::meta().key(key));
        let digicert = Authority::root(Ca::digicert_root().key(key));
        let issuing = digicert.intermediate(Ca::digicert_intermediate().key(key));
        let world = Plan::new()
            .trust("digicert-ev-root", &digicert)
            .trust("meta-2025-12", &meta)
            .start()
            .await;
        let (old, new) = (issuing.issue(Leaf::meta().key(key)), meta.issue(Leaf::meta().key(key)));
        assert_eq!((old.chain.len(), new.chain.len()), (2, 1));

        assert_passes(&world, old).await;
        let expected = [("anchor=\"digicert-ev-root\"", 2)];
        world.until_counted("hubgate_anchor_uses_total", &expected).await;
        assert_passes(&world, new).await;
        let expected = [("anchor=\"digicert-ev-root\"", 2), ("anchor=\"meta-2025-12\"", 2)];
        world.until_counted("hubgate_anchor_uses_total", &expected).await;
        world.until_counted("hubgate_handshake_refusals_total", &[]).await;
    }
}

#[tokio::test]
async fn an_anchor_that_is_not_configured_vouches_for_nobody() {
    let (meta, digicert) = (Authority::root(Ca::meta()), Authority::root(Ca::digicert_root()));
    let issuing = digicert.intermediate(Ca::digicert_intermediate());

    let world = trusting(&meta).await;
    assert_refused(&world, issuing.issue(Leaf::meta()), "unknown_anchor", "unknown_ca").await;
    assert_passes(&world, meta.issue(Leaf::meta())).await;

    let world = trusting(&digicert).await;
    assert_refused(&world, meta.issue(Leaf::meta()), "unknown_anchor", "unknown_ca").await;
    assert_passes(&world, issuing.issue(Leaf::meta())).await;
}

#[tokio::test]
async fn wrong_anchor_wrong_name_and_no_certificate_are_each_refused_and_told_apart() {
    let world = World::start().await;
    let other = Authority::root(Ca::named("another CA"));
    assert_refused(&world, other.issue(Leaf::meta()), "unknown_anchor", "unknown_ca").await;
    let other = world.meta_ca.issue(Leaf::named("other.example"));
    assert_refused(&world, other, "name_mismatch", "access_denied").await;
    for tls in VERSIONS {
        let error = send(world.stranger().tls(tls), event("{}")).await.expect_err("must not");
        assert_eq!(error.tls_alert(), Some("certificate_required"), "{tls:?}: {error:?}");
    }
    world
        .until_counted(
            "hubgate_handshake_refusals_total",
            &[
                ("reason=\"certificate_missing\"", 2),
                ("reason=\"name_mismatch\"", 2),
                ("reason=\"unknown_anchor\"", 2),
            ],
        )
        .await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn what_is_out_of_its_time_is_refused_wherever_it_stands_in_the_chain() {
    let root = Authority::root(Ca::digicert_root());
    let world = trusting(&root).await;
    let (expired, early) = ("certificate_expired", "certificate_not_yet_valid");
    // RFC 8446 section 6.2 has one alert for both.
    let alert = "certificate_expired";
    assert_refused(&world, root.issue(Leaf::meta().expired()), expired, alert).await;
    assert_refused(&world, root.issue(Leaf::meta().not_yet_valid()), early, alert).await;
    let below = root.intermediate(Ca::digicert_intermediate().expired());
    assert_refused(&world, below.issue(Leaf::meta()), expired, alert).await;
    let below = root.intermediate(Ca::digicert_intermediate().not_yet_valid());
    assert_refused(&world, below.issue(Leaf::meta()), early, alert).await;

    let root = Authority::root(Ca::meta().expired());
    assert_refused(&trusting(&root).await, root.issue(Leaf::meta()), expired, alert).await;
    let root = Authority::root(Ca::meta().not_yet_valid());
    assert_refused(&trusting(&root).await, root.issue(Leaf::meta()), early, alert).await;
}

#[tokio::test]
async fn forgeries_are_refused_at_their_signature() {
    let world = World::start().await;
    let (reason, alert) = ("bad_signature", "decrypt_error");
    for root in [&world.meta_ca, &world.digicert_root] {
        assert_refused(&world, root.impostor().issue(Leaf::meta()), reason, alert).await;
    }
    let below_the_real_one =
        world.digicert.impostor().issue(Leaf::meta()).and_presenting(&world.digicert);
    assert_refused(&world, below_the_real_one, reason, alert).await;
    let damaged = world.meta_ca.issue(Leaf::meta()).with_damaged_signature();
    assert_refused(&world, damaged, reason, alert).await;
    let (good, other) = (world.meta_ca.issue(Leaf::meta()), world.meta_ca.issue(Leaf::meta()));
    assert_refused(&world, good.with_key_of(&other), reason, alert).await;
}

#[tokio::test]
async fn a_leaf_that_nobody_vouches_for_is_refused() {
    let world = World::start().await;
    let (reason, alert) = ("unknown_anchor", "unknown_ca");
    assert_refused(&world, Leaf::meta().self_signed(), reason, alert).await;
    // Its intermediate was left at home.
    let alone = world.digicert.issue(Leaf::meta()).leaf_only();
    assert_refused(&world, alone, reason, alert).await;
    // What is presented above it may not vouch for itself.
    let own = Authority::root(Ca::named("a root of my own"));
    assert_refused(&world, own.issue(Leaf::meta()).and_presenting(&own), reason, alert).await;
    let real = world.meta_ca.issue(Leaf::meta());
    let beside = Identity {
        chain: [own.issue(Leaf::meta()).chain, real.chain].concat(),
        ..own.issue(Leaf::meta())
    };
    assert_refused(&world, beside, reason, alert).await;
}

#[tokio::test]
async fn a_purpose_other_than_client_authentication_is_refused_wherever_it_is_stated() {
    let root = Authority::root(Ca::digicert_root());
    let world = trusting(&root).await;
    let (reason, alert) = ("wrong_purpose", "unsupported_certificate");
    let for_servers = Leaf::meta().purposes(&[Purpose::ServerAuth]);
    assert_refused(&world, root.issue(for_servers), reason, alert).await;
    let below = root.intermediate(Ca::digicert_intermediate().purposes(&[Purpose::ServerAuth]));
    assert_refused(&world, below.issue(Leaf::meta()), reason, alert).await;
    assert_passes(&world, root.issue(Leaf::meta().purposes(&[]))).await;
    let both = Leaf::meta().purposes(&[Purpose::ServerAuth, Purpose::ClientAuth]);
    assert_passes(&world, root.issue(both)).await;

    let root = Authority::root(Ca::named("CA for servers").purposes(&[Purpose::ServerAuth]));
    assert_refused(&trusting(&root).await, root.issue(Leaf::meta()), reason, alert).await;
}

#[tokio::test]
async fn what_may_not_sign_certificates_vouches_for_nobody() {
    let root = Authority::root(Ca::digicert_root());
    let world = trusting(&root).await;
    let (reason, alert) = ("wrong_purpose", "unsupported_certificate");
    let below = root.intermediate(Ca::digicert_intermediate().without_certificate_signing());
    assert_refused(&world, below.issue(Leaf::meta()), reason, alert).await;
    let below = root.intermediate(Ca::named("no CA at all").not_a_ca());
    assert_refused(&world, below.issue(Leaf::meta()), reason, alert).await;
    let below =
        root.intermediate(Ca::named("a leaf").not_a_ca().usages(&[Usage::DigitalSignature]));
    assert_refused(&world, below.issue(Leaf::meta()), reason, alert).await;

    let root = Authority::root(Ca::meta().without_certificate_signing());
    assert_refused(&trusting(&root).await, root.issue(Leaf::meta()), reason, alert).await;
}

#[tokio::test]
async fn a_path_longer_than_its_authorities_allow_is_refused() {
    let (reason, alert) = ("chain_too_deep", "access_denied");
    let meta = Authority::root(Ca::meta());
    let world = trusting(&meta).await;
    let below = meta.intermediate(Ca::named("one below pathlen 0"));
    assert_refused(&world, below.issue(Leaf::meta()), reason, alert).await;
    assert_passes(&world, meta.issue(Leaf::meta())).await;

    let root = Authority::root(Ca::digicert_root());
    let world = trusting(&root).await;
    let issuing = root.intermediate(Ca::digicert_intermediate());
    let below = issuing.intermediate(Ca::named("one below pathlen 0"));
    assert_refused(&world, below.issue(Leaf::meta()), reason, alert).await;
    assert_passes(&world, issuing.issue(Leaf::meta())).await;
}

#[tokio::test]
async fn verify_depth_is_the_most_that_may_be_presented_above_the_leaf() {
    let root = Authority::root(Ca::named("root"));
    let (reason, alert) = ("chain_too_deep", "access_denied");
    let three = root.intermediates(3).issue(Leaf::meta());
    let four = root.intermediates(4).issue(Leaf::meta());
    let one_and_root = root.intermediates(1).issue(Leaf::meta()).and_presenting(&root);

    let by_default = trusting(&root).await;
    assert_refused(&by_default, four, reason, alert).await;
    assert_passes(&by_default, three.clone()).await;

    for (depth, passes, fails) in [
        (0, root.issue(Leaf::meta()), root.issue(Leaf::meta()).and_presenting(&root)),
        (1, root.intermediates(1).issue(Leaf::meta()), one_and_root.clone()),
        (2, one_and_root, three),
    ] {
        let depth = format!("verify_depth = {depth}");
        let plan = Plan::new().trust("anchor", &root).client_certificate(&depth);
        let world = plan.start().await;
        assert_refused(&world, fails, reason, alert).await;
        assert_passes(&world, passes).await;
    }
}

#[tokio::test]
async fn an_anchor_that_is_presented_too_does_no_harm() {
    let world = World::start().await;
    assert_passes(&world, world.meta_ca.issue(Leaf::meta()).and_presenting(&world.meta_ca)).await;
    let whole = world.digicert.issue(Leaf::meta()).and_presenting(&world.digicert_root);
    assert_passes(&world, whole).await;
    let unrelated = world.meta_ca.issue(Leaf::meta()).and_presenting(&world.digicert_root);
    assert_passes(&world, unrelated).await;
    let expected = [("anchor=\"digicert\"", 2), ("anchor=\"meta\"", 4)];
    world.until_counted("hubgate_anchor_uses_total", &expected).await;
}

#[tokio::test]
async fn bytes_that_are_no_certificate_are_refused_as_malformed() {
    let world = World::start().await;
    let good = || world.meta_ca.issue(Leaf::meta());
    let (reason, alert) = ("certificate_malformed", "bad_certificate");
    let alterations: [fn(&mut Vec<u8>); 5] = [
        |der| *der = b"no certificate".to_vec(),
        |der| der.truncate(der.len() / 2),
        |der| der.push(0),
        |der| *der = vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        |der| *der = vec![0x30; 4000],
    ];
    for alter in alterations {
        assert_refused(&world, good().with_altered_leaf(alter), reason, alert).await;
    }
    // RFC 5280 section 4.2: what is critical and not understood is refused.
    let critical = world.meta_ca.issue(Leaf::meta().unknown_critical_extension());
    assert_refused(&world, critical, reason, alert).await;
    assert_passes(&world, good()).await;
}

/// A sender that presents its certificate only to servers whose hints name its issuer.
#[derive(Debug)]
struct Obedient {
    identity: Arc<CertifiedKey>,
    hints: Mutex<Option<usize>>,
}

impl ResolvesClientCert for Obedient {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.hints.lock().unwrap() = Some(hints.len());
        hints.is_empty().then(|| Arc::clone(&self.identity))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// After a change of CA the log must show what the sender has now, hence no hints.
#[tokio::test]
async fn a_sender_that_obeys_hints_presents_a_certificate_of_an_unknown_authority_too() {
    let world = World::start().await;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let stranger = Authority::root(Ca::named("Meta's next CA")).issue(Leaf::meta());
    let key = provider.key_provider.load_private_key(stranger.key.clone_key()).unwrap();
    let identity = Arc::new(CertifiedKey::new(stranger.chain.clone(), key));
    let obedient = Arc::new(Obedient { identity, hints: Mutex::default() });
    let mut roots = RootCertStore::empty();
    roots.add(world.server_ca.certificate().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&obedient) as _);
    let socket = TcpStream::connect(world.proxy.addresses()[0]).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let _judged_later = connector.connect(name, socket).await;

    assert_eq!(*obedient.hints.lock().unwrap(), Some(0));
    world.until_handshake_refused("unknown_anchor", 1).await;
    assert!(Sender::new(world.meta()).unwrap().connect().await.is_ok());
}
