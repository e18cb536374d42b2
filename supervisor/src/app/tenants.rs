//! What a tenant may have of what all share.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::error::Error;
use super::executions::Executions;
use crate::execution::admission::Share;
use crate::limits;
use crate::quota::TenantLimits;
use crate::store::Limits;
use crate::tenant::Tenant;

impl Executions {
    /// Replaces the limits that tenants have of their own. What they have used stays.
    pub fn allow(&self, own: HashMap<Tenant, TenantLimits>) {
        self.shared.services.quotas.allow(own);
    }

    /// Names tenants that the operator has configured: the first of them have figures of their own from
    /// now on. Whom somebody else names, as those of signed tokens, are never among them.
    pub fn name_in_figures(&self, tenants: &[Tenant]) {
        let figures = &self.shared.services.figures;
        figures.of_tenants.name(tenants.iter().map(Tenant::name));
    }

    /// Replaces the limits of tenants that have none of their own. What waits already waits as it was told.
    pub fn allow_by_default(&self, limits: TenantLimits) {
        self.shared.services.quotas.set_defaults(limits);
    }
}

/// Its part of the slots and the queue.
pub(super) fn share(tenant: TenantLimits) -> Share {
    let bound = |limit: Option<u64>| {
        limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        })
    };
    let weight = tenant.weight.unwrap_or(limits::TENANT_WEIGHT_DEFAULT);
    let weight = u32::try_from(weight).unwrap_or(u32::MAX);
    Share {
        weight: NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN),
        concurrent: bound(tenant.concurrent).max(1),
        queued: bound(tenant.queued),
    }
}

/// What one of its executions gets that does not ask: never more than it may ask for.
pub(super) fn defaults(server: Limits, tenant: TenantLimits) -> Limits {
    let at_most = |value: u64, most: Option<u64>| most.map_or(value, |most| value.min(most));
    Limits {
        heap_memory_max_mb: at_most(server.heap_memory_max_mb, tenant.heap_memory_max_mb),
        execution_timeout_secs: at_most(
            server.execution_timeout_secs,
            tenant.execution_timeout_secs,
        ),
    }
}

/// Whether it may ask for so much.
pub(super) fn check(asked: Limits, tenant: TenantLimits) -> Result<(), Error> {
    let checks = [
        (
            "heap_memory_max_mb",
            asked.heap_memory_max_mb,
            tenant.heap_memory_max_mb,
            " MB",
        ),
        (
            "execution_timeout_secs",
            asked.execution_timeout_secs,
            tenant.execution_timeout_secs,
            " s",
        ),
    ];
    for (field, asked, most, unit) in checks {
        if let Some(most) = most
            && asked > most
        {
            return Err(Error::Invalid {
                field,
                problem: format!("{asked}{unit} is more than this tenant may ask for"),
                allowed: format!("up to {most}{unit}"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Limits = Limits {
        heap_memory_max_mb: 16,
        execution_timeout_secs: 30,
    };

    #[test]
    fn a_share_without_limits_is_all() {
        assert_eq!(share(TenantLimits::default()), Share::default());
        let bounded = TenantLimits {
            concurrent: Some(2),
            queued: Some(0),
            weight: Some(5),
            ..TenantLimits::default()
        };
        let expected = Share {
            weight: NonZeroU32::new(5).unwrap(),
            concurrent: 2,
            queued: 0,
        };
        assert_eq!(share(bounded), expected);
    }

    #[test]
    fn an_execution_gets_and_asks_for_no_more_than_its_tenant_may() {
        let tenant = TenantLimits {
            heap_memory_max_mb: Some(8),
            execution_timeout_secs: Some(60),
            ..TenantLimits::default()
        };
        let given = defaults(SERVER, tenant);
        let expected = Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        };
        assert_eq!(given, expected);
        assert_eq!(check(given, tenant), Ok(()));
        assert_eq!(check(SERVER, TenantLimits::default()), Ok(()));
        let refused = check(SERVER, tenant).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "heap_memory_max_mb: 16 MB is more than this tenant may ask for; allowed: up to 8 MB"
        );
    }
}
