//! The certificates that the server presents.

use std::time::{Duration, SystemTime};

use hubgate_testkit::pki::{Authority, Ca, Leaf};

use crate::setup::{Setup, public_authority};

#[test]
fn a_chain_out_of_order_is_an_error() {
    let setup = Setup::new();
    let mut identity = public_authority().issue(Leaf::loopback_server());
    identity.chain.insert(1, public_authority().certificate().clone());
    identity.chain.insert(1, identity.chain[0].clone());
    setup.serve_with(&identity);

    setup.assert_errors(&["certificate 1 of `"]);
}

#[test]
fn a_server_certificate_that_meta_refuses_is_an_error() {
    let setup = Setup::new();

    setup.serve_with(&Leaf::loopback_server().self_signed());
    setup.assert_errors(&["is self-signed; Meta refuses it"]);

    setup.serve_with(&public_authority().issue(Leaf::loopback_server().expired()));
    setup.assert_errors(&["certificate 1 ("]);
    assert!(setup.check(&[]).stderr.contains(") expired on "));

    setup.serve_with(&public_authority().issue(Leaf::loopback_server().not_yet_valid()));
    setup.assert_errors(&["is not valid before"]);

    let root = Authority::root(Ca::named("a root that browsers know"));
    let intermediate = root.intermediate(Ca::named("an old intermediate").expired());
    setup.serve_with(&intermediate.issue(Leaf::loopback_server()));
    setup.assert_errors(&["certificate 2 ("]);
}

#[test]
fn a_server_certificate_that_will_not_do_for_long_is_a_warning() {
    let setup = Setup::new();

    setup.serve_with(&public_authority().issue(Leaf::loopback_server()).leaf_only());
    setup.assert_warnings(&["its intermediate is missing and Meta refuses it"]);

    let soon = SystemTime::now() + Duration::from_secs(5 * 24 * 60 * 60 + 60);
    let leaf = Leaf::loopback_server().valid(SystemTime::UNIX_EPOCH..soon);
    setup.serve_with(&public_authority().issue(leaf));
    setup.assert_warnings(&["expires in 5 days"]);

    setup.serve_with(&public_authority().issue(Leaf::named("localhost")));
    setup.assert_warnings(&["has no subject alternative name"]);

    setup.serve_with(&public_authority().issue(Leaf::loopback_server()));
    setup.edit("path = \"/webhooks\"", "path = \"/webhooks\"\nhost = \"hooks.example.com\"");
    setup.assert_warnings(&["`hooks.example.com`, which no certificate of the server names"]);
}
