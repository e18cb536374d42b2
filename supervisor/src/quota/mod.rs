//! What each tenant may use, and what it has used.
//!
//! ```text
//! app (accept) | execution (output, CPU time, heaps) | fetch ─▶ Quotas ─▶ ledger ─▶ window
//! ```
//!
//! * [`limits`]: the limits, as an operator writes them.
//! * `window`: a rolling sum in a fixed amount of memory.
//! * `ledger`: what was used, for a bounded number of tenants; pure.
//! * `taken`: who has how much of what tenants share; pure.
//! * `crowd`: what tenants share: who gets some now, who waits, who is refused.
//! * `excess`: what a tenant is told that has used all of it.
//!
//! What is checked before it is used up (executions, requests, output) never exceeds its limit. What is
//! known only afterwards (CPU time, heaps) may, by what was under way when it was reached; until it is
//! below again nothing new is accepted, or kept.

mod crowd;
mod excess;
mod ledger;
pub mod limits;
mod taken;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use crowd::{Crowd, Member};
pub use excess::{Excess, HeapsFull, Quota};
pub use ledger::Used;
pub use limits::TenantLimits;
pub use taken::{NoPlace, Sharing};

use self::ledger::Ledger;
use crate::limits::HOUR_WINDOW;
use crate::tenant::Tenant;

/// The quotas of all tenants. Clones share them.
#[derive(Debug, Clone)]
pub struct Quotas {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    ledger: Mutex<Ledger>,
}

impl Quotas {
    /// With these limits for everybody who has none of their own.
    pub fn new(defaults: TenantLimits) -> Self {
        Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                ledger: Mutex::new(Ledger::new(defaults)),
            }),
        }
    }

    /// Replaces the limits that tenants have of their own. What they have used stays.
    pub fn allow(&self, own: HashMap<Tenant, TenantLimits>) {
        self.ledger().allow(own);
    }

    /// Replaces the limits for everybody who has none of their own. What they have used stays.
    pub fn set_defaults(&self, defaults: TenantLimits) {
        self.ledger().set_defaults(defaults);
    }

    /// What a tenant may use.
    pub fn limits(&self, tenant: &Tenant) -> TenantLimits {
        self.ledger().limits(tenant)
    }

    /// Whether an execution would be accepted now. Counts nothing.
    ///
    /// # Errors
    /// [`Excess`].
    pub fn look(&self, tenant: &Tenant) -> Result<(), Excess> {
        let now = self.now();
        self.ledger().look(tenant, now)
    }

    /// Counts an execution that is accepted.
    ///
    /// # Errors
    /// [`Excess`]: it may not be, and nothing is counted.
    pub fn accept(&self, tenant: &Tenant) -> Result<(), Excess> {
        let now = self.now();
        self.ledger().accept(tenant, now)
    }

    /// Whether one more heap may be stored where these are.
    ///
    /// # Errors
    /// [`HeapsFull`].
    pub fn heap(&self, tenant: &Tenant, stored_bytes: u64) -> Result<(), HeapsFull> {
        self.ledger().heap(tenant, stored_bytes)
    }

    /// Counts what executions used that ended before this server was started.
    pub fn earlier(&self, tenant: &Tenant, used: Used) {
        let now = self.now();
        self.ledger().earlier(tenant, used, now);
    }

    /// Where one tenant's use is counted.
    pub fn meter(&self, tenant: &Tenant) -> Meter {
        Meter {
            quotas: self.clone(),
            tenant: tenant.clone(),
        }
    }

    /// Time begins early enough for what was used before a restart.
    fn now(&self) -> Duration {
        2 * HOUR_WINDOW + self.shared.began.elapsed()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Its sums are whole even if somebody panicked over it.
        let ledger = self.shared.ledger.lock();
        ledger.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Quotas {
    /// Without limits.
    fn default() -> Self {
        Self::new(TenantLimits::default())
    }
}

/// Where the use of one tenant is counted.
#[derive(Debug, Clone)]
pub struct Meter {
    quotas: Quotas,
    tenant: Tenant,
}

impl Meter {
    /// Of nobody in particular, without limits.
    pub fn without_limits() -> Self {
        Quotas::default().meter(&Tenant::local())
    }

    /// Counts a request of a script.
    ///
    /// # Errors
    /// [`Excess`]: it may not be made, and is not counted.
    pub fn fetch(&self) -> Result<(), Excess> {
        let now = self.quotas.now();
        self.quotas.ledger().fetch(&self.tenant, now)
    }

    /// Counts output; how much of it may be kept, in bytes.
    pub fn output(&self, bytes: usize) -> usize {
        let now = self.quotas.now();
        let kept = self.quotas.ledger().output(&self.tenant, bytes as u64, now);
        usize::try_from(kept).unwrap_or(bytes)
    }

    /// Counts CPU time of a worker.
    pub fn cpu(&self, time: Duration) {
        let now = self.quotas.now();
        self.quotas.ledger().cpu(&self.tenant, time, now);
    }
}
