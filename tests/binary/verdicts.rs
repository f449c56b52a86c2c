//! `explain --cert` and the handshake say the same of every certificate that a test can make.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hubgate_testkit::pki::{Authority, Ca, Identity, Key, Leaf, Purpose, Spelling, Usage};
use hubgate_testkit::sender::{Sender, Tls};

use crate::explain::explained;
use crate::harness::{Place, Process, Settings, event};

#[tokio::test]
async fn both_say_the_same_of_every_certificate() {
    let world = World::start().await;
    let mut seen = BTreeMap::<_, u32>::new();
    let mut differences = Vec::new();
    for (name, identity, expected) in world.everything() {
        let explained = world.explained(&identity);
        for tls in [Tls::Only12, Tls::Only13] {
            let handshake = world.handshake(&identity, tls).await;
            if handshake != explained || expected.as_ref().is_some_and(|label| *label != explained)
            {
                differences.push(format!(
                    "{name}, {tls:?}: expected {expected:?}, explained {explained}, got {handshake}"
                ));
            }
        }
        *seen.entry(explained).or_default() += 1;
    }
    assert!(differences.is_empty(), "{differences:#?}");
    // Something of every kind was among them.
    let kinds: Vec<_> = seen.keys().map(String::as_str).collect();
    let all = [
        "accepted",
        "bad_signature",
        "certificate_expired",
        "certificate_malformed",
        "certificate_not_yet_valid",
        "chain_too_deep",
        "key_too_weak",
        "key_unsupported",
        "name_mismatch",
        "name_not_single",
        "signature_unsupported",
        "unknown_anchor",
        "wrong_purpose",
    ];
    assert_eq!(kinds, all, "{seen:?}");
}

#[tokio::test]
async fn whoever_presents_a_certificate_without_its_key_is_told_as_a_forger_by_any_kind_of_key() {
    let world = World::start().await;
    let ca = &world.place.meta_ca;
    let keys = [Key::EcdsaP256, Key::EcdsaP384, Key::EcdsaP521, Key::Ed25519, Key::Rsa2048];
    let identities = keys.map(|key| ca.issue(Leaf::meta().key(key)));
    for captured in &identities {
        for thief in &identities {
            let is_owner = captured == thief;
            let presented = captured.clone().with_key_of(thief);
            for tls in [Tls::Only12, Tls::Only13] {
                let verdict = world.handshake(&presented, tls).await;
                let expected = if is_owner { "accepted" } else { "bad_signature" };
                assert_eq!(verdict, expected, "{tls:?}");
            }
        }
    }
    // What was presented stands in the log.
    let refused = world.process.log().into_iter().find(|line| line["reason"] == "bad_signature");
    let refused = refused.expect("is logged");
    let subject = refused["subject"].as_str().unwrap_or_default();
    assert!(subject.contains("client.webhooks.fbclientcerts.com"), "{refused}");
}

/// A process, and what may be trusted: CAs of ours and those of the fixture.
struct World {
    place: Place,
    digicert: Authority,
    process: Process,
}

impl World {
    async fn start() -> Self {
        let place = Place::new();
        let digicert = Authority::root(Ca::digicert_root());
        place.write("digicert.pem", &digicert.certificate_pem());
        let mut anchors = String::from("\"digicert.pem\", ");
        for path in fixtures("root.") {
            let name = path.file_name().unwrap().to_str().unwrap();
            place.write(name, &fs::read_to_string(&path).unwrap());
            anchors += &format!("\"{name}\", ");
        }
        place.configure(&Settings { log: "format = \"json\"".into(), ..Settings::default() });
        place.edit("trust_anchors = [", &format!("trust_anchors = [{anchors}"));
        let process = Process::start(place.command());
        process.until_written("serving").await;
        Self { place, digicert, process }
    }

    fn explained(&self, identity: &Identity) -> String {
        let (_, page) = explained(&self.place, identity);
        let verdict = page.lines().rev().find_map(|line| {
            let refused = line.strip_prefix("refused: ");
            refused.or_else(|| line.starts_with("accepted: ").then_some("accepted"))
        });
        let verdict = verdict.unwrap_or_else(|| panic!("no verdict in:\n{page}")).to_owned();
        // What is said of each link fits it.
        let complains = page.contains(" no: ");
        assert_eq!(complains, verdict != "accepted", "{page}");
        verdict
    }

