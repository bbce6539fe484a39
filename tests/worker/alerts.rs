//! Alerts on a real database: what is raised, and what reaches a sink that refuses, hangs or was
//! away.

use std::sync::Arc;

use chrono::NaiveDate;
use dailycast::{
    alert::{Eye, deliver, rules::Limits},
    provider::alert_sink::{
        AlertSink,
        mail::{Mail, Server},
        webhook::Webhook,
    },
    store::{
        alerts::{self, Notice},
        deliveries::{self, Delivery},
    },
};
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{
    engine::TestNight,
    post::{Manners, PostOffice},
    vendor::{Asked, Reply, Vendor},
};

mod rules;

const LIMITS: Limits = Limits { running: 0.10, night: 0.05 };

fn ok() -> Reply {
    Reply::text(200, "text/plain", "ok")
}

fn webhook(vendor: &Vendor) -> Vec<Arc<dyn AlertSink>> {
    vec![Arc::new(Webhook::new(vendor.url()).unwrap())]
}

fn raise(subject: &str) -> Notice {
    Notice::Raise { kind: "stuck", subject: subject.to_owned(), message: format!("{subject} is ill"), times: 1 }
}

fn resolve(subject: &str) -> Notice {
    Notice::Resolve { kind: "stuck", subject: subject.to_owned() }
}

/// Takes the rests of the sinks and the calm of the causes as over.
async fn later(night: &TestNight) {
    night
        .execute(
            "update dailycast.alert_sink set next_try_at = 'epoch';
             update dailycast.alert_delivery set due_at = now() where due_at > now();
             update dailycast.alert set resolved_at = resolved_at - interval '1 hour' where resolved_at is not null",
        )
        .await;
}

/// Delivers until there is nothing left that could be.
async fn deliver_all(night: &TestNight, sinks: &[Arc<dyn AlertSink>]) {
    // The first round makes the sinks known.
    deliver::round(night.pool(), sinks).await.unwrap();
    for _ in 0..20 {
        later(night).await;
        if deliver::round(night.pool(), sinks).await.unwrap() == 0 {
            return;
        }
    }
    panic!("there is no end of it");
}

async fn told(night: &TestNight) -> Vec<Delivery> {
    let ids: Vec<i64> = alerts::list(night.pool(), true, 100).await.unwrap().iter().map(|alert| alert.id).collect();
    deliveries::of(night.pool(), &ids).await.unwrap()
}

/// What arrived: state and subject.
fn arrived(vendor: &Vendor) -> Vec<(String, String)> {
    let facts = |asked: &Asked| asked.json()["metadata"]["event_payload"].clone();
    let text = |facts: &Value, key: &str| facts[key].as_str().unwrap().to_owned();
    vendor.asked().iter().map(facts).map(|facts| (text(&facts, "state"), text(&facts, "subject"))).collect()
}

fn pair(state: &str, subject: &str) -> (String, String) {
    (state.to_owned(), subject.to_owned())
}

