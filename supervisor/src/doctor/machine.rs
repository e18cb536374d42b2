//! What this machine gives: descriptors, memory, control groups, namespaces, time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::resource::{Resource, getrlimit};

use super::report::Finding;
use crate::app::control_groups;
use crate::config::{Config, Transport};
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_DESCRIPTORS_PART, WARM_WORKER_BYTES};

/// Descriptors that a worker takes in the server, at most, beside what the server has of its own.
const DESCRIPTORS_PER_WORKER: u64 = 8;
const DESCRIPTORS_OWN: u64 = 256;

/// How long the clocks are watched.
const CLOCK_WATCH: Duration = Duration::from_millis(100);
/// How much they may differ in that time.
const CLOCK_DRIFT_MAX: Duration = Duration::from_millis(20);

/// The limits of this machine that executions may meet.
pub(super) fn limits(config: &Config) -> Vec<Finding> {
    vec![
        descriptors(config),
        memory(config, &text("/proc/meminfo")),
        groups(),
        namespaces(),
    ]
}

fn descriptors(config: &Config) -> Finding {
    let subject = "descriptors";
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::warn(subject, "their limit cannot be read", "none");
    };
    let workers = config.executions.max_concurrent as u64 * DESCRIPTORS_PER_WORKER;
    let needed = workers + DESCRIPTORS_OWN;
    let for_all = match config.transport {
        Transport::Stdio => needed,
        Transport::Http(_) => (HTTP_CONNECTIONS_MAX * HTTP_DESCRIPTORS_PART) as u64,
    };
    let found = format!("{soft} open files, up to {hard}");
    let advice = |wanted| format!("raise it to {wanted}: LimitNOFILE= of systemd, or ulimit -Hn");
    if hard < needed {
        Finding::fail(subject, found, advice(needed))
    } else if hard < for_all {
        let found = format!("{found}: fewer clients than there could be");
        Finding::warn(subject, found, advice(for_all))
    } else {
        Finding::ok(subject, found)
    }
}

fn memory(config: &Config, meminfo: &str) -> Finding {
    let subject = "memory";
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let Some(available) = available.map(|kib| kib << 10) else {
        return Finding::warn(subject, "how much there is cannot be read", "none");
    };
    let executions = &config.executions;
    let each = 2 * (executions.heap_memory_default_mb << 20) + WARM_WORKER_BYTES;
    let needed = each * executions.max_concurrent as u64;
    let found = format!(
        "{} MiB available; {} executions of {} MB of heap may take {} MiB",
        available >> 20,
        executions.max_concurrent,
        executions.heap_memory_default_mb,
        needed >> 20
    );
    if needed > available {
        Finding::warn(
            subject,
            found,
            "lower --max-concurrent-executions or --heap-memory-max, or add memory",
        )
    } else {
        Finding::ok(subject, found)
    }
}

fn groups() -> Finding {
    let groups = control_groups();
    let subject = "control groups";
    if groups.are_on {
        return Finding::ok(subject, groups.detail);
    }
    Finding::warn(
        subject,
        format!("off: {}", groups.detail),
        "delegate a subtree (Delegate=yes of systemd): the kernel then bounds each worker's memory too",
    )
}

fn namespaces() -> Finding {
    let subject = "user namespaces";
    let number = |path: &str| text(path).trim().parse::<u64>().ok();
    let max = number("/proc/sys/user/max_user_namespaces");
    let is_root = nix::unistd::geteuid().is_root();
    let refused = [
        ("/proc/sys/kernel/unprivileged_userns_clone", 0),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1),
    ];
    let by = refused
        .into_iter()
        .find(|(path, off)| number(path) == Some(*off));
    match (max, by) {
        (Some(0), _) => Finding::warn(
            subject,
            "off: user.max_user_namespaces is 0",
            "sysctl user.max_user_namespaces=10000, unless Landlock is on",
        ),
        (_, Some((path, value))) if !is_root => Finding::warn(
            subject,
            format!("off for ordinary users: {path} is {value}"),
            "allow them for this program, unless Landlock is on",
        ),
        (Some(max), _) => Finding::ok(subject, format!("up to {max}")),
        (None, _) => Finding::warn(subject, "this kernel has none", "see that Landlock is on"),
    }
}

/// Whether time passes as it should.
pub(super) async fn clock() -> Vec<Finding> {
    vec![pace().await, synchronised(), zone()]
}

async fn pace() -> Finding {
    let subject = "clock";
    let (steady, wall) = (Instant::now(), SystemTime::now());
    tokio::time::sleep(CLOCK_WATCH).await;
    let passed = steady.elapsed();
    let by_wall = wall.elapsed().unwrap_or_default();
    if passed.abs_diff(by_wall) > CLOCK_DRIFT_MAX {
        return Finding::warn(
            subject,
            format!("{passed:?} passed, by the wall clock {by_wall:?}: it is being set"),
            "let it be slewed, not stepped: times of executions would be wrong",
        );
    }
    let now = jiff::Timestamp::now();
    Finding::ok(subject, format!("{now:.0}, steady"))
}

fn synchronised() -> Finding {
    let subject = "time service";
    // SAFETY: all zeroes are a value of this structure of integers, and ask for nothing to be changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: it is ours, and the kernel writes to nothing else.
    let told = unsafe { libc::adjtimex(&raw mut state) };
    if told < 0 {
        return Finding::warn(subject, "its state cannot be read", "none");
    }
    if state.status & libc::STA_UNSYNC != 0 {
        return Finding::warn(
            subject,
            "the clock is not synchronised",
            "run a time service: tokens, certificates and logs depend on the time",
        );
    }
    Finding::ok(subject, "the clock is synchronised")
}

fn zone() -> Finding {
    let zone = fs::read_link("/etc/localtime").ok();
    let zone = zone.as_deref().and_then(zone_name);
    let zone = zone.unwrap_or_else(|| "UTC".to_owned());
    Finding::ok(
        "time zone",
        format!("{zone}; the log, the API and scripts use UTC"),
    )
}

fn zone_name(path: &Path) -> Option<String> {
    let (_, name) = path.to_str()?.split_once("zoneinfo/")?;
    Some(name.to_owned())
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_named_by_its_file() {
        let name = zone_name(Path::new("../usr/share/zoneinfo/Europe/Berlin"));
        assert_eq!(name.as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone_name(Path::new("/etc/anything")), None);
    }

    #[tokio::test]
    async fn the_clock_of_this_machine_can_be_looked_at() {
        let findings = clock().await;
        assert_eq!(findings.len(), 3, "{findings:?}");
    }
}
