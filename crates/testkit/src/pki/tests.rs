//! Every odd certificate is what it claims to be, as another library reads it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::*;

fn parse(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).expect("X.509");
    assert!(rest.is_empty());
    certificate
}

/// Tag and bytes of each common name, in order.
fn common_names(identity: &Identity) -> Vec<(u32, Vec<u8>)> {
    let certificate = parse(identity.leaf());
    let names = certificate.subject().iter_common_name();
    names.map(|cn| (cn.attr_value().tag().0, cn.attr_value().data.to_vec())).collect()
}

fn assert_signed_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) {
    let issuer = parse(issuer);
    let certificate = parse(certificate);
    assert_eq!(certificate.issuer(), issuer.subject());
    assert!(signature_fits(&issuer, &certificate), "the signature must be the issuer's");
}

fn signature_fits(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    let key = &issuer.public_key().subject_public_key.data;
    let message = certificate.tbs_certificate.as_ref();
    let signature = &certificate.signature_value.data;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut algorithms = provider.signature_verification_algorithms.all.iter();
    algorithms.any(|a| a.verify_signature(key, message, signature).is_ok())
}

#[test]
fn both_shapes_chain_from_leaf_to_root_with_every_kind_of_key() {
    for key in [Key::EcdsaP256, Key::EcdsaP384, Key::Ed25519, Key::Rsa2048] {
        let digicert = Authority::root(Ca::digicert_root().key(key));
        let issuing = digicert.intermediate(Ca::digicert_intermediate().key(key));
        let identity = issuing.issue(Leaf::meta().key(key));
        assert_eq!(identity.chain.len(), 2);
        assert_signed_by(&identity.chain[0], &identity.chain[1]);
        assert_signed_by(&identity.chain[1], digicert.certificate());
        assert_eq!(common_names(&identity), [(0x0c, META_NAME.into())]);

        let meta = Authority::root(Ca::meta().key(key));
        let identity = meta.issue(Leaf::meta().key(key));
        assert_eq!(identity.chain.len(), 1);
        assert_signed_by(identity.leaf(), meta.certificate());
        let root = parse(meta.certificate());
        let constraints = root.basic_constraints().unwrap().unwrap().value;
        assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
    }
}

#[test]
fn a_common_name_is_spelled_as_asked() {
    let ca = Authority::root(Ca::meta());
    let tags = Spelling::ALL.map(|spelling| {
        let names = common_names(&ca.issue(Leaf::spelled(spelling)));
        assert_eq!(names.len(), 1);
        names[0].0
    });
    assert_eq!(tags, [0x13, 0x0c, 0x16, 0x14, 0x1e, 0x1c]);

    let bmp = common_names(&ca.issue(Leaf::spelled(Spelling::Bmp)));
    assert_eq!(bmp[0].1[..4], [0, b'c', 0, b'l']);
    let raw = Attribute::raw_common_name(Spelling::Utf8, &[0xff, 0xfe]);
    let raw = common_names(&ca.issue(Leaf::meta().subject(Subject::of(raw))));
    assert_eq!(raw, [(0x0c, vec![0xff, 0xfe])]);
}

#[test]
fn a_subject_holds_what_careful_libraries_refuse_to_write() {
    let ca = Authority::root(Ca::meta());
    let nul = format!("{META_NAME}\0.evil.example");
    assert_eq!(common_names(&ca.issue(Leaf::named(&nul))), [(0x0c, nul.into_bytes())]);

    let two = ca.issue(Leaf::with_common_names(&[META_NAME, "evil.example"]));
    assert_eq!(common_names(&two).len(), 2);
    assert_eq!(parse(two.leaf()).subject().iter_rdn().count(), 2);

    let joined = ca.issue(Leaf::with_joined_common_names(&[META_NAME, "evil.example"]));
    assert_eq!(common_names(&joined).len(), 2);
    assert_eq!(parse(joined.leaf()).subject().iter_rdn().count(), 1);

    for identity in [&two, &joined] {
        assert_signed_by(identity.leaf(), ca.certificate());
    }
}

#[test]
fn the_name_can_stand_everywhere_but_in_the_common_name() {
    let ca = Authority::root(Ca::meta());
    let unit = ca.issue(Leaf::with_unit_only());
    assert!(common_names(&unit).is_empty());
    let leaf = parse(unit.leaf());
    let units: Vec<_> = leaf.subject().iter_organizational_unit().collect();
    assert_eq!(units[0].as_str().unwrap(), META_NAME);

    let alternative = ca.issue(Leaf::with_alternative_name_only());
    assert!(common_names(&alternative).is_empty());
    let leaf = parse(alternative.leaf());
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 1);
}

