//! Who works: one row per process, its heartbeat, its death.
//!
//! A worker lives on one *session*, a connection of its own that holds an advisory lock named
//! after the worker's id and carries its heartbeats. Postgres frees the lock when the process
//! dies, which is how others learn of it within seconds. A cut connection frees the lock of a
//! living worker too; hence a worker is dead only when its lock is free *and* its heartbeat is
//! older than two beats, or, whatever the lock says, when the heartbeat is older than the lease.
//! On its own host a process that is gone needs no further proof.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::{Error, Store};

/// First key of the advisory locks of living workers; the second is the worker's id.
const LIVING: i32 = 0x0da1_1ca5;

/// First key of the advisory lock of the leader; the second is 0.
const LEADER: i32 = 0x0da1_1ead;

/// The longest wait for a session to open.
const OPENING: Duration = Duration::from_secs(5);

/// The name by which apalis's tables know a worker of ours.
pub fn job_owner(worker_id: i32) -> String {
    format!("dailycast-{worker_id}")
}

/// What a process tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// `worker.id` of the configuration, or the host's name.
    pub name: String,
    /// The host's name.
    pub host: String,
    /// Changes with every boot of the host.
    pub boot_id: String,
    /// Process id on that host.
    pub pid: i32,
    /// Start of the process in clock ticks since boot; with `pid` it names a process for good.
    pub pid_started: i64,
    /// Podcasts it takes at once.
    pub concurrency: i32,
    /// How long its claims hold without a heartbeat.
    pub lease: Duration,
    /// The time between two heartbeats.
    pub beat: Duration,
}

/// What a heartbeat learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The worker is alive in the eyes of all.
    Alive,
    /// The same, and an operator has paused everything.
    Paused,
    /// It was declared dead and its podcasts were taken back.
    DeclaredDead,
}

/// A registered worker's own connection.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
    worker_id: i32,
    locked: bool,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Adds a worker, in our table and in apalis's, and returns its id.
