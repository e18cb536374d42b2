//! What tenants may use that have no limits of their own.

use std::ffi::OsString;
use std::ops::RangeInclusive;

use clap::Args;

use super::resolve::{Resolver, number};
use super::setting::Setting;
use crate::limits::{
    CONCURRENT_EXECUTIONS_MAX, TENANT_CPU_SECONDS_MAX, TENANT_MB_MAX, TENANT_PER_MINUTE_MAX,
    TENANT_QUEUED_MAX,
};
use crate::quota::TenantLimits;

const TENANTS: &str = "Tenants";

/// The flags.
#[derive(Debug, Args)]
pub(super) struct TenantFlags {
    /// How many executions of one tenant run at once (1 to 1024).
    ///
    /// Less than --max-concurrent-executions keeps slots for others, however long its scripts run.
    #[arg(long, value_name = "COUNT", help_heading = TENANTS)]
    tenant_concurrent: Option<OsString>,

    /// How many executions of one tenant may wait (0 to 10000).
    ///
    /// Where there are several tenants, none may fill the queue, whatever is set here.
    #[arg(long, value_name = "COUNT", help_heading = TENANTS)]
    tenant_queued: Option<OsString>,

    /// How many executions of one tenant are accepted in a minute (1 to 1000000).
    #[arg(long, value_name = "COUNT", help_heading = TENANTS)]
    tenant_executions_per_minute: Option<OsString>,

    /// How many CPU seconds one tenant may use in an hour (1 to 3686400).
    ///
    /// What runs goes on when they are used up; nothing more is accepted.
    #[arg(long, value_name = "SECONDS", help_heading = TENANTS)]
    tenant_cpu_seconds_per_hour: Option<OsString>,

    /// How many requests scripts of one tenant may make in a minute (1 to 1000000).
    ///
    /// Each hop of a redirect is one.
    #[arg(long, value_name = "COUNT", help_heading = TENANTS)]
    tenant_fetches_per_minute: Option<OsString>,

    /// How much output of one tenant is kept in an hour, in MB (1 to 1048576).
    ///
    /// What is beyond it is dropped, and nothing more is accepted.
    #[arg(long, value_name = "MB", help_heading = TENANTS)]
    tenant_output_mb_per_hour: Option<OsString>,

    /// How much the stored heaps of one tenant may take, in MB (1 to 1048576).
    ///
    /// Executions go on when it is used up, but their heaps are not kept.
    #[arg(long, value_name = "MB", help_heading = TENANTS)]
    tenant_stored_heap_mb: Option<OsString>,
}

impl TenantFlags {
    /// What each of them says.
    pub(super) fn values(self) -> [(Setting, Option<OsString>); 7] {
        [
            (Setting::TenantConcurrent, self.tenant_concurrent),
            (Setting::TenantQueued, self.tenant_queued),
            (
                Setting::TenantExecutionsPerMinute,
                self.tenant_executions_per_minute,
            ),
            (
                Setting::TenantCpuSecondsPerHour,
                self.tenant_cpu_seconds_per_hour,
            ),
            (
                Setting::TenantFetchesPerMinute,
                self.tenant_fetches_per_minute,
            ),
            (
                Setting::TenantOutputMbPerHour,
                self.tenant_output_mb_per_hour,
            ),
            (Setting::TenantStoredHeapMb, self.tenant_stored_heap_mb),
        ]
    }
}

impl Resolver<'_> {
    pub(super) fn tenant_limits(&mut self) -> TenantLimits {
        TenantLimits {
            concurrent: self.bound(
                Setting::TenantConcurrent,
                1..=CONCURRENT_EXECUTIONS_MAX as u64,
                "",
            ),
            queued: self.bound(Setting::TenantQueued, 0..=TENANT_QUEUED_MAX, ""),
            executions_per_minute: self.bound(
                Setting::TenantExecutionsPerMinute,
                1..=TENANT_PER_MINUTE_MAX,
                "",
            ),
            cpu_seconds_per_hour: self.bound(
                Setting::TenantCpuSecondsPerHour,
                1..=TENANT_CPU_SECONDS_MAX,
                " seconds",
            ),
            fetches_per_minute: self.bound(
                Setting::TenantFetchesPerMinute,
                1..=TENANT_PER_MINUTE_MAX,
                "",
            ),
            output_mb_per_hour: self.bound(
                Setting::TenantOutputMbPerHour,
                1..=TENANT_MB_MAX,
                " MB",
            ),
            stored_heap_mb: self.bound(Setting::TenantStoredHeapMb, 1..=TENANT_MB_MAX, " MB"),
            ..TenantLimits::default()
        }
    }

    /// A number that may be left open.
    fn bound(
        &mut self,
        setting: Setting,
        range: RangeInclusive<u64>,
        unit: &'static str,
    ) -> Option<u64> {
        self.value(setting, None, |said| number(said, range, unit).map(Some))
    }
}
