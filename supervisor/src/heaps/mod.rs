//! Stored heaps: what they are called and whose they are.

mod id;
mod tenant;

pub use id::{HeapId, MalformedHeapId};
pub use tenant::{MalformedTenant, Tenant};
