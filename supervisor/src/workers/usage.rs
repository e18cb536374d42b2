//! What a process has used, as the kernel counts it.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::unistd::Pid;

use super::process::BYTES_PER_KIB;

/// The longest text that the kernel has about a process, in bytes.
const STATUS_BYTES_MAX: usize = 16 << 10;

/// What a process has used. Its own word plays no part in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time, user and system, of all its threads.
    pub cpu: Duration,
    /// The most memory that was resident at once, with what it shares with others, in bytes.
    pub peak_bytes: u64,
}

impl Used {
    /// What two processes have used, one after the other.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self {
            cpu: self.cpu + next.cpu,
            peak_bytes: self.peak_bytes.max(next.peak_bytes),
        }
    }

    /// The larger of each: of two looks at one process the later one.
    #[must_use]
    pub fn or_more(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            peak_bytes: self.peak_bytes.max(other.peak_bytes),
        }
    }
}

/// What a living process has used; `None` where the system does not tell. Whether it is still the one
/// that is meant is for the caller to know.
pub(super) fn of_process(pid: Pid) -> Option<Used> {
    Some(Used {
        cpu: cpu_time(pid)?,
        peak_bytes: peak_bytes(pid)?,
    })
}

/// By the clock that the kernel has for each process, which is exact; `/proc` counts in hundredths.
fn cpu_time(pid: Pid) -> Option<Duration> {
    let mut clock = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    if unsafe { libc::clock_getcpuclockid(pid.as_raw(), &raw mut clock) } != 0 {
        return None;
    }
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the same; the call fills it where it succeeds.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: it has succeeded.
    let time = unsafe { time.assume_init() };
    let secs = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(secs, nanos))
}

fn peak_bytes(pid: Pid) -> Option<u64> {
    // With room for all of it: it would be read by 32 bytes first, then by 64...
    let mut status = String::with_capacity(STATUS_BYTES_MAX);
    let file = std::fs::File::open(format!("/proc/{pid}/status")).ok()?;
    file.take(STATUS_BYTES_MAX as u64)
        .read_to_string(&mut status)
        .ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = peak.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * BYTES_PER_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_computes_has_used_something() {
        let before = of_process(Pid::this()).unwrap();
        let mut sum = 0_u64;
        let more = loop {
            sum = (0..100_000_u64).fold(sum, |sum, number| std::hint::black_box(sum ^ number));
            let now = of_process(Pid::this()).unwrap();
            if now.cpu > before.cpu + Duration::from_millis(1) {
                break now;
            }
        };
        assert!(before.peak_bytes > 0 && more.peak_bytes >= before.peak_bytes);
        assert_eq!(before.or_more(more), more.or_more(before));
        assert_ne!(std::hint::black_box(sum), 1);
    }

    #[test]
    fn of_nobody_nothing_is_known() {
        assert_eq!(of_process(Pid::from_raw(i32::MAX)), None);
    }
}