    /// The label of the refusal, as it is counted.
    async fn handshake(&self, identity: &Identity, tls: Tls) -> String {
        let before = self.refusals().await;
        let options = self.place.stranger(&self.process).identity(identity.clone()).tls(tls);
        match Sender::new(options).unwrap().connect().await {
            // Over TLS 1.3 it is known only by the answer whether the server takes it.
            Ok(connection) => match connection.request(event("{}")).await {
                Ok(_no_application) => return "accepted".into(),
                Err(_refused) => {}
            },
            Err(_refused) => {}
        }
        loop {
            let after = self.refusals().await;
            if let Some((label, _)) = after.iter().find(|(label, n)| before[*label] != **n) {
                return label.clone();
            }
        }
    }

    async fn refusals(&self) -> BTreeMap<String, u64> {
        let metrics = self.process.metrics().await;
        let series = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix("hubgate_handshake_refusals_total{reason=\"")?;
            let (label, times) = rest.split_once("\"} ")?;
            Some((label.to_owned(), times.parse().unwrap()))
        });
        series.collect()
    }

    /// With a name for whoever reads a failure, and the verdict where it is all that it is about.
    fn everything(&self) -> Vec<(String, Identity, Option<String>)> {
        let mut all: Vec<(String, Identity, Option<String>)> = Vec::new();
        let owned = |(name, identity, label): (&str, _, &str)| {
            (name.to_owned(), identity, Some(label.to_owned()))
        };
        all.extend(self.keys().map(owned));
        all.extend(self.leaves().map(owned));
        all.extend(self.chains().map(owned));
        let ca = &self.place.meta_ca;
        for spelling in Spelling::ALL {
            all.push((format!("{spelling:?}"), ca.issue(Leaf::spelled(spelling)), None));
        }
        // Somebody's key: it is not asked for it.
        let key = ca.issue(Leaf::meta()).key_pem();
        let chains = fixtures("").into_iter().filter(|path| !file_name(path).starts_with("root."));
        for path in chains {
            let identity = Identity::from_pem(&fs::read(&path).unwrap(), key.as_bytes()).unwrap();
            let label = file_name(&path).split('.').next().unwrap().to_owned();
            all.push((path.display().to_string(), identity, Some(label)));
        }
        all
    }

    /// Keys of every kind that are of use, and some that are none.
    fn keys(&self) -> impl Iterator<Item = (&'static str, Identity, &'static str)> {
        let ca = &self.place.meta_ca;
        let of = |key| ca.issue(Leaf::meta().key(key));
        let changed =
            |key, change: fn(&mut Vec<u8>)| ca.issue_with_key(Leaf::meta().key(key), change);
        let (ok, malformed) = ("accepted", "certificate_malformed");
        [
            ("RSA 2048", of(Key::Rsa2048), ok),
            ("P-256", of(Key::EcdsaP256), ok),
            ("P-384", of(Key::EcdsaP384), ok),
            ("P-521", of(Key::EcdsaP521), ok),
            ("Ed25519", of(Key::Ed25519), ok),
            ("a compressed point", changed(Key::EcdsaP256, compress), ok),
            ("a hybrid point", changed(Key::EcdsaP256, |key| key[26] = 6), malformed),
            ("a point off its curve", changed(Key::EcdsaP256, |key| flip_last(key)), malformed),
            ("another curve's name", changed(Key::EcdsaP256, |key| key[22] = 1), "key_unsupported"),
            (
                "a key of another kind",
                changed(Key::Ed25519, |key| key[8] = 0x6e),
                "key_unsupported",
            ),
            ("an even exponent", changed(Key::Rsa2048, |key| flip_last(key)), malformed),
            (
                "a modulus of zero bits",
                changed(Key::Rsa2048, |key| key[33..289].fill(0)),
                malformed,
            ),
            (
                "an RSA key that is no sequence",
                changed(Key::Rsa2048, |key| key[24] = 0x31),
                malformed,
            ),
        ]
        .into_iter()
    }

    fn leaves(&self) -> impl Iterator<Item = (&'static str, Identity, &'static str)> {
        let ca = &self.place.meta_ca;
        let evil = "client.webhooks.fbclientcerts.com.evil.example";
        let (name, single, purpose) = ("name_mismatch", "name_not_single", "wrong_purpose");
        [
            ("another name", Leaf::named(evil), name),
            ("a name in upper case", Leaf::named("CLIENT.webhooks.fbclientcerts.com"), name),
            ("a NUL in the name", Leaf::named("client.webhooks.fbclientcerts.com\0.evil"), name),
            ("two names", Leaf::with_common_names(&["a", "b"]), single),
            ("two names in one", Leaf::with_joined_common_names(&["a", "b"]), single),
            ("a unit alone", Leaf::with_unit_only(), single),
            ("an alternative name alone", Leaf::with_alternative_name_only(), single),
            ("expired", Leaf::meta().expired(), "certificate_expired"),
            ("not yet valid", Leaf::meta().not_yet_valid(), "certificate_not_yet_valid"),
            ("no usages", Leaf::meta().usages(&[]), "accepted"),
            ("a usage beside", Leaf::meta().usages(&[Usage::KeyEncipherment]), "accepted"),
            ("for servers", Leaf::meta().purposes(&[Purpose::ServerAuth]), purpose),
            ("for anything", Leaf::meta().purposes(&[Purpose::Any]), purpose),
            ("for no stated purpose", Leaf::meta().purposes(&[]), "accepted"),
            (
                "a critical riddle",
                Leaf::meta().unknown_critical_extension(),
                "certificate_malformed",
            ),
        ]
        .into_iter()
        .map(|(name, leaf, label)| (name, ca.issue(leaf), label))
    }

    fn chains(&self) -> impl Iterator<Item = (&'static str, Identity, &'static str)> {
        let (meta, digicert) = (&self.place.meta_ca, &self.digicert);
        let stranger = Authority::root(Ca::named("a stranger"));
        let below = |ca| digicert.intermediate(ca).issue(Leaf::meta());
        let issuing = Ca::digicert_intermediate;
        let good = || meta.issue(Leaf::meta());
        let (purpose, unknown, forged) = ("wrong_purpose", "unknown_anchor", "bad_signature");
        // Looks like the anchor, and its key is of another kind.
        let rsa_namesake = Authority::root(Ca::meta().key(Key::Rsa2048));
        [
            ("below an intermediate", below(issuing()), "accepted"),
            ("without it", below(issuing()).leaf_only(), unknown),
            ("with its anchor", good().and_presenting(meta), "accepted"),
            ("below an expired one", below(issuing().expired()), "certificate_expired"),
            ("below an early one", below(issuing().not_yet_valid()), "certificate_not_yet_valid"),
            (
                "below one that may not sign",
                below(issuing().without_certificate_signing()),
                purpose,
            ),
            ("below one that is none", below(issuing().not_a_ca()), purpose),
            ("below one for servers", below(issuing().purposes(&[Purpose::ServerAuth])), purpose),
            ("too deep", digicert.intermediates(4).issue(Leaf::meta()), "chain_too_deep"),
            (
                "below pathlen 0",
                meta.intermediate(Ca::named("a")).issue(Leaf::meta()),
                "chain_too_deep",
            ),
            ("a stranger's", stranger.issue(Leaf::meta()), unknown),
            ("its own", Leaf::meta().self_signed(), unknown),
            ("a namesake's", meta.impostor().issue(Leaf::meta()), forged),
            ("a namesake's of another kind", rsa_namesake.issue(Leaf::meta()), forged),
            ("damaged", good().with_damaged_signature(), forged),
            (
                "cut short",
                good().with_altered_leaf(|der| der.truncate(200)),
                "certificate_malformed",
            ),
            (
                "no certificate",
                good().with_altered_leaf(|der| *der = vec![0x30; 400]),
                "certificate_malformed",
            ),
        ]
        .into_iter()
    }
}

/// The point of a P-256 key in its short form, and the lengths above it.
fn compress(key: &mut Vec<u8>) {
    let is_odd = key[90] & 1;
    key.truncate(26 + 33);
    key[26] = 2 + is_odd;
    key[1] -= 32;
    key[24] -= 32;
}

fn flip_last(key: &mut [u8]) {
    *key.last_mut().unwrap() ^= 1;
}

/// Files of the fixture that begin so.
fn fixtures(begin: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_wanted = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "pem") && file_name(path).starts_with(begin)
    };
    let mut files: Vec<_> = files.filter(is_wanted).collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
