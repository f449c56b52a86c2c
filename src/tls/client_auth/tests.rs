//! What becomes of a proof while time passes.

use std::time::{Duration, SystemTime};

use super::*;
use crate::tls::material::read_anchors;
use hubgate_testkit::pki::{Authority, Ca, Leaf, META_NAME};

fn at(moment: SystemTime) -> UnixTime {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    UnixTime::since_unix_epoch(since)
}

fn trusting(anchors: &[(&str, &Authority)]) -> ClientTrust {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut read = Vec::new();
    for (label, authority) in anchors {
        let path = directory.path().join(label);
        std::fs::write(&path, authority.certificate_pem()).expect("can be written");
        read.extend(read_anchors(label, &path).expect("an anchor"));
    }
    let algorithms = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = algorithms.signature_verification_algorithms;
    ClientTrust::new(read, vec![META_NAME.to_owned()], 3, algorithms)
}

#[test]
fn when_the_anchor_that_vouched_ends_another_one_with_its_key_takes_over() {
    let hour = Duration::from_secs(3_600);
    let now = SystemTime::now();
    let ending = Authority::root(Ca::meta().valid(now - hour..now + hour));
    let next = ending.reissued(Ca::meta().valid(now..now + 5 * hour));
    let trust = trusting(&[("ending", &ending), ("next", &next)]);
    let chain = ending.issue(Leaf::meta()).chain;

    let first = trust.prove(&chain, at(now + hour / 2)).expect("is accepted");
    assert_eq!(first.anchor(), "ending");
    assert!(trust.is_still_valid(&first, at(now + hour / 2)));
    assert!(!trust.is_still_valid(&first, at(now + 2 * hour)));

    let second = trust.prove(&chain, at(now + 2 * hour)).expect("is accepted");
    assert_eq!(second.anchor(), "next");
    let seen = |client| {
        trust.saw(&client);
        trust.last_seen().map(|(_, client)| client.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(seen(second), [false, true]);
    assert_eq!(seen(first), [true, true]);

    let late = trust.prove(&chain, at(now + 6 * hour)).expect_err("both have ended");
    assert_eq!(late.reason, ConnectionRefusal::CertificateExpired);
}
