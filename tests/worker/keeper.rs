//! Pruning and erasing while the engine works.

use std::sync::Arc;

use bytes::Bytes;
use dailycast::{
    machine::{RetryPolicy, Status},
    podcast::{Attempt, Failure, Outcome, Podcast},
    provider::object_store::ObjectStore as _,
    step::upload,
    store::{alerts, erasure, retention, today},
    worker::{Work, keeper},
};
use tokio::sync::Semaphore;

use crate::support::{
    engine::{Scripted, TestNight},
    objects::MemoryStore,
    traces, until,
};

/// Scripted steps whose upload puts an object once a permit is there.
struct Uploading {
    steps: Scripted,
    objects: Arc<MemoryStore>,
    gate: Semaphore,
}

impl Uploading {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { steps: Scripted::well(), objects: Arc::default(), gate: Semaphore::new(permits) })
    }

    fn objects_of(&self, user_id: i64) -> impl Future<Output = Result<u64, Failure>> {
        let objects = Arc::clone(&self.objects);
        async move { objects.delete_below(&upload::prefix_of(user_id)).await }
    }
}

impl Work for Uploading {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        let outcome = self.steps.advance(podcast, attempt).await;
        if podcast.status == Status::PendingUpload {
            self.gate.acquire().await.unwrap().forget();
            self.objects.put_once(&upload::object_key(podcast), Bytes::from_static(b"mp3")).await.unwrap();
        }
        outcome
    }

    fn retry_policy(&self, status: Status) -> RetryPolicy {
        self.steps.retry_policy(status)
    }

    fn time_limit(&self, status: Status) -> std::time::Duration {
        self.steps.time_limit(status)
    }

    async fn clean_up(&self, _: i64) {}

    async fn delete_objects_of(&self, user_id: i64) -> Result<u64, Failure> {
        self.objects_of(user_id).await
    }
}

