//! The use cases: run, look, read, cancel, list.

mod error;
mod executions;
mod request;
mod start;
mod validate;

pub use error::{Conflict, Error, Internal, Unavailable};
pub use executions::Executions;
pub use request::{ListPage, ListRequest, RunRequest};
pub use start::{ExecutionsConfig, StartError};

pub use crate::workers::{
    ControlGroups, EngineTier, Jail, SandboxMode, Turnover, WorkerStart, control_groups,
};

pub use crate::store::{
    CancelledBy, End, ExecutionId, FailureKind, Limits, MalformedExecutionId, OutputPage,
    PageRequest, Retention, Status, StorePlace, Summary, View,
};
