//! The requests of scripts: after policy, with injected headers, to addresses that are allowed.
//!
//! ```text
//! worker ─▶ Exchanges::call ─▶ ledger (legal?) ─▶ transfer, a task for each exchange
//!                                                   request   checked again
//!                                           ┌─────▶ rules     policy, then injected headers
//!                                  redirect ┤       pools     ─▶ connect ─▶ address (allowed?)
//!                                           └────── answer
//! worker ◀─ Exchanges::next ◀─ ledger ◀─ words ◀─── decode, a piece for each pull
//! ```
//!
//! What holds whatever a worker says:
//!
//! * Each hop passes the policy, with its own URL and the script's own headers. Headers are injected for
//!   each hop anew; they reach the connection and nothing else. The script's `Authorization` and cookies
//!   do not follow a redirect to another origin.
//! * An address is judged where it is connected to. Connections that may lead to special addresses are
//!   kept apart from others, and each tenant's from every other's.
//! * A body is in memory by the piece: of a request only what the connection has room for, of a response
//!   only what was pulled, decoded or not.
//! * A connection of HTTP/1.1 ends with an exchange that is given up. One of HTTP/2 carries no bodies to a server,
//!   and is broken when that floods it.
//! * Every count, size and time has a limit ([`Bounds`]); one that is passed fails its exchange.

mod address;
mod answer;
mod bounds;
mod budget;
mod connect;
mod decode;
mod failure;
mod frames;
pub mod injection;
mod leash;
mod ledger;
pub mod options;
mod pools;
mod redirect;
mod request;
mod rules;
mod transfer;
mod upload;
mod windows;
mod witness;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_v8_protocol::fetch::{CallStep, ExchangeId, FetchCall, FetchReply, ReplyStep, Request};
use rustls::RootCertStore;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

pub use self::bounds::Bounds;
pub use self::connect::{Resolver, SystemResolver};
pub use self::rules::Rules;

use self::budget::Budget;
use self::injection::Injection;
use self::ledger::{Ledger, Verdict};
use self::pools::{Pools, Share};
use self::rules::Configured;
use self::transfer::Transfer;
use self::upload::Piece;
use self::words::Words;
use crate::audit::Audit;
use crate::limits::FETCH_WORDS_LENGTH;
use crate::metrics::FetchFigures;
use crate::outbound::{system_authorities, trusting};
use crate::policy::Policy;
use crate::quota::Meter;
use crate::store::ExecutionId;
use crate::telemetry::TRACED;
use crate::tenant::Tenant;

/// What all executions share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    orders: Mutex<Orders>,
    bounds: Bounds,
    pools: Pools,
    figures: FetchFigures,
}

/// What the operator has said of requests.
#[derive(Debug, Clone)]
struct Orders {
    rules: Arc<dyn Rules>,
    allow_private: bool,
}

