//! When each member was last heard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::desk::Desk;
use crate::limits::HEARING_PAUSE;
use crate::raft::ids::RaftId;
use crate::raft::state::Members;

/// When each member was last heard. Clones look at the same.
#[derive(Debug, Clone)]
pub struct Hearing(pub(super) Arc<Desk>);

impl Hearing {
    /// For how long each other member has not been heard: one that never was, since this node knows of it.
    /// While this node stood still it could hear nobody: that time does not count, nor does it show.
    pub fn silences(&self) -> Vec<(RaftId, Duration)> {
        let me = self.0.local.me.id;
        let mut silences = self.0.roster.silences(Instant::now());
        silences.retain(|(id, _)| *id != me);
        silences
    }

    /// Looks at the clock for as long as it may, to notice when this node stands still.
    pub(super) async fn keep_time(self) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(HEARING_PAUSE).await;
            let now = Instant::now();
            let missed = now.duration_since(last).saturating_sub(2 * HEARING_PAUSE);
            if !missed.is_zero() {
                self.0.roster.stood_still(missed);
            }
            last = now;
        }
    }
}

/// The same, in a table.
#[derive(Debug, Default)]
pub(super) struct Heard(BTreeMap<RaftId, Instant>);

impl Heard {
    /// These are the members from now on. Nobody else is remembered.
    pub(super) fn keep(&mut self, members: &Members, now: Instant) {
        self.0.retain(|id, _| members.get(*id).is_some());
        for member in &members.present {
            self.0.entry(member.id).or_insert(now);
        }
    }

    /// Somebody was heard.
    pub(super) fn note(&mut self, id: RaftId, now: Instant) {
        if let Some(last) = self.0.get_mut(&id) {
            *last = now;
        }
    }

    /// Nobody could be heard for so long.
    pub(super) fn stood_still(&mut self, missed: Duration) {
        for last in self.0.values_mut() {
            *last += missed;
        }
    }

    pub(super) fn silences(&self, now: Instant) -> Vec<(RaftId, Duration)> {
        let all = self.0.iter();
        all.map(|(id, last)| (*id, now.saturating_duration_since(*last)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::ids::Incarnation;
    use crate::raft::request::Member;

    fn member(name: &str) -> Member {
        let incarnation = Incarnation([1; 16]);
        Member {
            id: RaftId::of(name, incarnation),
            name: name.to_owned(),
            address: format!("{name}:1"),
            incarnation,
            is_learner_for_good: false,
        }
    }

    fn members(names: &[&str]) -> Members {
        Members {
            present: names.iter().map(|name| member(name)).collect(),
            removed: Vec::new(),
        }
    }

    #[test]
    fn silence_begins_with_the_last_word_or_with_the_membership() {
        let secs = Duration::from_secs;
        let begin = Instant::now();
        let mut heard = Heard::default();
        let silence = |heard: &Heard, name, at| {
            let found = heard.silences(begin + secs(at)).into_iter();
            let mut found = found.filter(|(id, _)| *id == member(name).id);
            found.next().map(|(_, silence)| silence.as_secs())
        };
        heard.note(member("a").id, begin);
        assert_eq!(silence(&heard, "a", 1), None, "it is no member");
        heard.keep(&members(&["a", "b"]), begin + secs(2));
        heard.note(member("a").id, begin + secs(5));
        assert_eq!(silence(&heard, "a", 9), Some(4));
        assert_eq!(silence(&heard, "b", 9), Some(7));
        heard.keep(&members(&["b", "c"]), begin + secs(10));
        assert_eq!(silence(&heard, "a", 12), None);
        assert_eq!(silence(&heard, "b", 12), Some(10));
        assert_eq!(silence(&heard, "c", 12), Some(2));
        heard.stood_still(secs(9));
        assert_eq!(silence(&heard, "b", 12), Some(1));
        assert_eq!(silence(&heard, "c", 12), Some(0));
    }
}
