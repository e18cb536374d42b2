//! How a node keeps time, and how much log it keeps.

use raft::{Config, ReadOnlyOption};

use super::super::ids::RaftId;
use crate::limits;

/// The settings of a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Ticks from one sign of life of a leader to the next.
    pub heartbeat_ticks: usize,
    /// Ticks without one until others stand for election, at least.
    pub election_ticks_min: usize,
    /// The same, at most (not included). Each node draws between both: so that seldom two begin at once
    /// there should be twenty ticks between them.
    pub election_ticks_max: usize,
    /// Applied entries that stay in the log.
    pub log_kept_entries: u64,
    /// The same, in bytes.
    pub log_kept_bytes: u64,
    /// Entries that a leader puts into one message, in bytes; one at least.
    pub append_bytes: u64,
    /// Random, and new with every start of the node: names its reads, and decides when it stands for
    /// election.
    pub start: [u8; 16],
}

impl Settings {
    /// Times in ticks, and the log's usual bounds.
    pub const fn new(heartbeat: usize, election: (usize, usize), start: [u8; 16]) -> Self {
        Self {
            heartbeat_ticks: heartbeat,
            election_ticks_min: election.0,
            election_ticks_max: election.1,
            log_kept_entries: limits::LOG_KEPT_ENTRIES,
            log_kept_bytes: limits::LOG_KEPT_BYTES,
            append_bytes: limits::APPEND_BYTES_MAX,
            start,
        }
    }

    pub(super) fn config(&self, id: RaftId, applied: u64) -> Config {
        Config {
            id: id.get(),
            applied,
            heartbeat_tick: self.heartbeat_ticks,
            election_tick: self.election_ticks_min,
            min_election_tick: self.election_ticks_min,
            max_election_tick: self.election_ticks_max,
            check_quorum: true,
            pre_vote: true,
            // A leader that was stopped for a while would believe in its lease.
            read_only_option: ReadOnlyOption::Safe,
            max_size_per_msg: self.append_bytes,
            max_inflight_msgs: limits::APPENDS_IN_FLIGHT_MAX,
            max_uncommitted_size: limits::UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: limits::APPLY_BYTES_MAX,
            // It would gather entries into one message however large.
            batch_append: false,
            skip_bcast_commit: false,
            priority: 0,
        }
    }

    /// Ticks until a request that may be lost is sent again.
    pub(super) const fn patience(&self) -> u64 {
        (self.election_ticks_min / 2) as u64 + 1
    }

    /// When to stand for election, for a node in this term. The raft crate would ask a generator of
    /// random numbers: then no run could be repeated.
    pub(super) fn election_ticks(&self, term: u64, role: u64) -> usize {
        let mut seed = u64::from_le_bytes(*self.start.first_chunk().unwrap_or(&[0; 8]));
        for part in [term, role] {
            seed = mix(seed ^ part);
        }
        let span = (self.election_ticks_max - self.election_ticks_min) as u64;
        self.election_ticks_min + usize::try_from(seed % span.max(1)).unwrap_or(0)
    }
}

/// Spreads a number's bits over all of them (the finish of splitmix64).
const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elections_are_drawn_from_the_whole_span_and_from_nothing_else() {
        let settings = Settings::new(10, (30, 50), [7; 16]);
        let drawn: Vec<_> = (0..1000)
            .map(|term| settings.election_ticks(term, 0))
            .collect();
        assert_eq!(drawn.iter().min(), Some(&30));
        assert_eq!(drawn.iter().max(), Some(&49));
        assert_eq!(drawn[5], settings.election_ticks(5, 0));
        assert!(
            settings
                .config(RaftId::from_u64(1).unwrap(), 1)
                .validate()
                .is_ok()
        );
    }
}
