//! One session of the legacy era: what it is used for, and since when it is not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProtocolVersion, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::time::Instant;

use crate::http::Peer;
use crate::mcp::message::answered;
use crate::quota::Member;
use crate::tenant::Tenant;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    state: Mutex<State>,
}

/// Who has opened a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) tenant: Tenant,
    /// From where, if that is known.
    pub(super) peer: Option<Peer>,
}

#[derive(Debug)]
struct State {
    used_at: Instant,
    streams: usize,
    requests: HashMap<RequestId, Request>,
    version: Option<ProtocolVersion>,
    owner: Option<Owner>,
    /// Its place among those of its tenant.
    place: Option<Member>,
    /// Something was asked after `initialize`.
    is_used: bool,
}

/// A request that is not over. Its id is free again once both have happened: the library would mix
/// up two that have the same.
#[derive(Debug, Default)]
struct Request {
    is_handled: bool,
    is_answered: bool,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                used_at: Instant::now(),
                streams: 0,
                requests: HashMap::new(),
                version: None,
                owner: None,
                place: None,
                is_used: false,
            }),
        }
    }

    /// Notes that the client was heard.
    pub(super) fn touch(&self) {
        self.state().used_at = Instant::now();
    }

    /// How long nothing has been asked, worked on or listened to; `None` while something is.
    pub(super) fn idle(&self) -> Option<Duration> {
        let state = self.state();
        let is_idle = state.streams == 0 && state.requests.values().all(|one| one.is_handled);
        is_idle.then(|| state.used_at.elapsed())
    }

    pub(super) fn agree(&self, version: ProtocolVersion) {
        self.state().version = Some(version);
    }

    /// Notes who has opened it, and holds its place from now on.
    pub(super) fn belongs_to(&self, owner: Option<Owner>, place: Option<Member>) {
        let mut state = self.state();
        state.owner = owner;
        state.place = place;
    }

    /// Gives up its place: it is about to end.
    pub(super) fn vacate(&self) -> Option<Member> {
        self.state().place.take()
    }

    /// Who has opened it. Before that is known, it is nobody's.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.state().owner.clone()
    }

    /// Whether it was used for anything yet.
    pub(super) fn is_used(&self) -> bool {
        self.state().is_used
    }

    /// Whether clients of this version know events without data, which only tell them an id.
    pub(super) fn knows_empty_events(&self) -> bool {
        let since = ProtocolVersion::V_2025_11_25;
        let state = self.state();
        let version = state.version.as_ref();
        version.is_some_and(|version| version.as_str() >= since.as_str())
    }

    /// The requests that a handler works on.
    pub(super) fn worked_on(&self) -> Vec<RequestId> {
        let state = self.state();
        let open = state.requests.iter().filter(|(_, one)| !one.is_handled);
        open.map(|(id, _)| id.clone()).collect()
    }

    /// A request was answered, or its answer is not wanted any more.
    pub(super) fn answer(&self, id: &RequestId) {
        self.settle(id, |request| request.is_answered = true);
    }

    fn settle(&self, id: &RequestId, happened: impl FnOnce(&mut Request)) {
        let mut state = self.state();
        state.used_at = Instant::now();
        let Some(request) = state.requests.get_mut(id) else {
            return;
        };
        happened(request);
        if request.is_handled && request.is_answered {
            state.requests.remove(id);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step: the state is whole even if somebody panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with its handler; dropped when the handler is done, however that comes about.
#[derive(Debug)]
pub(super) struct Handling {
    session: Arc<Session>,
    id: RequestId,
}

impl Handling {
    /// Notes a request. `None`: one of this id is not over.
    pub(super) fn begin(session: &Arc<Session>, id: &RequestId) -> Option<Self> {
        let mut state = session.state();
        if state.requests.contains_key(id) {
            return None;
        }
        state.is_used = true;
        state.requests.insert(id.clone(), Request::default());
        Some(Self {
            session: session.clone(),
            id: id.clone(),
        })
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.session
            .settle(&self.id, |request| request.is_handled = true);
    }
}

/// A stream that a client listens to.
#[derive(Debug)]
pub(super) struct Listening(Arc<Session>);

impl Listening {
    pub(super) fn begin(session: &Arc<Session>) -> Self {
        session.state().streams += 1;
        Self(session.clone())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.streams -= 1;
        state.used_at = Instant::now();
    }
}

/// The library's transport of a session, which notes the answers that pass.
#[derive(Debug)]
pub(super) struct Watched<T> {
    pub(super) transport: T,
    pub(super) session: Arc<Session>,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Watched<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if let Some(id) = answered(&message) {
            self.session.answer(id);
        }
        self.transport.send(message)
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.transport.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
