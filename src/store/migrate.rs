//! Brings the database to the level of this program: apalis's migrations, then ours.
//!
//! What would surprise: who comes second asks again and again for his turn, instead of waiting in the
//! database. An index that is made while work goes on waits for everybody who asked before it, and
//! would wait for him, who waits for it.

use std::{sync::LazyLock, time::Duration};

pub use apalis_postgres::Error as ApalisError;
use apalis_postgres::PostgresStorage;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, migrate::Migrator};

use super::Error;

/// Our migrations. Their ledger lives in our schema, so that it meets nobody else's. A database
/// that is newer than this program is left as it is.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| Migrator {
    table_name: "dailycast.migration".into(),
    create_schemas: vec!["dailycast".into()].into(),
    ignore_missing: true,
    ..sqlx::migrate!("./migrations")
});

/// The newest migration of apalis that this program was written against.
const APALIS_LEVEL: i64 = 20_260_902_075_949;

/// Which migrations the database has, against those this program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The newest one of ours in the database, if any.
    pub ours: Option<i64>,
    /// The newest one of ours in this program.
    pub wanted: i64,
    /// The newest one of apalis in the database, if any.
    pub apalis: Option<i64>,
    /// The newest one of apalis this program was written against.
    pub apalis_wanted: i64,
}

impl Level {
    /// True when everything this program needs is there. A newer database is fine: migrations
    /// only add what older programs can live with.
    pub fn is_enough(&self) -> bool {
        self.ours >= Some(self.wanted) && self.apalis >= Some(self.apalis_wanted)
    }
}

/// The pause before somebody asks again whether it is his turn.
const TURN: Duration = Duration::from_millis(100);

/// Applies every missing migration, however long it takes. Many hosts may call it at once: one after
/// the other gets his turn.
///
/// # Errors
/// [`Error::Apalis`] or [`Error::Migrate`] with the database's words.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0")]);
    let mut connection = PgConnection::connect_with(&options).await.map_err(Error::connecting)?;
    while !is_our_turn(&mut connection).await? {
        tokio::time::sleep(TURN).await;
    }
    PostgresStorage::setup(pool).await.map_err(Error::Apalis)?;
    drop_half_made(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await.map_err(Error::Migrate)?;
    // With the connection the turn ends.
    connection.close().await.map_err(Error::connecting)
}

async fn is_our_turn(connection: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"/* take_turn_to_migrate */ select pg_try_advisory_lock(hashtext('dailycast.migrate')) as "is!""#
    )
    .fetch_one(connection)
    .await
    .map_err(Error::in_statement("take_turn_to_migrate"))
}

/// Drops what is left of an index whose making was cut short: nobody uses it, and it stands in the
/// way of the next attempt.
async fn drop_half_made(connection: &mut PgConnection) -> Result<(), Error> {
    let names = sqlx::query_scalar!(
        r#"/* find_half_made_indexes */
        select i.indexrelid::regclass::text as "name!"
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'dailycast' and not i.indisvalid"#
    );
    let names = names.fetch_all(&mut *connection).await.map_err(Error::in_statement("find_half_made_indexes"))?;
    for name in names {
        let drop = sqlx::raw_sql(AssertSqlSafe(format!("/* drop_half_made_index */ drop index {name}")));
        drop.execute(&mut *connection).await.map_err(Error::in_statement("drop_half_made_index"))?;
    }
    Ok(())
}

/// Reads the level of the database.
///
/// # Errors
/// [`Error::Database`] when it cannot be reached.
pub async fn level(pool: &PgPool) -> Result<Level, Error> {
    let mut connection = pool.acquire().await.map_err(Error::connecting)?;
    level_on(&mut connection).await
}

/// As [`level`], on a connection.
pub(super) async fn level_on(connection: &mut PgConnection) -> Result<Level, Error> {
    let ledgers = sqlx::query!(
        r#"/* find_ledgers */
        select to_regclass('dailycast.migration') is not null as "ours!",
               to_regclass('apalis._sqlx_migrations') is not null as "apalis!""#
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(Error::in_statement("find_ledgers"))?;
    let mut newest = async |there: bool, name: &'static str, query: &'static str| -> Result<Option<i64>, Error> {
        if !there {
            return Ok(None);
        }
        sqlx::query_scalar(query).fetch_one(&mut *connection).await.map_err(Error::in_statement(name))
    };
    const OURS: &str = "/* read_ledger */ select max(version) from dailycast.migration where success";
    const APALIS: &str = "/* read_apalis_ledger */ select max(version) from apalis._sqlx_migrations where success";
    Ok(Level {
        ours: newest(ledgers.ours, "read_ledger", OURS).await?,
        wanted: MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default(),
        apalis: newest(ledgers.apalis, "read_apalis_ledger", APALIS).await?,
        apalis_wanted: APALIS_LEVEL,
    })
}
