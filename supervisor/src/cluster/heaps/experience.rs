//! What this node has seen of the others: who lets it wait, and who says nothing at all. Pure.
//!
//! A node that is slow is asked after the others for a while, so that not each execution waits for it; the
//! while doubles each time, and ends with a good answer. It is asked all the same where nobody else helps.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{HEAP_SLOW_PEER_REST_MAX, HEAP_SLOW_PEER_REST_MIN};
use crate::raft::ids::RaftId;

/// It. Only members have a place in it, so that it stays small.
#[derive(Debug, Default)]
pub(super) struct Experience(BTreeMap<RaftId, Record>);

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    slow: Option<Slow>,
    silent_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Slow {
    rest: Duration,
    until: Instant,
}

impl Experience {
    /// Forgets all but these.
    pub(super) fn keep(&mut self, members: &[RaftId]) {
        self.0.retain(|node, _| members.contains(node));
    }

    /// A node has let somebody wait, or had no room. What comes while it rests anyway is the same trouble.
    pub(super) fn was_slow(&mut self, node: RaftId, now: Instant) {
        let record = self.0.entry(node).or_default();
        let rest = match record.slow {
            Some(slow) if now < slow.until => return,
            Some(slow) => (slow.rest * 2).min(HEAP_SLOW_PEER_REST_MAX),
            None => HEAP_SLOW_PEER_REST_MIN,
        };
        let until = now + rest;
        record.slow = Some(Slow { rest, until });
    }

    /// A node has given no answer.
    pub(super) fn was_silent(&mut self, node: RaftId, now: Instant) {
        self.0
            .entry(node)
            .or_default()
            .silent_since
            .get_or_insert(now);
    }

    /// A node has said something, whatever it was.
    pub(super) fn spoke(&mut self, node: RaftId) {
        if let Some(record) = self.0.get_mut(&node) {
            record.silent_since = None;
        }
    }

    /// A node has done in time what it was asked for.
    pub(super) fn was_quick(&mut self, node: RaftId) {
        self.0.remove(&node);
    }

    /// For how long a node has said nothing.
    pub(super) fn silence(&self, node: RaftId, now: Instant) -> Option<Duration> {
        let since = self.0.get(&node)?.silent_since?;
        Some(now.saturating_duration_since(since))
    }

    /// The same nodes, those last that have let somebody wait a moment ago.
    pub(super) fn prefer(&self, mut nodes: Vec<RaftId>, now: Instant) -> Vec<RaftId> {
        nodes.sort_by_key(|node| self.rests(*node, now));
        nodes
    }

    fn rests(&self, node: RaftId, now: Instant) -> bool {
        let slow = self.0.get(&node).and_then(|record| record.slow);
        slow.is_some_and(|slow| now < slow.until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: u64) -> RaftId {
        RaftId::from_u64(number + 1).unwrap()
    }

    #[test]
    fn who_is_slow_comes_last_for_longer_each_time_and_first_again_after_a_good_answer() {
        let (mut seen, mut now) = (Experience::default(), Instant::now());
        let both = || vec![node(0), node(1)];
        let mut rest = HEAP_SLOW_PEER_REST_MIN;
        for _ in 0..20 {
            seen.was_slow(node(0), now);
            // Several executions have waited for it at once.
            seen.was_slow(node(0), now);
            assert_eq!(seen.prefer(both(), now), [node(1), node(0)]);
            let almost = now + rest.saturating_sub(Duration::from_millis(1));
            assert_eq!(seen.prefer(both(), almost), [node(1), node(0)]);
            now += rest;
            assert_eq!(seen.prefer(both(), now), both());
            rest = (rest * 2).min(HEAP_SLOW_PEER_REST_MAX);
        }
        seen.was_slow(node(0), now);
        seen.was_quick(node(0));
        assert_eq!(seen.prefer(both(), now), both());
    }

    #[test]
    fn silence_lasts_from_the_first_question_without_an_answer() {
        let (mut seen, now) = (Experience::default(), Instant::now());
        let secs = Duration::from_secs;
        assert_eq!(seen.silence(node(0), now), None);
        seen.was_silent(node(0), now);
        seen.was_silent(node(0), now + secs(5));
        assert_eq!(seen.silence(node(0), now + secs(7)), Some(secs(7)));
        seen.spoke(node(0));
        assert_eq!(seen.silence(node(0), now + secs(8)), None);
        seen.was_silent(node(0), now);
        seen.keep(&[node(1)]);
        assert_eq!(seen.silence(node(0), now + secs(8)), None);
    }

    proptest! {
        /// Whatever is seen: nobody is left out or asked twice, no memory is kept of others, and nobody
        /// rests for longer than the longest rest.
        #[test]
        fn nobody_is_lost(events in prop::collection::vec((0_u64..6, 0_u8..4, 0_u64..400), 0..60)) {
            let mut seen = Experience::default();
            let mut now = Instant::now();
            for (number, event, secs) in events {
                now += Duration::from_secs(secs);
                match event {
                    0 => seen.was_slow(node(number), now),
                    1 => seen.was_silent(node(number), now),
                    2 => seen.spoke(node(number)),
                    _ => seen.was_quick(node(number)),
                }
                let members: Vec<RaftId> = (0..4).map(node).collect();
                seen.keep(&members);
                prop_assert!(seen.0.len() <= members.len());
                let mut preferred = seen.prefer(members.clone(), now);
                preferred.sort();
                let mut sorted = members.clone();
                sorted.sort();
                prop_assert_eq!(preferred, sorted);
                let later = now + HEAP_SLOW_PEER_REST_MAX;
                prop_assert_eq!(seen.prefer(members.clone(), later), members);
            }
        }
    }
}