impl Shared {
    /// What counts for a request that is made now.
    fn orders(&self) -> Orders {
        let orders = self.orders.lock();
        orders.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The network as requests see it.
#[derive(Debug, Clone)]
pub struct Network {
    /// Whether every request may go to private and special addresses.
    pub allow_private: bool,
    /// Who knows the addresses of names.
    pub resolver: Arc<dyn Resolver>,
    /// Whose certificates are believed.
    pub authorities: RootCertStore,
    /// How much, and how long.
    pub bounds: Bounds,
}

/// No request can be made.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up for the requests of scripts: {0}")]
pub struct NoTls(#[from] rustls::Error);

/// Whose requests.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The tenant.
    pub tenant: Tenant,
    /// The session, if it runs in one.
    pub session: Option<String>,
    /// The execution.
    pub execution: ExecutionId,
    /// Where its requests are counted.
    pub meter: Meter,
    /// Where it is noted what becomes of them.
    pub audit: Audit,
}

/// A worker said what it must not say of its exchanges; it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Breach(pub &'static str);

/// The exchanges of one execution. Dropping it aborts them.
#[derive(Debug)]
pub struct Exchanges {
    broker: Broker,
    requester: Requester,
    share: Arc<Share>,
    budget: Arc<Budget>,
    ledger: Ledger,
    running: HashMap<ExchangeId, Running>,
    words: mpsc::Receiver<FetchReply>,
    speaker: mpsc::Sender<FetchReply>,
}

/// An exchange that the worker waits for. Dropping it aborts it.
#[derive(Debug)]
struct Running {
    pieces: mpsc::Sender<Piece>,
    pulls: Arc<Semaphore>,
    _task: AbortOnDropHandle<()>,
}

impl Network {
    /// That of this machine.
    pub fn of_this_machine(allow_private: bool) -> Self {
        let authorities = system_authorities().unwrap_or_else(|why| {
            tracing::warn!(
                why,
                "no server can be believed over https: no authority is known"
            );
            RootCertStore::empty()
        });
        Self {
            allow_private,
            resolver: Arc::new(SystemResolver),
            authorities,
            bounds: Bounds::default(),
        }
    }
}

impl Broker {
    /// Makes requests that the policy allows, with the headers that are injected.
    ///
    /// # Errors
    /// [`NoTls`] when TLS cannot be set up.
    pub fn new(policy: Policy, injection: Injection, network: Network) -> Result<Self, NoTls> {
        Self::obeying(Arc::new(Configured { policy, injection }), network)
    }

    /// Makes requests as these rules say.
    ///
    /// # Errors
    /// As [`Broker::new`].
    pub fn obeying(rules: Arc<dyn Rules>, network: Network) -> Result<Self, NoTls> {
        let tls = trusting(network.authorities)?;
        let shared = Shared {
            orders: Mutex::new(Orders {
                rules,
                allow_private: network.allow_private,
            }),
            pools: Pools::new(tls, network.resolver, &network.bounds),
            bounds: network.bounds,
            figures: FetchFigures::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Goes by this from now on, also for what is under way: each hop of a request is asked for anew.
    pub fn replace(&self, policy: Policy, injection: Injection, allow_private: bool) {
        let orders = Orders {
            rules: Arc::new(Configured { policy, injection }),
            allow_private,
        };
        let current = self.shared.orders.lock();
        *current.unwrap_or_else(PoisonError::into_inner) = orders;
    }

    /// Connections to servers that are open.
    pub fn connections(&self) -> usize {
        self.shared.pools.connections()
    }

    /// What it counts.
    pub fn figures(&self) -> &FetchFigures {
        &self.shared.figures
    }

    /// The exchanges of a new execution.
    pub fn exchanges(&self, requester: Requester) -> Exchanges {
        let (speaker, words) = mpsc::channel(FETCH_WORDS_LENGTH);
        Exchanges {
            share: self.shared.pools.share(&requester.tenant),
            budget: Arc::new(Budget::new(&self.shared.bounds)),
            broker: self.clone(),
            requester,
            ledger: Ledger::default(),
            running: HashMap::new(),
            words,
            speaker,
        }
    }
}

impl Exchanges {
    /// Takes what the worker said. Does not wait. An [`CallStep::Open`] begins a task, so that this is to
    /// be called within a runtime.
    ///
    /// # Errors
    /// [`Breach`] when it may not say that now.
    pub fn call(&mut self, call: FetchCall) -> Result<(), Breach> {
        if self.ledger.heard(&call)? == Verdict::Late {
            return Ok(());
        }
        let FetchCall { exchange, step } = call;
        match step {
            CallStep::Open(request) => self.open(exchange, request),
            CallStep::Send(bytes) => self.send(exchange, Piece::Bytes(bytes.into())),
            CallStep::SendEnd => self.send(exchange, Piece::End),
            CallStep::Pull => {
                if let Some(running) = self.running.get(&exchange) {
                    running.pulls.add_permits(1);
                }
            }
            CallStep::Abort => {
                self.running.remove(&exchange);
            }
        }
        Ok(())
    }

    /// The next word for the worker; pending while there is none. Nothing is lost when the future is
    /// dropped.
    pub async fn next(&mut self) -> FetchReply {
        loop {
            let Some(reply) = self.words.recv().await else {
                // Never so: a sender lives here.
                return std::future::pending().await;
            };
            if !self.ledger.told(&reply) {
                continue;
            }
            if matches!(reply.step, ReplyStep::End | ReplyStep::Failed(_)) {
                self.running.remove(&reply.exchange);
            }
            return reply;
        }
    }

    fn open(&mut self, id: ExchangeId, request: Request) {
        // A piece is sent only when there is room for it, so that one fits always.
        let (pieces, sent) = mpsc::channel(1);
        let pulls = Arc::new(Semaphore::new(0));
        let transfer = Transfer {
            shared: Arc::clone(&self.broker.shared),
            share: Arc::clone(&self.share),
            budget: Arc::clone(&self.budget),
            requester: self.requester.clone(),
            words: Words::of(id, self.speaker.clone()),
            pulls: Arc::clone(&pulls),
        };
        let span = tracing::info_span!(target: TRACED, "fetch");
        // Within the execution's span too: the log names that one.
        let run = transfer.run(request, sent).instrument(span);
        let task = tokio::spawn(run.in_current_span());
        let running = Running {
            pieces,
            pulls,
            _task: AbortOnDropHandle::new(task),
        };
        self.running.insert(id, running);
    }

    fn send(&self, id: ExchangeId, piece: Piece) {
        if let Some(running) = self.running.get(&id) {
            // Where nobody takes it, the answer does not depend on it.
            let _ = running.pieces.try_send(piece);
        }
    }
}
