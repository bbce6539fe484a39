//! Links that let a learner in once, what is typed at the log-in, and addresses that lead nowhere.

use dailycast::ops::entrance::{self, Entrance};
use reqwest::{Method, Response};

use super::{
    study::{cookie, get, header, limited, log_in, run, status},
    support::{INACTIVE, TOKEN, TestServer},
};

/// Presses the button of the page that a link leads to.
pub async fn press(server: &TestServer, link: &str, cookie: &str) -> Response {
    let (path, query) = link.split_once('?').unwrap();
    let request = server.request(Method::POST, path).header("Sec-Fetch-Site", "same-origin").header("Cookie", cookie);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(query.to_owned()).send().await.unwrap()
}

/// A link that lets learner `user_id` in.
pub async fn link(server: &TestServer, byte: u8, user_id: i64) -> String {
    entrance::add(&server.db, Entrance::Study, [byte; 32], user_id, entrance::LIFE).await.unwrap()
}

/// So that nobody has to ask for another link because something was away for a moment.
#[tokio::test]
async fn a_link_is_used_up_only_by_who_gets_in() {
    let server = TestServer::start().await;
    let path = link(&server, 1, 7).await;
    let away = "alter table academy.learner rename to moved";
    let back = "alter table academy.moved rename to learner";
    run(&server, away).await;
    for refused in [get(&server, &path, "").await, press(&server, &path, "").await] {
        assert_eq!((refused.status().as_u16(), header(&refused, "retry-after").as_str()), (503, "5"));
    }
    run(&server, back).await;
    run(&server, "alter table dailycast.session rename to moved").await;
    assert_eq!(press(&server, &path, "").await.status(), 503);
    run(&server, "alter table dailycast.moved rename to session").await;
    let (one, two) = tokio::join!(press(&server, &path, ""), press(&server, &path, ""));
    let mut statuses = [one.status().as_u16(), two.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 401], "of two who come at once one gets in");

    let closed = link(&server, 2, 9).await;
    for answer in [get(&server, &closed, "").await, press(&server, &closed, "").await] {
        assert_eq!((answer.status().as_u16(), header(&answer, "set-cookie").as_str()), (401, ""));
        assert!(answer.text().await.unwrap().contains("was closed"));
    }
}

/// Mail scanners and previews in chats follow a link before its reader does, and press no button.
#[tokio::test]
async fn a_link_is_looked_at_as_often_as_one_likes_and_lets_in_once() {
    let server = TestServer::start().await;
    let path = format!("{}&next=%2Fstudy%2Fdashboard%3Fepisode%3D3", link(&server, 1, 7).await);
    for (name, value) in [("User-Agent", "Slackbot"), ("Sec-Purpose", "prefetch"), ("Sec-Fetch-Site", "cross-site")] {
        for method in [Method::HEAD, Method::GET] {
            let answer = server.request(method, &path).header(name, value).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), header(&answer, "set-cookie").as_str()), (200, ""), "{value}");
            assert_eq!(header(&answer, "cache-control"), "no-store");
        }
    }
    for (language, words) in [
        ("en", "To my podcast"),
        ("ja", "ポッドキャストへ"),
        ("es", "Ir a mi pódcast"),
        ("fr", "Aller à mon podcast"),
        ("de", "Zu meinem Podcast"),
    ] {
        let page = server.request(Method::GET, &path).header("Accept-Language", language).send().await.unwrap();
        let page = page.text().await.unwrap().replace("&#x2f;", "/");
        assert!(page.contains(words) && page.contains(&"01".repeat(32)), "{page}");
        assert!(page.contains("/study/dashboard?episode=3") && page.contains("<button"), "it needs no script: {page}");
    }
    for site in ["cross-site", "same-site"] {
        let request = server.request(Method::POST, "/study/login").header("Sec-Fetch-Site", site);
        let request = request.header("Origin", "https://evil.example").body(path.split_once('?').unwrap().1.to_owned());
        assert_eq!(request.send().await.unwrap().status(), 403, "nobody is logged in by the page of another site");
    }

    let first = press(&server, &path, "").await;
    assert_eq!((first.status().as_u16(), header(&first, "location").as_str()), (303, "/study/dashboard?episode=3"));
    let cookie = header(&first, "set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(status(&server, "/study/dashboard", &cookie).await, 200);
    for answer in [get(&server, &path, "").await, press(&server, &path, "").await] {
        assert_eq!((answer.status().as_u16(), header(&answer, "set-cookie").as_str()), (401, ""));
        assert!(answer.text().await.unwrap().contains("used already"));
    }
    // In the browser that it let in it goes on leading there; so does a button that was pressed twice.
    for answer in [get(&server, &path, &cookie).await, press(&server, &path, &cookie).await] {
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "location").as_str()),
            (303, "/study/dashboard?episode=3")
        );
        assert_eq!(header(&answer, "set-cookie"), "");
    }
}

