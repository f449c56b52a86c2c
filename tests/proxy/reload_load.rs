//! Reloads while callers never stop.

use hubgate_testkit::pki::Leaf;

use crate::harness::World;
use crate::harness::load::Load;

#[tokio::test]
async fn fifty_reloads_under_load_fail_no_request() {
    let world = World::start().await;
    let load = Load::start(64, &world.meta());
    let reference = std::fs::read_to_string(world.config_file()).unwrap();
    let (mut succeeded, mut failed) = (0, 0);

    for round in 0..50 {
        load.until_answered(20).await;
        let identity = world.server_ca.issue(Leaf::loopback_server());
        write(&world, "server.pem", &identity.chain_pem());
        if round % 10 == 9 {
            // The key of the certificate before.
            world.proxy.reload_from(&world.config_file()).expect_err("must not be accepted");
            failed += 1;
        }
        write(&world, "server.key", &identity.key_pem());
        let mut text = reference.clone();
        if round % 2 == 0 {
            text = text.replace("\"digicert.pem\", ", "");
        }
        if round % 3 == 0 {
            write(&world, "app-secret-next", &format!("{round:032x}"));
            let list = "[{ file = \"app-secret-next\" }, { file = \"app-secret\" }]";
            text = text.replace("[{ file = \"app-secret\" }]", list);
        }
        std::fs::write(world.config_file(), text).unwrap();
        world.reload();
        succeeded += 1;
    }
    load.until_answered(20).await;

    let (answered, failures) = load.stop().await;
    assert!(failures.is_empty(), "{answered} answered, {} failed: {failures:?}", failures.len());
    world.until_metric("hubgate_reloads_total{outcome=\"succeeded\"}", f64::from(succeeded)).await;
    world.until_metric("hubgate_reloads_total{outcome=\"failed\"}", f64::from(failed)).await;
    assert_eq!((succeeded, failed), (50, 5));
    assert_eq!(world.proxy.generation(), 51);
}

#[tokio::test]
async fn after_an_anchor_is_removed_under_load_nothing_of_its_callers_gets_through() {
    let world = World::start().await;
    let load = Load::start(16, &world.meta());
    let before = Load::start(16, &world.meta_before());
    before.until_answered(100).await;

    world.edit_config("\"digicert.pem\", ", "");
    world.reload();
    // What was proven before the swap and is under way is finished.
    load.until_answered(100).await;
    let arrived = world.app.received().len();
    let of_others = load.answered();
    let got_through = before.answered();
    load.until_answered(200).await;

    assert_eq!(before.answered(), got_through, "answered after the anchor was gone");
    let (_, refused) = before.stop().await;
    assert!(refused.len() > 16, "they went on trying: {}", refused.len());
    let (answered, failures) = load.stop().await;
    assert!(failures.is_empty(), "{failures:?}");
    let arrived = world.app.received().len() - arrived;
    assert!(arrived <= answered - of_others + 16, "{arrived} of {answered} - {of_others}");
}

fn write(world: &World, name: &str, text: &str) {
    std::fs::write(world.dir.path().join(name), text).unwrap();
}