#[tokio::test]
async fn a_cause_is_told_once_and_so_is_its_end() {
    let night = TestNight::new().await;
    let vendor = Vendor::playing(vec![ok()]).await;
    let sinks = webhook(&vendor);
    deliver::round(night.pool(), &sinks).await.unwrap();
    for _ in 0..3 {
        alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    }
    deliver_all(&night, &sinks).await;
    assert_eq!(arrived(&vendor), [pair("raised", "a")]);
    alerts::write(&night.store, vec![resolve("a")]).await.unwrap();
    night.execute("update dailycast.alert_sink set next_try_at = 'epoch'").await;
    assert_eq!(deliver::round(night.pool(), &sinks).await.unwrap(), 0, "its end is not certain yet");
    deliver_all(&night, &sinks).await;
    assert_eq!(arrived(&vendor), [pair("raised", "a"), pair("resolved", "a")]);
    alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    deliver_all(&night, &sinks).await;
    assert_eq!(arrived(&vendor).len(), 3, "long after its end the same cause is a new alert");
    assert_eq!(alerts::list(night.pool(), true, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_comes_and_goes_is_one_alert() {
    let night = TestNight::new().await;
    let vendor = Vendor::playing(vec![ok()]).await;
    let sinks = webhook(&vendor);
    deliver::round(night.pool(), &sinks).await.unwrap();
    for _ in 0..5 {
        alerts::write(&night.store, vec![raise("a")]).await.unwrap();
        night.execute("update dailycast.alert_sink set next_try_at = 'epoch'").await;
        deliver::round(night.pool(), &sinks).await.unwrap();
        alerts::write(&night.store, vec![resolve("a")]).await.unwrap();
    }
    alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    deliver_all(&night, &sinks).await;
    assert_eq!(arrived(&vendor), [pair("raised", "a")]);
    let all = alerts::list(night.pool(), true, 9).await.unwrap();
    assert_eq!((all.len(), all[0].times, all[0].resolved_at), (1, 6, None));
}

#[tokio::test]
async fn what_was_over_before_its_sink_came_back_is_one_message_and_what_was_noted_is_none() {
    let night = TestNight::new().await;
    let ill = Vendor::playing(vec![Reply::text(503, "text/plain", "later")]).await;
    deliver::round(night.pool(), &webhook(&ill)).await.unwrap();
    alerts::write(&night.store, vec![raise("over"), raise("noted"), raise("open")]).await.unwrap();
    for _ in 0..4 {
        later(&night).await;
        assert_eq!(deliver::round(night.pool(), &webhook(&ill)).await.unwrap(), 1, "one message is enough to see");
    }
    alerts::write(&night.store, vec![resolve("over")]).await.unwrap();
    let noted = alerts::list(night.pool(), false, 9).await.unwrap();
    let noted = noted.iter().find(|alert| alert.subject == "noted").unwrap().id;
    alerts::acknowledge(night.pool(), &[noted], "a test").await.unwrap();
    let well = Vendor::playing(vec![ok()]).await;
    deliver_all(&night, &webhook(&well)).await;
    let mut all = arrived(&well);
    all.sort();
    assert_eq!(all, [pair("raised", "open"), pair("resolved", "over")]);
    assert!(told(&night).await.iter().all(|delivery| delivery.sent_at.is_some()));
}

#[tokio::test]
async fn a_sink_that_asks_for_time_gets_it_and_one_that_is_gone_is_given_up() {
    let night = TestNight::new().await;
    let busy = Vendor::playing(vec![Reply::text(429, "text/plain", "").with("retry-after", "120"), ok()]).await;
    deliver::round(night.pool(), &webhook(&busy)).await.unwrap();
    alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    assert_eq!(deliver::round(night.pool(), &webhook(&busy)).await.unwrap(), 1);
    let waits =
        "select next_try_at between now() + interval '100 s' and now() + interval '120 s' from dailycast.alert_sink";
    assert!(sqlx::query_scalar::<_, bool>(waits).fetch_one(night.pool()).await.unwrap());
    assert_eq!(deliver::round(night.pool(), &webhook(&busy)).await.unwrap(), 0);
    deliver_all(&night, &webhook(&busy)).await;
    assert_eq!(arrived(&busy).len(), 2);

    let gone = Vendor::playing(vec![Reply::text(404, "text/plain", "no_service")]).await;
    alerts::write(&night.store, vec![raise("b")]).await.unwrap();
    deliver_all(&night, &webhook(&gone)).await;
    assert_eq!(gone.asked().len(), 1, "it is not asked again");
    let given_up = told(&night).await.pop().unwrap();
    assert!(given_up.given_up_at.is_some() && given_up.error.as_deref() == Some("the webhook answered 404"));
    assert_eq!(deliveries::troubled(night.pool()).await.unwrap().len(), 1, "doctor tells it");
    alerts::write(&night.store, vec![raise("c")]).await.unwrap();
    deliver_all(&night, &webhook(&busy)).await;
    assert!(deliveries::troubled(night.pool()).await.unwrap().is_empty(), "what arrived since shows that it is well");
}

#[tokio::test]
async fn news_that_are_a_day_old_are_given_up_but_not_those_of_an_open_alert() {
    let night = TestNight::new().await;
    let ill = Vendor::playing(vec![Reply::text(500, "text/plain", "")]).await;
    deliver::round(night.pool(), &webhook(&ill)).await.unwrap();
    alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    for tries in 1..=3 {
        night.execute("update dailycast.alert_delivery set created_at = now() - interval '25 h'").await;
        later(&night).await;
        deliver::round(night.pool(), &webhook(&ill)).await.unwrap();
        let told = told(&night).await.remove(0);
        assert_eq!((told.tries, told.given_up_at), (tries, None));
    }
    alerts::write(&night.store, vec![resolve("a")]).await.unwrap();
    night.execute("update dailycast.alert_delivery set created_at = now() - interval '25 h'").await;
    deliver_all(&night, &webhook(&ill)).await;
    assert_eq!(ill.asked().len(), 4, "tried once more");
    assert!(told(&night).await.iter().all(|delivery| delivery.given_up_at.is_some()));
}

/// A webhook that was moved, a password that was changed: an hour after it was refused an open
/// alert is told to the sink that was mended since. What is over, or was noted, is not.
#[tokio::test]
async fn what_was_refused_is_tried_again_while_it_is_open() {
    let night = TestNight::new().await;
    let gone = Vendor::playing(vec![Reply::text(404, "text/plain", "no_service")]).await;
    deliver::round(night.pool(), &webhook(&gone)).await.unwrap();
    alerts::write(&night.store, vec![raise("open"), raise("over"), raise("noted")]).await.unwrap();
    deliver_all(&night, &webhook(&gone)).await;
    assert_eq!(gone.asked().len(), 3);
    assert!(told(&night).await.iter().all(|delivery| delivery.given_up_at.is_some()));
    let noted = alerts::list(night.pool(), false, 9).await.unwrap();
    let noted = noted.iter().find(|alert| alert.subject == "noted").unwrap().id;
    alerts::acknowledge(night.pool(), &[noted], "a test").await.unwrap();
    alerts::write(&night.store, vec![resolve("over")]).await.unwrap();
    night.execute("delete from dailycast.alert_delivery where news = 'resolved'").await;

    let well = Vendor::playing(vec![ok()]).await;
    night.execute("update dailycast.alert_delivery set given_up_at = now() - interval '59 minutes'").await;
    deliver_all(&night, &webhook(&well)).await;
    assert!(well.asked().is_empty(), "before the hour is over");
    night.execute("update dailycast.alert_delivery set given_up_at = now() - interval '61 minutes'").await;
    // The first round only sees that the hour is over.
    deliver::round(night.pool(), &webhook(&well)).await.unwrap();
    deliver_all(&night, &webhook(&well)).await;
    assert_eq!(arrived(&well), [pair("raised", "open")]);
}

#[tokio::test]
async fn one_mailbox_that_is_refused_keeps_nobody_else_from_being_told() {
    let night = TestNight::new().await;
    let office =
        PostOffice::with(Manners { refuses: Some(("gone@", "550 5.1.1 unknown")), ..Manners::default() }).await;
    let server = Server::new(&office.url(None), "dailycast@academy.example").unwrap();
    let mail = |to| -> Arc<dyn AlertSink> { Arc::new(Mail::new(server.clone(), to).unwrap()) };
    let sinks = [mail("gone@academy.example"), mail("ops@academy.example")];
    deliver::round(night.pool(), &sinks).await.unwrap();
    alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    deliver_all(&night, &sinks).await;
    let told = told(&night).await;
    assert_eq!(told[0].error.as_deref(), Some("the mail server refused with 550"));
    assert!(told[0].given_up_at.is_some() && told[1].sent_at.is_some(), "{told:?}");
    assert_eq!(office.letters().len(), 1);
}

#[tokio::test]
async fn two_that_both_think_they_lead_send_each_message_once() {
    let night = TestNight::new().await;
    let vendor = Vendor::playing(vec![ok()]).await;
    let sinks = webhook(&vendor);
    deliver::round(night.pool(), &sinks).await.unwrap();
    let subjects: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    alerts::write(&night.store, subjects.iter().map(|subject| raise(subject)).collect()).await.unwrap();
    for _ in 0..subjects.len() {
        night.execute("update dailycast.alert_sink set next_try_at = 'epoch'").await;
        join_all((0..4).map(|_| deliver::round(night.pool(), &sinks))).await;
    }
    deliver_all(&night, &sinks).await;
    let mut all: Vec<String> = arrived(&vendor).into_iter().map(|(_, subject)| subject).collect();
    all.sort();
    assert_eq!(all, subjects);
}

#[tokio::test]
async fn who_died_while_sending_holds_a_sink_only_for_its_lease() {
    let night = TestNight::new().await;
    let vendor = Vendor::playing(vec![ok()]).await;
    let sinks = webhook(&vendor);
    deliver::round(night.pool(), &sinks).await.unwrap();
    alerts::write(&night.store, vec![raise("a")]).await.unwrap();
    let lost = deliveries::lease(night.pool(), "webhook", deliver::LEASE).await.unwrap().unwrap();
    later(&night).await;
    assert_eq!(deliver::round(night.pool(), &sinks).await.unwrap(), 0);
    night.execute("update dailycast.alert_sink set leased_until = now()").await;
    deliver_all(&night, &sinks).await;
    assert_eq!(arrived(&vendor), [pair("raised", "a")]);
    // The one thought dead wakes up and says that it failed: it is no longer asked.
    let missed = deliveries::Missed { error: "late", is_final: true, patience: deliver::LEASE, rest: deliver::LEASE };
    deliveries::missed(night.pool(), "webhook", &lost, &missed).await.unwrap();
    assert!(told(&night).await[0].sent_at.is_some());
}

#[tokio::test]
async fn without_sinks_nothing_piles_up_and_a_new_sink_hears_what_is_open() {
    let night = TestNight::new().await;
    deliver::round(night.pool(), &[]).await.unwrap();
    alerts::write(&night.store, vec![raise("open"), raise("over")]).await.unwrap();
    alerts::write(&night.store, vec![resolve("over")]).await.unwrap();
    deliver::round(night.pool(), &[]).await.unwrap();
    assert_eq!(alerts::list(night.pool(), true, 9).await.unwrap().len(), 2);
    assert!(told(&night).await.is_empty());
    let vendor = Vendor::playing(vec![ok()]).await;
    deliver_all(&night, &webhook(&vendor)).await;
    assert_eq!(arrived(&vendor), [pair("raised", "open")]);
    alerts::write(&night.store, vec![raise("more")]).await.unwrap();
    deliver::round(night.pool(), &[]).await.unwrap();
    assert_eq!(told(&night).await.len(), 1, "what was to be told to a sink that is no more is forgotten");
}

/// Ends podcasts of a night as the engine would.
async fn fail(night: &TestNight, from: &str, kind: &str, podcasts: i64) {
    let failed = format!(
        "with gone as (
             update dailycast.daily_podcast
             set status = 'failed', finished_at = now(), error_kind = '{kind}', error_message = 'a test'
             where id in (select id from dailycast.daily_podcast where finished_at is null order by id limit {podcasts})
             returning id
         )
         insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, error_kind)
         select id, 'gave_up', '{from}', 'failed', '{kind}' from gone"
    );
    assert_eq!(night.execute(&failed).await as i64, podcasts);
}

async fn look(eye: &mut Eye, night: &TestNight) -> Vec<(&'static str, bool)> {
    let nobody = |_| None::<NaiveDate>;
    let news = eye.look(&night.store, &LIMITS, nobody).await.unwrap();
    let mut news: Vec<_> = news
        .iter()
        .map(|notice| match notice {
            Notice::Raise { kind, .. } => (*kind, true),
            Notice::Resolve { kind, .. } => (*kind, false),
        })
        .collect();
    news.sort_unstable();
    news
}

#[tokio::test]
async fn a_night_that_fails_raises_one_alert_per_cause_and_requeueing_ends_them() {
    let night = TestNight::new().await.enqueued(40).await;
    night
        .execute(
            "insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, enqueued_at)
             select distinct date, 'running', 'test', now(), deadline_at, now() from dailycast.daily_podcast",
        )
        .await;
    let mut eye = Eye::default();
    fail(&night, "pending_upload", "storage_unavailable", 19).await;
    assert_eq!(look(&mut eye, &night).await, [("upload_failed", true)], "nineteen are too few for a share");
    fail(&night, "audio_generating", "no_voice", 1).await;
    assert_eq!(look(&mut eye, &night).await, [("failure_rate_running", true), ("speech_chain_failed", true)]);
    fail(&night, "pending_upload", "storage_unavailable", 1).await;
    assert!(look(&mut eye, &night).await.is_empty(), "one more is no news");
    let open = alerts::open(night.pool(), &["upload_failed"]).await.unwrap();
    assert_eq!((open.len(), open[0].times), (1, 20));
    assert!(open[0].message.starts_with("20 podcasts of "), "{}", open[0].message);
    night.execute("update dailycast.night set state = 'finished', finished_at = now()").await;
    assert_eq!(look(&mut eye, &night).await, [("failure_rate_night", true), ("failure_rate_running", false)]);
    let requeue = "update dailycast.daily_podcast set status = 'pending', finished_at = null, error_kind = null
                   where status = 'failed'";
    assert_eq!(night.execute(requeue).await, 21);
    let over = [("failure_rate_night", false), ("speech_chain_failed", false), ("upload_failed", false)];
    assert_eq!(look(&mut eye, &night).await, over);
    assert!(alerts::list(night.pool(), false, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_late_waits_for_room_or_was_left_out_is_told() {
    let night = TestNight::new().await.enqueued(2).await;
    let worker = crate::store::claim::register(&night).await;
    night
        .execute(&format!(
            "insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, started_at)
             select date, 'enqueuing', 'test', now(), deadline_at, now() - interval '31 minutes'
             from dailycast.daily_podcast limit 1;
             update dailycast.daily_podcast set error_kind = 'spool_full' where id = 1;
             insert into dailycast.podcast_event (podcast_id, event, to_status, error_kind, worker_id)
             select 1, 'attempt_failed', 'script_generated', 'spool_full', {worker} from generate_series(1, 3)"
        ))
        .await;
    let mut eye = Eye::default();
    assert_eq!(look(&mut eye, &night).await, [("night_late", true), ("spool_full", true)]);
    night
        .execute(
            "update dailycast.night set state = 'running', enqueued_at = now();
             update dailycast.daily_podcast set error_kind = null",
        )
        .await;
    assert_eq!(look(&mut eye, &night).await, [("night_late", false), ("spool_full", false)]);
    night
        .execute(
            "update dailycast.night set deadline_at = now() - interval '11 minutes';
             update dailycast.night set enqueued_at = deadline_at - interval '1 minute';
             update dailycast.daily_podcast set deadline_at = now() - interval '11 minutes' where id = 1",
        )
        .await;
    look(&mut eye, &night).await;
    let late = alerts::open(night.pool(), &["night_late"]).await.unwrap().remove(0);
    assert!(late.message.contains("did not end by its deadline: 1 podcast should be over and is not"), "{late:?}");

    let tomorrow = night.deadline_at.date_naive() + chrono::Days::new(2);
    let news = eye.look(&night.store, &LIMITS, |_| Some(tomorrow)).await.unwrap();
    assert!(
        matches!(&news[..], [Notice::Raise { kind: "night_late", subject, .. }] if *subject == tomorrow.to_string())
    );
}
