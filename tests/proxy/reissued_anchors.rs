//! Several paths from one leaf: CAs that were issued again with the same name and key, and
//! intermediates that several CAs signed. Whichever path is in order counts.

use std::time::{Duration, SystemTime};

use hubgate_testkit::pki::{Authority, Ca, Identity, Leaf, Purpose};

use crate::harness::world::{event, send};
use crate::harness::{Plan, World};

const HOUR: Duration = Duration::from_secs(3_600);

/// Alert and reason of a refusal.
type Refused = (&'static str, &'static str);

const EXPIRED: Refused = ("certificate_expired", "certificate_expired");
const NOT_YET_VALID: Refused = ("certificate_expired", "certificate_not_yet_valid");
const WRONG_PURPOSE: Refused = ("unsupported_certificate", "wrong_purpose");
const TOO_DEEP: Refused = ("access_denied", "chain_too_deep");

/// The certificates of one CA, in the order in which they are trusted, and then the other way round.
async fn both_orders(one: (&str, &Authority), other: (&str, &Authority)) -> [World; 2] {
    let plan = || Plan::new();
    [
        plan().trust(one.0, one.1).trust(other.0, other.1).start().await,
        plan().trust(other.0, other.1).trust(one.0, one.1).start().await,
    ]
}

async fn assert_passes_under(world: &World, anchor: &str, identity: &Identity) {
    let before = world.counted("hubgate_anchor_uses_total");
    let answer = send(world.caller(identity.clone()), event("{}")).await;
    assert_eq!(answer.unwrap().status, 200);
    let label = format!("anchor={anchor:?}");
    let used = |counted: &[(String, u64)]| {
        counted.iter().filter(|(known, _)| *known == label).map(|(_, times)| times).sum::<u64>()
    };
    let total = |counted: &[(String, u64)]| counted.iter().map(|(_, times)| times).sum::<u64>();
    let after = world.counted("hubgate_anchor_uses_total");
    assert!(used(&after) > used(&before), "{anchor}: {before:?}, {after:?}");
    assert_eq!(used(&after) - used(&before), total(&after) - total(&before), "{after:?}");
}

async fn assert_refused(world: &World, (alert, reason): Refused, identity: &Identity) {
    let error = send(world.caller(identity.clone()), event("{}")).await.expect_err("is refused");
    assert_eq!(error.tls_alert(), Some(alert), "{reason}: {error:?}");
    world.until_handshake_refused(reason, 1).await;
    world.assert_application_untouched();
}

#[tokio::test]
async fn of_an_anchor_that_was_issued_again_the_certificate_that_may_vouches() {
    let good = Authority::root(Ca::meta());
    let leaf = good.issue(Leaf::meta());
    for unfit in [
        Ca::meta().expired(),
        Ca::meta().not_yet_valid(),
        Ca::meta().purposes(&[Purpose::ServerAuth]),
        Ca::meta().without_certificate_signing(),
    ] {
        let unfit = good.reissued(unfit);
        for world in both_orders(("good", &good), ("unfit", &unfit)).await {
            assert_passes_under(&world, "good", &leaf).await;
            world.until_counted("hubgate_handshake_refusals_total", &[]).await;
            // Others of its kind are as good.
            assert_passes_under(&world, "good", &unfit.issue(Leaf::meta())).await;
        }
    }
}

#[tokio::test]
async fn each_of_them_has_its_own_path_length() {
    let wide = Authority::root(Ca::digicert_root());
    let narrow = wide.reissued(Ca::digicert_root().path_length(0));
    let below = wide.intermediate(Ca::digicert_intermediate()).issue(Leaf::meta());
    for world in both_orders(("wide", &wide), ("narrow", &narrow)).await {
        assert_passes_under(&world, "wide", &below).await;
    }
    let world = Plan::new().trust("narrow", &narrow).start().await;
    assert_refused(&world, TOO_DEEP, &below).await;
}

