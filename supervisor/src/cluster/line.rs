//! A connection to one node, on which one question follows another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::local::{Local, now_secs};
use super::name::{Address, NodeName};
use super::trust::Credentials;
use super::trust::head::{self, Stamp};
use super::trust::sessions::{Nonce, SESSION_BYTES};
use super::trust::tls::Names;
use super::{routes, socket};
use crate::limits::{PEER_CONNECT_WAIT_MAX, PEER_TLS_WAIT_MAX};
use crate::outbound::causes;
use crate::raft::ids::RaftId;

/// What TLS wants to know, and nobody looks at: names are compared by [`Names::has`].
const NO_NAME: &str = "node.invalid";

/// Why a node gave no answer that can be believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// It cannot be reached, or the connection broke.
    #[error("{0}")]
    Broken(String),
    /// It took too long.
    #[error("no answer in time")]
    Late,
    /// It shows a certificate of somebody else.
    #[error("who answers there does not show a certificate of {0}")]
    OtherName(NodeName),
    /// It does not show that it has the secret.
    #[error(
        "who answers there (with status {0}) does not show that it has the secret of this cluster"
    )]
    Unsigned(u16),
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Where.
    pub(super) address: Address,
    /// Who must be there; none takes whoever is.
    pub(super) name: Option<NodeName>,
    /// The same, as the receiver of what is sent.
    pub(super) id: Option<RaftId>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) body: Bytes,
    pub(super) patience: Duration,
}

/// What was answered, by who was asked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// The names of the certificate that was shown; none where nodes show none.
    pub(super) names: Option<Names>,
}

/// The connection. It is made when something is asked, and again when it has broken.
#[derive(Debug)]
pub(super) struct Line {
    local: Arc<Local>,
    target: Target,
    open: Option<Open>,
    /// What numbers its questions.
    session: [u8; SESSION_BYTES],
    number: u64,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    names: Option<Names>,
    _conversation: AbortOnDropHandle<()>,
}

impl Line {
    pub(super) fn new(local: Arc<Local>, target: Target) -> Self {
        let mut session = [0; SESSION_BYTES];
        // Without randomness another session has this name, and what is asked is refused.
        let _ = getrandom::fill(&mut session);
        Self {
            local,
            target,
            open: None,
            session,
            number: 0,
        }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// Ends the connection, until something is asked again.
    pub(super) fn hang_up(&mut self) {
        self.open = None;
    }

    /// Asks, and waits for the answer. It may be heard twice.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Answer, LineError> {
        let asked = timeout(question.patience, self.ask_again(question)).await;
        let answer = asked.unwrap_or(Err(LineError::Late));
        if answer.is_err() {
            // What else comes on it would be the answer to this.
            self.open = None;
        }
        answer
    }

    /// A connection that was not used for a while may be closed by the other end at any moment: it is
    /// made again then, once.
    async fn ask_again(&mut self, question: &Question) -> Result<Answer, LineError> {
        if let Some(open) = self.open.take_if(|open| !open.sender.is_closed()) {
            match self.ask_on(open, question).await {
                Err(LineError::Broken(_)) => {}
                answer => return answer,
            }
        }
        let open = connect(&self.local, &self.target).await?;
        self.ask_on(open, question).await
    }

    async fn ask_on(&mut self, mut open: Open, question: &Question) -> Result<Answer, LineError> {
        let broken = |error: hyper::Error| LineError::Broken(causes(&error));
        let request = self.request(question)?;
        let signature = head::signature(request.headers()).ok().flatten();
        open.sender.ready().await.map_err(broken)?;
        let (parts, body) = open
            .sender
            .send_request(request)
            .await
            .map_err(broken)?
            .into_parts();
        let most = routes::answer_bytes_max(question.path);
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| LineError::Broken(causes(&*error)))?;
        let body = body.to_bytes();
        if let (Credentials::Secret(secret), Some(asked)) = (&self.local.credentials, signature) {
            let status = parts.status.as_u16();
            let signed = head::signature(&parts.headers).ok().flatten();
            let is_signed =
                signed.is_some_and(|signed| secret.has_answered(&asked, (status, &body), &signed));
            if !is_signed {
                return Err(LineError::Unsigned(status));
            }
        }
        let answer = Answer {
            status: parts.status,
            body,
            names: open.names.clone(),
        };
        self.open = Some(open);
        Ok(answer)
    }

    fn request(&mut self, question: &Question) -> Result<Request<Full<Bytes>>, LineError> {
        let mut request = Request::new(Full::new(question.body.clone()));
        *request.method_mut() = question.method.clone();
        *request.uri_mut() = http::Uri::from_static(question.path);
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&self.target.address.to_string());
        headers.insert(
            header::HOST,
            host.map_err(|error| LineError::Broken(error.to_string()))?,
        );
        self.local.claims(self.target.id).write(headers);
        if let Credentials::Secret(secret) = &self.local.credentials {
            self.number += 1;
            let stamp = Stamp {
                time: now_secs(),
                nonce: Nonce {
                    session: self.session,
                    number: self.number,
                },
                body: Sha256::digest(&question.body).into(),
            };
            stamp.write(headers);
            secret.sign(&question.method, question.path, headers);
        }
        Ok(request)
    }
}

async fn connect(local: &Local, target: &Target) -> Result<Open, LineError> {
    let place = (target.address.host(), target.address.port());
    let connected = timeout(PEER_CONNECT_WAIT_MAX, TcpStream::connect(place)).await;
    let broken = |error: std::io::Error| LineError::Broken(error.to_string());
    let too_late = || LineError::Broken("it does not accept a connection in time".to_owned());
    let stream = connected.map_err(|_| too_late())?.map_err(broken)?;
    socket::prepare(&stream).map_err(broken)?;
    let Credentials::Tls(store) = &local.credentials else {
        return converse(stream, None).await;
    };
    let name =
        ServerName::try_from(NO_NAME).map_err(|error| LineError::Broken(error.to_string()))?;
    let connector = TlsConnector::from(Arc::clone(&store.current().client));
    let agreed = timeout(PEER_TLS_WAIT_MAX, connector.connect(name, stream)).await;
    let stream = agreed.map_err(|_| too_late())?.map_err(broken)?;
    let names = Names::of(stream.get_ref().1.peer_certificates());
    if let Some(name) = &target.name
        && !names.has(name)
    {
        return Err(LineError::OtherName(name.clone()));
    }
    converse(stream, Some(names)).await
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    names: Option<Names>,
) -> Result<Open, LineError> {
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (sender, conversation) = made.map_err(|error| LineError::Broken(causes(&error)))?;
    let conversation = tokio::spawn(async move {
        if let Err(error) = conversation.await {
            tracing::debug!(%error, "a connection to a node broke");
        }
    });
    Ok(Open {
        sender,
        names,
        _conversation: AbortOnDropHandle::new(conversation),
    })
}
