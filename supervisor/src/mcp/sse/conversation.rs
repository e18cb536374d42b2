//! The conversations that are open, and those that were lately.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use rmcp::ServerHandler;
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage};
use rmcp::service::serve_server;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::SESSION_ID;
use super::legacy::Legacy;
use super::transport::SseTransport;
use crate::limits;
use crate::mcp::admission::Place;
use crate::mcp::events::{Piece, event};
use crate::mcp::http_error::HttpError;
use crate::mcp::in_flight::InFlight;
use crate::mcp::message::{Refusal, unwanted};
use crate::tenant::Tenant;

/// All conversations.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<Uuid, Arc<Conversation>>,
    ended: VecDeque<(Uuid, Tenant)>,
}

/// A conversation, as those see it who say something.
#[derive(Debug)]
pub(super) struct Conversation {
    tenant: Tenant,
    inbound: mpsc::Sender<ClientJsonRpcMessage>,
    in_flight: Arc<InFlight>,
}

/// A conversation that was just opened.
#[derive(Debug)]
pub(super) struct Ends {
    open: Open,
    inbound: mpsc::Receiver<ClientJsonRpcMessage>,
    outbound: (mpsc::Sender<Piece>, mpsc::Receiver<Piece>),
    in_flight: Arc<InFlight>,
}

/// An open conversation, until it is dropped.
#[derive(Debug)]
struct Open {
    conversations: Arc<Conversations>,
    id: Uuid,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.conversations.end(self.id);
    }
}

impl Conversations {
    /// Opens a conversation with somebody of this tenant. What its client has not read yet is at most so
    /// many messages.
    pub(super) fn open(self: &Arc<Self>, tenant: Tenant, outbound_length: usize) -> Ends {
        // Random, and so known to its client alone.
        let id = Uuid::new_v4();
        let (sender, inbound) = mpsc::channel(limits::SSE_INBOUND_LENGTH);
        let in_flight = Arc::<InFlight>::default();
        let conversation = Conversation {
            tenant,
            inbound: sender,
            in_flight: in_flight.clone(),
        };
        self.table().open.insert(id, Arc::new(conversation));
        Ends {
            open: Open {
                conversations: self.clone(),
                id,
            },
            inbound,
            outbound: mpsc::channel(outbound_length),
            in_flight,
        }
    }

    /// The conversation of this id. This is the one place where a request finds it. Those of others are
    /// unknown, also once they have ended.
    pub(super) fn find(&self, id: &str, tenant: &Tenant) -> Result<Arc<Conversation>, HttpError> {
        let id = id.parse().map_err(|_| HttpError::UnknownSession)?;
        let table = self.table();
        match table.open.get(&id) {
            Some(conversation) if conversation.tenant == *tenant => Ok(conversation.clone()),
            None if table
                .ended
                .iter()
                .any(|(ended, of)| *ended == id && of == tenant) =>
            {
                Err(HttpError::EndedSession)
            }
            Some(_) | None => Err(HttpError::UnknownSession),
        }
    }

    fn end(&self, id: Uuid) {
        let mut table = self.table();
        let Some(conversation) = table.open.remove(&id) else {
            return;
        };
        if table.ended.len() >= limits::SSE_ENDED_REMEMBERED_MAX {
            table.ended.pop_front();
        }
        table.ended.push_back((id, conversation.tenant.clone()));
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change is one step: the table is whole even if somebody panicked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conversation {
    /// Says something to the server.
    pub(super) fn say(&self, message: ClientJsonRpcMessage, place: Place) -> Result<(), HttpError> {
        let slot = match self.inbound.try_reserve() {
            Ok(slot) => slot,
            Err(mpsc::error::TrySendError::Full(())) => return Err(HttpError::Stuck),
            Err(mpsc::error::TrySendError::Closed(())) => return Err(HttpError::EndedSession),
        };
        if let JsonRpcMessage::Request(request) = &message {
            if self.in_flight.number() >= limits::SSE_IN_FLIGHT_MAX {
                return Err(HttpError::TooManyRequests);
            }
            if !self.in_flight.begin(request.id.clone(), Some(place)) {
                let refusal = Refusal::duplicate(request.id.clone());
                return Err(HttpError::NoMessage(refusal));
            }
        }
        // The library drops the answer of a cancelled request: it is not awaited.
        if let Some(id) = unwanted(&message) {
            self.in_flight.end(id);
        }
        slot.send(message);
        Ok(())
    }
}

impl Ends {
    /// The server's end, and the events for the client, which hold the place.
    pub(super) fn split(
        self,
        place: Place,
        stop: CancellationToken,
        drain_wait_max: Duration,
    ) -> (SseTransport, impl Stream<Item = Piece> + Send + 'static) {
        let (sender, mut receiver) = self.outbound;
        let transport =
            SseTransport::new(self.inbound, sender, self.in_flight, stop, drain_wait_max);
        let open = self.open;
        let endpoint = format!("/message?{SESSION_ID}={}", open.id);
        let messages = stream::poll_fn(move |context| {
            let _held = (&open, &place);
            receiver.poll_recv(context)
        });
        let opening = Piece {
            bytes: event("endpoint", &endpoint),
            held: None,
        };
        let events = stream::iter([opening]).chain(messages);
        (transport, events)
    }
}

/// Holds a conversation to its end.
pub(super) async fn hold<H: ServerHandler>(handler: Arc<H>, transport: SseTransport) {
    match serve_server(Legacy(handler), transport).await {
        Ok(running) => {
            if let Err(error) = running.waiting().await {
                tracing::error!(%error, "a conversation failed");
            }
        }
        Err(error) => tracing::debug!(%error, "a conversation was not opened"),
    }
}
