//! All sessions of the legacy era, over those of the MCP library.
//!
//! The library ends a session that has heard nothing for five minutes, even while a call runs; it
//! lets anybody open as many as they like; and a request whose id is in use takes the first one's
//! place. So sessions are watched here: one ends when nothing has used it for a while, or at once
//! when there are too many, nothing uses it, and its tenant, and of that its peer, has most of them. What
//! a tenant may have of them is bounded: beyond that it can only take the place of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::http::request::Parts;
use futures_util::{Stream, StreamExt as _, future, stream};
use rmcp::model::{
    ClientJsonRpcMessage, ErrorData, GetExtensions as _, JsonRpcMessage, RequestId,
    ServerJsonRpcMessage, ServerResult,
};
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};
use rmcp::transport::streamable_http_server::session::{
    ServerSseMessage, SessionId, SessionManager,
};

use super::session::{Handling, Listening, Owner, Session, Watched};
use super::{SessionLimits, StreamableConfig};
use crate::auth::Caller;
use crate::http::Peer;
use crate::mcp::http_error::{HttpError, Scarce};
use crate::mcp::message::{Refusal, cancelled, unwanted};
use crate::quota::{Crowd, Member, NoPlace};
use crate::tenant::Tenant;

/// The sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    library: Arc<LocalSessionManager>,
    limits: SessionLimits,
    places: Crowd,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<SessionId, Arc<Session>>,
}

/// Room for a session that is about to be opened. It travels with the request that opens it; what the
/// session does not take is given back with that.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Mutex<Option<Member>>>);

impl Room {
    fn new(place: Member) -> Self {
        Self(Arc::new(Mutex::new(Some(place))))
    }

    fn take(&self) -> Option<Member> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.take()
    }
}

impl Sessions {
    pub(super) fn new(config: &StreamableConfig) -> Self {
        let mut library = LocalSessionManager::default();
        library.session_config.keep_alive = None;
        library.session_config.sse_retry = Some(config.reconnect_pause);
        Self {
            library: Arc::new(library),
            limits: config.sessions,
            places: Crowd::new(config.sessions.number_max, config.sharing),
            table: Mutex::default(),
        }
    }

    /// Makes room for a session of this tenant, if need be by ending one that is not used.
    pub(super) async fn room(&self, tenant: &Tenant) -> Result<Room, HttpError> {
        let no_place = match self.places.enter(tenant) {
            Ok(place) => return Ok(Room::new(place)),
            Err(no_place) => no_place,
        };
        let refused = || Scarce::Sessions.refused(no_place);
        let (id, session) = {
            let mut table = self.table();
            let displaced = table.displaced(tenant, no_place).ok_or_else(refused)?;
            table.open.remove_entry(&displaced).ok_or_else(refused)?
        };
        let place = session.vacate().map(|mut place| {
            place.hand_over(tenant);
            place
        });
        tracing::debug!("ended an idle session to make room for another");
        self.end(&id, &session).await;
        match place {
            Some(place) => Ok(Room::new(place)),
            None => Err(refused()),
        }
    }

    /// Whether there is an open session of this id that is not this tenant's.
    pub(super) fn is_foreign(&self, id: &SessionId, tenant: &Tenant) -> bool {
        let session = self.table().open.get(id).cloned();
        let owner = session.map(|session| session.owner());
        owner.is_some_and(|owner| owner.is_none_or(|owner| owner.tenant != *tenant))
    }

