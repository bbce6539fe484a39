//! What is on a learner's page, for a learner who allows no script as well.

use super::{
    study::{cookie, get, page, run, status},
    support::{TOKEN, TestServer},
};

#[tokio::test]
async fn the_page_lists_what_can_be_heard_in_the_learners_language() {
    let server = TestServer::start().await;
    let today = server.podcast(7, "2026-11-22", "completed").await;
    let heard = server.podcast(7, "2026-11-21", "completed_with_fallback").await;
    let begun = server.podcast(7, "2026-11-20", "completed").await;
    let waiting = server.podcast(7, "2026-11-19", "pending_upload").await;
    for (date, status) in [("2026-11-18", "failed"), ("2026-11-17", "pending"), ("2026-10-01", "completed")] {
        server.podcast(7, date, status).await;
    }
    let foreign = server.podcast(8, "2026-11-21", "completed").await;
    run(
        &server,
        &format!(
            "update dailycast.daily_podcast set title = '<script>alert(1)</script>' where id = {begun};
             insert into dailycast.listening (podcast_id, position_ms, heard_at, liked_at)
                 values ({heard}, 242000, now(), now()), ({begun}, 30000, now(), null)"
        ),
    )
    .await;
    let cookie = cookie(&server, TOKEN).await;
    let html = page(&server, &cookie, "en").await;
    let listed: Vec<&str> = html.split("data-episode").skip(1).collect();
    assert_eq!(listed.len(), 4, "{html}");
    assert!(listed[0].contains("aria-current") && listed[0].contains("Today") && listed[0].contains("4 min"));
    assert!(listed[1].contains("Heard") && listed[1].contains("Liked"), "{}", listed[1]);
    assert!(listed[2].contains("Begun") && listed[2].contains("&lt;script&gt;"), "{}", listed[2]);
    assert!(html.contains(&format!("?episode={waiting}\"")));
    assert!(!html.contains(&format!("episode={foreign}\"")) && html.contains(&format!("episodes/{today}/audio")));
    assert!(html.contains("<h1>Hello</h1>"));

    for (language, date) in [
        ("en", "Saturday 21 November"),
        ("ja", "11月21日（土）"),
        ("es", "sábado, 21 de noviembre"),
        ("fr", "samedi 21 novembre"),
        ("de", "Samstag, 21. November"),
    ] {
        let html = page(&server, &cookie, language).await;
        assert!(html.contains(date) && html.contains(&format!("<html lang=\"{language}\">")), "{language}: {html}");
    }
    run(&server, "update academy.learner set display_name = ' A & <b> ', languages = '{sv,fr-CA}' where user_id = 7")
        .await;
    assert!(page(&server, &cookie, "de").await.contains("<h1>Bonjour A &amp; &lt;b&gt;</h1>"));
    for wanted in ["9999999", "0", "-1", "x", "99999999999999999999999", "%F0%9F%92%A5"] {
        assert_eq!(status(&server, &format!("/study/dashboard?episode={wanted}"), &cookie).await, 200, "{wanted}");
    }
}

/// Who allows no script reads the words in the page.
#[tokio::test]
async fn a_long_list_is_folded_and_the_words_are_those_of_what_is_wanted() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for day in 10..22 {
        ids.push(server.podcast(7, &format!("2026-11-{day}"), "completed").await);
    }
    run(&server, "update dailycast.daily_podcast set script_text = E'Hello.\n\nThis is <' || id || '>.'").await;
    let words = |id: i64| format!("<p>This is &lt;{id}&gt;.</p>");
    let (oldest, newest) = (ids[0], ids[11]);
    let cookie = cookie(&server, TOKEN).await;
    let html = page(&server, &cookie, "en").await;
    let (shown, folded) = html.split_once("<summary>Older episodes").unwrap();
    assert_eq!([shown, folded].map(|part| part.matches("data-episode").count()), [10, 2], "{html}");
    assert!(!html.contains("<details open>") && html.contains(&words(newest)) && !html.contains(&words(oldest)));
    let wanted = get(&server, &format!("/study/dashboard?episode={oldest}"), &cookie).await.text().await.unwrap();
    let wanted = wanted.replace("&#x2f;", "/");
    assert!(wanted.contains("<details open>") && wanted.contains(&words(oldest)) && !wanted.contains(&words(newest)));
    let gone = get(&server, "/study/dashboard?episode=999999", &cookie).await.text().await.unwrap();
    assert!(!gone.contains("<p>This is"), "{gone}");
}
