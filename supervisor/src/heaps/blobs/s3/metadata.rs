//! Credentials from the neighbourhood: the container's agent and the instance's metadata.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use rusoto_core::credential::AwsCredentials;
use tokio::time::timeout;

use super::client::HttpClient;
use crate::heaps::config::AwsVariables;
use crate::limits::{METADATA_ATTEMPTS_MAX, METADATA_BYTES_MAX, METADATA_TIMEOUT};

const CONTAINER_HOST: &str = "http://169.254.170.2";
const INSTANCE_HOST: &str = "http://169.254.169.254";
const TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN_LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
/// Tokens are used at once.
const TOKEN_LIFE_SECS: HeaderValue = HeaderValue::from_static("60");

/// An agent that gives a container its role's credentials (ECS, EKS).
pub(super) struct Container {
    client: HttpClient,
    url: String,
    token: Option<String>,
    /// Somebody else keeps the token fresh in it.
    token_file: Option<String>,
}

impl Container {
    pub(super) fn new(variables: &AwsVariables, client: &HttpClient) -> Option<Self> {
        let own = |name| variables.get(name).map(str::to_owned);
        let url = match variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("{CONTAINER_HOST}{path}"),
            None => own("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
        };
        Some(Self {
            client: client.clone(),
            url,
            token: own("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
            token_file: own("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        })
    }

    pub(super) async fn fetch(&self) -> Result<AwsCredentials, String> {
        let token = match &self.token_file {
            Some(path) => {
                let read = tokio::fs::read_to_string(path).await;
                Some(read.map_err(|error| format!("{path}: {error}"))?)
            }
            None => self.token.clone(),
        };
        let mut request = request(Method::GET, &self.url)?;
        if let Some(token) = token {
            let token = HeaderValue::from_str(token.trim());
            let token = token.map_err(|_| "its token has characters that none has")?;
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        read(&ask(&self.client, &request).await?)
    }
}

/// The instance's metadata. Version 2 asks for a token first, which programs that can be made to ask
/// anything of anybody usually cannot get.
pub(super) struct Instance {
    client: HttpClient,
    host: String,
}

impl Instance {
    pub(super) fn new(variables: &AwsVariables, client: &HttpClient) -> Option<Self> {
        let is_off = variables.get("AWS_EC2_METADATA_DISABLED");
        if is_off.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let host = variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let host = host.unwrap_or(INSTANCE_HOST).trim_end_matches('/');
        Some(Self {
            client: client.clone(),
            host: host.to_owned(),
        })
    }

    pub(super) async fn fetch(&self) -> Result<AwsCredentials, String> {
        let mut wanted = request(Method::PUT, &format!("{}{TOKEN_PATH}", self.host))?;
        wanted.headers_mut().insert(TOKEN_LIFE, TOKEN_LIFE_SECS);
        let token = ask(&self.client, &wanted).await?;
        let token = HeaderValue::from_maybe_shared(token)
            .map_err(|_| "its token has characters that none has")?;
        let roles = self.get("", &token).await?;
        let role = str::from_utf8(&roles)
            .ok()
            .and_then(|roles| roles.lines().next());
        let role = role.filter(|role| !role.is_empty());
        let role = role.ok_or("the instance has no role")?;
        read(&self.get(role.trim(), &token).await?)
    }

    async fn get(&self, role: &str, token: &HeaderValue) -> Result<Bytes, String> {
        let url = format!("{}{ROLES_PATH}{role}", self.host);
        let mut wanted = request(Method::GET, &url)?;
        wanted.headers_mut().insert(TOKEN, token.clone());
        ask(&self.client, &wanted).await
    }
}

fn request(method: Method, url: &str) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    *request.uri_mut() = url
        .parse::<Uri>()
        .map_err(|error| format!("{url:?} is no URL: {error}"))?;
    Ok(request)
}

/// Asks, and once more where there was no sensible answer.
async fn ask(client: &HttpClient, request: &Request<Full<Bytes>>) -> Result<Bytes, String> {
    let mut why = String::new();
    for tried in 0..METADATA_ATTEMPTS_MAX {
        if tried > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let asked = client.ask(request.clone(), METADATA_BYTES_MAX);
        why = match timeout(METADATA_TIMEOUT, asked).await {
            Ok(Ok((200, body))) => return Ok(body),
            Ok(Ok((status @ 400..500, _))) => return Err(format!("status {status}")),
            Ok(Ok((status, _))) => format!("status {status}"),
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", METADATA_TIMEOUT.as_secs()),
        };
    }
    Err(why)
}

fn read(body: &[u8]) -> Result<AwsCredentials, String> {
    // What is wrong with it is not said: there is a secret in it.
    serde_json::from_slice(body).map_err(|_| "its answer has no credentials".to_owned())
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Container({})", self.url)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance({})", self.host)
    }
}
