//! The learners' pages from outside: log-in and session, the dashboard, shared links, the component.

use reqwest::{Method, Response};
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use super::{
    links::{link, press},
    support::{FOREIGN, INACTIVE, TOKEN, TestServer},
};

const KEY: &str = "00112233445566778899aabbccddeeff00112233";

pub fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

pub async fn run(server: &TestServer, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&server.db).await.unwrap();
}

pub async fn log_in(server: &TestServer, token: &str, next: &str) -> Response {
    let form = serde_urlencoded::to_string([("token", token), ("next", next)]).unwrap();
    server
        .request(Method::POST, "/study/login")
        .header("Sec-Fetch-Site", "same-origin")
        .body(form)
        .send()
        .await
        .unwrap()
}

/// The cookie of somebody who logged in by token.
pub async fn cookie(server: &TestServer, token: &str) -> String {
    let answer = log_in(server, token, "").await;
    assert_eq!(answer.status(), 303);
    header(&answer, "set-cookie").split(';').next().unwrap().to_owned()
}

pub async fn get(server: &TestServer, path: &str, cookie: &str) -> Response {
    server.request(Method::GET, path).header("Cookie", cookie).send().await.unwrap()
}

pub async fn status(server: &TestServer, path: &str, cookie: &str) -> u16 {
    get(server, path, cookie).await.status().as_u16()
}

/// The page in a language.
pub async fn page(server: &TestServer, cookie: &str, language: &str) -> String {
    let request = server.request(Method::GET, "/study/dashboard").header("Cookie", cookie);
    let answer = request.header("Accept-Language", language).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap().replace("&#x2f;", "/")
}

#[tokio::test]
async fn a_log_in_begins_a_session_that_the_api_knows() {
    let server = TestServer::start().await;
    let answer = log_in(&server, &format!(" token {TOKEN} "), "").await;
    assert_eq!((answer.status().as_u16(), header(&answer, "location").as_str()), (303, "/study/dashboard"));
    let set = header(&answer, "set-cookie");
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    let key = pair.strip_prefix("study_session=").unwrap();
    let kept: String = sqlx::query_scalar("select string_agg(s::text, ' ') from dailycast.session s")
        .fetch_one(&server.db)
        .await
        .unwrap();
    assert!(!kept.contains(key) && kept.contains(",7,"), "{kept}");
    for path in ["/api/dailycast/today/", "/study/dashboard"] {
        assert_eq!(status(&server, path, pair).await, 200, "{path}");
        assert_ne!(status(&server, path, "study_session=0").await, 200, "{path}");
    }
    assert_eq!(status(&server, "/ops", &format!("ops_session={key}")).await, 303, "it opens nothing there");
    let wrong = server.request(Method::GET, "/api/dailycast/today/").header("Cookie", pair);
    let wrong = wrong.header("Authorization", format!("Token {}", "0".repeat(40))).send().await.unwrap();
    assert_eq!(wrong.status(), 401, "a header counts before the cookie");

    let server = TestServer::start_with(|settings| settings.public_url = "https://x.example".to_owned(), None).await;
    let set = header(&log_in(&server, TOKEN, "").await, "set-cookie");
    assert!(set.starts_with("__Host-study_session=") && set.ends_with("; SameSite=Lax; Secure"), "{set}");
    assert_eq!(status(&server, "/study/dashboard", set.split(';').next().unwrap()).await, 200);
}

#[tokio::test]
async fn who_is_not_logged_in_is_sent_to_the_log_in_and_back() {
    let server = TestServer::start().await;
    for (path, location) in [
        ("/study", "/study/dashboard"),
        ("/study/dashboard", "/study/login"),
        ("/study/dashboard/", "/study/login"),
        ("/study/dashboard?episode=3", "/study/login?next=%2Fstudy%2Fdashboard%3Fepisode%3D3"),
        ("/study/dashboard/?episode=3", "/study/login?next=%2Fstudy%2Fdashboard%2F%3Fepisode%3D3"),
    ] {
        let answer = get(&server, path, "").await;
        assert_eq!((answer.status().as_u16(), header(&answer, "location").as_str()), (303, location), "{path}");
    }
    for (next, leads_to) in [
        ("/study/dashboard?episode=3", "/study/dashboard?episode=3"),
        ("/study/dashboard/?episode=3", "/study/dashboard/?episode=3"),
        ("/study/dashboardx", "/study/dashboard"),
        ("/study/dashboard//evil.example", "/study/dashboard"),
        ("/ops", "/study/dashboard"),
        ("//evil.example/study/dashboard", "/study/dashboard"),
        ("/study/dashboard?\r\nSet-Cookie: a=b", "/study/dashboard"),
    ] {
        assert_eq!(header(&log_in(&server, TOKEN, next).await, "location"), leads_to, "{next:?}");
    }
}

