//! Blobs in an S3 bucket, by rusoto.
//!
//! rusoto is no longer maintained (RUSTSEC-2022-0071). It makes and signs the requests and reads the
//! answers; the connections, TLS, time limits, repetitions and most credentials are ours, and nothing
//! outside this directory knows of it. Objects are asked for by path (`/bucket/key`), which every S3
//! understands.
//!
//! A blob is sent with its MD5, so that S3 refuses what has not arrived as it was sent; whatever comes
//! back is believed only by the envelope. S3 has no delete that minds a put that comes meanwhile: in one
//! server they exclude each other, and the others are left some milliseconds between the look at an
//! object's age and its end. So heaps that are deleted must be old.

mod attempts;
mod client;
mod credentials;
mod metadata;
mod settings;
mod users;

use std::fmt;
use std::future::ready;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use rusoto_core::{ByteStream, Region, RusotoError};
use rusoto_s3::{
    DeleteObjectRequest, GetObjectError, GetObjectRequest, ListObjectsV2Output,
    ListObjectsV2Request, PutObjectRequest, S3 as _, S3Client,
};
use tokio::sync::{RwLock, mpsc};

pub use settings::S3SettingsError;

use self::attempts::{Trouble, attempts};
use self::client::HttpClient;
use self::credentials::Credentials;
use self::settings::{Endpoint, check_bucket};
use super::name::{BlobName, TenantFolder};
use super::{BlobError, BlobStore, HeapUser, ListedBlob, blocking};
use crate::heaps::config::AwsVariables;
use crate::limits::SEALED_HEAP_BYTES_MAX;

/// Deletes hold up the puts of as large a part of all names.
const LOCKS: usize = 64;
const MEDIA_TYPE: &str = "application/octet-stream";

/// A bucket.
pub(in crate::heaps) struct Bucket {
    name: String,
    s3: S3Client,
    credentials: Credentials,
    locks: [RwLock<()>; LOCKS],
}

impl Bucket {
    pub(in crate::heaps) fn open(
        name: String,
        variables: &AwsVariables,
    ) -> Result<Self, S3SettingsError> {
        check_bucket(&name)?;
        let endpoint = Endpoint::of("s3", variables)?;
        let client = HttpClient::new(variables, endpoint.is_encrypted())?;
        let credentials = Credentials::new(variables, &client)?;
        let region = Region::Custom {
            name: endpoint.region,
            endpoint: endpoint.url,
        };
        Ok(Self {
            name,
            s3: S3Client::new_with(client, credentials.clone(), region),
            credentials,
            locks: std::array::from_fn(|_| RwLock::new(())),
        })
    }

    fn lock(&self, name: BlobName) -> &RwLock<()> {
        let [first, ..] = *name.id.as_bytes();
        &self.locks[usize::from(first) % LOCKS]
    }

    async fn ask<T, A>(&self, bytes: usize, ask: impl FnMut() -> A) -> Result<T, BlobError>
    where
        A: Future<Output = Result<T, Trouble>>,
    {
        attempts(bytes, ask, || self.credentials.forget()).await
    }

    async fn object(&self, key: &str, bytes_max: usize) -> Result<Option<Bytes>, BlobError> {
        // How long it is turns out with the answer, so the time is that for the longest.
        self.ask(bytes_max, || {
            let request = GetObjectRequest {
                bucket: self.name.clone(),
                key: key.to_owned(),
                ..GetObjectRequest::default()
            };
            async move {
                let asked = self.s3.get_object(request);
                let answer = match attempts::in_time(0, asked).await? {
                    Ok(answer) => answer,
                    Err(RusotoError::Service(GetObjectError::NoSuchKey(_))) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let length = answer
                    .content_length
                    .and_then(|length| length.try_into().ok());
                let length = length.unwrap_or(bytes_max);
                if length > bytes_max {
                    return Err(Trouble::Oversized);
                }
                let Some(body) = answer.body else {
                    return Ok(Some(Bytes::new()));
                };
                let received = attempts::in_time(length, receive(body, bytes_max));
                received.await?.map(Some)
            }
        })
        .await
    }

    async fn page(
        &self,
        prefix: Option<String>,
        after: Option<String>,
    ) -> Result<ListObjectsV2Output, BlobError> {
        self.ask(0, || {
            let request = ListObjectsV2Request {
                bucket: self.name.clone(),
                prefix: prefix.clone(),
                continuation_token: after.clone(),
                ..ListObjectsV2Request::default()
            };
            async {
                let page = self.s3.list_objects_v2(request).await?;
                if page.name.is_some() {
                    Ok(page)
                } else {
                    Err(nonsense())
                }
            }
        })
        .await
    }
}

impl Bucket {
    /// Stores an object of which `about` says all but the bucket and the content.
    async fn put_object(
        &self,
        content: Bytes,
        about: impl Fn() -> PutObjectRequest,
    ) -> Result<(), BlobError> {
        self.ask(content.len(), || {
            let body = stream::once(ready(Ok(content.clone())));
            let request = PutObjectRequest {
                bucket: self.name.clone(),
                body: Some(ByteStream::new_with_size(body, content.len())),
                ..about()
            };
            async {
                let answer = self.s3.put_object(request).await?;
                // Whatever else says yes to everything is not S3.
                answer.e_tag.map(|_| ()).ok_or_else(nonsense)
            }
        })
        .await
    }
}

#[async_trait]
impl BlobStore for Bucket {
    async fn put(&self, name: BlobName, blob: Bytes) -> Result<(), BlobError> {
        let _shared = self.lock(name).read().await;
        let to_hash = blob.clone();
        let md5 = blocking(move || Ok(BASE64.encode(Md5::digest(&to_hash)))).await?;
        self.put_object(blob, || PutObjectRequest {
            key: name.to_string(),
            content_md5: Some(md5.clone()),
            content_type: Some(MEDIA_TYPE.to_owned()),
            ..PutObjectRequest::default()
        })
        .await
    }

