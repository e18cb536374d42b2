//! Whether a server that has worked for long holds more than one that has begun: the measure of leaks.

use std::time::Duration;

use crate::processes::{self, Entry};
use crate::server::Server;

/// Memory that the server may take more at the end than after its warm-up, in bytes: caches of the
/// database and of the allocator that are not yet full.
const GROWTH_BYTES_MAX: u64 = 32 << 20;
/// Descriptors that may be open more at the end than after the warm-up.
const GROWTH_DESCRIPTORS_MAX: usize = 8;
/// Threads that there may be more.
const GROWTH_THREADS_MAX: u64 = 8;
/// Descriptors that the server has open for each process beneath it: three pipes, and who it is.
const DESCRIPTORS_EACH: usize = 4;
/// How long what has ended may take to be cleared away.
const CLEARING: Duration = Duration::from_secs(10);

/// What a server at rest holds.
#[derive(Debug, Clone)]
pub struct Holdings {
    resident_bytes: u64,
    /// Beyond those for the processes beneath it.
    descriptors: usize,
    threads: u64,
}

impl Holdings {
    /// What it holds now, once the executions that have ended are cleared away. Workers that wait do
    /// not count: how many there are depends on what was asked lately.
    pub fn of(server: &Server) -> Self {
        let mut last = Self::at_once(server);
        // The pool may be filled at any moment; the least that is seen is what is held.
        processes::within(CLEARING, || {
            let now = Self::at_once(server);
            let is_steady = now.descriptors == last.descriptors;
            if now.descriptors < last.descriptors {
                last = now;
            }
            is_steady && zombies(server).is_empty()
        });
        last
    }

    fn at_once(server: &Server) -> Self {
        let beneath = processes::descendants(server.pid()).len();
        let usage = server.usage();
        Self {
            resident_bytes: usage.resident_bytes,
            descriptors: usage.descriptors.saturating_sub(DESCRIPTORS_EACH * beneath),
            threads: usage.threads,
        }
    }

    /// Asserts that a server at rest holds no more than it did before.
    ///
    /// # Panics
    /// When it does.
    pub fn assert_flat(&self, server: &Server) {
        let end = Self::of(server);
        let zombies = zombies(server);
        assert!(zombies.is_empty(), "nobody reaps {zombies:?}");
        let leak = |what: &str| panic!("{what} leak: {self:?}, then {end:?}");
        if end.descriptors > self.descriptors + GROWTH_DESCRIPTORS_MAX {
            leak("descriptors");
        }
        if end.threads > self.threads + GROWTH_THREADS_MAX {
            leak("threads");
        }
        if end.resident_bytes > self.resident_bytes + GROWTH_BYTES_MAX {
            leak("bytes of memory");
        }
    }
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