///
/// # Errors
/// [`Error::Database`].
pub async fn register(store: &Store, who: &Registration) -> Result<i32, Error> {
    let statement = "register_worker";
    let mut transaction = store.pool().begin().await.map_err(Error::in_statement(statement))?;
    let id = sqlx::query_scalar!(
        r#"/* register_worker */
        insert into dailycast.worker
            (name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        returning id"#,
        who.name,
        who.host,
        who.boot_id,
        who.pid,
        who.pid_started,
        env!("CARGO_PKG_VERSION"),
        who.concurrency,
        ms(who.lease),
        ms(who.beat),
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(Error::in_statement(statement))?;
    sqlx::query!(
        r#"/* register_apalis_worker */
        insert into apalis.workers (id, worker_type, storage_name, layers, last_seen, started_at)
        values ($1, $2, 'dailycast', '', now(), now())"#,
        job_owner(id),
        super::QUEUE,
    )
    .execute(&mut *transaction)
    .await
    .map_err(Error::in_statement("register_apalis_worker"))?;
    transaction.commit().await.map_err(Error::in_statement(statement))?;
    Ok(id)
}

/// Takes a worker off: its claims are worth nothing from now on.
///
/// # Errors
/// [`Error::Database`].
pub async fn stop(store: &Store, worker_id: i32, reason: &str) -> Result<(), Error> {
    sqlx::query!(
        r#"/* stop_worker */
        update dailycast.worker set stopped_at = now(), stop_reason = $2 where id = $1 and stopped_at is null"#,
        worker_id,
        reason,
    )
    .execute(store.pool())
    .await
    .map_err(Error::in_statement("stop_worker"))?;
    Ok(())
}

impl Session {
    /// Opens the session of `worker_id`. Its lock may still be held by a connection of ours that
    /// broke without the server's noticing; it is then taken with a later heartbeat, and until
    /// then the old one speaks for us.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn open(store: &Store, worker_id: i32) -> Result<Self, Error> {
        let options = store.session_options().options([("synchronous_commit", "off")]);
        let open = async {
            let connection = PgConnection::connect_with(&options).await.map_err(Error::in_statement("open_session"))?;
            let mut session = Self { connection, worker_id, locked: false };
            session.lock().await?;
            Ok(session)
        };
        let opened = tokio::time::timeout(OPENING, open).await;
        opened.unwrap_or_else(|late| Err(Error::in_statement("open_session")(sqlx::Error::Io(late.into()))))
    }

    async fn lock(&mut self) -> Result<(), Error> {
        self.locked = sqlx::query_scalar!(
            r#"/* lock_living */ select pg_try_advisory_lock($1, $2) as "taken!""#,
            LIVING,
            self.worker_id
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(Error::in_statement("lock_living"))?;
        Ok(())
    }

    /// One heartbeat.
    ///
    /// # Errors
    /// [`Error::Database`]: the session is lost, and the lock with it.
    pub async fn beat(&mut self) -> Result<Beat, Error> {
        if !self.locked {
            self.lock().await?;
        }
        let is_paused = sqlx::query_scalar!(
            r#"/* beat */
            update dailycast.worker set heartbeat_at = now() where id = $1 and stopped_at is null
            returning exists (select from dailycast.pause) as "is_paused!""#,
            self.worker_id,
        )
        .fetch_optional(&mut self.connection)
        .await
        .map_err(Error::in_statement("beat"))?;
        Ok(match is_paused {
            Some(true) => Beat::Paused,
            Some(false) => Beat::Alive,
            None => Beat::DeclaredDead,
        })
    }

    /// Tries to become the leader, or stays it. Held until the session ends.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn lead(&mut self) -> Result<bool, Error> {
        sqlx::query_scalar!(
            r#"/* lead */
            select exists (
                select from pg_locks
                where locktype = 'advisory' and pid = pg_backend_pid() and classid = $1::integer::oid and granted
            ) or pg_try_advisory_lock($1, 0) as "leads!""#,
            LEADER,
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(Error::in_statement("lead"))
    }

    /// Gives up all locks by ending the connection.
    pub async fn close(self) {
        // A connection that cannot say goodbye is dropped, which frees its locks as well.
        let _ = self.connection.close().await;
    }
}

/// A worker that may be dead.
#[derive(Debug, Clone)]
pub struct Silent {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// The boot of that host it belongs to.
    pub boot_id: String,
    /// Its process there.
    pub pid: i32,
    /// When that process started, in ticks since boot.
    pub pid_started: i64,
    /// No session holds its lock.
    pub lock_is_free: bool,
    /// Its heartbeat is older than two beats.
    pub missed_two_beats: bool,
    /// Its heartbeat is older than its lease.
    pub lease_ran_out: bool,
    /// Its last heartbeat.
    pub heartbeat_at: DateTime<Utc>,
}

/// The workers whose lock is free or whose lease ran out, except `me`.
///
/// # Errors
/// [`Error::Database`].
pub async fn silent(store: &Store, me: i32) -> Result<Vec<Silent>, Error> {
    sqlx::query_as!(
        Silent,
        r#"/* silent_workers */
        select * from (
            select w.id, w.name, w.host, w.boot_id, w.pid, w.pid_started, w.heartbeat_at,
                   not exists (
                       select from pg_locks l
                       where l.locktype = 'advisory' and l.granted and l.objsubid = 2
                         and l.database = (select oid from pg_database where datname = current_database())
                         and l.classid = $2::integer::oid and l.objid = w.id::oid
                   ) as "lock_is_free!",
                   w.heartbeat_at < now() - 2 * w.beat_ms * interval '1 millisecond' as "missed_two_beats!",
                   w.heartbeat_at < now() - w.lease_ms * interval '1 millisecond' as "lease_ran_out!"
            from dailycast.worker w
            where w.stopped_at is null and w.id <> $1
        ) as w
        where "lock_is_free!" or "lease_ran_out!""#,
        me,
        LIVING,
    )
    .fetch_all(store.pool())
    .await
    .map_err(Error::in_statement("silent_workers"))
}

/// A podcast that was taken back from a dead worker.
#[derive(Debug, Clone)]
pub struct Rescued {
    /// The podcast.
    pub podcast_id: i64,
    /// Its status.
    pub status: String,
    /// How often its worker died since it last moved.
    pub crashes: i32,
    /// It was the only podcast that worker held.
    pub alone: bool,
}

/// Declares a worker dead and takes back what it holds, in one commit: each podcast is due at
/// once, by a job like any other. One that was in flight at `crash_limit` deaths without moving is
/// a suspect: it comes last and runs alone, and if it was alone already it gets no job, since it
/// has brought its worker down (the caller gives it up).
///
/// `None` when it was not declared dead here: a worker that was heard since it was looked at lives
/// (whoever looked may itself have been stopped before it came here), and of two who declare the
/// same one dead, one does.
///
/// # Errors
/// [`Error::Database`].
pub async fn declare_dead(
    store: &Store,
    silent: &Silent,
    reason: &str,
    crash_limit: u32,
) -> Result<Option<Vec<Rescued>>, Error> {
    let rows = sqlx::query!(
        r#"/* declare_dead */
        with dead as (
            update dailycast.worker set stopped_at = now(), stop_reason = $2
            where id = $1 and stopped_at is null and heartbeat_at = $4
            returning id
        ), held as (
            select j.id as job_id, dead.id as worker_id,
                   case when j.idempotency_key ~ '^[0-9]{1,18}$' then j.idempotency_key::bigint end as podcast_id
            from apalis.jobs j join dead on j.lock_by = 'dailycast-' || dead.id
            where j.status = 'Running'
        ), freed as (
            update dailycast.daily_podcast p
            set lease_token = null, worker_id = null, crashes = p.crashes + 1, next_attempt_at = now(),
                updated_at = now()
            from held where p.id = held.podcast_id and p.worker_id = held.worker_id
            returning p.id, p.status, p.attempt, p.crashes, held.worker_id
        ), rescued as (
            select *, count(*) over (partition by worker_id) = 1 as alone from freed
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, worker_id, detail)
            select id, 'rescued', status, status, attempt, worker_id, $2 from rescued
        ), armed as (
            select dailycast.arm_jobs(array_agg(id), array_agg(now()), 5) as n
            from rescued where crashes < $3 having count(*) > 0
            union all
            select dailycast.arm_jobs(array_agg(id), array_agg(now()), -1)
            from rescued where crashes >= $3 and not alone having count(*) > 0
        ), told as (
            select pg_notify('dailycast_due', '') from armed
        )
        -- one row at least for who is dead; a select that nobody reads is not carried out
        select r.id as "podcast_id?", r.status as "status?", r.crashes as "crashes?", r.alone as "alone?"
        from dead left join rescued r on true
        where (select count(*) from told) >= 0"#,
        silent.id,
        reason,
        i32::try_from(crash_limit).unwrap_or(i32::MAX),
        silent.heartbeat_at,
    )
    .fetch_all(store.pool())
    .await
    .map_err(Error::in_statement("declare_dead"))?;
    let is_dead = !rows.is_empty();
    let rescued = rows.into_iter().filter_map(|row| {
        let (podcast_id, status, crashes, alone) = (row.podcast_id?, row.status?, row.crashes?, row.alone?);
        Some(Rescued { podcast_id, status, crashes, alone })
    });
    Ok(is_dead.then(|| rescued.collect()))
}

/// Ends the session of a worker that was declared dead though its connection still stands. A
/// process that hangs would keep its lock and, if it leads, the lead.
///
/// # Errors
/// [`Error::Database`], also when the role of the other worker is another one.
pub async fn end_session(store: &Store, worker_id: i32) -> Result<(), Error> {
    sqlx::query_scalar!(
        r#"/* end_session */
        select pg_terminate_backend(l.pid) from pg_locks l
        where l.locktype = 'advisory' and l.granted and l.objsubid = 2
          and l.database = (select oid from pg_database where datname = current_database())
          and l.classid = $2::integer::oid and l.objid = $1::integer::oid"#,
        worker_id,
        LIVING,
    )
    .fetch_all(store.pool())
    .await
    .map_err(Error::in_statement("end_session"))?;
    Ok(())
}

/// A worker, for operators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its process there.
    pub pid: i32,
    /// The version of its program.
    pub version: String,
    /// Podcasts it takes at once.
    pub concurrency: i32,
    /// Since when it works.
    pub started_at: DateTime<Utc>,
    /// Its last heartbeat.
    pub heartbeat_at: DateTime<Utc>,
    /// When it stopped or was declared dead.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Why.
    pub stop_reason: Option<String>,
    /// Its lease holds.
    pub is_alive: bool,
    /// It starts nights, sweeps and watches.
    pub leads: bool,
    /// How many podcasts it holds.
    pub held: i64,
    /// The first ten of them.
    pub podcasts: Vec<i64>,
}