    async fn get(&self, name: BlobName) -> Result<Option<Bytes>, BlobError> {
        self.object(&name.to_string(), SEALED_HEAP_BYTES_MAX).await
    }

    async fn enter(&self, user: HeapUser) -> Result<(), BlobError> {
        self.enter_user(user).await
    }

    async fn users(&self) -> Result<Option<Vec<HeapUser>>, BlobError> {
        self.all_users().await.map(Some)
    }

    async fn dismiss(&self, id: String) -> Result<(), BlobError> {
        self.dismiss_user(&id).await
    }

    /// What was damaged on its way may arrive well the next time.
    async fn doubt(&self, _name: BlobName) -> bool {
        true
    }

    async fn size(&self, name: BlobName) -> Result<Option<u64>, BlobError> {
        let found = self.page(Some(name.to_string()), None).await?;
        let mut blobs = listed(found.contents);
        Ok(blobs.find(|blob| blob.name == name).map(|blob| blob.bytes))
    }

    async fn delete(&self, name: BlobName, seen: SystemTime) -> Result<bool, BlobError> {
        let _alone = self.lock(name).write().await;
        let found = self.page(Some(name.to_string()), None).await?;
        match listed(found.contents).find(|blob| blob.name == name) {
            None => return Ok(true),
            Some(blob) if blob.put_at > seen => return Ok(false),
            Some(_) => {}
        }
        self.ask(0, || {
            let request = DeleteObjectRequest {
                bucket: self.name.clone(),
                key: name.to_string(),
                ..DeleteObjectRequest::default()
            };
            async {
                self.s3.delete_object(request).await?;
                Ok(true)
            }
        })
        .await
    }

    async fn list(&self, found: mpsc::Sender<ListedBlob>) -> Result<(), BlobError> {
        let mut after = None;
        loop {
            let page = self.page(None, after).await?;
            for blob in listed(page.contents) {
                if found.send(blob).await.is_err() {
                    return Ok(());
                }
            }
            after = page.next_continuation_token;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// The heaps among objects; there may be others in a bucket.
fn listed(objects: Option<Vec<rusoto_s3::Object>>) -> impl Iterator<Item = ListedBlob> {
    objects.into_iter().flatten().filter_map(|object| {
        let key = object.key?;
        let (folder, file) = key.split_once('/')?;
        let put_at: Timestamp = object.last_modified?.parse().ok()?;
        Some(ListedBlob {
            name: BlobName::of_file(TenantFolder::named(folder)?, file)?,
            bytes: object.size?.try_into().ok()?,
            put_at: put_at.into(),
        })
    })
}

fn nonsense() -> Trouble {
    Trouble::Passing("its answer is not that of an S3".to_owned())
}

async fn receive(mut body: ByteStream, bytes_max: usize) -> Result<Bytes, Trouble> {
    let mut blob = BytesMut::new();
    let broken = |error: std::io::Error| Trouble::Passing(format!("its answer broke off: {error}"));
    while let Some(part) = body.try_next().await.map_err(broken)? {
        blob.extend_from_slice(&part);
        if blob.len() > bytes_max {
            return Err(Trouble::Oversized);
        }
    }
    Ok(blob.freeze())
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
