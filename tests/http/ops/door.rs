//! Log-in and log-out, sessions and their end, links that work once, and what other sites try.

use dailycast::ops::entrance::{self, Entrance};
use reqwest::Method;

use super::support::{Browser, OPERATOR, VIEWER, from_here, header, hire, log_in, start};
use crate::{
    http::support::{INACTIVE, OPS_TOKEN, TOKEN, TestServer},
    support::until,
};

/// A page, with its slashes as people write them.
async fn plain(answer: reqwest::Response) -> String {
    answer.text().await.unwrap().replace("&#x2f;", "/")
}

#[tokio::test]
async fn a_log_in_leads_back_to_where_it_was_asked_for_and_nowhere_else() {
    let server = start().await;
    let sent = server.request(Method::GET, "/ops/podcasts?status=failed&cause=timeout").send().await.unwrap();
    assert_eq!(sent.status(), 303);
    assert_eq!(sent.headers()["location"], "/ops/login?next=%2Fops%2Fpodcasts%3Fstatus%3Dfailed%26cause%3Dtimeout");
    let location = header(sent.headers(), "location");
    let form = server.request(Method::GET, &location).send().await.unwrap();
    assert_eq!((form.status().as_u16(), header(form.headers(), "cache-control").as_str()), (200, "no-store"));
    let form = plain(form).await;
    assert!(
        form.contains("type=\"password\"") && form.contains("value=\"/ops/podcasts?status=failed&amp;cause=timeout\"")
    );

    for (next, leads_to) in [
        ("/ops/podcasts?status=failed", "/ops/podcasts?status=failed"),
        ("/ops", "/ops"),
        ("", "/ops"),
        ("/opsy", "/ops"),
        ("/study", "/ops"),
        ("//evil.example/ops", "/ops"),
        ("https://evil.example/ops", "/ops"),
        ("/ops/../healthz", "/ops"),
        ("/ops\\..\\evil", "/ops"),
        ("/ops/logout", "/ops"),
        ("/ops/alerts?live=yes", "/ops"),
    ] {
        let answer = log_in(&server, OPERATOR.1, next).await;
        assert_eq!(answer.status(), 303, "{next:?}");
        assert_eq!(answer.headers()["location"], leads_to, "{next:?}");
    }
    assert_eq!(log_in(&server, OPERATOR.1, "/ops\r\nSet-Cookie: a=b").await.status(), 400);
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_and_its_key_is_not_kept() {
    let server = start().await;
    let answer = log_in(&server, OPERATOR.1, "").await;
    let cookie = header(answer.headers(), "set-cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Lax");
    let key = pair.strip_prefix("ops_session=").unwrap();
    let kept: String = sqlx::query_scalar("select string_agg(s::text, ' ') from dailycast.session s")
        .fetch_one(&server.db)
        .await
        .unwrap();
    assert!(!kept.contains(key) && kept.contains(",21,"), "{kept}");

    let server = TestServer::start_with(|settings| settings.public_url = "https://ops.example".to_owned(), None).await;
    hire(&server).await;
    let cookie = header(log_in(&server, OPERATOR.1, "").await.headers(), "set-cookie");
    assert!(cookie.starts_with("__Host-ops_session=") && cookie.ends_with("; SameSite=Lax; Secure"), "{cookie}");
    assert_eq!(Browser::with(&server, &cookie).await.status("/ops").await, 200);
}

#[tokio::test]
async fn who_is_refused_reads_why() {
    let server = start().await;
    for (token, status, words) in [
        ("", 400, "Write your token"),
        ("hello", 401, "no token of the academy"),
        (OPS_TOKEN, 401, "no token of the academy"),
        ("0000000000000000000000000000000000000000", 401, "Nobody has this token"),
        (INACTIVE, 401, "was closed"),
        (TOKEN, 403, "Only staff"),
    ] {
        let answer = log_in(&server, token, "/ops/alerts").await;
        assert_eq!(answer.status(), status, "{token:?}");
        assert!(answer.headers().get("set-cookie").is_none());
        let page = plain(answer).await;
        assert!(page.contains(words) && page.contains("value=\"/ops/alerts\""), "{page}");
        assert!(token.is_empty() || !page.contains(token), "the page shows what was typed");
    }
    // As it is copied from the documentation of the API.
    assert_eq!(log_in(&server, &format!(" Token {} ", VIEWER.1), "").await.status(), 303);
}

#[tokio::test]
async fn too_many_refused_log_ins_have_to_wait() {
    let server = start().await;
    for _ in 0..10 {
        assert_eq!(log_in(&server, TOKEN, "").await.status(), 403);
    }
    for token in [TOKEN, OPERATOR.1] {
        let answer = log_in(&server, token, "").await;
        assert_eq!((answer.status().as_u16(), header(answer.headers(), "retry-after").as_str()), (429, "61"));
        assert!(answer.text().await.unwrap().contains("Wait a minute"));
    }
    let once = from_here(server.request(Method::POST, "/ops/login"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("once=abc");
    let once = once.send().await.unwrap();
    assert_eq!(once.status(), 429, "links cannot be guessed either");
    // Somebody else behind the same proxy.
    let form = format!("token={}", OPERATOR.1);
    let other = from_here(server.request(Method::POST, "/ops/login"))
        .header("X-Forwarded-For", "10.0.0.1, 192.0.2.7")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    assert_eq!(other.send().await.unwrap().status(), 303);
    server.clock.set("2026-11-22T10:01:00Z");
    for _ in 0..12 {
        assert_eq!(log_in(&server, OPERATOR.1, "").await.status(), 303, "who gets in is not counted");
    }
}

#[tokio::test]
async fn a_log_out_ends_the_session_for_a_viewer_too() {
    let server = start().await;
    let browser = Browser::of(&server, VIEWER.1).await;
    assert_eq!(browser.request(Method::GET, "/ops/logout").send().await.unwrap().status(), 405);
    assert_eq!(
        browser.request(Method::POST, "/ops/logout").send().await.unwrap().status(),
        403,
        "no field, no log-out"
    );
    assert_eq!(browser.status("/ops").await, 200);
    let answer = browser.send("/ops/logout", &[]).await;
    assert_eq!((answer.status().as_u16(), header(answer.headers(), "location").as_str()), (303, "/ops/login"));
    assert!(header(answer.headers(), "set-cookie").starts_with("ops_session=; Path=/; Max-Age=0"));
    assert_eq!(browser.status("/ops").await, 303, "the cookie of before opens nothing");
    assert_eq!(browser.send("/ops/logout", &[]).await.status(), 303, "twice does no harm");
}

#[tokio::test]
async fn the_session_of_somebody_who_is_dismissed_ends_within_ten_seconds() {
    for change in ["is_staff = false, is_superuser = false", "is_active = false"] {
        let server = start().await;
        let browser = Browser::of(&server, VIEWER.1).await;
        let change = format!("update academy.learner set {change} where user_id = {}", VIEWER.0);
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&server.db).await.unwrap();
        server.clock.set("2026-11-22T10:00:09.999Z");
        assert_eq!(browser.status("/ops").await, 200);
        server.clock.set("2026-11-22T10:00:10Z");
        assert_eq!(browser.status("/ops").await, 303);
        assert_eq!(browser.status("/api/ops").await, 401);
        let left: i64 =
            sqlx::query_scalar("select count(*) from dailycast.session").fetch_one(&server.db).await.unwrap();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_session() {
    let server = start().await;
    let browser = Browser::of(&server, VIEWER.1).await;
    let mut stream = browser.request(Method::GET, "/ops/alerts?live=yes").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert!(stream.chunk().await.unwrap().is_some());
    sqlx::raw_sql("delete from dailycast.session").execute(&server.db).await.unwrap();
    server.clock.set("2026-11-22T10:00:10Z");
    let mut said = String::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        said.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(said.contains("You are logged out"), "{said}");
}

#[tokio::test]
async fn a_session_is_prolonged_by_use_and_ends_without() {
    let server = start().await;
    let browser = Browser::of(&server, VIEWER.1).await;
    let ends = "select count(*) from dailycast.session where expires_at > now() + interval '11 hours 59 minutes'";
    let age = "update dailycast.session set expires_at = now() + interval '30 minutes'";
    sqlx::raw_sql(age).execute(&server.db).await.unwrap();
    let fresh = browser.request(Method::GET, "/ops").send().await.unwrap();
    assert!(fresh.headers().get("set-cookie").is_none(), "what is remembered is not asked again");
    server.clock.set("2026-11-22T10:00:10Z");
    let prolonged = browser.request(Method::GET, "/ops").send().await.unwrap();
    assert!(
        header(prolonged.headers(), "set-cookie").starts_with(&format!("{}; Path=/; Max-Age=43200", browser.cookie))
    );
    assert_eq!(sqlx::query_scalar::<_, i64>(ends).fetch_one(&server.db).await.unwrap(), 1);

    sqlx::raw_sql("update dailycast.session set expires_at = now()").execute(&server.db).await.unwrap();
    server.clock.set("2026-11-22T10:00:20Z");
    assert_eq!(browser.status("/ops").await, 303);
}

/// What a page of another site can make a browser do, and what an old browser says of itself.
#[tokio::test]
async fn a_session_changes_nothing_at_the_wish_of_another_site() {
    let server = start().await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    let (here, field) = (server.url.clone(), format!("csrf={}", browser.csrf));
    let other = "https://evil.example".to_owned();
    let post = async |headers: &[(&str, &str)], body: &str| {
        let mut request = browser.request(Method::POST, "/ops/providers/openai/open").body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap().status().as_u16()
    };
    for headers in [
        &[][..],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &other)],
        &[("Origin", &other)],
        &[("Origin", "null")],
        &[("Referer", "https://evil.example/ops")],
        &[("Sec-Fetch-Site", "none"), ("Origin", &other)],
        &[("Sec-Fetch-Site", "none"), ("Origin", "null")],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", &other)],
    ] {
        assert_eq!(post(headers, &field).await, 403, "{headers:?}");
    }
    for body in ["", "csrf=", "csrf=00", &format!("csrf={}", "0".repeat(64))] {
        assert_eq!(post(&[("Sec-Fetch-Site", "same-origin")], body).await, 403, "{body}");
    }
    let second = Browser::of(&server, OPERATOR.1).await;
    let foreign_field = format!("csrf={}", second.csrf);
    assert_eq!(post(&[("Sec-Fetch-Site", "same-origin")], &foreign_field).await, 403, "the field of another session");
    let opened: i64 = sqlx::query_scalar("select count(*) from dailycast.provider_state where opened_at is not null")
        .fetch_one(&server.db)
        .await
        .unwrap();
    assert_eq!(opened, 0, "nothing of this was done");

    let referer = format!("{here}/ops/providers");
    for headers in [
        &[("Sec-Fetch-Site", "same-origin")][..],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", &here)],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "null")],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", &here)],
        &[("Referer", &referer)],
    ] {
        assert_eq!(post(headers, &field).await, 303, "{headers:?}");
    }
    let read = browser.request(Method::GET, "/api/ops/alerts").header("Origin", &other).send().await.unwrap();
    assert_eq!(read.status(), 403, "another site reads nothing either");
    let foreign = server.request(Method::POST, "/ops/login").header("Sec-Fetch-Site", "cross-site");
    let foreign = foreign.body(format!("token={}", VIEWER.1)).send().await.unwrap();
    assert_eq!((foreign.status().as_u16(), foreign.headers().get("set-cookie")), (403, None), "nor logs anybody in");
}

