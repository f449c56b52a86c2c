use super::*;

fn webhook(path: &str) -> ReservedPaths {
    ReservedPaths::new([path].into_iter())
}

fn site_without(path: &str) -> ReservedPaths {
    ReservedPaths::default().with_starts([path].into_iter())
}

/// Of a target as a caller writes it.
fn has(reserved: &ReservedPaths, target: &str) -> bool {
    match target.split_once('?') {
        Some((path, query)) => reserved.has(path, Some(query)),
        None => reserved.has(target, None),
    }
}

#[track_caller]
fn assert_has(reserved: &ReservedPaths, targets: &[&str]) {
    for target in targets {
        assert!(has(reserved, target), "{target}");
    }
}

#[track_caller]
fn assert_free(reserved: &ReservedPaths, targets: &[&str]) {
    for target in targets {
        assert!(!has(reserved, target), "{target}");
    }
}

#[test]
fn a_reserved_path_is_found_under_every_name_that_it_has() {
    let reserved = webhook("/webhooks");
    assert_has(
        &reserved,
        &[
            "/webhooks",
            "/WebHooks",
            "/webhooks/",
            "/webhooks;a=b",
            "/webhooks;a=b/c",
            "/webhooks%3Fa",
            "/webhooks&a",
            "/;/webhooks",
            "/%2577ebhooks",
            "/%25u0077ebhooks",
            "/webhook%C5%BF",
            "/webhooks%20/",
            "/webhooks.json",
            "/webhooks.a.b",
            // Full width, overlong, invisible.
            "/%EF%BD%97ebhooks",
            "/%EF%BC%8Fwebhooks",
            "/a%EF%BC%8F..%EF%BC%8Fwebhooks",
            "/%C1%B7ebhooks",
            "/a%C0%AF..%C0%AFwebhooks",
            "/a%E0%80%AF..%F0%80%80%AFwebhooks",
            "/web%C2%ADhooks",
            "/web%E2%80%8Bhooks",
            // NTFS.
            "/webhooks::$DATA",
            "/webhooks:$I30:$INDEX_ALLOCATION/",
            "/WEBHOO~1",
            "/we1a2b~1",
            // ASP.NET.
            "/(S(abc))/webhooks",
            "/(A(a)F(b))/webhooks",
            "/web/(S(abc))hooks",
        ],
    );
    assert_free(
        &reserved,
        &[
            "/",
            "/webhooks2",
            "/webhooks/a",
            "/a/webhooks",
            "/webhooks.a/b",
            "/webhook",
            "/%C1%B7",
            "/a~1",
            "/webhooks/a~1",
            "/~webhooks",
            "/(webhooks)",
            "/(S(abc)/webhooks/a",
        ],
    );
}

#[test]
fn behind_a_front_controller_is_the_path_that_it_serves() {
    let reserved = webhook("/hooks/meta");
    assert_has(
        &reserved,
        &[
            "/index.php/hooks/meta",
            "/INDEX.PHP/Hooks/meta/",
            "/app/index.php/hooks/meta",
            "/hooks/index.php/meta",
            "/a/app_dev.php5/hooks/meta.json",
            "/app.fcgi/hooks/meta",
            "/x.php.bak/hooks/meta",
            "/index/hooks/meta",
            "/cgi-bin/app/hooks/meta",
            "/index.php;a/hooks;b/meta",
            "/a.php/index.php/hooks/meta",
            "/hooks/a.php/b.php/meta",
            "/a.php/hooks/b.php/meta",
            "/hooks/meta/app.php/",
        ],
    );
    assert_free(
        &reserved,
        &[
            "/a/hooks/meta",
            "/index.php/hooks",
            "/index.php/hooks/metal",
            "/v1.2/hooks/meta",
            "/a.css/hooks/meta",
            "/app/hooks/meta",
            "/hooks/a/meta",
            "/cgi-bin/hooks/meta/a",
            "/cgi-bin/a/b/c/d/e/f",
        ],
    );
    // As many as nobody has.
    assert_has(&reserved, &["/a.php/b.php/c.php/d.php/e"]);
    assert_free(&reserved, &["/a.php/b.php/c.php/e"]);
}

#[test]
fn an_index_is_its_directory() {
    assert_has(
        &webhook("/hooks/"),
        &[
            "/hooks/index.php",
            "/hooks/index.html",
            "/hooks/index",
            "/hooks/Default.aspx",
            "/hooks/index.html.en",
            "/hooks/index.php/a",
            "/index.php/hooks/index.php",
            "/hooks.json/index.php",
            "/hooks.json/index.php/a",
        ],
    );
    assert_free(&webhook("/hooks/"), &["/hooks/index.css", "/hooks/indexes", "/hooks/a/index.php"]);

    let reserved = webhook("/hooks/index.php");
    assert_has(&reserved, &["/hooks", "/hooks/", "/hooks/index", "/hooks/index.php/a"]);
    assert_free(&reserved, &["/hooks/a", "/hooks/a.php", "/hooks.css"]);
    assert_has(&webhook("/index.php"), &["/", "/index", "/index.php/a", "/index.html"]);
    assert_free(&webhook("/index.php"), &["/a", "/a/index.php2"]);
}

