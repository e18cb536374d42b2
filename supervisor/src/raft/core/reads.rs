//! Reads of what is true now.
//!
//! The leader confirms that it still leads, and says how far was committed when it was asked; a node
//! that has applied as much may answer. The raft crate drops such questions without a word (no leader,
//! a leader that is too new, any change of roles), so they are asked again, each time by another name:
//! an answer to an earlier question must never count for a later one.
//!
//! Whoever asks again waits for the answer to what was asked before, too: on a slow way it comes later than
//! it is asked again, every time, and a node that forgot its questions by then would never know anything.

use std::collections::{HashSet, VecDeque};

use super::event::ReadId;
use crate::limits::{READ_ROUNDS_LATE_MAX, READ_ROUNDS_MAX};

#[derive(Debug, Clone, Copy)]
struct Reader {
    id: ReadId,
    gives_up_at: u64,
}

/// Readers that share one question. All of them had come before it was asked.
#[derive(Debug)]
struct Round {
    name: Vec<u8>,
    readers: Vec<Reader>,
    asked_at: u64,
    /// How far a node must have applied, once the leader has said so.
    index: Option<u64>,
    /// Whether its readers have gone on to another one, and wait for both.
    is_asked_again: bool,
}

impl Round {
    const fn is_open(&self) -> bool {
        self.index.is_none() && !self.is_asked_again
    }

    const fn is_late(&self) -> bool {
        self.index.is_none() && self.is_asked_again
    }
}

/// The reads that wait.
#[derive(Debug)]
pub(super) struct Reads {
    /// Not in a round yet.
    fresh: Vec<Reader>,
    rounds: VecDeque<Round>,
    /// Differs from those of every other node, and of every other start of this one.
    prefix: [u8; 16],
    asked: u64,
}

impl Reads {
    /// No reads. The prefix must be of this start of this node alone.
    pub(super) const fn new(prefix: [u8; 16]) -> Self {
        Self {
            fresh: Vec::new(),
            rounds: VecDeque::new(),
            prefix,
            asked: 0,
        }
    }

    /// Takes a read.
    pub(super) fn add(&mut self, id: ReadId, gives_up_at: u64) {
        self.fresh.push(Reader { id, gives_up_at });
    }

    /// A question to ask for all that have come, if there is one.
    pub(super) fn question(&mut self, now: u64) -> Option<Vec<u8>> {
        let open = self.rounds.iter().filter(|round| round.is_open());
        if self.fresh.is_empty() || open.count() >= READ_ROUNDS_MAX {
            return None;
        }
        self.asked += 1;
        let mut name = self.prefix.to_vec();
        name.extend(self.asked.to_le_bytes());
        self.rounds.push_back(Round {
            name: name.clone(),
            readers: std::mem::take(&mut self.fresh),
            asked_at: now,
            index: None,
            is_asked_again: false,
        });
        Some(name)
    }

    /// The leader has answered a question.
    pub(super) fn answered(&mut self, name: &[u8], index: u64) {
        let round = self.rounds.iter_mut().find(|round| round.name == name);
        if let Some(round) = round {
            round.index = Some(index);
        }
    }

    /// The reads that can be done by a node that has applied so much.
    pub(super) fn take_ready(&mut self, applied: u64) -> Vec<ReadId> {
        let mut ready = Vec::new();
        self.rounds.retain(|round| {
            let is_ready = round.index.is_some_and(|index| index <= applied);
            if is_ready {
                ready.extend(round.readers.iter().map(|reader| reader.id));
            }
            !is_ready
        });
        self.let_go(ready)
    }

    /// Whoever was asked may not answer any more.
    pub(super) fn leader_changed(&mut self) {
        let fresh = &mut self.fresh;
        self.rounds.retain_mut(|round| {
            if round.is_open() {
                fresh.append(&mut round.readers);
            }
            round.index.is_some()
        });
    }

    /// Asks again what was asked long ago, and gives back the reads that have waited too long.
    pub(super) fn wake(&mut self, now: u64, patience: u64) -> Vec<ReadId> {
        self.ask_again(now.saturating_sub(patience));
        let rounds = self.rounds.iter().map(|round| &round.readers);
        let waiting = rounds.chain([&self.fresh]).flatten();
        let given_up = waiting.filter(|reader| reader.gives_up_at <= now);
        let given_up = given_up.map(|reader| reader.id).collect();
        self.let_go(given_up)
    }

    /// All that wait, who wait in vain.
    pub(super) fn drain(&mut self) -> Vec<ReadId> {
        let rounds = std::mem::take(&mut self.rounds);
        let readers = rounds.into_iter().flat_map(|round| round.readers);
        let all = std::mem::take(&mut self.fresh).into_iter().chain(readers);
        once(all.map(|reader| reader.id))
    }

