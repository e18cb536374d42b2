//! Whether a server that has worked for long holds more than one that has begun: the measure of leaks.

#![allow(clippy::print_stderr, reason = "a test says what it has measured")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::processes::{self, Entry};
use crate::server::Server;

/// Memory that the server may take more at the end than after its warm-up, in bytes: caches of the
/// database and of the allocator that are not yet full.
const GROWTH_BYTES_MAX: u64 = 32 << 20;
/// And for each execution between, in bytes: less than what any of them is made of. A view that is kept
/// takes more.
const GROWTH_BYTES_EACH: u64 = 256;
/// Descriptors that may be open more at the end than after the warm-up.
const GROWTH_DESCRIPTORS_MAX: usize = 8;
/// Threads that there may be more.
const GROWTH_THREADS_MAX: u64 = 8;
/// Descriptors that the server has open for each process beneath it that it knows: three pipes, and who it
/// is.
const DESCRIPTORS_EACH: usize = 4;
/// One more where heaps are kept: the window.
const DESCRIPTORS_EACH_WITH_HEAPS: usize = 5;
/// How long threads for blocking work are kept that have none, and the time to notice.
const THREADS_REST: Duration = Duration::from_secs(20);
/// How long what has ended may take to be cleared away.
const CLEARING: Duration = Duration::from_secs(10);

/// What a server at rest holds.
#[derive(Debug, Clone)]
pub struct Holdings {
    resident_bytes: u64,
    /// Beyond those for the processes beneath it.
    descriptors: usize,
    threads: u64,
    /// Control groups of workers, beyond those of the processes beneath it.
    groups: usize,
}

impl Holdings {
    /// What it holds now, once the executions that have ended are cleared away. Workers that wait do
    /// not count: how many there are depends on what was asked lately.
    pub fn of(server: &Server) -> Self {
        let mut last = Self::at_once(server);
        // The pool may be filled at any moment; the least that is seen is what is held.
        processes::within(CLEARING, || {
            let now = Self::at_once(server);
            let is_steady = now.descriptors == last.descriptors && now.groups == 0;
            if now.descriptors < last.descriptors || now.groups < last.groups {
                last = now;
            }
            is_steady && zombies(server).is_empty()
        });
        last
    }

    fn at_once(server: &Server) -> Self {
        let beneath = processes::descendants(server.pid());
        let each = if beneath.iter().any(keeps_heaps) {
            DESCRIPTORS_EACH_WITH_HEAPS
        } else {
            DESCRIPTORS_EACH
        };
        let beneath = beneath.len();
        // One that is just being made is beneath it already, without a descriptor; one that is leaked
        // has its descriptors, and is not beneath it.
        let known = processes::pidfds(server.pid()).min(beneath);
        let usage = server.usage();
        Self {
            resident_bytes: usage.resident_bytes,
            descriptors: usage.descriptors.saturating_sub(each * known),
            threads: usage.threads,
            groups: groups(server).unwrap_or(0).saturating_sub(beneath),
        }
    }

    /// Asserts that a server at rest holds no more than it did before, so many executions ago.
    ///
    /// # Panics
    /// When it does.
    pub fn assert_flat(&self, server: &Server, executions: usize) {
        processes::within(THREADS_REST, || {
            server.usage().threads <= self.threads + GROWTH_THREADS_MAX
        });
        let end = Self::of(server);
        let grown = end.resident_bytes.saturating_sub(self.resident_bytes);
        eprintln!("{executions} executions: {grown} bytes more; {self:?}, then {end:?}");
        if groups(server).is_none() {
            eprintln!("no control group is delegated to the server: none of its workers has one");
        }
        let zombies = zombies(server);
        assert!(zombies.is_empty(), "nobody reaps {zombies:?}");
        let leak = |what: &str| panic!("{what} leak: {self:?}, then {end:?}");
        if end.descriptors > self.descriptors + GROWTH_DESCRIPTORS_MAX {
            leak("descriptors");
        }
        if end.threads > self.threads + GROWTH_THREADS_MAX {
            leak("threads");
        }
        if end.groups > 0 {
            leak("control groups");
        }
        if grown > GROWTH_BYTES_MAX + GROWTH_BYTES_EACH * executions as u64 {
            leak("bytes of memory");
        }
    }
}

fn keeps_heaps(entry: &Entry) -> bool {
    let arguments = fs::read(format!("/proc/{}/cmdline", entry.pid)).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    arguments.any(|argument| argument == b"stateful")
}

/// Control groups that a server has made for workers; `None` where its own is not delegated to it.
fn groups(server: &Server) -> Option<usize> {
    let listed = fs::read_to_string(format!("/proc/{}/cgroup", server.pid())).ok()?;
    let own = listed.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let workers = Path::new(own).parent()?.join("workers");
    // Where version 2 is mounted, alone or beside version 1.
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .filter(|_| own.ends_with("/supervisor") || own == "supervisor")
        .find_map(|mount| fs::read_dir(Path::new(mount).join(&workers)).ok())
        .map(|entries| {
            entries
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .count()
        })
}

/// Processes beneath a server that have ended, and that nobody has reaped within a second.
fn zombies(server: &Server) -> Vec<Entry> {
    let mut found = Vec::new();
    processes::within(Duration::from_secs(1), || {
        found = processes::descendants(server.pid());
        found.retain(|entry| entry.state == 'Z');
        found.is_empty()
    });
    found
}