#[tokio::test]
async fn a_header_needs_no_field_and_its_words_are_the_academys() {
    let server = start().await;
    for authorization in [format!("Token {}", OPERATOR.1), format!("Bearer {OPS_TOKEN}")] {
        let request = server.request(Method::POST, "/api/ops/providers/openai/open");
        let request = request.header("Authorization", authorization).header("Origin", "https://evil.example");
        let answer = request.header("Content-Type", "application/json").body("{\"for\":\"15m\"}").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let shown: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((shown["provider"].as_str(), shown["state"].as_str()), (Some("openai"), Some("open")));
    }
    for (authorization, words) in [
        ("Token", "Invalid token header. No credentials provided."),
        ("Token a b", "Invalid token header. Token string should not contain spaces."),
        ("Token 0000000000000000000000000000000000000000", "Invalid token."),
        ("Bearer 0000000000000000000000000000000000000000", "Invalid token."),
        (&format!("Token {INACTIVE}"), "User inactive or deleted."),
        ("Basic abc", "Authentication credentials were not provided."),
    ] {
        let request = server.request(Method::GET, "/api/ops").header("Authorization", authorization);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{authorization}");
        assert_eq!(answer.text().await.unwrap(), format!("{{\"detail\":\"{words}\"}}"), "{authorization}");
    }
}

