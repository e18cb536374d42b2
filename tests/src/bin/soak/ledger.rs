//! What each tenant got, as the audit log has it, beside what it may have. The log is not what quotas are
//! kept by: so one finds what the other does wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::faults::Faults;
use crate::tenants::Tenant;

/// A minute as it is judged, in milliseconds: lines are noted a moment after what they tell of.
const MINUTE_MS: i64 = 58_000;
/// The same of an hour.
const HOUR_MS: i64 = 59 * 60_000;
/// How much two executions may seem to overlap that did not, in milliseconds.
const OVERLAP_MS: i64 = 250;
/// What a worker may have resident beside its heap and its array buffers, in bytes: the program that all
/// share, and the engine's own.
const WORKER_BYTES: u64 = 96 << 20;
/// What an execution may use beyond its time before it is gone, in milliseconds.
const GRACE_MS: u64 = 1_000;

/// Something at a time, in milliseconds.
type At = (i64, u64);

/// What one tenant did at one server.
#[derive(Debug, Default)]
struct Account {
    accepted: Vec<At>,
    /// From when to when each ran.
    ran: Vec<(i64, i64)>,
    cpu_ms: Vec<At>,
    output_bytes: Vec<At>,
    requests: Vec<At>,
    peak_memory_bytes: u64,
}

/// What all tenants did at one server.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accounts: BTreeMap<String, Account>,
}

impl Ledger {
    /// As this log has it.
    pub(crate) fn read(log: &Path) -> Result<Self, std::io::Error> {
        let mut ledger = Self::default();
        for line in fs::read_to_string(log)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            ledger.note(&line);
        }
        Ok(ledger)
    }

    fn note(&mut self, line: &Value) {
        let (Some(tenant), Some(at)) = (line["tenant"].as_str(), time(line)) else {
            return;
        };
        let number = |name: &str| line[name].as_u64();
        let account = self.accounts.entry(tenant.to_owned()).or_default();
        match line["event"].as_str().unwrap_or_default() {
            "execution_accepted" => account.accepted.push((at, 1)),
            "execution_ended" => {
                if let Some(wall) = number("wall_ms") {
                    let from = at.saturating_sub_unsigned(wall);
                    account.ran.push((from, at));
                }
                account.cpu_ms.push((at, number("cpu_ms").unwrap_or(0)));
                let output = number("output_bytes").unwrap_or(0);
                account.output_bytes.push((at, output));
                let peak = number("peak_memory_bytes").unwrap_or(0);
                account.peak_memory_bytes = account.peak_memory_bytes.max(peak);
            }
            "request_decided" if line["verdict"] != "over_quota" => account.requests.push((at, 1)),
            _ => {}
        }
    }

    /// Executions that ended, of all tenants.
    pub(crate) fn executions(&self) -> usize {
        self.accounts
            .values()
            .map(|account| account.cpu_ms.len())
            .sum()
    }

    /// What a tenant got beside what it may have.
    pub(crate) fn judge(&self, server: &str, tenant: &Tenant, faults: &Faults) -> Value {
        let Some(account) = self.accounts.get(&tenant.name) else {
            return Value::Null;
        };
        let limits = &tenant.limits;
        let under_way_ms = limits.concurrent * (limits.execution_timeout_secs * 1_000 + GRACE_MS);
        let rows = [
            (
                "executions_in_a_minute",
                most_within(MINUTE_MS, &account.accepted),
                limits.executions_per_minute,
            ),
            ("at_once", at_once(&account.ran), limits.concurrent),
            (
                "cpu_ms_in_an_hour",
                most_within(HOUR_MS, &account.cpu_ms),
                limits.cpu_seconds_per_hour * 1_000 + under_way_ms,
            ),
            (
                "output_bytes_in_an_hour",
                most_within(HOUR_MS, &account.output_bytes),
                limits.output_mb_per_hour << 20,
            ),
            (
                "requests_in_a_minute",
                most_within(MINUTE_MS, &account.requests),
                limits.fetches_per_minute,
            ),
            (
                "peak_memory_bytes",
                account.peak_memory_bytes,
                WORKER_BYTES + (limits.heap_memory_max_mb << 21),
            ),
        ];
        for (what, used, allowed) in rows {
            if used > allowed {
                let name = &tenant.name;
                faults.note(&format!(
                    "{name} got more at {server}: {what} {used} of {allowed}"
                ));
            }
        }
        let mut report: serde_json::Map<String, Value> = rows
            .into_iter()
            .map(|(what, used, allowed)| (what.to_owned(), json!([used, allowed])))
            .collect();
        report.insert("executions".to_owned(), json!(account.accepted.len()));
        Value::Object(report)
    }
}

/// When a line was noted, in milliseconds.
fn time(line: &Value) -> Option<i64> {
    let time: jiff::Timestamp = line["time"].as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}

/// The most that there was in any time of this length.
fn most_within(length_ms: i64, noted: &[At]) -> u64 {
    let mut noted = noted.to_vec();
    noted.sort_unstable();
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for &(at, amount) in &noted {
        sum += amount;
        while noted[first].0 <= at - length_ms {
            sum -= noted[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// How many ran at once.
fn at_once(ran: &[(i64, i64)]) -> u64 {
    let mut edges = Vec::new();
    for &(from, to) in ran {
        if to - from > OVERLAP_MS {
            edges.push((from + OVERLAP_MS / 2, 1));
            edges.push((to - OVERLAP_MS / 2, -1));
        }
    }
    // Ends first.
    edges.sort_unstable();
    let (mut now, mut most) = (0_i64, 0_i64);
    for (_, change) in edges {
        now += change;
        most = most.max(now);
    }
    most.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_in_a_time_is_found_wherever_it_begins() {
        let noted = [(0, 1), (10, 2), (30, 5), (39, 1), (100, 4)];
        assert_eq!(most_within(10, &noted), 6);
        assert_eq!(most_within(30, &noted), 8);
        assert_eq!(most_within(31, &noted), 8);
        assert_eq!(most_within(1000, &noted), 13);
        assert_eq!(most_within(10, &[]), 0);
    }

    #[test]
    fn who_follows_another_does_not_run_beside_it() {
        assert_eq!(at_once(&[(0, 1000), (990, 2000), (2000, 3000)]), 1);
        assert_eq!(at_once(&[(0, 1000), (400, 1400)]), 2);
        assert_eq!(at_once(&[]), 0);
    }
}
