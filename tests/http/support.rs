//! A server with a database of its own, a store and a spool in memory, and a clock that is set by
//! hand.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use dailycast::{
    clock::Clock,
    config::Secret,
    http::{self, App, Door, Rates, Settings, SigningKey, Tokens},
    machine::FailureKind,
    ops::{self, Desk, providers::Chain, snapshot::Snapshots},
    podcast::Failure,
    provider::{
        object_store::{ObjectStore, Reading, StoredObject},
        spool::{ChunkName, Spool},
    },
    store::{self, Address, Reads, Store},
    workflow::Workflow,
};
use reqwest::{Method, RequestBuilder, Response, redirect::Policy};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::{database::TestDatabase, web};

/// The token of learner 7, who is active.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
/// The token of learner 8, who is active.
pub const FOREIGN: &str = "89abcdef0123456789abcdef0123456789abcdef";
/// The token of learner 9, who is not active.
pub const INACTIVE: &str = "fedcba9876543210fedcba9876543210fedcba98";
/// The token of machines at the operators' API.
pub const OPS_TOKEN: &str = "a token of machines with 32 letters and more";
/// The signing secret of the server.
pub const SECRET: &[u8] = b"thirty-two bytes for the signing";

/// A clock that is set by hand; it can be broken.
pub struct HandClock {
    now: Mutex<DateTime<Utc>>,
    broken: AtomicBool,
}

impl HandClock {
    pub fn set(&self, now: &str) {
        *self.now.lock().unwrap() = now.parse().unwrap();
    }

    pub fn break_it(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        assert!(!self.broken.load(Ordering::SeqCst), "the clock fell from /the/wall.rs");
        *self.now.lock().unwrap()
    }
}

/// A store that signs, or refuses to.
#[derive(Default)]
pub struct MemoryStore {
    pub refuses: AtomicBool,
    /// When what signs ends; after that it refuses.
    pub ends: Mutex<Option<DateTime<Utc>>>,
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_once(&self, _key: &str, _mp3: Bytes) -> Result<StoredObject, Failure> {
        unreachable!("the server uploads nothing")
    }

    async fn sign(&self, key: &str, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<String, Failure> {
        if self.refuses.load(Ordering::SeqCst) || self.signs_until().is_some_and(|end| end <= now) {
            return Err(Failure::new(FailureKind::StorageUnavailable, "no credentials"));
        }
        Ok(format!("https://store.example/{key}?ttl={}&signature=of-the-store", (until - now).num_seconds()))
    }

    /// Every object is as long as it has to be.
    async fn read(&self, _key: &str, part: std::ops::Range<usize>) -> Result<Reading, Failure> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Failure::new(FailureKind::StorageUnavailable, "no answer"));
        }
        Ok(Box::new(std::io::Cursor::new(vec![b'x'; part.len()])))
    }

    fn signs_until(&self) -> Option<DateTime<Utc>> {
        *self.ends.lock().unwrap()
    }

    async fn delete_below(&self, _prefix: &str) -> Result<u64, Failure> {
        unreachable!("the server deletes nothing")
    }

    async fn ready(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A spool of finished episodes.
#[derive(Default)]
pub struct MemorySpool(pub Mutex<HashMap<String, Bytes>>);

#[async_trait]
impl Spool for MemorySpool {
    async fn put_chunk(&self, _name: ChunkName, _mp3: Bytes) -> Result<(), Failure> {
        unreachable!("the server speaks nothing")
    }

    async fn chunk(&self, _name: ChunkName) -> Result<Option<Bytes>, Failure> {
        unreachable!("the server plays whole episodes")
    }

    async fn put_episode(&self, _podcast_id: i64, _mp3: Bytes) -> Result<String, Failure> {
        unreachable!("the server speaks nothing")
    }

    async fn episode(&self, spool_ref: &str) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.lock().unwrap().get(spool_ref).cloned())
    }

    async fn forget(&self, _podcast_id: i64) -> Result<(), Failure> {
        unreachable!("the server deletes nothing")
    }

    async fn podcasts(&self) -> Result<Vec<i64>, Failure> {
        unreachable!("the server sweeps nothing")
    }

    async fn has_room(&self) -> bool {
        true
    }
}

/// A desk with no limits set, a night at three and `ops.token` [`OPS_TOKEN`].
fn desk(url: &str) -> Desk {
    let address = Address { url: url.to_owned(), academy_schema: "academy".to_owned(), max_connections: 6 };
    Desk {
        store: Store::new(&address).unwrap(),
        schedule: crate::store::nights::schedule(100),
        limits: Workflow::builtin().unwrap().limits().clone(),
        chains: vec![Chain {
            work: "script",
            plans: vec!["free".to_owned(), "premium".to_owned()],
            providers: ["openai", "gemini", "template"].map(str::to_owned).to_vec(),
        }],
        paces: BTreeMap::new(),
        workflow: Arc::new(Workflow::builtin().unwrap()),
        boards: Snapshots::default(),
        carrying: tokio::sync::Semaphore::new(1),
        ledgers: Snapshots::default(),
        stuck: Snapshots::default(),
        settings: ops::Settings {
            token: Some(Secret::new(OPS_TOKEN.to_owned())),
            budget_micro_usd: None,
            failure_rate_running: 0.10,
            failure_rate_night: 0.05,
            retention_days: 30,
        },
        failures: Snapshots::resting(Duration::ZERO),
    }
}

/// A server that runs until it is dropped.
pub struct TestServer {
    pub url: String,
    pub db: PgPool,
    pub clock: Arc<HandClock>,
    pub store: Arc<MemoryStore>,
    pub spool: Arc<MemorySpool>,
    pub key: SigningKey,
    pub reads: Reads,
    /// All connections, for what operators and workers do.
    pub all: Store,
    client: reqwest::Client,
    shutdown: CancellationToken,
    _database: TestDatabase,
}

