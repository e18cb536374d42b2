//! Requests of this node's clients, until they are answered.
//!
//! A request is done when its entry is applied, here: so an answer needs no way back from the leader,
//! and whoever has it reads what it wrote. It is sent again, by the same name, when it may have been
//! lost; the state sees to it that it is done once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::ids::RequestId;
use super::super::request::{Ask, Request};
use crate::limits::{PROPOSALS_AT_ONCE_BYTES_MAX, PROPOSALS_AT_ONCE_MAX, REQUESTS_PENDING_MAX};

#[derive(Debug)]
struct Waiting {
    request: Request,
    /// The tick at which its time is over.
    gives_up_at: u64,
    /// The tick before which it is not sent again; `None` while it is in the queue.
    rests_until: Option<u64>,
}

/// The requests.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    waiting: BTreeMap<RequestId, Waiting>,
    /// Those to be sent now.
    queue: VecDeque<RequestId>,
    /// Requests, also of others, that stand in this leader's log and are not applied yet. They are
    /// lost only with the leadership.
    in_log: BTreeSet<RequestId>,
}

impl Proposals {
    /// Takes a request; `false` when there are too many.
    pub(super) fn add(&mut self, request: Request, gives_up_at: u64) -> bool {
        if self.waiting.len() >= REQUESTS_PENDING_MAX {
            return false;
        }
        let id = request.id;
        let waiting = Waiting {
            request,
            gives_up_at,
            rests_until: None,
        };
        if self.waiting.insert(id, waiting).is_none() {
            self.queue.push_back(id);
        }
        true
    }

    /// What is to be sent now, as much as goes at once. It rests until this tick.
    pub(super) fn take_due(&mut self, rests_until: u64) -> Vec<Request> {
        let mut due = Vec::new();
        let mut bytes = 0;
        while let Some(id) = self.queue.front() {
            let Some(waiting) = self.waiting.get_mut(id) else {
                self.queue.pop_front();
                continue;
            };
            bytes += size(&waiting.request);
            let is_full = due.len() >= PROPOSALS_AT_ONCE_MAX || bytes > PROPOSALS_AT_ONCE_BYTES_MAX;
            if is_full && !due.is_empty() {
                break;
            }
            waiting.rests_until = Some(rests_until);
            due.push(waiting.request.clone());
            self.queue.pop_front();
        }
        due
    }

    /// Whether something is to be sent.
    pub(super) fn is_due(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends again what has rested long enough, and gives back what has waited too long.
    pub(super) fn wake(&mut self, now: u64) -> Vec<RequestId> {
        let mut given_up = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if waiting.gives_up_at <= now {
                given_up.push(*id);
            } else if waiting.rests_until.is_some_and(|until| until <= now)
                && !self.in_log.contains(id)
            {
                waiting.rests_until = None;
                self.queue.push_back(*id);
            }
        }
        for id in &given_up {
            self.waiting.remove(id);
        }
        given_up
    }

    /// Somebody else leads, or nobody: what was given to the last leader may be lost.
    pub(super) fn leader_changed(&mut self) {
        self.in_log.clear();
        for (id, waiting) in &mut self.waiting {
            if waiting.rests_until.take().is_some() {
                self.queue.push_back(*id);
            }
        }
    }

    /// Notes that a request stands in the log of this leader; `false` when it did before.
    pub(super) fn enter_log(&mut self, id: RequestId) -> bool {
        self.in_log.insert(id)
    }

    /// Notes that the log did not take a request after all.
    pub(super) fn leave_log(&mut self, id: RequestId) {
        self.in_log.remove(&id);
    }

    /// A request has its answer; whether somebody here waits for it.
    pub(super) fn answered(&mut self, id: RequestId) -> bool {
        self.in_log.remove(&id);
        self.waiting.remove(&id).is_some()
    }

    /// All that wait, who wait in vain.
    pub(super) fn drain(&mut self) -> Vec<RequestId> {
        self.queue.clear();
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_keys().collect()
    }
}

pub(super) fn size(request: &Request) -> usize {
    match &request.ask {
        Ask::Command(bytes) => bytes.len(),
        Ask::Member(_) => 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(number: u8, bytes: usize) -> Request {
        Request {
            id: RequestId([number; 16]),
            born: 1,
            ask: Ask::Command(Bytes::from(vec![0; bytes])),
        }
    }

    #[test]
    fn what_may_be_lost_is_sent_again_until_its_time_is_over() {
        let mut proposals = Proposals::default();
        assert!(proposals.add(request(1, 5), 100));
        assert_eq!(proposals.take_due(20).len(), 1);
        assert!(!proposals.is_due());
        assert!(proposals.wake(19).is_empty() && !proposals.is_due());
        assert!(proposals.wake(20).is_empty() && proposals.is_due());
        assert_eq!(proposals.take_due(40).len(), 1);
        proposals.leader_changed();
        assert_eq!(proposals.take_due(60).len(), 1);
        assert_eq!(proposals.wake(100), [RequestId([1; 16])]);
        assert!(!proposals.answered(RequestId([1; 16])));
    }

    #[test]
    fn what_stands_in_the_log_waits_there() {
        let mut proposals = Proposals::default();
        proposals.add(request(1, 5), 100);
        proposals.take_due(20);
        assert!(proposals.enter_log(RequestId([1; 16])));
        assert!(!proposals.enter_log(RequestId([1; 16])));
        proposals.wake(20);
        assert!(!proposals.is_due());
        assert!(proposals.answered(RequestId([1; 16])));
        assert!(proposals.enter_log(RequestId([1; 16])));
    }

    #[test]
    fn a_batch_is_bounded_and_holds_one_at_least() {
        let mut proposals = Proposals::default();
        for number in 0..3 {
            proposals.add(request(number, PROPOSALS_AT_ONCE_BYTES_MAX), 100);
        }
        assert_eq!(proposals.take_due(20).len(), 1);
        assert_eq!(proposals.take_due(20).len(), 1);
        assert_eq!(proposals.drain().len(), 3);
    }
}