#[tokio::test]
async fn a_link_leads_only_its_learner_only_where_it_should_and_only_in_time() {
    let server = TestServer::start().await;
    let path = link(&server, 1, 7).await;
    let theirs = entrance::add(&server.db, Entrance::Ops, [2; 32], 7, entrance::LIFE).await.unwrap();
    for astray in [path.replace("/study/", "/ops/"), theirs.replace("/ops/", "/study/")] {
        assert_eq!(status(&server, &astray, "").await, 401);
        assert_eq!(press(&server, &astray, "").await.status(), 401);
    }
    for key in
        ["", "a", "%00", "%FF", &"0".repeat(64), &"A".repeat(64), &"01".repeat(1500), "<script>", &"ü".repeat(32)]
    {
        let odd = format!("/study/login?once={key}");
        assert_eq!(status(&server, &odd, "").await, 401, "{key:.70}");
    }
    // Who is in and brings his own keeps it; another one's is another one's.
    let cookie = cookie(&server, TOKEN).await;
    assert_eq!(status(&server, &path, &cookie).await, 303);
    assert_eq!(status(&server, &path, "").await, 200, "it was not used up");
    let other = link(&server, 3, 8).await;
    assert_eq!(status(&server, &other, &cookie).await, 200);
    assert!(header(&press(&server, &other, &cookie).await, "set-cookie").starts_with("study_session="));

    run(&server, "update dailycast.entrance set expires_at = now()").await;
    assert_eq!(status(&server, &path, "").await, 401);
    assert_eq!(press(&server, &path, "").await.status(), 401);
    let huge = format!("/study/login?once={}", "0".repeat(5000));
    assert_eq!(press(&server, &huge, "").await.status(), 413);
}

#[tokio::test]
async fn links_cannot_be_guessed() {
    let server = limited(3).await;
    let guess = |n: u8| format!("/study/login?once={}", hex::encode([n; 32]));
    for n in 0..3 {
        assert_eq!(status(&server, &guess(n), "").await, 401);
    }
    assert_eq!(status(&server, &guess(4), "").await, 429);
    let good = link(&server, 9, 7).await;
    assert_eq!(status(&server, &good, "").await, 200, "who has one does not pay for that");
    for _ in 0..9 {
        assert_eq!(press(&server, &guess(5), "").await.status(), 401);
    }
    assert_eq!(press(&server, &guess(5), "").await.status(), 401);
    assert_eq!(press(&server, &guess(5), "").await.status(), 429);
}

#[tokio::test]
async fn what_was_typed_wrongly_looks_wrong() {
    let server = TestServer::start().await;
    for token in ["hello", "0000000000000000000000000000000000000000", INACTIVE] {
        let page = log_in(&server, token, "").await.text().await.unwrap();
        assert!(page.contains("note wrong") && page.contains("aria-invalid=\"true\""), "{page}");
    }
    let spent = get(&server, "/study/login?once=0", "").await.text().await.unwrap();
    assert!(spent.contains("note wrong") && !spent.contains("aria-invalid"), "nothing was typed: {spent}");
    let plain = get(&server, "/study/login", "").await.text().await.unwrap();
    assert!(!plain.contains("wrong") && !plain.contains("aria-invalid"), "{plain}");
}

#[tokio::test]
async fn a_person_who_is_astray_reads_a_page_and_a_program_json() {
    let server = TestServer::start().await;
    let home = get(&server, "/", "").await;
    assert_eq!((home.status().as_u16(), header(&home, "location").as_str()), (303, "/study/dashboard"));
    assert_eq!(server.request(Method::POST, "/").send().await.unwrap().status(), 405);

    let browsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = "text/html; charset=utf-8";
    for (path, accept, kind) in [
        ("/nope", browsers, page),
        ("/study/nope", "text/html", page),
        ("/feed/x", browsers, page),
        ("/feed/0123456789abcdef0123456789abcdef01234567.xml", browsers, page),
        ("/%FF", browsers, page),
        ("/feed/%FF", browsers, page),
        ("/nope", "*/*", "application/json"),
        ("/nope", "application/json", "application/json"),
        ("/nope", "application/xhtml+xml, text/htmlx", "application/json"),
        ("/feed/x", "application/rss+xml", "application/json"),
        ("/api/dailycast/nope", browsers, "application/json"),
        ("/api/dailycast/episodes/1/", browsers, "application/json"),
    ] {
        let request = server.request(Method::GET, path).header("Accept", accept).header("Accept-Language", "de");
        let answer = request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type").as_str()),
            (404, kind),
            "{path}: {accept}"
        );
        assert_eq!(header(&answer, "cache-control"), "no-store");
        let text = answer.text().await.unwrap();
        assert_eq!(text.contains("Hier ist nichts") && text.contains("Zu meinem Podcast"), kind == page, "{text}");
    }
    let post = server.request(Method::POST, "/study/dashboard").header("Accept", browsers).send().await.unwrap();
    assert_eq!((post.status().as_u16(), header(&post, "allow").as_str()), (405, "GET, HEAD"));
}
