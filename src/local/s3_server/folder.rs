//! Buckets as folders, objects as files: one line of JSON with what S3 remembers of an object,
//! then its bytes. Head and body are one file, so they appear together or not at all.
//!
//! An object is written beside its place, synced, and moved there; "only if absent" is the file
//! system's own hard link, so that of many who try exactly one wins. Nothing is visible before its
//! length and checksums were verified. Lifecycle rules are a file beside the bucket's folder, kept
//! and given back and never carried out.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::TryStreamExt;
use s3s::{
    S3, S3Error, S3Request, S3Response, S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Md5},
    dto::{
        CreateBucketInput, CreateBucketOutput, DeleteObjectInput, DeleteObjectOutput, ETag,
        GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, GetObjectInput, GetObjectOutput,
        HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
        Metadata, Object, PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput, PutObjectInput,
        PutObjectOutput, StreamingBlob, Timestamp, TransitionDefaultMinimumObjectSize,
    },
    s3_error,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader};
use tokio_util::io::ReaderStream;

/// The largest object that is taken, in bytes.
const LARGEST: usize = 64 << 20;

/// The longest line of JSON that is read, in bytes.
const LONGEST_HEAD: u64 = 64 << 10;

/// Bytes per piece of a streamed answer.
const PIECE: usize = 64 << 10;

/// Where objects are written before they are moved to their place. No bucket has such a name.
const INCOMING: &str = ".incoming";

/// The folder with all buckets.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    written: AtomicU64,
}

/// What is remembered of an object beside its bytes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Head {
    etag: String,
    content_type: Option<String>,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    metadata: Option<Metadata>,
}

/// An object that was found.
struct Found {
    head: Head,
    /// Positioned at the first byte of the object.
    file: BufReader<tokio::fs::File>,
    /// Bytes before the object.
    offset: u64,
    /// Bytes of the object.
    length: u64,
    modified: Timestamp,
}

impl Folder {
    /// Takes over a folder; what was being written when its last server died is dropped.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(incoming)?,
        }
        Ok(Self { root: root.to_owned(), written: AtomicU64::new(0) })
    }

    fn bucket(&self, name: &str) -> PathBuf {
        self.root.join(file_name(name))
    }

    fn object(&self, bucket: &str, key: &str) -> PathBuf {
        self.bucket(bucket).join(file_name(key))
    }

    /// The file of a bucket's lifecycle rules; no bucket has such a name.
    fn rules(&self, bucket: &str) -> PathBuf {
        self.root.join(format!(".{}.lifecycle", file_name(bucket)))
    }

    /// A file that is written before it is moved to its place.
    fn beside(&self) -> PathBuf {
        self.root.join(INCOMING).join(self.written.fetch_add(1, Ordering::Relaxed).to_string())
    }

    async fn find(&self, bucket: &str, key: &str) -> S3Result<Found> {
        match find(&self.object(bucket, key)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(if self.bucket(bucket).is_dir() { s3_error!(NoSuchKey) } else { s3_error!(NoSuchBucket) })
            }
            found => found.map_err(S3Error::internal_error),
        }
    }
}

async fn find(path: &Path) -> io::Result<Found> {
    let file = tokio::fs::File::open(path).await?;
    let about = file.metadata().await?;
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    let offset = (&mut file).take(LONGEST_HEAD).read_until(b'\n', &mut line).await? as u64;
    let head = serde_json::from_slice(&line)?;
    Ok(Found { head, file, offset, length: about.len() - offset, modified: about.modified()?.into() })
}

/// A key as one file name: no slash, no dot in front, and different keys stay different.
fn file_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 8);
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

/// The key of a file name; `None` when no key has that name.
fn key_of(name: &str) -> Option<String> {
    let mut key = Vec::with_capacity(name.len());
    let mut parts = name.split('%');
    key.extend(parts.next()?.bytes());
    for part in parts {
        key.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        key.extend(part[2..].bytes());
    }
    String::from_utf8(key).ok()
}