#[tokio::test]
async fn who_is_refused_reads_why_in_his_language() {
    let server = TestServer::start().await;
    for (token, status, words) in [
        ("", 400, "no token of the academy"),
        ("hello", 400, "no token of the academy"),
        ("0000000000000000000000000000000000000000", 401, "Nobody has this token"),
        (INACTIVE, 401, "was closed"),
    ] {
        let answer = log_in(&server, token, "/study/dashboard?episode=3").await;
        assert_eq!(answer.status(), status, "{token:?}");
        assert!(answer.headers().get("set-cookie").is_none());
        let page = answer.text().await.unwrap();
        assert!(page.contains(words) && page.contains("episode=3"), "{page}");
        assert!(token.is_empty() || !page.contains(token), "the page shows what was typed");
    }
    let form = server.request(Method::GET, "/study/login").header("Accept-Language", "sv, de-AT;q=0.8, en;q=0.5");
    let form = form.send().await.unwrap().text().await.unwrap();
    assert!(form.contains("lang=\"de\"") && form.contains("Hör deinen Podcast"), "{form}");
    let foreign = server.request(Method::POST, "/study/login").header("Sec-Fetch-Site", "cross-site");
    let foreign = foreign.body(format!("token={TOKEN}")).send().await.unwrap();
    assert_eq!((foreign.status().as_u16(), foreign.headers().get("set-cookie")), (403, None));
    assert_eq!(log_in(&server, FOREIGN, "").await.status(), 303, "who gets in is not counted");
}

/// A browser sends what a proxy's log-in asked for with each request, wherever it goes.
#[tokio::test]
async fn a_header_that_is_meant_for_a_proxy_takes_no_session_away() {
    let server = TestServer::start().await;
    let cookie = cookie(&server, TOKEN).await;
    for (authorization, status) in [
        ("Basic bWFyaW86c2VjcmV0", 200),
        ("Bearer 0123456789abcdef0123456789abcdef01234567", 200),
        ("", 200),
        ("Token", 401),
        ("token 0000000000000000000000000000000000000000", 401),
    ] {
        let request = server.request(Method::GET, "/api/dailycast/today/").header("Cookie", &cookie);
        let answer = request.header("Authorization", authorization).send().await.unwrap();
        assert_eq!(answer.status(), status, "{authorization:?}");
    }
    let page = server.request(Method::GET, "/study/dashboard").header("Cookie", &cookie);
    assert_eq!(page.header("Authorization", "Basic bWFyaW86c2VjcmV0").send().await.unwrap().status(), 200);
}

pub async fn limited(per_minute: u32) -> TestServer {
    TestServer::start_with(|settings| settings.rate_per_minute = per_minute, None).await
}

#[tokio::test]
async fn strangers_are_counted_where_they_get_a_page() {
    let server = limited(3).await;
    let first = cookie(&server, TOKEN).await;
    let stranger = |n: u8| format!("study_session={}", hex::encode([n; 32]));
    assert_eq!(status(&server, "/study/dashboard", &stranger(1)).await, 303);
    assert_eq!(status(&server, "/study/login", &stranger(2)).await, 200);
    let request = server.request(Method::GET, "/study/dashboard").header("Authorization", "Token abc");
    assert_eq!(request.send().await.unwrap().status(), 303);
    for path in ["/study/dashboard", "/study/login", "/api/dailycast/today/"] {
        let answer = get(&server, path, &stranger(3)).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after").as_str()), (429, "20"), "{path}");
    }
    assert_eq!(status(&server, "/study/dashboard", &first).await, 200, "who is known does not pay for them");
    assert_eq!(status(&server, "/study/login", "").await, 200, "nor who has yet to log in");
    assert_eq!(status(&server, "/study/dashboard", "").await, 303);
}

#[tokio::test]
async fn who_logs_in_all_the_time_has_to_wait() {
    let server = limited(3).await;
    for _ in 0..3 {
        assert_eq!(log_in(&server, TOKEN, "").await.status(), 303);
    }
    let link = link(&server, 1, 7).await;
    for answer in [log_in(&server, TOKEN, "").await, press(&server, &link, "").await] {
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after").as_str()), (429, "20"));
    }
    assert_eq!(log_in(&server, FOREIGN, "").await.status(), 303, "another one at the same address");
    server.clock.set("2026-11-22T10:00:20Z");
    assert_eq!(press(&server, &link, "").await.status(), 303, "the link was not used up");
}