impl TestServer {
    /// A server at 10:00 UTC on 22 November 2026, with three learners and no podcast.
    pub async fn start() -> Self {
        Self::start_with(|_| {}, None).await
    }

    /// The same with other settings, or with another database.
    pub async fn start_with(change: impl FnOnce(&mut Settings), reads: Option<Reads>) -> Self {
        let database = TestDatabase::migrated_by("http_learners", migrate).await;
        Self::start_on(database, change, reads).await
    }

    /// The same on a database that is there, reached by `reads`.
    pub async fn start_on(database: TestDatabase, change: impl FnOnce(&mut Settings), reads: Option<Reads>) -> Self {
        let reads = reads.unwrap_or_else(|| database.reads());
        let db = database.pool.clone();
        let clock = HandClock { now: Mutex::default(), broken: AtomicBool::new(false) };
        clock.set("2026-11-22T10:00:00Z");
        let (clock, store, spool) =
            (Arc::new(clock), Arc::new(MemoryStore::default()), Arc::new(MemorySpool::default()));
        let key = SigningKey::new(SECRET);
        let bound = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", bound.address());
        let mut settings = Settings {
            public_url: url.clone(),
            time_zone: chrono_tz::UTC,
            url_ttl: Duration::from_secs(3600),
            retention_days: 30,
            cors_origins: Vec::new(),
            rate_per_minute: 300,
            max_connections: 100,
            metrics: true,
        };
        change(&mut settings);
        let shutdown = CancellationToken::new();
        let desk = desk(&database.url);
        let all = desk.store.clone();
        let app = App {
            reads: reads.clone(),
            tokens: Tokens::default(),
            door: Door::default(),
            rates: Rates::new(settings.rate_per_minute, clock.clone()),
            store: store.clone(),
            spool: spool.clone(),
            clock: clock.clone(),
            signing_key: key.clone(),
            desk: Arc::new(desk),
            ending: shutdown.clone(),
            settings,
        };
        tokio::spawn(http::serve(bound, Arc::new(app), shutdown.clone()));
        let client = web().redirect(Policy::none()).build().unwrap();
        Self { url, db, clock, store, spool, key, reads, all, client, shutdown, _database: database }
    }

    /// A request without a token; `path` may be a whole address.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) };
        self.client.request(method, url)
    }

    /// `GET` by learner 7.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).header("Authorization", format!("Token {TOKEN}")).send().await.unwrap()
    }

    /// Today's answer for learner 7, which has to be 200.
    pub async fn today(&self) -> serde_json::Value {
        let response = self.get("/api/dailycast/today/").await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// An episode of `user_id` for `date` that has come to `status`, in the ways of the machine.
    pub async fn podcast(&self, user_id: i64, date: &str, status: &str) -> i64 {
        let date: NaiveDate = date.parse().unwrap();
        let id: i64 = sqlx::query_scalar(
            "insert into dailycast.daily_podcast (user_id, date, deadline_at, title, topic) \
             values ($1, $2, now(), 'A title', 'A topic') returning id",
        )
        .bind(user_id)
        .bind(date)
        .fetch_one(&self.db)
        .await
        .unwrap();
        let way = [
            ("script_generated", "script_text = 'Good morning.', language = 'en', ai_model_used = 'template'"),
            ("audio_generating", "tts_provider = 'local', tts_voice_gender = 'female', chunk_plan = '{}'"),
            (
                "pending_upload",
                "spool_ref = 'spool-' || id, duration_seconds = 242, audio_sha256 = 'abc', audio_bytes = 10",
            ),
            ("completed", "finished_at = now(), object_key = 'podcasts/x.mp3', audio_url = 's3://b/podcasts/x.mp3'"),
        ];
        if status == "failed" {
            self.set(id, "failed", "error_kind = 'internal', finished_at = now()").await;
        } else if status != "pending" {
            for (step, columns) in way {
                let last = step == "completed" && status == "completed_with_fallback";
                let extra = if last { format!("{columns}, is_fallback = true") } else { columns.to_owned() };
                self.set(id, if last { status } else { step }, &extra).await;
                if step == status {
                    break;
                }
            }
        }
        id
    }

    /// Moves an episode on, and sets columns with it.
    pub async fn set(&self, id: i64, status: &str, columns: &str) {
        let statement = format!(
            "update dailycast.daily_podcast set status = '{status}', updated_at = now(), {columns} where id = {id}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&self.db).await.unwrap();
    }

    /// Puts the bytes of an episode into the spool.
    pub fn spooled(&self, id: i64, mp3: &'static [u8]) {
        self.spool.0.lock().unwrap().insert(format!("spool-{id}"), Bytes::from_static(mp3));
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// True when no script is in a page: each is loaded.
pub fn only_loads_scripts(page: &str) -> bool {
    page.split("<script").skip(1).all(|rest| {
        let tag = rest.split_once("></script>").map_or("", |(tag, _)| tag);
        tag.contains(" src=") && !tag.contains('>')
    })
}

pub async fn migrate(pool: &PgPool) -> Result<(), store::Error> {
    let academy = format!(
        "create schema academy;
         create table academy.learner
             (user_id bigint primary key, is_active boolean, is_staff boolean, is_superuser boolean, display_name text,
              languages text[]);
         create table academy.learner_token (key text primary key, user_id bigint);
         insert into academy.learner
             values (7, true, false, false), (8, true, false, false), (9, false, false, false);
         insert into academy.learner_token values ('{TOKEN}', 7), ('{FOREIGN}', 8), ('{INACTIVE}', 9);"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(academy)).execute(pool).await.unwrap();
    store::migrate(pool).await
}
