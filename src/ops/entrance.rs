//! Links that let somebody in once, without a token: for a demo, and for whoever has the command
//! line at three in the night and no token at hand.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::store::{self, PgPool, Reads, academy::TokenOwner, sessions};

/// How long a link waits to be used.
pub const LIFE: Duration = Duration::from_secs(30 * 60);

/// Which side a link leads to. One of one side opens nothing at the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The operators' pages.
    Ops,
    /// The learners' page.
    Study,
}

impl Entrance {
    /// The path that is asked with a link's key.
    pub fn path(self) -> &'static str {
        match self {
            Self::Ops => "/ops/login",
            Self::Study => "/study/login",
        }
    }

    /// What is kept of a link's key.
    pub fn hash(self, key: &str) -> sessions::KeyHash {
        Sha256::digest(format!("{} {key}", self.path())).into()
    }
}

/// Adds a link for somebody and returns the path of it. `key` is 32 random bytes.
///
/// # Errors
/// When the database did not take it.
pub async fn add(
    pool: &PgPool,
    entrance: Entrance,
    key: [u8; 32],
    user_id: i64,
    life: Duration,
) -> Result<String, store::Error> {
    let key = hex::encode(key);
    sessions::add_entrance(pool, &entrance.hash(&key), user_id, life).await?;
    Ok(format!("{}?once={key}", entrance.path()))
}

/// Whom a link lets in; `None` for nobody. It is used up when the session begins.
/// A key that [`add`] never makes is not looked for.
///
/// # Errors
/// When the database cannot tell.
pub async fn guest(reads: &Reads, entrance: Entrance, key: &str) -> Result<Option<TokenOwner>, store::Error> {
    let is_plausible = key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_plausible {
        return Ok(None);
    }
    sessions::guest(reads, &entrance.hash(key)).await
}
