//! What each tenant may use, and what it has used.
//!
//! * [`limits`]: the limits, as an operator writes them.

pub mod limits;

pub use limits::TenantLimits;
