//! Clients, what they ask for, and what they are told.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Checked;
use super::oracle::{Kind, Operation, Outcome};
use super::world::{What, World};
use crate::raft::command::{self, Command, Ended, Execution, HeapKey, Kept, Retag, TagChange};
use crate::raft::core::{Event, Failure, ReadId};
use crate::raft::ids::{RaftId, RequestId};
use crate::raft::request::{Ask, Request};

/// The heaps that have tags; sessions are objects behind them.
pub(super) const HEAPS: usize = 2;
const SESSIONS: usize = 2;

/// A heap's name.
pub(super) fn heap(number: usize) -> HeapKey {
    [number as u8; 32]
}

/// What every first state holds, of the tenant "t".
pub(crate) fn heaps() -> impl Iterator<Item = HeapKey> {
    (0..HEAPS).map(heap)
}

pub(super) fn session_name(number: usize) -> String {
    format!("s{number}")
}

/// What a client waits for.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// The operation that is under way, by its place in the history.
    operation: Option<usize>,
    /// How to ask for it again.
    request: Option<Request>,
}

/// Who waits for what at a node. A crash ends it.
#[derive(Debug, Default)]
pub(super) struct Waits {
    requests: BTreeMap<RequestId, usize>,
    reads: BTreeMap<ReadId, usize>,
}

impl World {
    pub(super) fn add_clients(&mut self, count: usize) {
        for client in 0..count {
            self.clients.push(Client {
                operation: None,
                request: None,
            });
            self.after(self.now_plus(20), What::Client(client));
        }
    }

    /// No client begins anything any more.
    pub(super) fn stop_clients(&mut self) {
        self.clients_rest = true;
    }

    /// A client that waits for nothing begins something.
    pub(super) fn client_acts(&mut self, client: usize) -> Checked {
        if self.clients_rest || self.clients[client].operation.is_some() {
            return Ok(());
        }
        let Some(slot) = self.some_node() else {
            self.client_later(client);
            return Ok(());
        };
        let operation = self.history.len();
        let invoked = self.moment();
        let object = self.dice.below(HEAPS + SESSIONS);
        let reads = self.dice.chance(550);
        let value = operation as u32;
        let id = self.new_request();
        let kind = match (object < HEAPS, reads) {
            (true, true) => Kind::ReadTag,
            (false, true) => Kind::ReadSession,
            (true, false) => Kind::Tag(id, (!self.dice.chance(200)).then_some(value)),
            (false, false) => Kind::Append(value),
        };
        self.history.push(Operation {
            object,
            kind,
            invoked,
            returned: None,
            result: Outcome::Open,
        });
        self.clients[client].operation = Some(operation);
        let command = match kind {
            Kind::ReadTag | Kind::ReadSession => {
                self.clients[client].request = None;
                return self.begin_read(slot, client, operation);
            }
            Kind::Append(value) => append(object, value),
            Kind::Tag(_, value) => tag(object, value),
        };
        let born = self.applied_at(slot);
        let bytes = command::encode(&command).unwrap_or_default();
        let ask = Ask::Command(Bytes::from(bytes));
        let request = Request { id, born, ask };
        self.clients[client].request = Some(request.clone());
        self.begin_request(slot, client, request)
    }

    fn begin_request(&mut self, slot: usize, client: usize, request: Request) -> Checked {
        let ticks = self.dice.between(30, 200);
        if let Some(running) = &mut self.slots[slot].running {
            running.waits.requests.insert(request.id, client);
        }
        self.feed(slot, Event::Propose { request, ticks })
    }

    fn begin_read(&mut self, slot: usize, client: usize, operation: usize) -> Checked {
        let id = ReadId(operation as u64);
        let ticks = self.dice.between(30, 200);
        if let Some(running) = &mut self.slots[slot].running {
            running.waits.reads.insert(id, client);
        }
        self.feed(slot, Event::Read { id, ticks })
    }

    /// A request for nobody's history: of an operator.
    pub(super) fn request(&mut self, slot: usize, ask: Ask) -> Checked {
        let (id, born) = (self.new_request(), self.applied_at(slot));
        let request = Request { id, born, ask };
        let ticks = 100;
        self.feed(slot, Event::Propose { request, ticks })
    }

    fn applied_at(&self, slot: usize) -> u64 {
        let running = self.slots[slot].running.as_ref();
        running.map_or(0, |running| running.core.applied())
    }