#[tokio::test]
async fn a_link_lets_in_once() {
    let server = start().await;
    let pool = &server.db;
    let link = async |user_id, byte: u8| {
        entrance::add(pool, Entrance::Ops, [byte; 32], user_id, entrance::LIFE).await.unwrap()
    };
    let follow = async |path: &str, cookie: &str| {
        server.request(Method::GET, path).header("Cookie", cookie).send().await.unwrap()
    };
    let press = async |link: &str, cookie: &str, site: &str| {
        let (path, query) = link.split_once('?').unwrap();
        let request = server.request(Method::POST, path).header("Sec-Fetch-Site", site).header("Cookie", cookie);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(query.to_owned()).send().await.unwrap()
    };
    let path = link(OPERATOR.0, 1).await;
    // None of these presses the button.
    assert_eq!(server.request(Method::HEAD, &path).send().await.unwrap().status(), 200);
    for _ in 0..12 {
        let seen = follow(&path, "").await;
        assert_eq!((seen.status().as_u16(), seen.headers().get("set-cookie")), (200, None));
        let page = seen.text().await.unwrap();
        // What presses it runs in a browser alone.
        assert!(page.contains(&"01".repeat(32)) && page.matches("<script type=\"module\"").count() == 1, "{page}");
    }
    assert_eq!(press(&path, "", "cross-site").await.status(), 403, "another site logs nobody in");

    let first = press(&path, "", "same-origin").await;
    assert_eq!((first.status().as_u16(), header(first.headers(), "location").as_str()), (303, "/ops"));
    let browser = Browser::with(&server, &header(first.headers(), "set-cookie")).await;
    assert_eq!(browser.send("/ops/providers/openai/close", &[]).await.status(), 303, "the role is the account's");
    for second in [follow(&path, "").await, press(&path, "", "same-origin").await] {
        assert_eq!((second.status().as_u16(), second.headers().get("set-cookie")), (401, None));
        assert!(second.text().await.unwrap().contains("was used already"));
    }
    let fresh = link(OPERATOR.0, 5).await;
    for known in [
        follow(&path, &browser.cookie).await,
        press(&path, &browser.cookie, "same-origin").await,
        follow(&fresh, &browser.cookie).await,
    ] {
        assert_eq!((known.status().as_u16(), header(known.headers(), "location").as_str()), (303, "/ops"));
        assert_eq!(known.headers().get("set-cookie"), None, "who is in goes on");
    }
    assert_eq!(follow(&fresh, "").await.status(), 200, "and uses no link of his own up");

    let contested = link(VIEWER.0, 2).await;
    let rename =
        async |change: &str| sqlx::raw_sql(sqlx::AssertSqlSafe(change.to_owned())).execute(pool).await.unwrap();
    rename("alter table academy.learner rename to moved").await;
    assert_eq!(follow(&contested, "").await.status(), 503);
    assert_eq!(press(&contested, "", "same-origin").await.status(), 503);
    rename("alter table academy.moved rename to learner").await;
    assert_eq!(press(&contested, "", "same-origin").await.status(), 303, "it was not used up");
    let learners = link(7, 3).await;
    assert_eq!(follow(&learners, "").await.status(), 403, "a learner stays outside");
    assert_eq!(press(&learners, "", "same-origin").await.status(), 403);
    let old = link(OPERATOR.0, 4).await;
    sqlx::raw_sql("update dailycast.entrance set expires_at = now()").execute(pool).await.unwrap();
    assert_eq!(follow(&old, "").await.status(), 401);
    assert_eq!(press(&old, "", "same-origin").await.status(), 401);
    let kept: i64 = sqlx::query_scalar("select count(*) from dailycast.entrance where key_hash = $1")
        .bind(vec![4_u8; 32])
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(kept, 0, "the key itself is not kept");
}

