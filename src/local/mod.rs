//! What makes one machine enough: a private Postgres, an S3 server on a folder, and a generated
//! academy. Used by the demo, the tests and the benchmarks; a production set-up needs none of it.

use std::{io, net::SocketAddr, path::PathBuf};

pub mod academy;
mod binaries;
pub mod postgres;
pub mod s3_server;

/// Why one machine was not enough.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no server programs, or none of the version that the data was made with.
    #[error(
        "Postgres{} is not installed (looked for initdb in {looked}): run `apt-get install {package}`, \
         or set database.url to a server that is running",
        .version.as_ref().map(|version| format!(" {version}")).unwrap_or_default()
    )]
    NoPostgres {
        /// The major version that an existing data folder asks for.
        version: Option<String>,
        /// The Debian package that would help.
        package: String,
        /// Folders that were searched.
        looked: String,
    },
    /// Postgres refuses to run as root, and there is nobody to run it as.
    #[error("Postgres does not run as root and there is no user `postgres`: run `apt-get install postgresql`")]
    NoAccount,
    /// The socket would not fit into a socket address.
    #[error(
        "the folder {} is too long for a Postgres socket ({bytes} bytes, at most {most}): choose a shorter --data",
        .dir.display()
    )]
    PathTooLong {
        /// The folder.
        dir: PathBuf,
        /// Length of its path in bytes.
        bytes: usize,
        /// The longest path that would do, in bytes.
        most: usize,
    },
    /// A cluster made for tests was asked to be durable, or the other way round.
    #[error("the Postgres cluster in {} was made with durability {found}, not {wanted}: choose another folder", .dir.display())]
    OtherDurability {
        /// Where the cluster is.
        dir: PathBuf,
        /// As it was made.
        found: String,
        /// As it was asked for.
        wanted: &'static str,
    },
    /// A file or folder could not be used.
    #[error("cannot {what} {}", .path.display())]
    File {
        /// What was to be done with it.
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A port could not be opened.
    #[error("cannot listen on {address}: choose another port, or end what listens there")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A program of Postgres did not do its work.
    #[error("{program} failed ({status}); the end of {} says:\n{said}", .log.display())]
    Program {
        /// `initdb` or `pg_ctl`.
        program: &'static str,
        /// How it ended.
        status: String,
        /// Where its output is.
        log: PathBuf,
        /// The last lines of it.
        said: String,
    },
    /// The database said no.
    #[error("cannot {what}")]
    Database {
        /// What was to be done.
        what: String,
        /// Why not.
        source: sqlx::Error,
    },
}

impl Error {
    fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    fn database(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let what = what.into();
        move |source| Self::Database { what, source }
    }
}
