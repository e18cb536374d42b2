//! The use cases: run, look, read, cancel, list; sessions, and the tags of heaps.

mod accept;
mod answers;
mod bucket;
mod copies;
mod cursor;
mod error;
mod executions;
mod expected;
mod follow;
mod garbage;
mod input;
mod load;
mod neighbours;
mod nodes;
mod noted;
mod question;
mod readiness;
mod recent;
mod reconcile;
mod remote;
mod request;
mod sessions;
mod source;
mod standing;
mod start;
mod steward;
mod tenants;
mod validate;
mod workspace;

pub use error::{Conflict, Error, Internal, Unavailable};
pub use executions::Executions;
pub use expected::Looked;
pub use follow::{Followed, Follower};
pub use garbage::{
    Collected, GarbageError, GarbageOptions, GarbageReport, Neighbours, Reason, collect_garbage,
};
pub use load::Load;
pub use readiness::{Check, CheckState, Readiness};
pub use request::{
    HeapChoice, HeapList, HeapQuery, ListPage, ListRequest, RunRequest, SessionList,
    SessionsRequest, SnapshotsRequest,
};
pub use start::{ExecutionsConfig, Mode, StartError, State};
pub use workspace::Workspace;

pub use crate::workers::{
    ControlGroups, EngineTier, Jail, SandboxMode, Turnover, WasmModule, WorkerStart, control_groups,
};

pub use crate::heaps::{
    AwsVariables, CachePlace, HeapError, HeapId, HeapPlace, HeapUser, HeapsConfig, MalformedHeapId,
    reach as reach_heaps,
};
pub use crate::tenant::{MalformedTenant, Tenant};

pub use crate::store::{
    CancelledBy, DatabaseFound, End, EntriesPage, ExecutionId, FailureKind, HeapCensus, HeapCount,
    HeapEnd, HeapRetention, IdMatches, Limits, MalformedExecutionId, MalformedSessionName,
    MalformedTagKey, MalformedTags, OutputPage, PageRequest, Retention, SessionEntry, SessionName,
    Source, Status, StoreLoad, StorePlace, Summary, TagKey, TaggedHeap, Tags, Usage, View,
    inspect as inspect_database, sqlite_version,
};