#[tokio::test]
async fn of_two_who_bring_a_link_at_once_one_gets_in_and_one_line_tells_of_it() {
    let server = start().await;
    entrance::add(&server.db, Entrance::Ops, [1; 32], VIEWER.0, entrance::LIFE).await.unwrap();
    let press = async || {
        let request = from_here(server.request(Method::POST, "/ops/login"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(format!("once={}", "01".repeat(32))).send().await.unwrap().status().as_u16()
    };
    // Both have seen that the link is good before either uses it.
    let mut held = server.db.begin().await.unwrap();
    sqlx::query("select from dailycast.entrance for update").execute(&mut *held).await.unwrap();
    let (one, other, ()) = tokio::join!(press(), press(), async {
        until("both wait for the link", async || {
            let waiting = "select count(*) from pg_stat_activity
                           where datname = current_database() and wait_event_type = 'Lock'";
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&server.db).await.unwrap() == 2
        })
        .await;
        held.commit().await.unwrap();
    });
    assert_eq!((one.min(other), one.max(other)), (303, 401));
    let told: Vec<String> = sqlx::query_scalar("select actor from dailycast.audit where action = 'log_in'")
        .fetch_all(&server.db)
        .await
        .unwrap();
    assert_eq!(told, [format!("user {}", VIEWER.0)]);
}

/// A stream costs a look a second for as long as it lives: there is a bound, and who leaves makes room.
#[tokio::test]
async fn only_so_many_pages_are_kept_up_to_date() {
    let server = start().await;
    let watch = async || {
        let request = server.request(Method::GET, "/ops/workers?live=yes");
        request.header("Authorization", format!("Token {OPS_TOKEN}")).send().await.unwrap()
    };
    let mut streams = Vec::new();
    loop {
        let stream = watch().await;
        if stream.status() == 503 {
            break;
        }
        assert_eq!(stream.status(), 200);
        streams.push(stream);
        assert!(streams.len() <= 99, "there is no bound");
    }
    streams.clear();
    until("there is room again", async || watch().await.status() == 200).await;
}
