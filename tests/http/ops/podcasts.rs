//! The list of podcasts.

use super::{data, failed, get, ids, page, run};
use crate::{http::support::TestServer, support::until};

const DATE: &str = "2026-11-22";

/// One podcast of each kind: pending, stuck, failed for a timeout, completed, on fallback.
async fn five() -> (TestServer, [i64; 5]) {
    let server = TestServer::start().await;
    let pending = server.podcast(7, "2026-11-21", "pending").await;
    run(&server, "update dailycast.daily_podcast set next_attempt_at = now() + interval '1 hour'").await;
    let stuck = server.podcast(7, DATE, "script_generated").await;
    run(&server, &format!("update dailycast.daily_podcast set next_attempt_at = now() - interval '1 hour', plan = 'premium' where id = {stuck}")).await;
    let lost = failed(&server, 8, "2026-11-21", "timeout", "openai").await;
    let ready = server.podcast(8, DATE, "completed").await;
    let fallback = server.podcast(9, DATE, "completed_with_fallback").await;
    (server, [pending, stuck, lost, ready, fallback])
}

#[tokio::test]
async fn each_word_of_the_filter_finds_what_it_means_alone_and_with_others() {
    let (server, [pending, stuck, lost, ready, fallback]) = five().await;
    let cases = [
        (String::new(), vec![fallback, ready, lost, stuck, pending]),
        (format!("id={ready},{lost},{ready}"), vec![lost.max(ready), lost.min(ready)]),
        ("user=8".to_owned(), vec![ready, lost]),
        ("date=2026-11-21".to_owned(), vec![lost, pending]),
        ("status=pending".to_owned(), vec![pending]),
        ("status=failed".to_owned(), vec![lost]),
        ("status=completed".to_owned(), vec![ready]),
        ("cause=timeout".to_owned(), vec![lost]),
        ("cause=internal".to_owned(), vec![]),
        ("stuck=yes".to_owned(), vec![stuck]),
        ("unfinished=yes".to_owned(), vec![stuck, pending]),
        ("plan=premium".to_owned(), vec![stuck]),
        ("provider=local".to_owned(), vec![fallback, ready]),
        ("language=en".to_owned(), vec![fallback, ready, stuck]),
        ("status=failed&cause=timeout&date=2026-11-21&user=8".to_owned(), vec![lost]),
        ("status=failed&date=2026-11-22".to_owned(), vec![]),
        (format!("id={lost}&user=7"), vec![]),
        ("stuck=yes&date=2026-11-21".to_owned(), vec![]),
        ("unfinished=yes&status=failed".to_owned(), vec![]),
    ];
    for (query, wanted) in cases {
        let list = data(&server, &format!("/podcasts?{query}")).await;
        assert_eq!(ids(&list), wanted, "{query}");
        assert_eq!(list["count"]["at_least"], wanted.len(), "{query}");
        assert!(list["next"].is_null(), "{query}");
    }
}

#[tokio::test]
async fn a_podcast_that_failed_and_was_requeued_is_met_once() {
    let (server, [_, _, lost, ..]) = five().await;
    let requeued = "finished_at = null, error_kind = 'timeout', next_attempt_at = now() + interval '1 hour'";
    server.set(lost, "pending", requeued).await;
    assert_eq!(ids(&data(&server, "/podcasts?cause=timeout").await), [lost]);
    assert!(ids(&data(&server, "/podcasts?status=failed").await).is_empty());
}

#[tokio::test]
async fn the_pages_meet_every_row_once_and_lead_back() {
    let server = TestServer::start().await;
    run(&server, "insert into dailycast.daily_podcast (user_id, date, deadline_at) select n, '2026-11-22', now() from generate_series(1, 120) n").await;
    let mut met = Vec::new();
    let mut path = "/podcasts?date=2026-11-22".to_owned();
    let mut pages = vec![path.clone()];
    let last = loop {
        let page = data(&server, &path).await;
        met.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break page };
        path = next.strip_prefix("/api/ops").unwrap().to_owned();
        pages.push(path.clone());
    };
    let all: Vec<i64> = (1..=120).rev().collect();
    assert_eq!(met, all);
    assert_eq!(pages.len(), 3);
    assert_eq!(last["previous"].as_str().unwrap(), format!("/api/ops{}", pages[1]));
}

