//! Who we are to S3: credentials from where AWS's own clients look for them, in their order.
//!
//! 1. the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`;
//! 2. a profile: `AWS_PROFILE` in `AWS_SHARED_CREDENTIALS_FILE` or `~/.aws/credentials`;
//! 3. a web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, exchanged at STS;
//! 4. the container: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `_FULL_URI`;
//! 5. the instance's metadata, version 2, unless `AWS_EC2_METADATA_DISABLED`.
//!
//! What somebody has set is meant: where it fails, the next is not tried. Only a credentials file that
//! lies about without `AWS_PROFILE` may be of no use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rusoto_core::credential::{
    AwsCredentials, CredentialsError, ProfileProvider, ProvideAwsCredentials,
};
use rusoto_core::{Client, Region};
use rusoto_sts::{AssumeRoleWithWebIdentityRequest, Sts as _, StsClient};
use tokio::sync::Mutex;

use super::attempts::cut;
use super::client::HttpClient;
use super::metadata::{Container, Instance};
use super::settings::{Endpoint, S3SettingsError};
use crate::heaps::config::AwsVariables;
use crate::limits::CREDENTIALS_RENEWED_BEFORE;

const SESSION_NAME: &str = "mcp-v8";

/// Credentials that are kept while they are good. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Credentials(Arc<Inner>);

struct Inner {
    sources: Vec<Source>,
    held: Mutex<Option<AwsCredentials>>,
}

/// One place to look.
#[derive(Debug)]
enum Source {
    Environment(Box<AwsCredentials>),
    Profile {
        profile: Profile,
        /// Whether somebody named it.
        is_named: bool,
    },
    WebIdentity(Box<WebIdentity>),
    Container(Container),
    Instance(Instance),
}

impl Credentials {
    pub(super) fn new(
        variables: &AwsVariables,
        client: &HttpClient,
    ) -> Result<Self, S3SettingsError> {
        let mut sources = Vec::new();
        let (key, secret) = (
            variables.get("AWS_ACCESS_KEY_ID"),
            variables.get("AWS_SECRET_ACCESS_KEY"),
        );
        if let (Some(key), Some(secret)) = (key, secret) {
            let token = variables.get("AWS_SESSION_TOKEN").map(str::to_owned);
            let credentials = AwsCredentials::new(key, secret, token, None);
            sources.push(Source::Environment(Box::new(credentials)));
        }
        if let Some(profile) = Profile::new(variables) {
            let is_named = variables.get("AWS_PROFILE").is_some();
            sources.push(Source::Profile { profile, is_named });
        }
        if let Some(identity) = WebIdentity::new(variables, client)? {
            sources.push(Source::WebIdentity(Box::new(identity)));
        }
        if let Some(container) = Container::new(variables, client) {
            sources.push(Source::Container(container));
        }
        if let Some(instance) = Instance::new(variables, client) {
            sources.push(Source::Instance(instance));
        }
        let held = Mutex::new(None);
        Ok(Self(Arc::new(Inner { sources, held })))
    }

    /// Hears that those it gave were refused as too old.
    pub(super) async fn forget(&self) {
        *self.0.held.lock().await = None;
    }
}

#[async_trait]
impl ProvideAwsCredentials for Credentials {
    async fn credentials(&self) -> Result<AwsCredentials, CredentialsError> {
        // Whoever comes meanwhile waits for the same answer.
        let mut held = self.0.held.lock().await;
        if let Some(good) = held.as_ref()
            && secs_left(good) > CREDENTIALS_RENEWED_BEFORE.as_secs()
        {
            return Ok(good.clone());
        }
        match (self.0.look().await, held.as_ref()) {
            (Ok(found), _) => Ok(held.insert(found).clone()),
            (Err(why), Some(old)) if secs_left(old) > 0 => {
                tracing::warn!(
                    why,
                    "credentials for S3 cannot be renewed; the old ones are used"
                );
                Ok(old.clone())
            }
            (Err(why), _) => Err(CredentialsError::new(why)),
        }
    }
}

impl Inner {
    async fn look(&self) -> Result<AwsCredentials, String> {
        let mut passed = String::new();
        for source in &self.sources {
            match source.fetch().await {
                Ok(found) => return Ok(found),
                Err(why) if source.may_be_of_no_use() => passed = format!(" ({why})"),
                Err(why) => return Err(format!("no credentials from {source}: {why}{passed}")),
            }
        }
        Err(format!(
            "no credentials are set{passed}; see the AWS variables, for instance AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY"
        ))
    }
}

