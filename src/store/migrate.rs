//! Brings the database to the level of this program: apalis's migrations, then ours.

use std::sync::LazyLock;

pub use apalis_postgres::Error as ApalisError;
use apalis_postgres::PostgresStorage;
use sqlx::{PgConnection, PgPool, migrate::Migrator};

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

/// Applies every missing migration. Many hosts may call it at once: sqlx holds a lock.
///
/// # Errors
/// [`Error::Apalis`] or [`Error::Migrate`] with the database's words.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    PostgresStorage::setup(pool).await.map_err(Error::Apalis)?;
    MIGRATIONS.run(pool).await.map_err(Error::Migrate)
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
