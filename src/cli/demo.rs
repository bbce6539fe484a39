//! `demo`: the whole product on this machine, with no keys.
//!
//! A private Postgres, an S3 server on a folder and a sample academy are made in one directory; the
//! real worker and the real HTTP server then do what they do in production. Running it again
//! continues what is there.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use rand::RngExt as _;
use serde_json::json;

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
    neighbours::{self, Missing},
    night::{self, Progress},
    output,
    run::{app, both},
    sim, sinks,
};
use crate::{
    config::{Secret, SpoolKind},
    http,
    local::{
        academy,
        postgres::{Cluster, Durability},
        s3_server::S3Server,
    },
    machine::Status,
    ops::{
        entrance::{self, Entrance},
        operations,
    },
    sim::{Faults, Server},
    store::{
        self, Store,
        academy::{Learner, with_tokens},
        night::Night,
        podcasts::Filter,
    },
    worker::{self, fleet::Fleet, shutdown::Shutdown},
};

/// The demo's database in its cluster.
const DATABASE: &str = "dailycast";

/// The sample academy is the same on every machine.
const SEED: i64 = 1;

/// Learners that are listed with their tokens.
const LISTED: i64 = 1_000;

/// How long a link to the dashboard waits to be used: as long as the log-in says of every link.
const LINK: Duration = Duration::from_secs(30 * 60);

/// Learners that are shown to people.
const SHOWN: usize = 3;

/// What the demo stands on. The order is that in which it is taken down.
struct Ground {
    store: Store,
    s3: S3Server,
    simulator: Option<Server>,
    _cluster: Cluster,
}

/// Runs the command.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run(args: args::Demo, mut context: Context) -> anyhow::Result<Exit> {
    let workflow = context.workflow()?;
    let address = context.config.http.listen;
    let mend = "stop what listens there, or choose another address with --listen";
    let bound =
        http::bind(address).await.context(Advice::usage(format!("nothing can be served on {address}"), mend))?;
    let ground = lay_ground(&args, &mut context).await?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("cannot listen for signals")?;

    let mut settings = neighbours::worker_settings(&context.config, &workflow);
    settings.alerts = Some(sinks::settings(&context.config)?);
    let schedule = neighbours::schedule(&context.config);
    let fleet = neighbours::fleet(&context.config, ground.store.clone(), &workflow);
    let gate = Arc::<Fleet>::clone(&fleet);
    let steps = neighbours::steps(&context.config, ground.store.clone(), workflow, gate).await?;
    let app = app(&context, &ground.store, &bound, shutdown.token()).await?;
    let base = app.settings.public_url.clone();
    let working = worker::run(ground.store.clone(), settings, Arc::new(steps), shutdown.clone());
    let story = tell(args, &context, ground.store.clone(), schedule, base, shutdown.clone());
    let (told, served) = tokio::join!(story, both(bound, app, working, &shutdown));
    fleet.end().await;
    if let Some(simulator) = ground.simulator {
        simulator.stop().await;
    }
    ground.s3.stop().await;
    ground.store.close().await;
    served?;
    told
}

/// Starts what the demo stands on and points the settings at it.
async fn lay_ground(args: &args::Demo, context: &mut Context) -> anyhow::Result<Ground> {
    std::fs::create_dir_all(&args.data).with_context(|| {
        Advice::usage(format!("{} cannot be made", args.data.display()), "name a directory with --data")
    })?;
    let data = args.data.canonicalize()?;
    let dir = data.join("postgres");
    let cluster = tokio::task::spawn_blocking(move || Cluster::open(&dir, Durability::On)).await??;
    eprintln!("demo: audio and settings in {}, database in {}", data.display(), cluster.dir().display());
    cluster.create_database(DATABASE, None).await?;
    let s3 = S3Server::start(&data.join("s3"), ([127, 0, 0, 1], 0).into()).await?;
    point_settings(context, &cluster, &s3, &data);
    let simulator = if args.sim { Some(simulate(context).await?) } else { None };
    let store = context.database_at(&cluster.url(DATABASE)).await?;
    store::migrate(store.pool()).await?;
    academy::fill_sample(store.pool(), &context.config.academy.schema, args.learners, SEED).await?;
    neighbours::bucket(&context.config, Missing::Make)?
        .ready()
        .await
        .map_err(|failure| anyhow::anyhow!("the local S3 server does not answer: {failure}"))?;
    neighbours::expire_episodes(&context.config).await?;
    Ok(Ground { store, s3, simulator, _cluster: cluster })
}

/// Starts the simulated vendors and lets them do the work.
async fn simulate(context: &mut Context) -> anyhow::Result<Server> {
    let server = sim::start(([127, 0, 0, 1], 0).into(), Faults::demo()?).await?;
    sim::point_settings(&mut context.config, &server.url());
    eprintln!("demo: the vendors are simulated at {}, what they would bill at /sim/usage", server.url());
    Ok(server)
}

