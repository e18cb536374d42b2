//! The requests of scripts: after policy, with injected headers, to addresses that are allowed.

pub mod injection;
pub mod options;

use mcp_v8_protocol::fetch::{FetchCall, FetchReply};

use self::injection::Injection;
use crate::heaps::Tenant;
use crate::policy::Policy;
use crate::store::ExecutionId;

/// What all executions share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    policy: Policy,
    injection: Injection,
}

/// Whose requests.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The tenant.
    pub tenant: Tenant,
    /// The session, if it runs in one.
    pub session: Option<String>,
    /// The execution.
    pub execution: ExecutionId,
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
}

impl Broker {
    /// The exchanges of a new execution.
    pub fn exchanges(&self, requester: Requester) -> Exchanges {
        Exchanges {
            broker: self.clone(),
            requester,
        }
    }
}

impl Exchanges {
    /// Takes what the worker said. Does not wait.
    ///
    /// # Errors
    /// [`Breach`] when it may not say that now.
    pub fn call(&mut self, call: FetchCall) -> Result<(), Breach> {
        let _ = (&self.broker, &self.requester, call);
        Err(Breach("no request is served"))
    }

    /// The next word for the worker; pending while there is none. Nothing is lost when the future is
    /// dropped.
    pub async fn next(&mut self) -> FetchReply {
        std::future::pending().await
    }
}