#[test]
fn a_script_is_found_without_its_extension_and_serves_what_is_below() {
    let reserved = webhook("/hook.php");
    assert_has(
        &reserved,
        &["/hook.php/a/b", "/hook.PHP/a", "/hook", "/hook/a", "/hook.html", "/hook.html/a"],
    );
    assert_free(&reserved, &["/hook.css", "/hooks", "/hook2.php", "/a/hook"]);

    let reserved = webhook("/a/hook.json");
    assert_has(&reserved, &["/a/hook", "/a/hook.xml", "/a/hook.json.gz"]);
    assert_free(&reserved, &["/a", "/a/hooks"]);
    // Neither a version nor a hidden file has an extension.
    assert_free(&webhook("/v1.2"), &["/v1"]);
    assert_free(&webhook("/a/.hook"), &["/a", "/a/b"]);
    assert_free(&webhook("/hook"), &["/hook/a"]);
    assert_free(&webhook("/a/b/c"), &["/a/b"]);
}

#[test]
fn a_query_that_asks_for_a_reserved_path_is_found() {
    let reserved = webhook("/hooks/meta");
    assert_has(
        &reserved,
        &[
            "/?rest_route=/hooks/meta",
            "/?rest_route=%2Fhooks%2Fmeta",
            "/?rest_route=%252Fhooks%252Fmeta",
            "/?REST_ROUTE=/Hooks/Meta/",
            "/?rest.route=/hooks/meta",
            "/?rest%5Froute=/hooks/meta",
            "/?+rest_route=/hooks/meta",
            "/?rest[route=/hooks/meta",
            "/?a=1&rest_route=/hooks/meta&b",
            "/?a=1;rest_route=/hooks/meta",
            "/?q=hooks/meta",
            "/?q[]=hooks/meta",
            "/index.php?q=/hooks//meta",
            "/?q=/hooks/./x/../meta",
            "/?q=\\hooks\\meta",
            "/?q=/hooks/meta%00.css",
            "/?q=/hooks/meta.json",
            "/?q=+/hooks/meta+",
            "/?q=/hooks/meta;a",
            "/?q=/index.php/hooks/meta",
            "/?r=hooks/meta",
            "/?s=/hooks/meta",
            "/?route=hooks/meta",
            "/?_route=/hooks/meta",
            "/?__route__=/hooks/meta",
            "/?url=hooks/meta",
            "/?_url=/hooks/meta",
            "/?/hooks/meta",
            "/?/hooks/meta&a=b",
            "/?/hooks/meta=",
            "/?%2Fhooks/meta",
            "/index.php??/hooks/meta",
            "/hooks?q=meta",
            "/hooks/?q=/meta",
            "/hooks/index.php?q=meta",
            "/a&q=hooks/meta",
            "/index.php%3Fq=hooks/meta",
        ],
    );
    assert_free(
        &reserved,
        &[
            "/?a=1",
            "/?",
            "/?q=",
            "/?q=/",
            "/?q=hooks",
            "/?q=how+hooks%2Fmeta+works",
            "/?next=/hooks/meta",
            "/?sq=/hooks/meta",
            "/?hooks/meta",
            "/?q=%ZZ%",
            "/hooks/x?q=y",
            "/hooks?q=/a",
        ],
    );
    let many = "q=a&".repeat(17);
    assert!(has(&reserved, &format!("/?{many}")));
    assert!(has(&reserved, &format!("/?q=%{}41", "25".repeat(100))));
}

#[test]
fn what_wordpress_serves_as_a_rest_route_is_below_its_prefix() {
    let reserved = webhook("/wp-json/shop/hook");
    assert_has(
        &reserved,
        &[
            "/index.php/wp-json/shop/hook",
            "/?rest_route=/shop/hook",
            "/?rest[route=/shop/hook",
            "/index.php?rest_route=/shop/hook",
        ],
    );
    assert_free(&reserved, &["/?q=/shop/hook", "/shop/hook", "/?rest_route=/shop"]);
    assert_has(
        &webhook("/blog/wp-json/hook"),
        &["/blog/?rest_route=/hook", "/blog?rest_route=/hook"],
    );
}

#[test]
fn an_exception_is_what_begins_like_it_in_every_reading() {
    let reserved = site_without("/Admin");
    assert_has(
        &reserved,
        &[
            "/admin",
            "/administration",
            "/admin/x",
            "/;a/admin",
            "/index.php/admin/x",
            "/a/index.php/admin",
            "/index.php/a.php/admin",
            "/?q=admin/users",
            "/?/admin",
            "/(S(a))/admin/x",
            "/admi~1/x",
        ],
    );
    assert_free(&reserved, &["/", "/adm", "/a/admin", "/?q=users/admin", "/?next=/admin"]);

    let reserved = site_without("/reports/");
    assert_has(&reserved, &["/reports", "/reports/x", "/reports.json", "/a.php/reports/x"]);
    assert_free(&reserved, &["/reports2", "/report"]);

    let reserved = site_without("/admin.php");
    assert_has(&reserved, &["/admin", "/admin/x", "/admin.php/x", "/admin.html"]);
    assert_free(&reserved, &["/administration", "/admin.css"]);

    let reserved = site_without("/admin/index.php");
    assert_has(&reserved, &["/admin", "/admin/", "/admin/index", "/admin/index.php/x"]);
    assert_free(&reserved, &["/admin/x"]);
}

#[test]
fn too_much_to_read_is_refused_in_no_time() {
    let reserved = webhook("/hooks/meta").with_starts(["/admin"].into_iter());
    let began = std::time::Instant::now();
    let queried = |value: &str| {
        let query = format!("q={}", value.repeat(30_000 / value.len()));
        reserved.has(&"/a".repeat(1000), Some(&query))
    };
    for piece in
        ["/a", "/a.php", "/(", "/(a(", "/(a(b)", "%2541", ";", ".", "~1/", "/cgi-bin", "&q=/"]
    {
        let path = format!("/{}", piece.repeat(30_000 / piece.len()));
        _ = reserved.has(&path, None);
        _ = queried(piece);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