#[tokio::test]
async fn of_many_sessions_of_one_learner_the_oldest_end() {
    let server = TestServer::start().await;
    let other = cookie(&server, FOREIGN).await;
    let mut cookies = Vec::new();
    for _ in 0..22 {
        cookies.push(cookie(&server, TOKEN).await);
    }
    let kept: i64 = sqlx::query_scalar("select count(*) from dailycast.session where user_id = 7")
        .fetch_one(&server.db)
        .await
        .unwrap();
    assert_eq!(kept, 20);
    for (place, status_then) in [(0, 401), (1, 401), (2, 200), (21, 200)] {
        assert_eq!(status(&server, "/api/dailycast/today/", &cookies[place]).await, status_then, "{place}");
    }
    assert_eq!(status(&server, "/api/dailycast/today/", &other).await, 200);
}

/// Ten refused ones within a minute, from one address. A school may have but one.
#[tokio::test]
async fn tries_at_the_learners_door_and_at_the_operators_are_counted_apart() {
    let server = TestServer::start().await;
    let knock = async |token: &str| {
        let request = server.request(Method::POST, "/ops/login").header("Sec-Fetch-Site", "same-origin");
        let form = request.header("Content-Type", "application/x-www-form-urlencoded").body(format!("token={token}"));
        form.send().await.unwrap().status().as_u16()
    };
    for _ in 0..10 {
        assert_eq!(log_in(&server, INACTIVE, "").await.status(), 401);
    }
    let refused = log_in(&server, TOKEN, "").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after").as_str()), (429, "61"));
    for _ in 0..10 {
        assert_eq!(knock(INACTIVE).await, 401, "operators are not locked out");
    }
    server.clock.set("2026-11-22T10:00:59Z");
    assert_eq!(knock(INACTIVE).await, 429);
    server.clock.set("2026-11-22T10:01:00Z");
    for _ in 0..10 {
        assert_eq!(knock(INACTIVE).await, 401);
    }
    assert_eq!(log_in(&server, TOKEN, "").await.status(), 303);
    assert_eq!(knock(INACTIVE).await, 429, "a learner who got in is no operator who did");
}

#[tokio::test]
async fn a_session_ends_with_the_log_out_the_account_and_its_time() {
    let server = TestServer::start().await;
    let first = cookie(&server, TOKEN).await;
    assert_eq!(status(&server, "/api/dailycast/today/", &first).await, 200);
    let leave = async |site: &str| {
        let request = server.request(Method::POST, "/study/logout").header("Cookie", &first);
        request.header("Sec-Fetch-Site", site).send().await.unwrap()
    };
    assert_eq!(leave("cross-site").await.status(), 403, "another site logs nobody out");
    assert_eq!(status(&server, "/api/dailycast/today/", &first).await, 200);
    let left = leave("same-origin").await;
    assert_eq!((left.status().as_u16(), header(&left, "location").as_str()), (303, "/study/login"));
    assert!(header(&left, "set-cookie").starts_with("study_session=; Path=/; Max-Age=0"));
    assert_eq!(status(&server, "/api/dailycast/today/", &first).await, 401, "what was remembered is forgotten");

    let second = cookie(&server, TOKEN).await;
    assert_eq!(status(&server, "/study/dashboard", &second).await, 200);
    run(&server, "update academy.learner set is_active = false where user_id = 7").await;
    server.clock.set("2026-11-22T10:00:10Z");
    let closed = get(&server, "/api/dailycast/today/", &second).await;
    assert_eq!(closed.text().await.unwrap(), "{\"detail\":\"User inactive or deleted.\"}");

    run(&server, "update academy.learner set is_active = true where user_id = 7").await;
    run(&server, "update dailycast.session set expires_at = now() + interval '3 days'").await;
    let prolonged = get(&server, "/study/dashboard", &second).await;
    assert!(header(&prolonged, "set-cookie").starts_with(&second));
    assert_eq!(header(&get(&server, "/study/dashboard", &second).await, "set-cookie"), "", "it is fresh again");
    run(&server, "update dailycast.session set expires_at = now()").await;
    server.clock.set("2026-11-22T10:00:30Z");
    assert_eq!(status(&server, "/study/dashboard", &second).await, 303);
}

