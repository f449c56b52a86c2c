//! Which path of a site is which, however it is spelled.

use http::Method;
use hubgate_testkit::sender::Message;

use super::{SITE, get, raw};
use crate::harness::Plan;
use crate::harness::raw::unnamed;
use crate::harness::world::send;

#[tokio::test]
async fn no_spelling_of_a_webhooks_path_reaches_the_application_through_a_site() {
    let world = Plan::new().more(SITE).start().await;

    for target in [
        "/webhooks",
        "//webhooks",
        "/./webhooks",
        "/a/../webhooks",
        "/%77ebhooks",
        "/WEBHOOKS",
        "/webhooks/",
        "/webhooks;a",
        "/webhooks%2f",
        "/a%2f..%2fwebhooks",
        "/%2577ebhooks",
        "/webhooks%00",
        "/webhooks%2500",
        "/webhooks.json",
        "/webhooks\\",
        "/a/..;/webhooks",
        "/webhooks;%252f..",
        "/.%2e/webhooks",
        // Behind a front controller.
        "/index.php/webhooks",
        "/INDEX.PHP/webhooks/",
        "/a.php/index.php/webhooks",
        "/index.php;a/webhooks",
        "/index/webhooks",
        "/cgi-bin/app/webhooks",
        "/webhooks/index.php",
        "/webhooks/default.aspx",
        // Out of a query.
        "/?rest_route=/webhooks",
        "/?rest_route=%2Fwebhooks",
        "/?REST%5FROUTE=%252Fwebhooks",
        "/?rest.route=/x/../webhooks",
        "/a/b?q=webhooks",
        "/index.php?r=webhooks",
        "/index.php?s=/webhooks",
        "/?a=b&_url=/webhooks",
        "/?a=b;url=webhooks",
        "/?/webhooks",
        "/a&q=webhooks",
        "/a%3Fq=webhooks",
        // Sessions, streams, short names, code pages.
        "/(S(a))/webhooks",
        "/web/(S(a))hooks",
        "/webhooks::$DATA",
        "/WEBHOO~1",
        "/%EF%BD%97ebhooks",
        "/%C1%B7ebhooks",
        "/%25u0077ebhooks",
        "/web%C2%ADhooks",
        // The whole of it.
        "http://localhost/webhooks",
        "http://localhost/index.php/webhooks",
        "http://localhost?q=webhooks",
        "/webhooks#a",
        "/webhooks/.",
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        let answer = raw(world.stranger(), &request).await;
        let status = answer.get(9..12).unwrap_or_default().to_owned();
        assert!(["400", "403", "404"].contains(&status.as_str()), "{target}: {answer}");
    }
    assert!(world.app.received().is_empty(), "{:?}", world.app.received());
}

#[tokio::test]
async fn what_only_looks_like_another_name_of_a_webhook_passes() {
    let world = Plan::new().more(SITE).start().await;
    for target in [
        "/index.php",
        "/index.php/shop",
        "/index.php?q=shop",
        "/a/webhooks",
        "/v1.2/webhooks",
        "/?next=/webhooks",
        "/?q=about+webhooks",
        "/?rest_route=/shop",
        "/webhooks/a",
        "/webhooks2",
    ] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 200, "{target}");
        assert_eq!(world.app.received().pop().unwrap().uri, target);
    }
}

#[tokio::test]
async fn a_webhook_that_is_a_script_is_not_reached_without_its_extension_or_as_a_directory() {
    let webhook = |path: &str| {
        format!(
            "[[webhook]]\npath = \"{path}\"\nupstream = \"app\"\n\
             app_secrets = {{ file = \"app-secret\" }}\nverify_token = {{ file = \"verify-token\" }}\n"
        )
    };
    let routes =
        [webhook("/hooks/meta.php"), webhook("/other/index.php"), SITE.to_owned()].concat();
    let world = Plan::new().more(&routes).start().await;

    for target in [
        "/hooks/meta",
        "/hooks/meta/",
        "/hooks/meta/a",
        "/hooks/meta.html",
        "/hooks/meta.php/a",
        "/index.php/hooks/meta",
        "/?q=hooks/meta",
        "/other",
        "/other/",
        "/other/index",
        "/other/index.php/a",
    ] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 404, "{target}");
    }
    assert!(world.app.received().is_empty(), "{:?}", world.app.received());
    for target in ["/hooks/meta.css", "/hooks/metal", "/hooks/", "/other/a"] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 200, "{target}");
    }
}