#[tokio::test]
async fn of_several_reasons_the_one_that_is_nearest_to_being_let_in_is_told() {
    let ca = Authority::root(Ca::digicert_root());
    let below = ca.intermediate(Ca::digicert_intermediate()).issue(Leaf::meta());
    let [expired, early, narrow, serving] = [
        Ca::digicert_root().expired(),
        Ca::digicert_root().not_yet_valid(),
        Ca::digicert_root().path_length(0),
        Ca::digicert_root().purposes(&[Purpose::ServerAuth]),
    ]
    .map(|ca_again| ca.reissued(ca_again));
    for (one, other, told) in [
        (&expired, &early, EXPIRED),
        (&expired, &narrow, EXPIRED),
        (&expired, &serving, EXPIRED),
        (&early, &serving, NOT_YET_VALID),
        (&narrow, &serving, TOO_DEEP),
        (&serving, &serving, WRONG_PURPOSE),
    ] {
        for world in both_orders(("one", one), ("other", other)).await {
            assert_refused(&world, told, &below).await;
        }
    }
}

#[tokio::test]
async fn a_namesake_with_another_key_stands_in_nobodys_way() {
    let (meta, namesake) = {
        let meta = Authority::root(Ca::meta());
        let namesake = meta.impostor();
        (meta, namesake)
    };
    for world in both_orders(("meta", &meta), ("namesake", &namesake)).await {
        assert_passes_under(&world, "meta", &meta.issue(Leaf::meta())).await;
        assert_passes_under(&world, "namesake", &namesake.issue(Leaf::meta())).await;
    }
    // The same of intermediates, in whichever order they are presented.
    let root = Authority::root(Ca::digicert_root());
    let issuing = root.intermediate(Ca::digicert_intermediate());
    let other = root.intermediate(Ca::digicert_intermediate());
    let world = Plan::new().trust("root", &root).start().await;
    let mut identity = issuing.issue(Leaf::meta()).and_presenting(&other);
    assert_passes_under(&world, "root", &identity).await;
    identity.chain.swap(1, 2);
    assert_passes_under(&world, "root", &identity).await;
    identity.chain.remove(2);
    assert_refused_after(&world, ("decrypt_error", "bad_signature"), &identity).await;
}

/// As [`assert_refused`], where others got through before.
async fn assert_refused_after(world: &World, (alert, reason): Refused, identity: &Identity) {
    let before = world.app.received().len();
    let error = send(world.caller(identity.clone()), event("{}")).await.expect_err("is refused");
    assert_eq!(error.tls_alert(), Some(alert), "{reason}: {error:?}");
    world.until_handshake_refused(reason, 1).await;
    assert_eq!(world.app.received().len(), before);
}

/// An intermediate that two roots signed, and what a leaf of it presents: that of the first root,
/// that of the second, both in either order.
struct CrossSigned {
    first: Authority,
    second: Authority,
    by_first: Authority,
    by_second: Authority,
}

impl CrossSigned {
    fn by(first: Authority, ca: Ca) -> Self {
        let second = Authority::root(Ca::named("the second root"));
        let by_first = first.intermediate(ca);
        let by_second = by_first.cross_signed(&second, Ca::digicert_intermediate());
        Self { first, second, by_first, by_second }
    }

    /// With the first root's certificate alone, and with both.
    fn presented(&self, leaf: &Identity) -> (Identity, [Identity; 2]) {
        let alone = leaf.clone();
        let both = leaf.clone().and_presenting(&self.by_second);
        let mut turned = both.clone();
        turned.chain.swap(1, 2);
        (alone, [both, turned])
    }

    async fn world(&self, more: &[&str]) -> World {
        let plan = Plan::new().trust("first", &self.first).trust("second", &self.second);
        more.iter().fold(plan, |plan, line| plan.client_certificate(line)).start().await
    }
}

#[tokio::test]
async fn an_intermediate_that_two_cas_signed_leads_to_the_one_that_may_vouch() {
    let root = || Ca::named("the first root");
    for (first, ca, refused) in [
        (root().expired(), Ca::digicert_intermediate(), EXPIRED),
        (root().purposes(&[Purpose::ServerAuth]), Ca::digicert_intermediate(), WRONG_PURPOSE),
        (root(), Ca::digicert_intermediate().expired(), EXPIRED),
        (root(), Ca::digicert_intermediate().without_certificate_signing(), WRONG_PURPOSE),
    ] {
        let cross = CrossSigned::by(Authority::root(first), ca);
        let (alone, both) = cross.presented(&cross.by_first.issue(Leaf::meta()));
        assert_refused(&cross.world(&[]).await, refused, &alone).await;
        for identity in both {
            assert_passes_under(&cross.world(&[]).await, "second", &identity).await;
        }
    }
}