/// The workers that have not stopped, and behind them those that stopped in the last day, the
/// latest first; `limit` at most.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(pool: &PgPool, limit: i64) -> Result<Vec<Shown>, Error> {
    sqlx::query_as!(
        Shown,
        r#"/* list_workers */
        with shown as materialized (
            select * from dailycast.worker
            where stopped_at is null or stopped_at > now() - interval '1 day'
            order by stopped_at desc nulls first, id desc limit $3
        ), locks as materialized (
            select l.pid, l.classid, l.objid from pg_locks l
            where l.locktype = 'advisory' and l.granted and l.objsubid = 2
              and l.database = (select oid from pg_database where datname = current_database())
        )
        select w.id, w.name, w.host, w.pid, w.version, w.concurrency, w.started_at, w.heartbeat_at, w.stopped_at,
               w.stop_reason,
               w.stopped_at is null and w.heartbeat_at > now() - w.lease_ms * interval '1 millisecond' as "is_alive!",
               exists (
                   select from locks lead join locks living on living.pid = lead.pid
                   where lead.classid = $2::integer::oid and living.classid = $1::integer::oid
                     and living.objid = w.id::oid
               ) as "leads!",
               coalesce(held.podcasts, 0) as "held!",
               coalesce(held.ids[1:10], '{}') as "podcasts!"
        from shown w
        -- what a worker holds is what its jobs say, found by their index
        left join lateral (
            select count(*) as podcasts, array_agg(id order by id) as ids
            from (
                select case when j.idempotency_key ~ '^[0-9]{1,18}$' then j.idempotency_key::bigint end as id
                from apalis.jobs j
                where j.lock_by = 'dailycast-' || w.id and j.status = 'Running'
            ) as jobs where id is not null
        ) held on w.stopped_at is null
        order by w.stopped_at desc nulls first, w.name, w.id"#,
        LIVING,
        LEADER,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_workers"))
}

/// Forgets workers that stopped before the last `days` days and whom no job names any more.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune(store: &Store, days: i32) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"/* prune_workers */
        with gone as (
            delete from dailycast.worker w
            where stopped_at < now() - make_interval(days => $1)
              and not exists (select from apalis.jobs j where j.lock_by = 'dailycast-' || w.id)
            returning id
        )
        delete from apalis.workers where id in (select 'dailycast-' || id from gone)"#,
        days,
    )
    .execute(store.pool())
    .await
    .map_err(Error::in_statement("prune_workers"))?;
    Ok(gone.rows_affected())
}