#[tokio::test]
async fn what_is_matched_is_what_is_forwarded() {
    let world = Plan::new().more("[[site]]\nupstream = \"app\"\npath = \"/app\"\n").start().await;

    for (sent, forwarded) in [
        ("/app", Some("/app")),
        ("/app/x%7Ey?a=%2f", Some("/app/x~y?a=%2f")),
        ("//app//b/./c/", Some("/app/b/c/")),
        ("/apple", None),
        ("/app/../secret", None),
        ("/app/%2e%2e/secret", None),
        ("/", None),
    ] {
        let before = world.app.received().len();
        let request = format!("GET {sent} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = raw(world.stranger(), &request).await;
        let arrived: Vec<_> =
            world.app.received().split_off(before).into_iter().map(|r| r.uri.to_string()).collect();
        let expected = Vec::from_iter(forwarded.map(str::to_owned));
        assert_eq!(arrived, expected, "{sent}");
        let status = if forwarded.is_some() { " 200 " } else { " 404 " };
        assert!(
            answer.starts_with("HTTP/1.1") && answer[..20].contains(status),
            "{sent}: {answer}"
        );
    }
}

#[tokio::test]
async fn no_spelling_of_an_exception_reaches_the_application_through_its_site() {
    let site = format!("{SITE}except = [\"/Admin\", \"/reports/\"]\n");
    let world = Plan::new().more(&site).start().await;

    for target in [
        "/Admin",
        "/Admin/x",
        "/Admin.php",
        "/ADMIN",
        "/admin/",
        "/a/../admin",
        "/%2541dmin",
        "/admin;x",
        "/;x/admin",
        "/reports",
        "/Reports/x",
        "/index.php/admin/x",
        "/a/index.php/reports/x",
        "/?q=admin/users",
        "/?rest_route=/reports/x",
        "/?/admin",
        "/(S(a))/admin/x",
        "/reports.json",
        "/ADMI~1/x",
    ] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 404, "{target}");
    }
    assert!(world.app.received().is_empty(), "{:?}", world.app.received());
    for target in ["/", "/adm", "/x/admin", "/reports2", "/?q=a+admin", "/?next=/admin"] {
        assert_eq!(send(world.stranger(), get(target)).await.unwrap().status, 200, "{target}");
    }
}

#[tokio::test]
async fn what_webdav_writes_to_is_a_sites_path_too() {
    let world = Plan::new().more(&format!("{SITE}except = [\"/admin/\"]\n")).start().await;
    for (destination, status) in [
        ("/webhooks", 404),
        ("https://localhost/webhooks", 404),
        ("https://elsewhere.example/x/../webhooks/", 404),
        ("/admin/x", 404),
        ("/index.php/admin/x", 404),
        ("/a%2fb", 400),
        ("a b", 400),
        ("https://localhost/b", 200),
        ("/b", 200),
    ] {
        for method in ["COPY", "MOVE"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let message = Message::new(method).target_path("/a").header("destination", destination);
            let answer = send(world.stranger(), message).await.unwrap();
            assert_eq!(answer.status, status, "{destination}");
        }
    }
    assert_eq!(world.app.received().len(), 4);
    // To others, the header is one like any.
    let page = get("/a").header("destination", "/admin/x");
    assert_eq!(send(world.stranger(), page).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_longest_path_wins_and_a_host_before_none() {
    let named = |name: &str, line: &str| {
        format!("[[site]]\nupstream = \"app\"\nname = \"{name}\"\n{line}\n")
    };
    let sites = named("all", "")
        + &named("hosted", "host = \"shop.example\"")
        + &named("below", "path = \"/a\"")
        + &named("exact", "path = \"/a\"\nmatch = \"exact\"");
    let world = Plan::new().more(&sites).start().await;

    for (host, target, route) in [
        ("www.example", "/x", "all"),
        ("SHOP.example:8443", "/x", "hosted"),
        ("shop.example", "/a/b", "below"),
        ("www.example", "/a", "exact"),
        ("www.example", "/ab", "all"),
    ] {
        let series = format!("hubgate_requests_total{{route=\"{route}\"}}");
        let before = world.metric(&series);
        let authority = http::HeaderValue::from_static(host);
        let options = unnamed(world.stranger()).authority(authority);
        assert_eq!(send(options, get(target)).await.unwrap().status, 200);
        world.until_metric(&series, before + 1.0).await;
    }
}