/// The half hour between two passes is over.
async fn later(night: &TestNight) {
    night.execute("update dailycast.erasure set due_at = now(), found_at = found_at - interval '31 minutes'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_under_way_leaves_nothing_behind() {
    let night = TestNight::new().await;
    traces::tell_apart(night.pool()).await;
    let night = night.enqueued(3).await;
    night.execute(&format!("update dailycast.daily_podcast set user_id = {} where user_id = 1", traces::LEARNER)).await;
    let podcasts = traces::podcasts(night.pool()).await;
    let work = Uploading::new(0);
    let worker = night.worker(&work);
    until("all wait for the store", async || {
        night.count("status = 'pending_upload' and lease_token is not null").await == 3
    })
    .await;
    let pass = erasure::ask(night.pool(), &[traces::LEARNER], "an operator").await.unwrap()[0];
    let passed = keeper::erase(&night.store, pass, work.objects_of(traces::LEARNER)).await.unwrap();
    assert_eq!((passed.podcasts, passed.objects), (1, 0));
    work.gate.add_permits(3);
    until("all uploads have arrived", async || work.objects.len() == 3).await;
    night.done().await;
    worker.stop().await;

    // Whoever leads next goes on with it, pass by pass.
    later(&night).await;
    let next = night.worker(&work);
    until("the late object is gone", async || work.objects.len() == 2).await;
    next.stop().await;
    later(&night).await;
    let last = night.worker(&work);
    until("the learner is forgotten", async || erasure::list(night.pool(), 9).await.unwrap().0.is_empty()).await;
    last.stop().await;
    assert_eq!(traces::of_learner(night.pool(), &podcasts).await, Vec::<String>::new());
    night.assert_all_is_well().await;
    assert_eq!(night.count("status = 'completed_with_fallback'").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_academy_that_lost_its_learners_raises_an_alert_that_goes_by_itself() {
    let night = TestNight::new().await.enqueued(10).await;
    night.execute("create table aside as table academy.learner; delete from academy.learner").await;
    let work = Uploading::new(100);
    let alerts_open = async || {
        let open = alerts::list(night.pool(), false, 9).await.unwrap();
        open.iter().filter(|alert| alert.kind == "erasure_held" && alert.subject == "academy").count()
    };
    let worker = night.worker(&work);
    until("the alert is raised", async || alerts_open().await == 1).await;
    worker.stop().await;
    night.execute("insert into academy.learner table aside").await;
    let worker = night.worker(&work);
    until("it is resolved", async || alerts_open().await == 0).await;
    night.done().await;
    worker.stop().await;
    assert_eq!(work.objects.len(), 10);
    night.assert_all_is_well().await;
}

/// A learner whose rows cannot be deleted waits; those behind are erased, and nobody is tried
/// again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_fails_holds_up_no_other() {
    let night = TestNight::new().await.enqueued(2).await;
    night
        .execute(
            "create sequence public.tries;
             create function public.refuse() returns trigger language plpgsql as
                 $$ begin perform nextval('public.tries'); raise exception 'a test'; end $$;
             create trigger refuse before delete on dailycast.daily_podcast for each row when (old.user_id = 1)
             execute function public.refuse()",
        )
        .await;
    // More than are read at once.
    let learners: Vec<i64> = (1..=40).collect();
    erasure::ask(night.pool(), &learners, "an operator").await.unwrap();
    night.execute("update dailycast.erasure set due_at = now() - interval '1 hour' where user_id = 1").await;
    let worker = night.worker(&Uploading::new(10));
    until("all others are gone", async || {
        let (on_the_way, _) = erasure::list(night.pool(), 99).await.unwrap();
        on_the_way.iter().all(|learner| learner.user_id == 1 || learner.user_id == 2 && learner.podcasts == 1)
    })
    .await;
    night.done().await;
    worker.stop().await;
    assert!(erasure::due(night.pool(), 99).await.unwrap().is_empty(), "the first waits");
    let tries: i64 = sqlx::query_scalar("select last_value from public.tries").fetch_one(night.pool()).await.unwrap();
    assert_eq!((tries, night.count("user_id = 1").await), (1, 1));
}

/// A month of old podcasts goes while a night is made and learners listen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_goes_while_a_night_is_made_and_read() {
    const OLD: i64 = 6_000;
    const NEW: i64 = 300;
    let night = TestNight::new().await.enqueued(NEW).await;
    let today = night.deadline_at.date_naive();
    night
        .execute(&format!(
            "with old as (
                 insert into dailycast.daily_podcast (user_id, date, deadline_at)
                 select 1 + n % {NEW}, '{today}'::date - 32 - n / {NEW}, now() from generate_series(0, {OLD} - 1) n
                 returning id
             ), lines as (
                 insert into dailycast.podcast_event (podcast_id, event, to_status)
                 select id, 'enqueued', 'pending' from old cross join generate_series(1, 5)
             )
             insert into dailycast.provider_call
                 (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
             select id, 'test', 'test', 'script', '{{}}', 1, 1, 'ok' from old;
             update dailycast.daily_podcast set status = 'failed', error_kind = 'internal', finished_at = now()
             where date < '{today}'"
        ))
        .await;
    let work = Uploading::new(NEW as usize);
    let worker = night.worker(&work);
    let unfinished_or_old = format!("finished_at is null or date < '{today}'");
    let is_over = async || night.count(&unfinished_or_old).await == 0;
    let read = async {
        let mut reads = 0_i64;
        while !is_over().await {
            let user_id = 1 + reads % NEW;
            let expired = today - chrono::Days::new(30);
            let found = today::of_learner(night.store.reads(), user_id, today, expired).await.unwrap();
            assert!(found.podcast.is_some(), "learner {user_id} lost today's podcast");
            reads += 1;
        }
        reads
    };
    // Somebody else believes to lead as well.
    let other = async {
        let mut behind = None;
        while !is_over().await {
            behind = retention::prune(night.pool(), 30, 100, behind).await.unwrap().last;
        }
    };
    let (reads, ()) = tokio::time::timeout(std::time::Duration::from_secs(180), async { tokio::join!(read, other) })
        .await
        .expect("the night ends and the past goes");
    worker.stop().await;
    assert!(reads > 0);
    assert_eq!(night.count("status = 'completed_with_fallback'").await, NEW);
    assert_eq!(night.count("true").await, NEW);
    night.assert_all_is_well().await;
}

/// What was never finished ends by its deadline, and goes like the rest then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_podcast_that_was_never_finished_ends_and_goes() {
    let night = TestNight::new().await.enqueued(2).await;
    night
        .execute(
            "update dailycast.daily_podcast set date = date - 40, deadline_at = deadline_at - interval '40 days'
             where user_id = 1",
        )
        .await;
    let worker = night.worker(&Uploading::new(10));
    night.done().await;
    worker.stop().await;
    assert_eq!(work_of_learner_one(&night).await, (1, Some("deadline_passed".to_owned())));
    let next = night.worker(&Uploading::new(10));
    until("it is gone", async || night.count("user_id = 1").await == 0).await;
    next.stop().await;
    assert_eq!(night.count("true").await, 1);
    night.assert_all_is_well().await;
}

async fn work_of_learner_one(night: &TestNight) -> (i64, Option<String>) {
    sqlx::query_as(
        "select count(*), max(error_kind) from dailycast.daily_podcast where user_id = 1 and status = 'failed'",
    )
    .fetch_one(night.pool())
    .await
    .unwrap()
}
