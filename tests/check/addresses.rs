//! Addresses to listen on and to connect to.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use crate::setup::Setup;

#[test]
fn an_address_in_use_is_a_warning_for_a_hubgate_may_have_it() {
    let setup = Setup::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    setup.edit("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{address}\"]"));

    setup.assert_warnings(&["is in use"]);
    assert_eq!(setup.report()["listen"][0]["state"], "in_use");
}

#[test]
fn addresses_that_can_never_be_listened_on_are_errors() {
    let setup = Setup::new();
    // 192.0.2.0/24 is for documentation (RFC 5737), so no machine has it.
    setup.edit("listen = [\"127.0.0.1:0\"]", "listen = [\"192.0.2.1:8443\", \"[::]:9180\"]");
    setup.edit("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"127.0.0.1:9180\"");

    setup.assert_errors(&[
        "cannot listen on `192.0.2.1:8443`",
        "`127.0.0.1:9180` and `[::]:9180` cannot both be listened on",
    ]);
}

#[test]
fn an_upstream_that_cannot_be_reached_is_a_warning() {
    let setup = Setup::new();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let socket = setup.path("app.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let more = format!(
        "[[upstream]]\nname = \"down\"\nurl = \"http://{closed}\"\n\
         [[upstream]]\nname = \"local\"\nurl = \"unix:{}\"\n[[webhook]]",
        socket.display()
    );
    setup.edit("[[webhook]]", &more);

    setup.assert_warnings(&["upstream `down` cannot be connected to: Connection refused"]);
    let report = setup.report();
    let reachable = report["upstreams"].as_array().unwrap().iter();
    let reachable: Vec<_> = reachable.map(|upstream| &upstream["reachable"]).collect();
    assert_eq!(reachable, [true, false, true]);
}