#[tokio::test]
async fn a_look_that_found_little_says_how_far_it_came_and_goes_on() {
    let server = TestServer::start().await;
    run(&server, "insert into dailycast.daily_podcast (user_id, date, deadline_at, plan)
                  select n, '2026-11-22', now(), case n when 3 then 'basic' else 'free' end from generate_series(1, 5100) n").await;
    let page = data(&server, "/podcasts?plan=basic").await;
    assert!(ids(&page).is_empty());
    assert_eq!(page["looked"], serde_json::json!({ "podcasts": 5_000, "down_to": 101 }));
    assert_eq!(page["count"]["is_all"], false);
    let next = page["next"].as_str().unwrap().strip_prefix("/api/ops").unwrap().to_owned();
    let page = data(&server, &next).await;
    assert_eq!((ids(&page), page["looked"].is_null(), page["next"].is_null()), (vec![3], true, true));
}

#[tokio::test]
async fn what_is_shown_stays_where_it_is_and_the_rest_is_announced() {
    let (server, [pending, stuck, lost, ready, fallback]) = five().await;
    let path = format!("/podcasts?status=failed&shown={lost}");
    let page = data(&server, &path).await;
    assert_eq!((ids(&page), page["others"].as_u64()), (vec![lost], Some(0)));
    server.set(lost, "pending", "finished_at = null").await;
    let newer = failed(&server, 9, "2026-11-20", "timeout", "openai").await;
    let page = data(&server, &path).await;
    assert_eq!((ids(&page), page["others"].as_u64()), (vec![lost], Some(1)));
    assert_eq!(page["results"][0]["is_match"], false);
    assert!(ids(&data(&server, "/podcasts?status=failed").await) == [newer]);
    let shown = format!("{pending},{stuck},{ready},{fallback}");
    assert_eq!(ids(&data(&server, &format!("/podcasts?shown={shown}")).await), [pending, stuck, ready, fallback]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let server = TestServer::start().await;
    let cases = [
        ("status=done", "status"),
        ("date=yesterday", "date"),
        ("id=x", "id"),
        ("user=7;8", "user"),
        ("cause=bad", "cause"),
        ("stuck=maybe", "stuck"),
        ("unfinished=maybe", "unfinished"),
        ("before=x", "before"),
        ("shown=1,x", "shown"),
        ("via=x", "via"),
        ("statsu=failed", "query"),
    ];
    for (query, field) in cases {
        let response = get(&server, &format!("/api/ops/podcasts?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        let body: serde_json::Value = response.json().await.unwrap();
        assert!(body["errors"][field][0].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn the_page_shows_numbers_and_nothing_of_scripts_or_names() {
    let (server, [.., ready, _]) = five().await;
    run(&server, "update dailycast.daily_podcast set title = 'For Ana' where true").await;
    let html = get(&server, "/ops/podcasts").await.text().await.unwrap();
    assert!(html.contains(&format!("/ops/podcasts/{ready}/audio")), "{html}");
    assert!(html.contains("learner 8") && html.contains("Stuck"), "{html}");
    for secret in ["Ana", "Good morning", "A topic", "@", "s3://", "style="] {
        let found = html.replace("@media", "").contains(secret);
        assert!(!found, "{secret} is in the page");
    }
}

/// Podcasts 1 to 5000 that wait, of learners with the same numbers; those of `stuck` are stuck.
async fn five_thousand(stuck: &str) -> TestServer {
    let server = TestServer::start().await;
    run(
        &server,
        &format!(
            "insert into dailycast.daily_podcast (user_id, date, deadline_at, next_attempt_at)
                  select n, '2026-11-22', now(), now() + interval '1 hour' from generate_series(1, 5000) n order by n;
                  update dailycast.daily_podcast set next_attempt_at = now() - interval '1 hour' where id in ({stuck})"
        ),
    )
    .await;
    server
}

/// All connections on which stuck podcasts are looked for in all of a night.
async fn walks(server: &TestServer) -> Vec<sqlx::pool::PoolConnection<sqlx::Postgres>> {
    let pool = server.all.walks();
    let mut held = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        held.push(pool.acquire().await.unwrap());
    }
    held
}

#[tokio::test]
async fn stuck_podcasts_far_below_very_many_that_wait_are_on_the_page() {
    let server = five_thousand("1, 3").await;
    for query in ["stuck=yes", "stuck=yes&date=2026-11-22"] {
        let list = format!("/podcasts?{query}");
        // The first page may be shown before all of the night is looked through.
        until("they are found", async || !ids(&data(&server, &list).await).is_empty()).await;
        let page = data(&server, &list).await;
        assert_eq!(ids(&page), [3, 1], "{query}");
        assert!(page["looked"].is_null() && page["count"]["at_least"] == 2, "{page}");
    }
}

#[tokio::test]
async fn while_far_stuck_podcasts_are_looked_for_a_page_goes_on_to_say_so() {
    let server = five_thousand("1, 3, 5000").await;
    let held = walks(&server).await;
    let list = data(&server, "/podcasts?stuck=yes").await;
    assert_eq!((ids(&list), &list["is_searching"]), (vec![5000], &true.into()));
    let later = data(&server, "/podcasts?stuck=yes&shown=5000").await;
    for field in ["is_searching", "looked", "next"] {
        assert_eq!(later[field], list[field], "{field}");
    }
    assert!(page(&server, "/ops/podcasts?stuck=yes&shown=5000").await.contains("are being looked through"));
    drop(held);
    until("they are announced", async || data(&server, "/podcasts?stuck=yes&shown=5000").await["others"] == 2).await;
    let html = page(&server, "/ops/podcasts?stuck=yes&shown=5000").await;
    assert!(html.contains("2 more matches") && !html.contains("are being looked through"), "{html}");
}

/// How many are stuck is said as long as they were looked for lately; then others may be.
#[tokio::test]
async fn a_preview_of_far_stuck_podcasts_has_them_all_only_while_they_are_known_well() {
    let server = five_thousand("1, 3").await;
    let preview = async || data(&server, "/operations/new?verb=requeue&stuck=yes").await;
    let said = async || {
        let preview = preview().await;
        (preview["touches"].as_i64().unwrap(), preview["is_capped"].as_bool().unwrap())
    };
    until("they are all known", async || said().await == (2, false)).await;
    let _held = walks(&server).await;
    until("it is too long ago", async || said().await == (2, true)).await;
    assert_eq!(preview().await["button"], "Requeue all that match, 2 or more");
}