#[test]
fn times_purposes_and_extensions_are_as_asked() {
    let ca = Authority::root(Ca::meta());
    let now = x509_parser::time::ASN1Time::now();
    let expired = ca.issue(Leaf::meta().expired());
    assert!(parse(expired.leaf()).validity().not_after < now);
    let future = ca.issue(Leaf::meta().not_yet_valid());
    assert!(parse(future.leaf()).validity().not_before > now);
    assert!(parse(ca.issue(Leaf::meta()).leaf()).validity().is_valid_at(now));
    assert!(parse(Authority::root(Ca::meta().expired()).certificate()).validity().not_after < now);

    let server = ca.issue(Leaf::meta().purposes(&[Purpose::ServerAuth]));
    let server = parse(server.leaf());
    let server = server.extended_key_usage().unwrap().unwrap().value;
    assert!(server.server_auth && !server.client_auth);
    let any = ca.issue(Leaf::meta().purposes(&[Purpose::Any]));
    assert!(parse(any.leaf()).extended_key_usage().unwrap().unwrap().value.any);
    let silent = ca.issue(Leaf::meta().purposes(&[]));
    assert!(parse(silent.leaf()).extended_key_usage().unwrap().is_none());

    let odd = ca.issue(Leaf::meta().unknown_critical_extension());
    let leaf = parse(odd.leaf());
    assert_eq!(leaf.iter_extensions().filter(|e| e.parsed_extension().unsupported()).count(), 1);
}

#[test]
fn authorities_can_lack_what_makes_them_authorities() {
    let root = Authority::root(Ca::digicert_root());
    let unfit = root.intermediate(Ca::digicert_intermediate().without_certificate_signing());
    let unfit = parse(unfit.certificate());
    let usage = unfit.key_usage().unwrap().unwrap();
    assert!(!usage.value.key_cert_sign());
    let none = root.intermediate(Ca::digicert_intermediate().not_a_ca());
    assert!(!parse(none.certificate()).is_ca());
    let expired = root.intermediate(Ca::digicert_intermediate().expired());
    assert!(!parse(expired.certificate()).validity().is_valid());

    let deep = root.intermediates(4).issue(Leaf::meta());
    assert_eq!(deep.chain.len(), 5);
    for pair in deep.chain.windows(2) {
        assert_signed_by(&pair[0], &pair[1]);
    }
}

#[test]
fn impostors_have_the_right_names_and_the_wrong_signature() {
    let ca = Authority::root(Ca::meta());
    let forged = ca.impostor().issue(Leaf::meta());
    let (root, leaf) = (parse(ca.certificate()), parse(forged.leaf()));
    assert_eq!(leaf.issuer(), root.subject());
    assert!(!signature_fits(&root, &leaf));

    let alone = Leaf::meta().self_signed();
    assert_signed_by(alone.leaf(), alone.leaf());
    assert_eq!(common_names(&alone), [(0x0c, META_NAME.into())]);

    let damaged = ca.issue(Leaf::meta()).with_damaged_signature();
    assert!(!signature_fits(&root, &parse(damaged.leaf())));
}

#[test]
fn a_revocation_list_names_the_leaf() {
    let ca = Authority::root(Ca::meta());
    let (revoked, good) = (ca.issue(Leaf::meta()), ca.issue(Leaf::meta()));
    let list = ca.revoke(&[&revoked], SystemTime::now()..SystemTime::now() + DAY);
    let (_, list) = CertificateRevocationList::from_der(list.der()).unwrap();
    let serials: Vec<_> = list.iter_revoked_certificates().map(|r| r.raw_serial()).collect();
    assert_eq!(serials, [revoked.serial()]);
    assert_ne!(revoked.serial(), good.serial());
}

#[test]
fn pem_reads_back() {
    let root = Authority::root(Ca::digicert_root());
    let identity = root.intermediate(Ca::digicert_intermediate()).issue(Leaf::loopback_server());
    let (chain, key) = (identity.chain_pem(), identity.key_pem());
    assert_eq!(Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap(), identity);
    assert!(Identity::from_pem(key.as_bytes(), key.as_bytes()).is_err());
    assert!(Identity::from_pem(chain.as_bytes(), chain.as_bytes()).is_err());
    let leaf = parse(identity.leaf());
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 3);
}
