//! The application reads the same of a client certificate, whichever of the two is before it.

use hubgate_testkit::pki::{Attribute, Leaf, META_NAME, Spelling, Subject};
use hubgate_testkit::sender::{Message, Options};

use crate::fixture::{APP_SECRET, Fixture};
use crate::verdict::{Nginx, Verdict, application, hubgate, verdict};

const HEADERS: [&str; 6] = [
    "x-ssl-client-verify",
    "x-ssl-client-s-dn",
    "x-client-issuer",
    "x-client-serial",
    "x-client-fingerprint",
    "x-client-certificate",
];

#[tokio::test]
async fn identity_headers_have_the_values_that_nginx_gives_them() {
    let applications = [application().await, application().await];
    let fixture = Fixture::of("mixed", applications.each_ref().map(|one| one.address));
    let Some(_nginx) = Nginx::start(&fixture) else {
        eprintln!("SKIPPED: there is no nginx to compare identity headers with");
        return;
    };
    let hubgate = hubgate(&fixture);
    let odd = Subject::organization("Meta, \"Platforms\" <Inc.>\\")
        .and(Attribute::organizational_unit(Spelling::Utf8, " Caf\u{e9}\r\n#"))
        .and(Attribute::organizational_unit(Spelling::Bmp, "b\u{4e2d}"))
        .and(Attribute::common_name(Spelling::Utf8, META_NAME));
    for leaf in [Leaf::meta(), Leaf::meta().subject(odd)] {
        let identity = fixture.meta_ca.issue(leaf);
        let mut seen = Vec::new();
        for address in [fixture.nginx_address(443), *hubgate.addresses().first().unwrap()] {
            let options = Options::to_local(address, "/webhooks/meta").unwrap();
            let options = options.trusting(&fixture.server_ca).identity(identity.clone());
            let event = HEADERS
                .iter()
                .fold(Message::event(APP_SECRET, "{}"), |event, name| event.header(name, "forged"));
            assert_eq!(verdict(options, event).await, Verdict::LetIn("200".to_owned()));
            let received = applications.iter().flat_map(|one| one.received()).last().unwrap();
            seen.push(HEADERS.map(|name| {
                let values: Vec<_> = received.headers.get_all(name).iter().cloned().collect();
                assert_eq!(values.len(), 1, "{name}: {values:?}");
                values
            }));
        }
        let [before, after] = seen.try_into().unwrap();
        assert_eq!(before, after);
    }
}