fn current(ca: &Authority, revoked: &[&Identity]) -> Vec<u8> {
    ca.revoke(revoked, SystemTime::now()..SystemTime::now() + HOUR).der().to_vec()
}

#[tokio::test]
async fn a_revoked_intermediate_closes_its_own_path_and_a_revoked_leaf_every_path() {
    let cross =
        CrossSigned::by(Authority::root(Ca::named("the first root")), Ca::digicert_intermediate());
    let (leaf, stolen) = (cross.by_first.issue(Leaf::meta()), cross.by_first.issue(Leaf::meta()));
    let intermediate =
        Identity { chain: vec![cross.by_first.certificate().clone()], key: leaf.key.clone_key() };
    let world = cross.world(&[]).await;
    for (name, list) in [
        ("first.crl", current(&cross.first, &[&intermediate])),
        ("second.crl", current(&cross.second, &[])),
        ("issuing.crl", current(&cross.by_first, &[&stolen])),
    ] {
        std::fs::write(world.dir.path().join(name), list).unwrap();
    }
    let lists = "crl_files = [\"first.crl\", \"second.crl\", \"issuing.crl\"]";
    let settings = format!("[client_certificate]\n{lists}\nstale_crl = \"refuse\"");
    world.edit_config("[client_certificate]", &settings);
    world.reload();

    let (alone, both) = cross.presented(&leaf);
    let revoked = ("certificate_revoked", "certificate_revoked");
    assert_refused(&world, revoked, &alone).await;
    for identity in both {
        assert_passes_under(&world, "second", &identity).await;
    }
    let received = world.app.received().len();
    let (alone, both) = cross.presented(&stolen);
    for identity in both.into_iter().chain([alone]) {
        let error = send(world.caller(identity), event("{}")).await.expect_err("is revoked");
        assert_eq!(error.tls_alert(), Some("certificate_revoked"), "{error:?}");
    }
    assert_eq!(world.app.received().len(), received);
}

/// The key signed the list, whichever certificate it had at the time.
#[tokio::test]
async fn the_revocation_list_of_an_anchor_that_was_issued_again_counts_under_each() {
    let old = Authority::root(Ca::meta());
    let (good, stolen) = (old.issue(Leaf::meta()), old.issue(Leaf::meta()));
    let list = current(&old, &[&stolen]);
    for unfit in [Ca::meta().expired(), Ca::meta().not_yet_valid(), Ca::meta()] {
        let again = old.reissued(unfit);
        for world in both_orders(("old", &old), ("again", &again)).await {
            std::fs::write(world.dir.path().join("meta.crl"), &list).unwrap();
            let lists = "crl_files = [\"meta.crl\"]\nstale_crl = \"refuse\"";
            world.edit_config("[client_certificate]", &format!("[client_certificate]\n{lists}"));
            world.reload();
            let answer = send(world.caller(good.clone()), event("{}")).await;
            assert_eq!(answer.unwrap().status, 200);
            let revoked = ("certificate_revoked", "certificate_revoked");
            assert_refused_after(&world, revoked, &stolen).await;
        }
    }
}

#[tokio::test]
async fn a_candidate_with_the_key_of_an_anchor_that_ended_is_told() {
    let valid = Authority::root(Ca::meta());
    let leaf = valid.issue(Leaf::meta());
    let (ended, early) =
        (valid.reissued(Ca::meta().expired()), valid.reissued(Ca::meta().not_yet_valid()));
    for candidates in [["early", "valid"], ["valid", "early"]] {
        let world = Plan::new().trust("ended", &ended).start().await;
        for (name, authority) in [("early", &early), ("valid", &valid)] {
            let path = world.dir.path().join(format!("{name}.pem"));
            std::fs::write(path, authority.certificate_pem()).unwrap();
        }
        let [one, other] = candidates;
        let lines = format!("candidate_anchors = [\"{one}.pem\", \"{other}.pem\"]");
        world.edit_config("[client_certificate]", &format!("[client_certificate]\n{lines}"));
        world.reload();
        assert_refused(&world, EXPIRED, &leaf).await;
        let matches = "hubgate_candidate_matches_total";
        world.until_counted(matches, &[("anchor=\"valid\"", 1)]).await;
    }
}
