//! What this process takes, under the names that dashboards know.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::show;

/// Looked up when it is asked for.
#[derive(Debug)]
pub(super) struct Process {
    /// When it was started, in seconds since 1970.
    pub(super) started_at: f64,
}

/// What the system says of this process.
#[derive(Debug, Default, PartialEq)]
struct Taken {
    resident_bytes: u64,
    descriptors: u64,
    descriptors_max: u64,
    threads: u64,
    cpu_seconds: f64,
}

impl Taken {
    fn now() -> Self {
        use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let seconds = |time: nix::sys::time::TimeVal| {
            use nix::sys::time::TimeValLike as _;
            std::time::Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0))
                .as_secs_f64()
        };
        let cpu_seconds = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
            seconds(usage.user_time()) + seconds(usage.system_time())
        });
        Self {
            resident_bytes: field(&status, "VmRSS:") * 1024,
            // The directory that is read is one of them.
            descriptors: (open as u64).saturating_sub(1),
            descriptors_max: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
            threads: field(&status, "Threads:"),
            cpu_seconds,
        }
    }
}

/// A number of `/proc/self/status`.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let taken = Taken::now();
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory of the server's own process that is resident, without its workers",
                taken.resident_bytes,
            ),
            (
                "process_open_fds",
                "Descriptors that the server has open",
                taken.descriptors,
            ),
            (
                "process_max_fds",
                "Descriptors that the server may have open",
                taken.descriptors_max,
            ),
            (
                "process_threads",
                "Threads of the server's own process",
                taken.threads,
            ),
        ];
        for (name, help, value) in gauges {
            show(&mut encoder, name, help, &ConstGauge::new(value))?;
        }
        show(
            &mut encoder,
            "process_start_time_seconds",
            "When the server was started, in seconds since 1970",
            &ConstGauge::new(self.started_at),
        )?;
        show(
            &mut encoder,
            "process_cpu_seconds",
            "CPU time of the server's own process, in seconds, without its workers",
            &ConstCounter::new(taken.cpu_seconds),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_something() {
        let taken = Taken::now();
        assert!(taken.resident_bytes > 1 << 20, "{taken:?}");
        assert!(
            (3..=taken.descriptors_max).contains(&taken.descriptors),
            "{taken:?}"
        );
        assert!(taken.threads >= 1, "{taken:?}");
    }

    #[test]
    fn a_field_is_found_by_its_name_alone() {
        let status = "Name:\tVmRSS:\nVmRSS:\t  1234 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), 1234);
        assert_eq!(field(status, "Threads:"), 7);
        assert_eq!(field(status, "Nothing:"), 0);
    }
}