    /// Whether a session is open. This is the one place where a request finds its session: one of
    /// another tenant does not come here with its id.
    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        let session = self.table().open.get(id).cloned();
        if let Some(session) = &session {
            session.touch();
        }
        session
    }

    /// Ends sessions that are not used, for as long as there is anybody to open some.
    pub(super) async fn tend(sessions: Weak<Self>, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        loop {
            ticks.tick().await;
            let Some(sessions) = sessions.upgrade() else {
                return;
            };
            let idle = sessions.take_idle();
            if !idle.is_empty() {
                tracing::debug!(number = idle.len(), "ended idle sessions");
            }
            for (id, session) in idle {
                sessions.end(&id, &session).await;
            }
        }
    }

    fn take_idle(&self) -> Vec<(SessionId, Arc<Session>)> {
        let idle_max = self.limits.idle_max;
        let is_idle = |session: &Session| session.idle().is_some_and(|time| time >= idle_max);
        let mut table = self.table();
        let idle: Vec<_> = table
            .open
            .extract_if(|_, session| is_idle(session))
            .collect();
        drop(table);
        for (_, session) in &idle {
            drop(session.vacate());
        }
        idle
    }

    /// Ends a session that is not in the table any more, and what its calls wait for.
    async fn end(&self, id: &SessionId, session: &Arc<Session>) {
        let library = Arc::clone(&self.library);
        let (id, session) = (id.clone(), Arc::clone(session));
        // In a task of its own: whoever asked for it may go away meanwhile, and nobody else knows of it.
        let ended = tokio::spawn(async move {
            // The library would let them go on for five seconds.
            for request in session.worked_on() {
                let cancelled = cancelled(request);
                if library.accept_message(&id, cancelled).await.is_err() {
                    break;
                }
            }
            if let Err(error) = library.close_session(&id).await {
                tracing::debug!(%error, "a session was not closed well");
            }
        });
        if let Err(error) = ended.await {
            tracing::warn!(%error, "a session was not closed");
        }
    }

    fn session(&self, id: &SessionId) -> Result<Arc<Session>, LocalSessionManagerError> {
        self.find(id)
            .ok_or_else(|| LocalSessionManagerError::SessionNotFound(id.clone()))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change is one step: the table is whole even if somebody panicked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The session that makes room for another one of this tenant: of those that nothing uses now one of
    /// the tenant that has most, and of the peer of it that has most, so that who opens many displaces its
    /// own; of these one that was never used; of these the one that has been idle longest. None of a
    /// tenant that has fewer, and only its own where it has as many as it may.
    fn displaced(&self, newcomer: &Tenant, why: NoPlace) -> Option<SessionId> {
        let mut of_tenants: HashMap<Tenant, usize> = HashMap::new();
        let mut of_owners: HashMap<Owner, usize> = HashMap::new();
        for owner in self.open.values().filter_map(|session| session.owner()) {
            *of_tenants.entry(owner.tenant.clone()).or_default() += 1;
            *of_owners.entry(owner).or_default() += 1;
        }
        let least = of_tenants.get(newcomer).copied().unwrap_or(0);
        self.open
            .iter()
            .filter_map(|(id, session)| {
                let owner = session.owner()?;
                let number = of_tenants.get(&owner.tenant)?;
                let may = match why {
                    NoPlace::Share => owner.tenant == *newcomer,
                    NoPlace::Full => *number >= least,
                };
                let rank = (number, of_owners.get(&owner), !session.is_used());
                may.then_some(((rank, session.idle()?), id))
            })
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, id)| id.clone())
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = Watched<WorkerTransport<LocalSessionWorker>>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.library.create_session().await?;
        let session = Arc::new(Session::new());
        self.table().open.insert(id.clone(), session.clone());
        Ok((id, Watched { transport, session }))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        let session = self.session(id)?;
        let (owner, place) = opener(&message).unzip();
        session.belongs_to(owner, place.flatten());
        let answer = self.library.initialize_session(id, message).await?;
        if let JsonRpcMessage::Response(response) = &answer
            && let ServerResult::InitializeResult(result) = &response.result
        {
            session.agree(result.protocol_version.clone());
        }
        Ok(answer)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.find(id).is_some())
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        let session = self.table().open.remove(id);
        if let Some(session) = session {
            drop(session.vacate());
            self.end(id, &session).await;
        }
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let session = self.session(id)?;
        if let JsonRpcMessage::Request(request) = &mut message {
            let Some(handling) = Handling::begin(&session, &request.id) else {
                return Ok(duplicate(&request.id).left_stream());
            };
            request.request.extensions_mut().insert(Arc::new(handling));
        }
        let events = self.library.create_stream(id, message).await?;
        let with_empty = session.knows_empty_events();
        let events = listened(&session, events)
            .filter(move |event| future::ready(with_empty || event.message.is_some()));
        Ok(events.right_stream())
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        let session = self.session(id)?;
        let unwanted = unwanted(&message).cloned();
        self.library.accept_message(id, message).await?;
        // The library drops the answer of a cancelled request.
        if let Some(request) = unwanted {
            session.answer(&request);
        }
        Ok(())
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let session = self.session(id)?;
        let events = self.library.create_standalone_stream(id).await?;
        Ok(listened(&session, events))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let session = self.session(id)?;
        let events = self.library.resume(id, last_event_id).await?;
        Ok(listened(&session, events))
    }
}

/// The same events; the session is in use as long as somebody listens.
fn listened<S: Stream>(session: &Arc<Session>, events: S) -> impl Stream<Item = S::Item> + use<S> {
    let listening = Listening::begin(session);
    events.inspect(move |_| {
        let _held = &listening;
    })
}

/// Who has sent the message that opens a session, and the place that is kept for it.
fn opener(message: &ClientJsonRpcMessage) -> Option<(Owner, Option<Member>)> {
    let JsonRpcMessage::Request(request) = message else {
        return None;
    };
    let parts = request.request.extensions().get::<Parts>()?;
    let caller = parts.extensions.get::<Caller>()?;
    let owner = Owner {
        tenant: caller.tenant().clone(),
        peer: parts.extensions.get::<Peer>().copied(),
    };
    Some((owner, parts.extensions.get::<Room>().and_then(Room::take)))
}

/// The answer to a request whose id is in use.
fn duplicate(id: &RequestId) -> impl Stream<Item = ServerSseMessage> + Send + Sync + use<> {
    let message = Refusal::duplicate(id.clone()).to_string();
    let error = ErrorData::invalid_request(message, None);
    let answer = ServerJsonRpcMessage::error(error, Some(id.clone()));
    stream::iter([ServerSseMessage::from_message(answer)])
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
