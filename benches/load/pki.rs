//! Makes the certificates and secrets of one comparison, in the shape that Meta's have.
//!
//! The client's chain is root, intermediate, leaf, all RSA 2048. The server's key is ECDSA P-256, so
//! that the signature each proxy makes is a small part of its handshake. Every proxy gets the same.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
    date_time_ymd,
};

/// Writes everything into `dir`, over what is there.
pub(crate) fn write(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let put = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();

    let root = CertifiedIssuer::self_signed(authority("Bench client root"), rsa()).unwrap();
    let intermediate =
        CertifiedIssuer::signed_by(authority("Bench client CA"), rsa(), &root).unwrap();
    put("client-root.pem", &root.pem());
    for (name, common_name) in [
        ("client", COMMON_NAME.to_owned()),
        // Lets a proxy that looks for the name anywhere in the subject be seen through.
        ("wrong-name", format!("{COMMON_NAME}.evil.example")),
    ] {
        let key = rsa();
        let leaf = leaf(&common_name, ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = leaf.signed_by(&key, &intermediate as &Issuer<'_, KeyPair>).unwrap();
        put(&format!("{name}.pem"), &(certificate.pem() + &intermediate.pem()));
        put(&format!("{name}.key"), &key.serialize_pem());
    }

    let root = CertifiedIssuer::self_signed(authority("Bench server root"), ecdsa()).unwrap();
    let key = ecdsa();
    let leaf = leaf(HOST, ExtendedKeyUsagePurpose::ServerAuth);
    let certificate = leaf.signed_by(&key, &root as &Issuer<'_, KeyPair>).unwrap();
    put("server-root.pem", &root.pem());
    put("server.pem", &certificate.pem());
    put("server.key", &key.serialize_pem());
    put("server-both.pem", &(certificate.pem() + &key.serialize_pem()));

    put("app-secret", APP_SECRET);
    put("verify-token", "a-verify-token-for-the-bench");
}

fn authority(name: &str) -> CertificateParams {
    let mut authority = leaf(name, ExtendedKeyUsagePurpose::ClientAuth);
    authority.subject_alt_names.clear();
    authority.extended_key_usages.clear();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    // The name stands in the SAN too only for the server, whose client (ours) looks there.
    let names = if name == HOST { vec![HOST.to_owned()] } else { Vec::new() };
    let mut leaf = CertificateParams::new(names).unwrap();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, name);
    leaf.not_before = date_time_ymd(2025, 1, 1);
    leaf.not_after = date_time_ymd(2045, 1, 1);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![usage];
    leaf.use_authority_key_identifier_extension = true;
    leaf
}

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn ecdsa() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// Names the proxy: in its certificate, in SNI and in `Host`.
pub(crate) const HOST: &str = "hubgate.test";

/// The subject that is let in.
const COMMON_NAME: &str = "client.webhooks.fbclientcerts.com";

/// Thirty-two hex digits, as Meta's are.
const APP_SECRET: &str = "5f0c2d1e9b8a47365544332211ffeedd";
