//! An episode whose object may be gone from the store is offered to nobody, though its row may
//! still wait for the prune.

use reqwest::StatusCode;

use super::support::TestServer;

#[tokio::test]
async fn an_episode_is_offered_as_many_dates_as_is_said() {
    let server = TestServer::start_with(|settings| settings.retention_days = 3, None).await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let audio = format!("/api/dailycast/episodes/{id}/audio");
    for (now, is_offered) in [
        ("2026-11-22T10:00:00Z", true),
        ("2026-11-24T23:59:59Z", true),
        ("2026-11-25T00:00:00Z", false),
        ("2026-12-25T00:00:00Z", false),
    ] {
        server.clock.set(now);
        let today = server.today().await;
        assert_eq!(today["podcast"].is_object() || today["latest"].is_object(), is_offered, "{now}: {today}");
        let expected = if is_offered { StatusCode::FOUND } else { StatusCode::NOT_FOUND };
        assert_eq!(server.get(&audio).await.status(), expected, "{now}");
    }
}

/// The date is that of the night, in its zone.
#[tokio::test]
async fn dates_end_where_the_nights_are() {
    let server = TestServer::start_with(
        |settings| {
            settings.retention_days = 3;
            settings.time_zone = chrono_tz::Asia::Tokyo;
        },
        None,
    )
    .await;
    server.podcast(7, "2026-11-22", "completed").await;
    server.clock.set("2026-11-24T14:59:59Z");
    assert!(server.today().await["latest"].is_object());
    server.clock.set("2026-11-24T15:00:00Z");
    assert!(server.today().await["latest"].is_null());
}