    /// Some node that runs and hears.
    pub(super) fn some_node(&mut self) -> Option<usize> {
        let now = self.now;
        let running: Vec<usize> = (0..self.slots.len())
            .filter(|at| self.slots[*at].running.is_some() && self.slots[*at].paused_until <= now)
            .collect();
        self.dice.pick(&running).copied()
    }

    fn client_later(&mut self, client: usize) {
        let wait = self.dice.between(1, 60);
        self.after(self.now_plus(wait), What::Client(client));
    }

    pub(super) fn answered(
        &mut self,
        slot: usize,
        id: RequestId,
        answer: Result<command::Outcome, Failure>,
    ) {
        let Some(running) = &mut self.slots[slot].running else {
            return;
        };
        let Some(client) = running.waits.requests.remove(&id) else {
            return;
        };
        let result = match answer {
            Ok(command::Outcome::Kept { position }) => Outcome::Position(position),
            Ok(command::Outcome::Done) => Outcome::Done,
            _ => Outcome::Open,
        };
        self.client_told(client, result);
    }

    pub(super) fn read_ready(&mut self, slot: usize, id: ReadId, is_ready: bool) {
        let Some(running) = &mut self.slots[slot].running else {
            return;
        };
        let Some(client) = running.waits.reads.remove(&id) else {
            return;
        };
        let Some(operation) = self.clients[client].operation else {
            return;
        };
        let one = &self.history[operation];
        let result = match one.kind {
            _ if !is_ready => Outcome::Open,
            Kind::ReadSession => {
                let entries = running.state.session("t", &session_name(one.object));
                Outcome::Session(
                    entries
                        .iter()
                        .filter_map(|entry| entry.code.parse().ok())
                        .collect(),
                )
            }
            _ => {
                let tags = running.state.tags("t", &heap(one.object));
                let value = tags.and_then(|tags| tags.get("v"));
                Outcome::Tag(value.and_then(|value| value.parse().ok()))
            }
        };
        self.client_told(client, result);
    }

    /// A node has crashed: its clients know nothing.
    pub(super) fn forget_waits(&mut self, waits: Waits) {
        let clients = waits
            .requests
            .into_values()
            .chain(waits.reads.into_values());
        for client in clients.collect::<Vec<_>>() {
            self.client_told(client, Outcome::Open);
        }
    }

    fn client_told(&mut self, client: usize, result: Outcome) {
        let returned = self.moment();
        let Some(operation) = self.clients[client].operation else {
            return;
        };
        if result == Outcome::Open
            && self.dice.chance(600)
            && let Some(request) = self.clients[client].request.clone()
            && let Some(slot) = self.some_node()
        {
            // The same request again, at whichever node.
            let life = self.slots[slot].life;
            let ticks = self.dice.between(30, 200);
            if let Some(running) = &mut self.slots[slot].running {
                running.waits.requests.insert(request.id, client);
            }
            let event = Event::Propose { request, ticks };
            let wait = self.dice.between(0, 100);
            self.after(self.now_plus(wait), What::Tell(slot, life, event));
            return;
        }
        if result != Outcome::Open {
            self.history[operation].returned = Some(returned);
            self.history[operation].result = result;
        }
        self.clients[client].operation = None;
        self.client_later(client);
    }
}

fn append(object: usize, value: u32) -> Command {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&value.to_le_bytes());
    let heap = [200; 32];
    let ended = Ended::Completed {
        result: String::new(),
        result_truncated: false,
        preview: String::new(),
        heap: Ok(Some(heap)),
    };
    // Every time another execution: only the name of the request keeps it from being done twice.
    let execution = Execution {
        id,
        tenant: "t".to_owned(),
        owner: RaftId::of("", crate::raft::ids::Incarnation([0; 16])),
        session: Some(session_name(object)),
        input_heap: None,
        submitted_us: 0,
        source_bytes: 0,
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
        started_us: None,
        output_bytes: 0,
        output_truncated: false,
        usage: None,
        end: Some((1, ended)),
    };
    let kept = Kept {
        heap,
        stored_bytes: 1,
        code: value.to_string(),
        tags: Vec::new(),
    };
    Command::End(Box::new(execution), Some(Box::new(kept)))
}

fn tag(object: usize, value: Option<u32>) -> Command {
    let change = match value {
        Some(value) => TagChange::Replace(vec![("v".to_owned(), value.to_string())]),
        None => TagChange::DeleteAll,
    };
    Command::Retag(Box::new(Retag {
        tenant: "t".to_owned(),
        heap: heap(object),
        change,
        at_us: 1,
    }))
}