/// Writes an object beside its place and moves it there.
fn write(beside: &Path, place: &Path, head: &[u8], body: &[u8], only_if_absent: bool) -> io::Result<()> {
    let moved = (|| {
        let mut file = File::create_new(beside)?;
        file.write_all(head)?;
        file.write_all(b"\n")?;
        file.write_all(body)?;
        file.sync_all()?;
        if only_if_absent { fs::hard_link(beside, place) } else { fs::rename(beside, place) }
    })();
    if only_if_absent || moved.is_err() {
        // Left over or never made; what could not be removed goes when the folder is opened again.
        fs::remove_file(beside).ok();
    }
    moved.and_then(|()| sync_parent(place))
}

fn sync_parent(place: &Path) -> io::Result<()> {
    place.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Runs file work off the async threads.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::from)?
}

/// The whole body, within bounds. An error in the stream is a body that was cut off, or one whose
/// signature does not hold.
async fn read_body(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut body) = body else { return Ok(bytes) };
    while let Some(piece) = body.try_next().await.map_err(|_| s3_error!(IncompleteBody))? {
        if bytes.len() + piece.len() > LARGEST {
            return Err(s3_error!(EntityTooLarge));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Compares every checksum that the client sent, in a header or behind the body, with the body.
fn verify(body: &[u8], input: &PutObjectInput, trailers: Option<TrailingHeaders>) -> S3Result<()> {
    let mut hasher = ChecksumHasher {
        crc32: Some(Default::default()),
        crc32c: Some(Default::default()),
        sha1: Some(Default::default()),
        sha256: Some(Default::default()),
        crc64nvme: Some(Default::default()),
    };
    hasher.update(body);
    let sum = hasher.finalize();
    let trailers = trailers.and_then(|trailers| trailers.take());
    let trailer = |name: &str| trailers.as_ref()?.get(name)?.to_str().ok().map(str::to_owned);
    let md5 = Some(BASE64_STANDARD.encode(Md5::checksum(body)));
    let claims = [
        (input.content_md5.clone(), &md5),
        (input.checksum_crc32.clone().or_else(|| trailer("x-amz-checksum-crc32")), &sum.checksum_crc32),
        (input.checksum_crc32c.clone().or_else(|| trailer("x-amz-checksum-crc32c")), &sum.checksum_crc32c),
        (input.checksum_sha1.clone().or_else(|| trailer("x-amz-checksum-sha1")), &sum.checksum_sha1),
        (input.checksum_sha256.clone().or_else(|| trailer("x-amz-checksum-sha256")), &sum.checksum_sha256),
        (input.checksum_crc64nvme.clone().or_else(|| trailer("x-amz-checksum-crc64nvme")), &sum.checksum_crc64nvme),
    ];
    let holds = claims.iter().all(|(claimed, actual)| claimed.is_none() || claimed == *actual);
    if holds { Ok(()) } else { Err(s3_error!(BadDigest)) }
}

fn wire_length(length: u64) -> S3Result<i64> {
    i64::try_from(length).map_err(S3Error::internal_error)
}

#[async_trait::async_trait]
impl S3 for Folder {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = self.bucket(&request.input.bucket);
        let made = off_thread(move || fs::create_dir(&bucket).and_then(|()| sync_parent(&bucket))).await;
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(s3_error!(BucketAlreadyOwnedByYou)),
            made => made.map(|()| S3Response::new(CreateBucketOutput::default())).map_err(S3Error::internal_error),
        }
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        if self.bucket(&request.input.bucket).is_dir() {
            Ok(S3Response::new(HeadBucketOutput::default()))
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let place = self.rules(&request.input.bucket);
        match off_thread(move || fs::read(place)).await {
            Ok(bytes) => {
                let kept = serde_json::from_slice::<(_, Option<String>)>(&bytes);
                let (rules, smallest) = kept.map_err(S3Error::internal_error)?;
                let transition_default_minimum_object_size = smallest.map(Into::into);
                Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
                    rules,
                    transition_default_minimum_object_size,
                }))
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(S3Error::internal_error(error)),
            Err(_) if self.bucket(&request.input.bucket).is_dir() => Err(s3_error!(NoSuchLifecycleConfiguration)),
            Err(_) => Err(s3_error!(NoSuchBucket)),
        }
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        let input = request.input;
        if !self.bucket(&input.bucket).is_dir() {
            return Err(s3_error!(NoSuchBucket));
        }
        let rules = input.lifecycle_configuration.ok_or_else(|| s3_error!(MalformedXML))?.rules;
        let smallest = input.transition_default_minimum_object_size;
        let kept = serde_json::to_vec(&(rules, smallest.as_ref().map(TransitionDefaultMinimumObjectSize::as_str)))
            .map_err(S3Error::internal_error)?;
        let (beside, place) = (self.beside(), self.rules(&input.bucket));
        off_thread(move || write(&beside, &place, &kept, &[], false)).await.map_err(S3Error::internal_error)?;
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request { mut input, trailing_headers, .. } = request;
        let place = self.object(&input.bucket, &input.key);
        if place.file_name().is_some_and(|name| name.len() > 255) {
            return Err(s3_error!(KeyTooLongError));
        }
        if input.if_match.is_some() {
            return Err(s3_error!(NotImplemented, "if-match"));
        }
        let body = read_body(input.body.take()).await?;
        verify(&body, &input, trailing_headers)?;
        let etag = hex::encode(Md5::checksum(&body));
        let head = serde_json::to_vec(&Head {
            etag: etag.clone(),
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            metadata: input.metadata,
        })
        .map_err(S3Error::internal_error)?;
        let beside = self.beside();
        let only_if_absent = input.if_none_match.is_some();
        match off_thread(move || write(&beside, &place, &head, &body, only_if_absent)).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(s3_error!(PreconditionFailed)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(s3_error!(NoSuchBucket)),
            Err(error) => Err(S3Error::internal_error(error)),
            Ok(()) => Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })),
        }
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let Found { head, mut file, offset, length, modified } = self.find(&input.bucket, &input.key).await?;
        let part = match input.range {
            Some(range) => range.check(length)?,
            None => 0..length,
        };
        let start = io::SeekFrom::Start(offset + part.start);
        file.seek(start).await.map_err(S3Error::internal_error)?;
        let part_length = part.end - part.start;
        let pieces = ReaderStream::with_capacity(file.take(part_length), PIECE);
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(pieces)),
            content_length: Some(wire_length(part_length)?),
            content_range: input.range.map(|_| format!("bytes {}-{}/{length}", part.start, part.end - 1)),
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(modified),
            e_tag: Some(ETag::Strong(head.etag)),
            content_type: head.content_type,
            cache_control: head.cache_control,
            content_disposition: head.content_disposition,
            metadata: head.metadata,
            ..Default::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let Found { head, length, modified, .. } = self.find(&request.input.bucket, &request.input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(wire_length(length)?),
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(modified),
            e_tag: Some(ETag::Strong(head.etag)),
            content_type: head.content_type,
            cache_control: head.cache_control,
            content_disposition: head.content_disposition,
            metadata: head.metadata,
            ..Default::default()
        }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let place = self.object(&request.input.bucket, &request.input.key);
        match off_thread(move || fs::remove_file(&place).and_then(|()| sync_parent(&place))).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(S3Error::internal_error(error)),
            _ => Ok(S3Response::new(DeleteObjectOutput::default())),
        }
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket);
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after.clone()).unwrap_or_default();
        let keys = off_thread(move || keys_in(&bucket, &prefix, &after)).await.map_err(|_| s3_error!(NoSuchBucket))?;
        let most = usize::try_from(input.max_keys.unwrap_or(1000).clamp(0, 1000)).unwrap_or(1000);
        let mut contents = Vec::new();
        for key in keys.iter().take(most) {
            let Found { head, length, modified, .. } = self.find(&input.bucket, key).await?;
            contents.push(Object {
                key: Some(key.clone()),
                size: Some(wire_length(length)?),
                e_tag: Some(ETag::Strong(head.etag)),
                last_modified: Some(modified),
                ..Default::default()
            });
        }
        let is_truncated = keys.len() > most;
        let last = contents.last().and_then(|object| object.key.clone());
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            key_count: i32::try_from(contents.len()).ok(),
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            contents: Some(contents),
            ..Default::default()
        }))
    }
}

/// Keys of a bucket that begin with `prefix` and come after `after`, in order.
fn keys_in(bucket: &Path, prefix: &str, after: &str) -> io::Result<Vec<String>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(bucket)? {
        let key = entry?.file_name().to_str().and_then(key_of);
        keys.extend(key.filter(|key| key.starts_with(prefix) && key.as_str() > after));
    }
    keys.sort();
    Ok(keys)
}