/// What a page of another site can make a browser do with the cookie.
#[tokio::test]
async fn a_session_changes_nothing_at_the_wish_of_another_site() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let cookie = cookie(&server, TOKEN).await;
    let path = format!("/api/dailycast/episodes/{id}/like/");
    let like = async |headers: &[(&str, &str)]| {
        let mut request = server.request(Method::PUT, &path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    for headers in [
        &[][..],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Referer", "https://evil.example/")],
    ] {
        let with: Vec<_> = headers.iter().copied().chain([("Cookie", cookie.as_str())]).collect();
        let answer = like(&with).await;
        assert_eq!(answer.status(), 403, "{headers:?}");
        assert!(answer.text().await.unwrap().contains("foreign_origin"), "{headers:?}");
    }
    let authorization = format!("Token {TOKEN}");
    for headers in [
        &[("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")][..],
        &[("Cookie", cookie.as_str()), ("Origin", server.url.as_str())],
        // A token in a header is nothing that another site could make a browser send.
        &[("Authorization", authorization.as_str()), ("Origin", "https://evil.example")],
    ] {
        assert_eq!(like(headers).await.status(), 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_shared_link_tells_the_episode_and_nothing_else() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-20", "completed").await;
    let hash = |key: &str| hex::encode(Sha256::digest(format!("share {key}")));
    let share = format!(
        "insert into dailycast.listening (podcast_id, share_seed, share_hash, shared_at)
         values ({id}, '\\x00', '\\x{}', now())",
        hash(KEY)
    );
    run(&server, &share).await;
    let base = format!("/listen/{KEY}");
    let answer = get(&server, &base, "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "referrer-policy"), "no-referrer");
    assert!(header(&answer, "x-robots-tag").contains("noindex"));
    let html = answer.text().await.unwrap();
    assert!(html.contains("property=\"og:title\" content=\"A title\"") && html.contains("noindex"), "{html}");
    assert!(html.contains("<p>Good morning.</p>") && html.replace("&#x2f;", "/").contains(&format!("{base}/audio")));
    let data = get(&server, &format!("{base}/episode.json"), "").await;
    let tag = header(&data, "etag");
    let data: serde_json::Value = data.json().await.unwrap();
    let mut names: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
    let allowed = [
        "audio_url",
        "date",
        "download_url",
        "duration",
        "duration_display",
        "language",
        "script",
        "title",
        "topic",
        "transcript_url",
    ];
    names.sort_unstable();
    assert_eq!(names, allowed);
    let again = server.request(Method::GET, &format!("{base}/episode.json")).header("If-None-Match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    let audio = get(&server, data["audio_url"].as_str().unwrap(), "").await;
    assert_eq!((audio.status().as_u16(), header(&audio, "location").as_str()), (200, ""));

    let revoke = format!(
        "update dailycast.listening set share_seed = null, share_hash = null, shared_at = null;
         insert into dailycast.revoked_link (key_hash) values ('\\x{}')",
        hash(KEY)
    );
    run(&server, &revoke).await;
    for below in ["", "/episode.json", "/audio", "/transcript.json", "/transcript.vtt"] {
        assert_eq!(status(&server, &format!("{base}{below}"), "").await, 410, "{below}");
        for key in [KEY.replace('0', "f"), "x".to_owned(), "0".repeat(39), "%00".to_owned(), KEY.repeat(30)] {
            assert_eq!(status(&server, &format!("/listen/{key}{below}"), "").await, 404, "{key}{below}");
        }
    }
    let gone = get(&server, &base, "").await.text().await.unwrap();
    assert!(gone.contains("This link was taken back"), "{gone}");
}

#[tokio::test]
async fn any_page_may_load_the_component_and_keep_it() {
    let server = TestServer::start().await;
    let answer = get(&server, "/static/daily-podcast.js", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    assert!(header(&answer, "content-type").starts_with("text/javascript"));
    assert!(header(&answer, "cache-control").contains("max-age=600"));
    let tag = header(&answer, "etag");
    let known = server.request(Method::GET, "/static/daily-podcast.js").header("If-None-Match", &tag);
    assert_eq!(known.send().await.unwrap().status(), 304);
    let cookie = cookie(&server, TOKEN).await;
    let html = page(&server, &cookie, "en").await;
    let addresses: Vec<&str> = html.split('"').filter(|part| part.starts_with("/static/")).collect();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    for address in addresses {
        let answer = get(&server, address, "").await;
        assert!(header(&answer, "cache-control").contains("immutable"), "{address}");
        assert!(!answer.bytes().await.unwrap().is_empty(), "{address}");
    }
    assert_eq!(
        header(&get(&server, "/static/daily-podcast.js?v=0", "").await, "cache-control"),
        header(&answer, "cache-control")
    );
    assert_eq!(status(&server, "/static/0000/ops.css", "").await, 404);
}

#[test]
fn every_language_says_everything() {
    let words: toml::Table = toml::from_str(include_str!("../../dashboards/pages/study/words.toml")).unwrap();
    let names = |tag: &str| words[tag]["say"].as_table().unwrap().keys().cloned().collect::<Vec<_>>();
    let tags: Vec<&String> = words.keys().collect();
    assert_eq!(tags.len(), 5);
    for tag in tags {
        assert_eq!(names(tag), names("en"), "{tag}");
        let say = words[tag.as_str()]["say"].as_table().unwrap();
        assert!(say.values().all(|sentence| !sentence.as_str().unwrap().trim().is_empty()), "{tag}");
    }
}
