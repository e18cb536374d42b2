//! Which databases and clusters use a bucket: an object for each, `users/<id>.user`.

use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use rusoto_s3::{DeleteObjectRequest, PutObjectRequest, S3 as _};

use super::Bucket;
use crate::heaps::blobs::{BlobError, HeapUser};

const FOLDER: &str = "users/";
const SUFFIX: &str = ".user";
const ABOUT_BYTES_MAX: usize = 8 << 10;
const MEDIA_TYPE: &str = "text/plain; charset=utf-8";

fn key(id: &str) -> String {
    format!("{FOLDER}{id}{SUFFIX}")
}

impl Bucket {
    pub(super) async fn enter_user(&self, user: HeapUser) -> Result<(), BlobError> {
        self.put_object(Bytes::from(user.about), || PutObjectRequest {
            key: key(&user.id),
            content_type: Some(MEDIA_TYPE.to_owned()),
            ..PutObjectRequest::default()
        })
        .await
    }

    pub(super) async fn all_users(&self) -> Result<Vec<HeapUser>, BlobError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(Some(FOLDER.to_owned()), after).await?;
            for object in page.contents.unwrap_or_default() {
                let id = object.key.as_deref().and_then(id_of);
                let at = object.last_modified.and_then(|at| at.parse().ok());
                // One that cannot be read may be anybody's.
                let (Some(id), Some(at)) = (id, at) else {
                    let why = "what lies in its users/ makes no sense".to_owned();
                    return Err(BlobError::Unavailable(why));
                };
                found.push((id, at));
            }
            after = page.next_continuation_token;
            if after.is_none() {
                break;
            }
        }
        let mut users = Vec::with_capacity(found.len());
        for (id, at) in found {
            if let Some(user) = self.user(id, at).await? {
                users.push(user);
            }
        }
        Ok(users)
    }

    async fn user(&self, id: String, at: Timestamp) -> Result<Option<HeapUser>, BlobError> {
        let about = self.object(&key(&id), ABOUT_BYTES_MAX).await?;
        Ok(about.map(|about| HeapUser {
            about: String::from_utf8_lossy(&about).into_owned(),
            id,
            seen_at: SystemTime::from(at),
        }))
    }

    pub(super) async fn dismiss_user(&self, id: &str) -> Result<(), BlobError> {
        self.ask(0, || {
            let request = DeleteObjectRequest {
                bucket: self.name.clone(),
                key: key(id),
                ..DeleteObjectRequest::default()
            };
            async {
                self.s3.delete_object(request).await?;
                Ok(())
            }
        })
        .await
    }
}

fn id_of(key: &str) -> Option<String> {
    let id = key.strip_prefix(FOLDER)?.strip_suffix(SUFFIX)?;
    Some(id.to_owned())
}
