//! What stands between axum and the MCP library: who is let in, and how answers go out.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::Full;
use rmcp::ServerHandler;
use rmcp::model::{ClientRequest, JsonRpcMessage, JsonRpcRequest};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::SessionId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::StreamableConfig;
use super::era;
use super::late;
use super::sessions::Sessions;
use crate::auth::Caller;
use crate::limits;
use crate::mcp::admission::{Place, Places};
use crate::mcp::events;
use crate::mcp::http_error::{HttpError, Scarce, check_scope};
use crate::mcp::posted;
use crate::tenant::Tenant;

const SESSION_ID: &str = "mcp-session-id";

/// One for all requests.
pub(super) struct Front<H> {
    pub(super) service: StreamableHttpService<Arc<H>, Sessions>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) requests: Places,
    pub(super) streams: Places,
    pub(super) config: StreamableConfig,
    pub(super) stop: CancellationToken,
}

/// Serves a request.
pub(super) async fn serve<H: ServerHandler>(
    State(front): State<Arc<Front<H>>>,
    request: Request,
) -> Response {
    let answer = front.answer(request).await;
    let mut response = answer.unwrap_or_else(HttpError::into_response);
    events::of_this_moment(response.headers_mut());
    response
}

impl<H: ServerHandler> Front<H> {
    async fn answer(self: Arc<Self>, mut request: Request) -> Result<Response, HttpError> {
        if self.stop.is_cancelled() {
            return Err(HttpError::Stopping);
        }
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller.ok_or(HttpError::NobodyCalls)?;
        self.forget_foreign(request.headers_mut(), caller.tenant());
        match *request.method() {
            Method::POST => self.post(request, &caller).await,
            Method::GET => self.listen(request, caller.tenant()).await,
            Method::DELETE => self.delete(request).await,
            _ => Ok(self.library(request.map(|_| Full::default())).await),
        }
    }

    /// Makes the id of somebody else's session one that nobody has: so all that is said of it is what
    /// is said of any unknown session.
    fn forget_foreign(&self, headers: &mut HeaderMap, tenant: &Tenant) {
        let is_foreign = |id: SessionId| self.sessions.is_foreign(&id, tenant);
        if session_id(headers).is_some_and(is_foreign)
            && let Ok(unknown) = HeaderValue::try_from(Uuid::new_v4().to_string())
        {
            headers.insert(SESSION_ID, unknown);
        }
    }

    async fn post(
        self: Arc<Self>,
        request: Request,
        caller: &Caller,
    ) -> Result<Response, HttpError> {
        let tenant = caller.tenant();
        let place = self.requests.take(tenant);
        let mut place = place.map_err(|none| Scarce::Requests.refused(none))?;
        let (parts, body) = request.into_parts();
        let posted = posted::read(&parts.headers, body, self.config.body).await?;
        let Some(message) = posted.message else {
            return Ok(StatusCode::ACCEPTED.into_response());
        };
        let request = Request::from_parts(parts, Full::new(posted.bytes));
        match *message {
            JsonRpcMessage::Request(message) => {
                check_scope(caller, &message.request)?;
                if let ClientRequest::SubscriptionsListenRequest(_) = &message.request {
                    let stream = self.streams.take(tenant);
                    place = stream.map_err(|none| Scarce::Streams.refused(none))?;
                }
                self.call(message, request, (place, tenant)).await
            }
            _ => self.tell(request).await,
        }
    }

    /// A request, which is answered.
    async fn call(
        self: Arc<Self>,
        message: JsonRpcRequest<ClientRequest>,
        mut request: Request<Full<Bytes>>,
        (place, tenant): (Place, &Tenant),
    ) -> Result<Response, HttpError> {
        era::check_opening(&message, request.headers())?;
        if let ClientRequest::InitializeRequest(_) = &message.request {
            // A session that the library opens takes the room out of its request.
            let room = self.sessions.room(tenant).await?;
            request.extensions_mut().insert(room);
        }
        request.extensions_mut().insert(place.clone());
        let config = self.config;
        let id = message.id.clone();
        // The library reads it again.
        drop(message);
        let answer = self.library(request);
        Ok(late::answer(answer, id, &config, place).await)
    }

    /// A message that is not answered.
    async fn tell(self: Arc<Self>, request: Request<Full<Bytes>>) -> Result<Response, HttpError> {
        let answer = self.library(request);
        tokio::time::timeout(limits::MCP_ACCEPT_WAIT_MAX, answer)
            .await
            .map_err(|_| HttpError::Stuck)
    }

    async fn listen(
        self: Arc<Self>,
        request: Request,
        tenant: &Tenant,
    ) -> Result<Response, HttpError> {
        let place = self.streams.take(tenant);
        let place = place.map_err(|none| Scarce::Streams.refused(none))?;
        let pace = self.config.pace;
        let answer = self.library(request.map(|_| Full::default()));
        let response = tokio::time::timeout(limits::MCP_ACCEPT_WAIT_MAX, answer)
            .await
            .map_err(|_| HttpError::Stuck)?;
        Ok(late::streamed(response, pace, place))
    }

    async fn delete(self: Arc<Self>, request: Request) -> Result<Response, HttpError> {
        // The library would say of any session that it was ended.
        if let Some(id) = session_id(request.headers())
            && self.sessions.find(&id).is_none()
        {
            return Err(HttpError::UnknownSession);
        }
        let mut response = self.tell(request.map(|_| Full::default())).await?;
        // The library says that it was accepted, which clients take for a failure: it has ended.
        if response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        Ok(response)
    }

    async fn library(self: Arc<Self>, request: Request<Full<Bytes>>) -> Response {
        self.service.handle(request).await.map(Body::new)
    }
}

fn session_id(headers: &HeaderMap) -> Option<SessionId> {
    let id = headers.get(SESSION_ID)?;
    id.to_str().ok().map(SessionId::from)
}