impl Source {
    async fn fetch(&self) -> Result<AwsCredentials, String> {
        match self {
            Self::Environment(credentials) => Ok((**credentials).clone()),
            Self::Profile { profile, .. } => profile.fetch().await,
            Self::WebIdentity(identity) => identity.fetch().await,
            Self::Container(container) => container.fetch().await,
            Self::Instance(instance) => instance.fetch().await,
        }
    }

    fn may_be_of_no_use(&self) -> bool {
        matches!(self, Self::Profile { is_named, .. } if !is_named)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(_) => f.write_str("the environment"),
            Self::Profile { profile, .. } => {
                write!(
                    f,
                    "profile {:?} in {}",
                    profile.name,
                    profile.file.display()
                )
            }
            Self::WebIdentity(identity) => write!(f, "web identity {}", identity.token_file),
            Self::Container(_) => f.write_str("the container"),
            Self::Instance(_) => f.write_str("the instance's metadata"),
        }
    }
}

/// A profile in a credentials file.
#[derive(Debug)]
struct Profile {
    file: PathBuf,
    name: String,
}

impl Profile {
    /// The one that is named, or the default one of a file that is there.
    fn new(variables: &AwsVariables) -> Option<Self> {
        let named = variables.get("AWS_PROFILE");
        let file = match variables.get("AWS_SHARED_CREDENTIALS_FILE") {
            Some(file) => PathBuf::from(file),
            None => Path::new(variables.get("HOME")?).join(".aws/credentials"),
        };
        let name = named.unwrap_or("default").to_owned();
        (named.is_some() || file.exists()).then_some(Self { file, name })
    }

    async fn fetch(&self) -> Result<AwsCredentials, String> {
        let provider = ProfileProvider::with_configuration(&self.file, &self.name);
        // It panics on files that it may not read, and a panic of a task is an error.
        let fetched = tokio::spawn(async move { provider.credentials().await }).await;
        match fetched {
            Ok(fetched) => fetched.map_err(|error| error.to_string()),
            Err(_) => Err("its files cannot be read".to_owned()),
        }
    }
}

/// A token that somebody else keeps fresh in a file, and the role that it stands for.
struct WebIdentity {
    sts: StsClient,
    token_file: String,
    role: String,
    session: String,
}

impl WebIdentity {
    fn new(variables: &AwsVariables, client: &HttpClient) -> Result<Option<Self>, S3SettingsError> {
        let (Some(token_file), Some(role)) = (
            variables.get("AWS_WEB_IDENTITY_TOKEN_FILE"),
            variables.get("AWS_ROLE_ARN"),
        ) else {
            return Ok(None);
        };
        let endpoint = Endpoint::of("sts", variables)?;
        let region = Region::Custom {
            name: endpoint.region,
            endpoint: endpoint.url,
        };
        let session = variables.get("AWS_ROLE_SESSION_NAME");
        Ok(Some(Self {
            sts: StsClient::new_with_client(Client::new_not_signing(client.clone()), region),
            token_file: token_file.to_owned(),
            role: role.to_owned(),
            session: session.unwrap_or(SESSION_NAME).to_owned(),
        }))
    }

    async fn fetch(&self) -> Result<AwsCredentials, String> {
        let token = tokio::fs::read_to_string(&self.token_file)
            .await
            .map_err(|error| error.to_string())?;
        let request = AssumeRoleWithWebIdentityRequest {
            role_arn: self.role.clone(),
            role_session_name: self.session.clone(),
            web_identity_token: token.trim().to_owned(),
            ..AssumeRoleWithWebIdentityRequest::default()
        };
        let sts = self.sts.clone();
        // rusoto's readers of XML panic on what they do not expect.
        let answer =
            tokio::spawn(async move { sts.assume_role_with_web_identity(request).await }).await;
        let answer = answer.map_err(|_| "its answer makes no sense")?;
        let given = answer.map_err(|error| cut(&error.to_string()))?.credentials;
        let given = given.ok_or("its answer has no credentials")?;
        let as_others_say_it = serde_json::json!({
            "AccessKeyId": given.access_key_id,
            "SecretAccessKey": given.secret_access_key,
            "SessionToken": given.session_token,
            "Expiration": given.expiration,
        });
        serde_json::from_value(as_others_say_it).map_err(|error| error.to_string())
    }
}

/// How long credentials are good.
fn secs_left(credentials: &AwsCredentials) -> u64 {
    let Some(end) = credentials.expires_at() else {
        return u64::MAX;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let end = u64::try_from(end.timestamp()).unwrap_or_default();
    end.saturating_sub(now.map_or(0, |now| now.as_secs()))
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.sources).finish()
    }
}

impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebIdentity({})", self.role)
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
