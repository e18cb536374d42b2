//! What each tenant has used, and whether it may use more: pure, the time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use super::excess::{Excess, HeapsFull, Quota};
use super::limits::TenantLimits;
use super::window::Window;
use crate::limits::{HOUR_WINDOW, MINUTE_WINDOW, TENANTS_REMEMBERED_MAX};
use crate::tenant::Tenant;

const MB: u64 = 1 << 20;
const MILLIS_PER_SEC: u64 = 1000;

/// All tenants.
#[derive(Debug)]
pub(super) struct Ledger {
    defaults: TenantLimits,
    own: HashMap<Tenant, TenantLimits>,
    accounts: HashMap<Tenant, Account>,
}

/// What one tenant has used.
#[derive(Debug)]
struct Account {
    executions: Window,
    cpu_millis: Window,
    output_bytes: Window,
    fetches: Window,
    last_used: Duration,
}

impl Ledger {
    pub(super) fn new(defaults: TenantLimits) -> Self {
        Self {
            defaults,
            own: HashMap::new(),
            accounts: HashMap::new(),
        }
    }

    /// Replaces what tenants may use. What they have used stays.
    pub(super) fn allow(&mut self, own: HashMap<Tenant, TenantLimits>) {
        self.own = own;
    }

    /// Replaces what those may use who have no limits of their own.
    pub(super) fn set_defaults(&mut self, defaults: TenantLimits) {
        self.defaults = defaults;
    }

    pub(super) fn limits(&self, tenant: &Tenant) -> TenantLimits {
        let own = self.own.get(tenant).copied();
        own.unwrap_or_default().over(self.defaults)
    }

    /// Whether an execution would be accepted.
    pub(super) fn look(&mut self, tenant: &Tenant, now: Duration) -> Result<(), Excess> {
        let limits = self.limits(tenant);
        let Some(account) = self.accounts.get_mut(tenant) else {
            return Ok(());
        };
        account.look(limits, now)
    }

    /// Counts an execution, if it may be accepted.
    pub(super) fn accept(&mut self, tenant: &Tenant, now: Duration) -> Result<(), Excess> {
        let limits = self.limits(tenant);
        let account = self.account(tenant, now);
        account.look(limits, now)?;
        account.executions.add(now, 1);
        Ok(())
    }

    /// Counts a request of a script, if it may be made.
    pub(super) fn fetch(&mut self, tenant: &Tenant, now: Duration) -> Result<(), Excess> {
        let limit = self.limits(tenant).fetches_per_minute;
        let account = self.account(tenant, now);
        within(&mut account.fetches, now, limit, 1, Quota::FetchesPerMinute)?;
        account.fetches.add(now, 1);
        Ok(())
    }

    /// Counts output; how much of it may be kept, in bytes.
    pub(super) fn output(&mut self, tenant: &Tenant, bytes: u64, now: Duration) -> u64 {
        let limit = self.limits(tenant).output_mb_per_hour;
        let output = &mut self.account(tenant, now).output_bytes;
        let room = limit.map_or(bytes, |mb| (mb * MB).saturating_sub(output.sum(now)));
        let kept = bytes.min(room);
        output.add(now, kept);
        kept
    }

    /// Counts CPU time.
    pub(super) fn cpu(&mut self, tenant: &Tenant, time: Duration, now: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.account(tenant, now).cpu_millis.add(now, millis);
    }

    /// Counts what was used before this server was started.
    pub(super) fn earlier(&mut self, tenant: &Tenant, used: Used, now: Duration) {
        let account = self.account(tenant, now);
        let Used {
            ago,
            cpu_millis,
            output_bytes,
        } = used;
        account.cpu_millis.add_earlier(now, ago, cpu_millis);
        account.output_bytes.add_earlier(now, ago, output_bytes);
    }

    /// Whether a heap may be stored where these are already.
    pub(super) fn heap(&self, tenant: &Tenant, stored_bytes: u64) -> Result<(), HeapsFull> {
        match self.limits(tenant).stored_heap_mb {
            Some(limit_mb) if stored_bytes >= limit_mb * MB => Err(HeapsFull { limit_mb }),
            Some(_) | None => Ok(()),
        }
    }

    fn account(&mut self, tenant: &Tenant, now: Duration) -> &mut Account {
        if !self.accounts.contains_key(tenant) {
            self.make_room(now);
        }
        let account = self
            .accounts
            .entry(tenant.clone())
            .or_insert_with(Account::new);
        account.last_used = now;
        account
    }

    /// Forgets tenants that have used nothing of late; where all have, the one that was idle longest.
    fn make_room(&mut self, now: Duration) {
        if self.accounts.len() < TENANTS_REMEMBERED_MAX {
            return;
        }
        self.accounts.retain(|_, account| !account.is_blank(now));
        if self.accounts.len() < TENANTS_REMEMBERED_MAX {
            return;
        }
        let idlest = self
            .accounts
            .iter()
            .min_by_key(|(_, account)| account.last_used);
        if let Some(idlest) = idlest.map(|(tenant, _)| tenant.clone()) {
            self.accounts.remove(&idlest);
        }
    }
}

/// What executions used that ended before this server was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// How long before now.
    pub ago: Duration,
    /// CPU time, in milliseconds.
    pub cpu_millis: u64,
    /// Output, in bytes.
    pub output_bytes: u64,
}

impl Account {
    fn new() -> Self {
        Self {
            executions: Window::of(MINUTE_WINDOW),
            cpu_millis: Window::of(HOUR_WINDOW),
            output_bytes: Window::of(HOUR_WINDOW),
            fetches: Window::of(MINUTE_WINDOW),
            last_used: Duration::ZERO,
        }
    }

    fn look(&mut self, limits: TenantLimits, now: Duration) -> Result<(), Excess> {
        let checks = [
            (
                &mut self.executions,
                limits.executions_per_minute,
                1,
                Quota::ExecutionsPerMinute,
            ),
            (
                &mut self.cpu_millis,
                limits.cpu_seconds_per_hour,
                MILLIS_PER_SEC,
                Quota::CpuSecondsPerHour,
            ),
            (
                &mut self.output_bytes,
                limits.output_mb_per_hour,
                MB,
                Quota::OutputMbPerHour,
            ),
        ];
        for (window, limit, unit, quota) in checks {
            within(window, now, limit, unit, quota)?;
        }
        Ok(())
    }

    fn is_blank(&mut self, now: Duration) -> bool {
        let windows = [
            &mut self.executions,
            &mut self.cpu_millis,
            &mut self.output_bytes,
            &mut self.fetches,
        ];
        windows.into_iter().all(|window| window.sum(now) == 0)
    }
}

/// Whether there is some left, however little; `limit` is in units of so many.
fn within(
    window: &mut Window,
    now: Duration,
    limit: Option<u64>,
    unit: u64,
    quota: Quota,
) -> Result<(), Excess> {
    let Some(limit) = limit else {
        return Ok(());
    };
    let wait = window.wait(now, 1, limit.saturating_mul(unit));
    match wait.unwrap_or(HOUR_WINDOW) {
        Duration::ZERO => Ok(()),
        retry_after => Err(Excess {
            quota,
            limit,
            retry_after,
        }),
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