    #[cfg(test)]
    pub(super) const fn forget_names(&mut self) {
        self.asked = 0;
    }

    fn ask_again(&mut self, asked_until: u64) {
        for round in &mut self.rounds {
            if round.is_open() && round.asked_at <= asked_until {
                round.is_asked_again = true;
                self.fresh.extend(&round.readers);
            }
        }
        let late = self.rounds.iter().filter(|round| round.is_late()).count();
        let mut too_many = late.saturating_sub(READ_ROUNDS_LATE_MAX);
        self.rounds.retain(|round| {
            let goes = too_many > 0 && round.is_late();
            too_many -= usize::from(goes);
            !goes
        });
    }

    /// Nobody waits for these any more, wherever they are; each of them once.
    fn let_go(&mut self, ids: Vec<ReadId>) -> Vec<ReadId> {
        if ids.is_empty() {
            return ids;
        }
        let gone: HashSet<ReadId> = ids.iter().copied().collect();
        let stays = |reader: &Reader| !gone.contains(&reader.id);
        self.fresh.retain(stays);
        for round in &mut self.rounds {
            round.readers.retain(stays);
        }
        self.rounds.retain(|round| !round.readers.is_empty());
        once(ids.into_iter())
    }
}

/// Each of them once, in their order.
fn once(ids: impl Iterator<Item = ReadId>) -> Vec<ReadId> {
    let mut seen = HashSet::new();
    ids.filter(|id| seen.insert(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_waits_for_the_index_of_its_own_question() {
        let mut reads = Reads::new([1; 16]);
        reads.add(ReadId(1), 100);
        let first = reads.question(0).unwrap();
        reads.add(ReadId(2), 100);
        let second = reads.question(0).unwrap();
        assert_ne!(first, second);
        reads.answered(&first, 5);
        assert!(reads.take_ready(4).is_empty());
        assert_eq!(reads.take_ready(5), [ReadId(1)]);
        reads.answered(&second, 6);
        assert_eq!(reads.take_ready(9), [ReadId(2)]);
    }

    #[test]
    fn a_question_that_may_be_lost_is_asked_by_another_name() {
        let mut reads = Reads::new([1; 16]);
        reads.add(ReadId(1), 100);
        let first = reads.question(0).unwrap();
        reads.leader_changed();
        let second = reads.question(1).unwrap();
        reads.answered(&first, 1);
        assert!(
            reads.take_ready(9).is_empty(),
            "it is of an earlier question"
        );
        assert!(reads.wake(10, 15).is_empty());
        assert_eq!(reads.question(10), None);
        assert!(reads.wake(16, 15).is_empty());
        let third = reads.question(16).unwrap();
        assert!(third != second && third != first);
        assert_eq!(reads.wake(100, 15), [ReadId(1)]);
    }

    #[test]
    fn an_answer_that_is_slower_than_the_next_question_counts_for_who_asked() {
        let mut reads = Reads::new([1; 16]);
        reads.add(ReadId(1), 1000);
        let first = reads.question(0).unwrap();
        assert!(reads.wake(20, 15).is_empty());
        reads.add(ReadId(2), 1000);
        let second = reads.question(20).unwrap();
        // It was asked before the other one came.
        reads.answered(&first, 5);
        assert_eq!(reads.take_ready(5), [ReadId(1)]);
        reads.answered(&second, 6);
        assert_eq!(reads.take_ready(6), [ReadId(2)], "each once");
        assert!(reads.drain().is_empty());
    }

    #[test]
    fn what_is_late_is_bounded_and_gone_with_its_leader() {
        let mut reads = Reads::new([1; 16]);
        reads.add(ReadId(1), 1000);
        let mut names = Vec::new();
        for now in (0..100).step_by(10) {
            names.extend(reads.question(now));
            assert!(reads.wake(now + 9, 9).is_empty());
        }
        assert_eq!(names.len(), 10);
        assert_eq!(reads.rounds.len(), READ_ROUNDS_LATE_MAX);
        reads.answered(&names[0], 1);
        assert!(
            reads.take_ready(9).is_empty(),
            "nobody waits for it any more"
        );
        reads.leader_changed();
        reads.answered(&names[9], 1);
        assert!(reads.take_ready(9).is_empty(), "it is of the last leader");
        assert_eq!(reads.wake(1000, 9), [ReadId(1)]);
        assert!(reads.drain().is_empty());
    }

    #[test]
    fn an_index_that_is_known_is_kept_when_the_leader_changes() {
        let mut reads = Reads::new([1; 16]);
        reads.add(ReadId(1), 100);
        let name = reads.question(0).unwrap();
        reads.answered(&name, 5);
        reads.leader_changed();
        assert_eq!(reads.question(0), None);
        assert_eq!(reads.take_ready(5), [ReadId(1)]);
    }
}
