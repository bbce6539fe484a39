//! An S3 server on a folder, for machines without one: the demo and the tests talk to it as
//! production talks to S3, through the same client. Signatures, expiry and checksums are verified
//! by `s3s` and by the store; what was acknowledged survives a crash of the machine.
//!
//! Bound by what the demo needs: path-style addresses, objects up to 64 MiB, no multipart; lifecycle
//! rules are kept and given back, but nothing expires.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

use super::Error;

mod folder;

/// Connections served at once; more wait in the listener's backlog.
const MOST_CONNECTIONS: usize = 512;

/// The only access key of a server, made up when its folder is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// 20 capital letters and digits.
    pub access_key_id: String,
    /// 40 hex digits.
    pub secret_access_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// A running server; it stops taking connections when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    keys: Keys,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl S3Server {
    /// Serves the buckets in `dir` on `listen` (port 0 takes a free one), making the folder and
    /// its keys the first time.
    ///
    /// # Errors
    /// When the folder cannot be used or the port is taken.
    pub async fn start(dir: &Path, listen: SocketAddr) -> Result<Self, Error> {
        let root = dir.to_owned();
        let prepared = tokio::task::spawn_blocking(move || prepare(&root)).await;
        let (keys, folder) = prepared.map_err(|gone| Error::file("prepare", dir)(gone.into()))??;
        let taken = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let mut builder = S3ServiceBuilder::new(folder);
        builder.set_auth(SimpleAuth::from_single(keys.access_key_id.clone(), keys.secret_access_key.clone()));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, builder.build(), stopped));
        Ok(Self { address, keys, stop: Some(stop), task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for a client, which must use path style.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The keys that it accepts.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Takes no new connection and waits until the requests in flight are answered.
    pub async fn stop(mut self) {
        self.stop.take();
        (&mut self.task).await.ok();
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop.take();
    }
}

async fn serve(listener: TcpListener, service: S3Service, mut stopped: oneshot::Receiver<()>) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let server = auto::Builder::new(TokioExecutor::new());
    let open = GracefulShutdown::new();
    loop {
        let next = async { (slots.clone().acquire_owned().await, accept(&listener).await) };
        let (slot, stream) = tokio::select! {
            next = next => next,
            _ = &mut stopped => break,
        };
        let connection = server.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection to the local S3 server broke");
            }
            drop(slot);
        });
    }
    drop(listener);
    open.shutdown().await;
}

/// The next connection. What `accept` complains about is one connection, or too many open files,
/// which pass when others close.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "the local S3 server could not take a connection");
                tokio::task::yield_now().await;
            }
        }
    }
}

fn prepare(dir: &Path) -> Result<(Keys, folder::Folder), Error> {
    fs::create_dir_all(dir).map_err(Error::file("make", dir))?;
    let folder = folder::Folder::open(dir).map_err(Error::file("open", dir))?;
    Ok((keys_of(&dir.join("keys.json"))?, folder))
}

/// The kept keys, or new ones. Two who make them at once end up with the same.
fn keys_of(path: &PathBuf) -> Result<Keys, Error> {
    if !path.exists() {
        let text = serde_json::to_string(&new_keys()?).map_err(|error| Error::file("write", path)(error.into()))?;
        let unfinished = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(Error::file("write", &unfinished))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::file("write", &unfinished))?;
        match fs::hard_link(&unfinished, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(Error::file("make", path)(error)),
            _ => fs::remove_file(&unfinished).map_err(Error::file("remove", &unfinished))?,
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(Error::file("close to others", path))?;
    let text = fs::read(path).map_err(Error::file("read", path))?;
    serde_json::from_slice(&text).map_err(|error| Error::file("understand the keys in", path)(error.into()))
}

/// Random keys of the usual lengths.
fn new_keys() -> Result<Keys, Error> {
    let mut random = [0; 30];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(Error::file("read", "/dev/urandom"))?;
    let (name, secret) = random.split_at(10);
    Ok(Keys { access_key_id: hex::encode_upper(name), secret_access_key: hex::encode(secret) })
}
