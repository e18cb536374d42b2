//! Stored heaps: what they are called, whose they are, and where they are.

mod config;
mod id;
mod tenant;

pub use config::{CachePlace, HeapPlace, HeapsConfig};
pub use id::{HeapId, MalformedHeapId};
pub use tenant::{MalformedTenant, TENANT_BYTES_MAX, Tenant};