fn point_settings(context: &mut Context, cluster: &Cluster, s3: &S3Server, data: &Path) {
    let config = &mut context.config;
    config.database.url = Some(Secret::new(cluster.url(DATABASE)));
    config.storage.s3.endpoint_url = Some(s3.endpoint_url());
    config.storage.s3.force_path_style = true;
    config.storage.s3.access_key_id = Some(Secret::new(s3.keys().access_key_id.clone()));
    config.storage.s3.secret_access_key = Some(Secret::new(s3.keys().secret_access_key.clone()));
    config.storage.s3.session_token = None;
    config.storage.s3.credentials_expire_at = None;
    config.storage.cloudfront = None;
    // The spool of another database, whose podcasts have the same numbers, is not ours.
    config.spool.dir = data.join("demo-spool");
    config.spool.kind = SpoolKind::Disk;
    config.http.public_url = None;
    // A trial must not spend anything, whatever keys this machine has.
    let providers = &mut config.providers;
    for writer in [&mut providers.openai, &mut providers.gemini, &mut providers.anthropic] {
        writer.api_key = None;
    }
    providers.polly.access_key_id = None;
    (providers.google_tts.api_key, providers.google_tts.credentials_file) = (None, None);
    providers.azure_tts.key = None;
    providers.local_tts.enabled = true;
}

/// Runs tonight's night, tells what came of it, and says where to look. Ends the demo when it was
/// to be made once.
async fn tell(
    args: args::Demo,
    context: &Context,
    store: Store,
    schedule: worker::scheduler::Schedule,
    base: String,
    shutdown: Shutdown,
) -> anyhow::Result<Exit> {
    let story = async {
        let pool = store.pool();
        let date = schedule.date(store::night::now(pool).await?);
        night::start(pool, &schedule, date, "demo").await?;
        if !args.once {
            let link = link(&store, &base, Entrance::Ops, academy::SUPERUSER).await?;
            eprintln!("demo: watch the night in a browser, by a link that works once: {link}");
        }
        let tonight = Filter { date: Some(date), ..Filter::default() };
        operations::requeue_failed(&store, &schedule, tonight, "demo").await?;
        night::watch(pool, date, Progress::for_people()).await?;
        store::night::finish(pool).await?;
        let night = store::night::status(pool, date).await?;
        let learners = with_tokens(pool, LISTED).await?;
        let desk = [
            link(&store, &base, Entrance::Ops, academy::SUPERUSER).await?,
            link(&store, &base, Entrance::Ops, academy::STAFF).await?,
        ];
        let mut study = Vec::new();
        for learner in learners.iter().take(SHOWN) {
            study.push(link(&store, &base, Entrance::Study, learner.user_id).await?);
        }
        anyhow::Ok((night, learners, study, desk))
    };
    let told = tokio::select! {
        told = story => told,
        () = shutdown.asked() => {
            eprintln!("demo: stopped before the night was over; running it again goes on from here");
            return Ok(Exit::Failed);
        }
    };
    if args.once || told.is_err() {
        shutdown.ask();
    }
    let (night, learners, study, [operator, viewer]) = told?;
    if context.json {
        let urls = json!({
            "api": format!("{base}/api/dailycast/today/"),
            "study": study.first(),
            "health": format!("{base}/healthz"),
            "ops": operator,
            "ops_viewer": viewer,
            "s3": context.config.storage.s3.endpoint_url,
            "database": context.config.database.url.as_ref().map(Secret::expose),
        });
        output::json(&json!({ "night": night, "urls": urls, "learners": learners }))?;
    } else {
        describe(&night, &learners, &study, &base, context, args.once)?;
        if !args.once {
            output::line(
                "\nthe dashboard, by links that work once, within half an hour; the same command makes new ones:",
            )?;
            output::line(format!("  as somebody who may change things  {operator}"))?;
            output::line(format!("  as somebody who may look           {viewer}"))?;
        }
    }
    shutdown.asked().await;
    let is_well = night.unfinished() == 0 && night.with_status(Status::Failed) == 0;
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

/// A link that lets somebody of the sample academy in, once.
async fn link(store: &Store, base: &str, entrance: Entrance, user_id: i64) -> anyhow::Result<String> {
    let path = entrance::add(store.pool(), entrance, rand::rng().random(), user_id, LINK).await?;
    Ok(format!("{base}{path}"))
}

/// The end of the night in words, and what to try next.
fn describe(
    night: &Night,
    learners: &[Learner],
    study: &[String],
    base: &str,
    context: &Context,
    once: bool,
) -> anyhow::Result<()> {
    let failed = night.with_status(Status::Failed);
    output::line(format!(
        "night of {}: {} podcasts, {} finished, {failed} failed",
        night.date,
        night.enqueued,
        night.finished() - failed
    ))?;
    for failure in &night.failures {
        output::line(format!("  {} failed with {}", failure.count, failure.kind))?;
    }
    if once {
        return Ok(());
    }
    output::line(format!("\nserving at {base}; stop with Ctrl-C, and the same command goes on from here"))?;
    output::line(format!("the API is explained at {base}/docs"))?;
    output::line("\nlisten in a browser, by links that work once, within half an hour:")?;
    for (learner, link) in learners.iter().zip(study) {
        output::line(format!("  as {}  {link}", learner.name))?;
    }
    for learner in learners.iter().take(SHOWN) {
        output::line(format!("\n{}'s podcast of today:", learner.name))?;
        output::line(format!("  curl -H 'Authorization: Token {}' {base}/api/dailycast/today/", learner.token))?;
    }
    output::line("\nits \"audio_url\" plays in any browser or player")?;
    if let Some(url) = &context.config.database.url {
        output::line(format!(
            "\nlook inside while it serves, from a checkout or with the program in place of `cargo run --`:\n  DAILYCAST_DATABASE__URL='{}' cargo run -- podcast list",
            url.expose()
        ))?;
    }
    Ok(())
}
