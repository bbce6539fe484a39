//! Journeys of people with a real browser: Chromium, driven by the scripts of this folder against
//! real processes of the program. What must hold on every page is in `page.cjs`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use dailycast::{
    clock::{Clock as _, SystemClock},
    ops::entrance::{self, Entrance},
    sim::{Faults, Server, Settings},
};
use sqlx::AssertSqlSafe;
use tokio::process::Command;

use crate::support::{ground::Ground, installed, until};

/// The longest that one journey may take, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(240);

/// What drives the browser.
fn packages() -> PathBuf {
    let packages = installed("browser");
    assert!(
        packages.join("package.json").is_file(),
        "the browser's packages are not installed: `cargo xtask test` installs them"
    );
    packages
}

/// Runs the journey of a file of this folder to its end.
async fn journey(name: &str, base: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.cjs")).arg(name);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", std::env::temp_dir());
    command.env("BROWSER_PACKAGES", packages()).env("BASE", base).envs(variables.iter().copied());
    // Where somebody wants to see the pages: a folder that is there.
    command.envs(std::env::var_os("PICTURES").map(|folder| ("PICTURES", folder)));
    let ended = tokio::time::timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{name}: the journey does not end")).unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Tokens of the sample academy: who may change things, who may look, who is a learner.
async fn people(ground: &Ground) -> [(&'static str, String); 3] {
    let token = async |condition: &str| {
        let query = format!("select token from academy.sample_learner where {condition} order by user_id limit 1");
        sqlx::query_scalar::<_, String>(AssertSqlSafe(query)).fetch_one(ground.pool()).await.unwrap()
    };
    [
        ("OPERATOR", token("is_superuser").await),
        ("VIEWER", token("is_staff and not is_superuser").await),
        ("LEARNER", token("not is_staff and not is_superuser and is_active").await),
    ]
}

/// The same as [`journey`] for people of the ground's academy, with where its episodes are.
async fn visit(name: &str, ground: &Ground, base: &str, more: &[(&str, &str)]) {
    let people = people(ground).await;
    let store = ground.store_url();
    let mut variables: Vec<(&str, &str)> = people.iter().map(|(name, token)| (*name, token.as_str())).collect();
    variables.push(("STORE", &store));
    variables.extend(more);
    journey(name, base, &variables).await;
}

/// A night of `learners` of which the first `failed` were given up for a timeout, the others because
/// their content was refused.
async fn failed_night(learners: u32, failed: u32) -> Ground {
    let mut ground = Ground::new(learners).await;
    ground.shorten_episodes();
    ground.start_night().await;
    ground
        .execute(&format!(
            "with gone as (
                 update dailycast.daily_podcast set status = 'failed', finished_at = now(), attempt = 5,
                     error_kind = case when id <= {failed} then 'timeout' else 'content_refused' end,
                     error_message = 'no answer within 60 s'
                 returning id, error_kind
             ), lines as (
                 insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, error_kind, provider, detail)
                 select id, 'gave_up', 'pending', 'failed', error_kind, 'openai', 'no answer within 60 s' from gone
             )
             delete from apalis.jobs where idempotency_key in (select id::text from gone)"
        ))
        .await;
    ground
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_come_in_is_let_in() {
    let ground = Ground::new(3).await;
    let (server, base) = ground.server().await;
    let link = async |entrance, byte, condition: &str| {
        let query = format!("select user_id from academy.sample_learner where {condition} order by user_id limit 1");
        let user_id: i64 = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(ground.pool()).await.unwrap();
        entrance::add(ground.pool(), entrance, [byte; 32], user_id, entrance::LIFE).await.unwrap()
    };
    let operators = link(Entrance::Ops, 1, "is_superuser").await;
    let learners = link(Entrance::Study, 2, "is_active").await;
    let links = [("OPERATORS_LINK", operators.as_str()), ("LEARNERS_LINK", learners.as_str())];
    visit("log_in", &ground, &base, &links).await;
    ground.stop(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_goes_from_nothing_to_done() {
    let mut ground = Ground::new(6).await;
    ground.shorten_episodes();
    let (_server, base) = ground.server().await;
    let worker = ground.worker("w-1");
    visit("night", &ground, &base, &[("LEARNERS", "6")]).await;
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.assert_all_is_well(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_podcast_is_understood_and_mended() {
    let mut ground = Ground::new(1).await;
    // Long enough that the worker is frozen in the middle of its work.
    let faults = Faults::parse("[latency]\nscript = 3.0").unwrap();
    let simulator = Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap();
    ground.point_at(&simulator);
    let (_server, base) = ground.server().await;
    ground.start_night().await;
    let frozen = ground.worker("w-frozen");
    ground.until_busy(&frozen).await;
    frozen.freeze().await;
    let is_stuck = "dailycast.is_stuck(daily_podcast)";
    until("it is stuck", async || ground.count("daily_podcast", is_stuck).await == 1).await;

    let mended = async {
        let is_over = "state = 'finished'";
        until("it is requeued", async || ground.count("operation", is_over).await == 1).await;
        ground.worker("w-next")
    };
    let variables = [("PODCAST", "1"), ("WORKER", "w-frozen")];
    let (next, ()) = tokio::join!(mended, visit("stuck", &ground, &base, &variables));
    frozen.kill().await;
    until("the dead is signed off", async || ground.count("worker", "stopped_at is null").await == 1).await;
    ground.stop(next).await;
    ground.assert_all_are_made(1).await;
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_failed_of_one_cause_is_requeued() {
    let ground = failed_night(8, 5).await;
    let (_server, base) = ground.server().await;
    let worker = ground.worker("w-1");
    let variables = [("CAUSE", "timeout"), ("FAILED", "5"), ("OTHER_CAUSE", "content_refused")];
    visit("failures", &ground, &base, &variables).await;
    ground.until_finished().await;
    assert_eq!(ground.count("daily_podcast", "status = 'completed_with_fallback'").await, 5);
    assert_eq!(ground.count("daily_podcast", "status = 'failed' and error_kind = 'content_refused'").await, 3);
    ground.stop(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_podcast_plays_on_while_pages_change() {
    let ground = Ground::new(3).await;
    let (_server, base) = ground.server().await;
    ground.start_night().await;
    let worker = ground.worker("w-1");
    ground.until_finished().await;
    ground.stop(worker).await;
    let visited = visit("listen", &ground, &base, &[]);
    tokio::pin!(visited);
    let mut beat = tokio::time::interval(Duration::from_millis(300));
    loop {
        tokio::select! {
            () = &mut visited => break,
            _ = beat.tick() => {
                ground.execute("update dailycast.daily_podcast set cost_micro_usd = cost_micro_usd + 100").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_is_enough() {
    let ground = failed_night(4, 4).await;
    let (_server, base) = ground.server().await;
    visit("keyboard", &ground, &base, &[]).await;
    assert_eq!(ground.count("daily_podcast", "status = 'pending'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_without_script() {
    let ground = failed_night(4, 4).await;
    let (_server, base) = ground.server().await;
    visit("no_script", &ground, &base, &[]).await;
    assert_eq!(ground.count("daily_podcast", "status = 'pending'").await, 1);
    assert_eq!(ground.count("audit", "action in ('pause', 'resume')").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_anything_to_complain_about_on_any_page() {
    let ground = failed_night(9, 3).await;
    let (_server, base) = ground.server().await;
    let worker = ground.worker("w-1");
    let requeued = ground.run(&["podcast", "requeue", "7", "8", "9"]).await;
    assert!(requeued.status.success(), "{}", String::from_utf8_lossy(&requeued.stderr));
    ground.until_finished().await;
    ground.stop(worker).await;
    let pages = "/ops/podcasts/1 /ops/podcasts/9 /ops/podcasts?stuck=yes /ops/operations/1 \
                 /ops/operations/new?verb=requeue&status=failed /ops/operations/new?verb=cancel&id=1";
    visit("every_page", &ground, &base, &[("PAGES", &pages.split_whitespace().collect::<Vec<_>>().join(" "))]).await;
}

/// The token of the `number`-th learner who has a podcast, from 0.
async fn hearer(ground: &Ground, number: u32) -> String {
    let query = format!(
        "select token from academy.sample_learner
         where user_id in (select user_id from dailycast.daily_podcast) order by user_id limit 1 offset {number}"
    );
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(ground.pool()).await.unwrap()
}

/// A ground on which every learner has a podcast of today, in English, and heard nothing of it yet.
async fn morning(learners: u32, change: impl FnOnce(&mut Ground)) -> Ground {
    let mut ground = Ground::new(learners).await;
    change(&mut ground);
    ground.execute("update academy.sample_learner set languages = '{en}'").await;
    ground.start_night().await;
    let worker = ground.worker("w-1");
    ground.until_finished().await;
    ground.stop(worker).await;
    ground
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_goes_on_listening_on_another_device() {
    let ground = morning(1, |_| ()).await;
    let (_server, base) = ground.server().await;
    let hearer = hearer(&ground, 0).await;
    visit("study", &ground, &base, &[("HEARER", &hearer)]).await;
    assert_eq!(ground.count("listening", "liked_at is not null and share_hash is null").await, 1);
    // That of the shared episode, and two addresses of the feed.
    assert_eq!(ground.count("revoked_link", "true").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_podcast_yet_is_told_why_and_hears_the_latest() {
    let ground = morning(3, Ground::shorten_episodes).await;
    // What was made is of yesterday; today one is under way, one was given up, one was never begun.
    ground
        .execute(
            "update dailycast.daily_podcast set date = date - 1;
             insert into dailycast.daily_podcast (user_id, date, deadline_at)
                 select user_id, date + 1, now() + interval '1 hour' from dailycast.daily_podcast
                 order by user_id limit 2;
             update dailycast.daily_podcast set status = 'failed', error_kind = 'internal', finished_at = now()
                 where status = 'pending' and user_id = (select min(user_id) from dailycast.daily_podcast)",
        )
        .await;
    let (_server, base) = ground.server().await;
    let [missed, making, tomorrow] = [hearer(&ground, 0).await, hearer(&ground, 1).await, hearer(&ground, 2).await];
    let people = [("MISSED", missed.as_str()), ("MAKING", making.as_str()), ("TOMORROW", tomorrow.as_str())];
    visit("waiting", &ground, &base, &people).await;
    assert_eq!(ground.count("daily_podcast", "status = 'pending'").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_react_has_the_podcast_with_one_tag() {
    // Somebody else's port for a moment; nobody takes it before the journey does.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = format!("http://127.0.0.1:{port}");
    let ground = morning(1, |ground| ground.set("http.cors_origins", &site)).await;
    let (_server, base) = ground.server().await;
    let hearer = hearer(&ground, 0).await;
    visit("react", &ground, &base, &[("HEARER", &hearer), ("SITE", &site)]).await;
}
