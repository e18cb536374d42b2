//! The requests of one execution, if it may make any.

use mcp_v8_protocol::fetch::{FetchCall, FetchReply};
use mcp_v8_protocol::message::Grants;

use super::driver::Services;
use crate::fetch::{Breach, Exchanges, Requester};
use crate::store::View;

/// What a worker is killed for that makes requests which nobody has granted.
const NOT_GRANTED: Breach = Breach("Fetch is not legal without a grant");

/// The requests of one execution, from its start to its end. Dropping them aborts them.
#[derive(Debug)]
pub(super) enum Requests {
    /// It may make none: nobody has said which ones, or its script does not run.
    Forbidden,
    /// It may make those that the policy allows.
    Granted(Box<Exchanges>),
}

impl Requests {
    /// Those of an execution that begins.
    pub(super) fn new(services: &Services, execution: &View) -> Self {
        let Some(broker) = &services.broker else {
            return Self::Forbidden;
        };
        Self::Granted(Box::new(broker.exchanges(Requester {
            tenant: execution.tenant.clone(),
            session: execution.session.as_ref().map(ToString::to_string),
            execution: execution.id,
            meter: services.quotas.meter(&execution.tenant),
            audit: services.audit.clone(),
        })))
    }

    /// What its worker is told that it may ask for.
    pub(super) fn grants(&self) -> Grants {
        Grants {
            fetch: matches!(self, Self::Granted(_)),
        }
    }

    /// Takes what its worker said. Does not wait.
    ///
    /// # Errors
    /// [`Breach`] when it may not say that now.
    pub(super) fn call(&mut self, call: FetchCall) -> Result<(), Breach> {
        match self {
            Self::Forbidden => Err(NOT_GRANTED),
            Self::Granted(exchanges) => exchanges.call(call),
        }
    }

    /// The next word for its worker, which `has_room` for one; pending while there is none. Nothing is
    /// lost when the future is dropped.
    pub(super) async fn next_if(&mut self, has_room: bool) -> FetchReply {
        match self {
            Self::Granted(exchanges) if has_room => exchanges.next().await,
            Self::Granted(_) | Self::Forbidden => std::future::pending().await,
        }
    }
}
