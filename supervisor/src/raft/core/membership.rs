//! Which changes of the membership a leader accepts, and which it makes by itself.

use super::super::ids::RaftId;
use super::super::request::{Member, MemberChange, Refusal};
use super::super::state::Members;
use crate::limits::{
    CLUSTER_MEMBERS_MAX, NODE_ADDRESS_BYTES_MAX, NODE_NAME_BYTES_MAX, PROMOTION_LAG_MAX,
};

/// A member, as its leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) id: RaftId,
    pub(super) votes: bool,
    /// Whether it was heard of lately.
    pub(super) is_alive: bool,
    /// Whether entries are sent to it as they come.
    pub(super) is_fed: bool,
    /// The last entry that it is known to have.
    pub(super) matched: u64,
}

/// The cluster, as its leader sees it.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub(super) members: &'a Members,
    pub(super) standings: Vec<Standing>,
    pub(super) last_index: u64,
}

impl Survey<'_> {
    /// Whether a change can be made.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn check(&self, change: &MemberChange) -> Result<(), Refusal> {
        match change {
            MemberChange::Join(member) => self.check_join(member),
            MemberChange::Promote(id) => self.check_promotion(*id),
            MemberChange::Remove(id) => self.check_removal(*id),
            MemberChange::Replace { old, new } => self.check_replacement(*old, *new),
        }
    }

    /// A learner that can vote by now.
    pub(super) fn promotable(&self) -> Option<RaftId> {
        let wants = |id| {
            let member = self.members.get(id);
            member.is_some_and(|member| !member.is_learner_for_good)
        };
        let learners = self.standings.iter().filter(|one| !one.votes);
        let mut ready = learners.filter(|one| wants(one.id) && self.has_caught_up(one));
        ready.next().map(|one| one.id)
    }

    fn check_join(&self, member: &Member) -> Result<(), Refusal> {
        if member.name.is_empty()
            || member.name.len() > NODE_NAME_BYTES_MAX
            || member.address.len() > NODE_ADDRESS_BYTES_MAX
            || member.id != RaftId::of(&member.name, member.incarnation)
        {
            return Err(Refusal::Malformed);
        }
        if self.members.was_removed(member.id) {
            return Err(Refusal::WasRemoved);
        }
        if self.standing(member.id).is_some() {
            return Err(Refusal::Already);
        }
        let collides =
            |other: &Member| other.name == member.name || other.address == member.address;
        if self.members.present.iter().any(collides) {
            return Err(Refusal::Taken);
        }
        if self.standings.len() >= CLUSTER_MEMBERS_MAX {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    fn check_promotion(&self, id: RaftId) -> Result<(), Refusal> {
        let one = self.standing(id).ok_or(Refusal::Unknown)?;
        if one.votes {
            return Err(Refusal::Already);
        }
        self.has_caught_up(one)
            .then_some(())
            .ok_or(Refusal::NotCaughtUp)
    }

    fn check_removal(&self, id: RaftId) -> Result<(), Refusal> {
        if self.members.was_removed(id) {
            return Err(Refusal::Already);
        }
        let one = self.standing(id).ok_or(Refusal::Unknown)?;
        let rest = self.voters().filter(|other| other.id != id);
        if !one.votes || keeps_quorum(rest) {
            Ok(())
        } else {
            Err(Refusal::LosesQuorum)
        }
    }

    fn check_replacement(&self, old: RaftId, new: RaftId) -> Result<(), Refusal> {
        if self.members.was_removed(old) {
            return Err(Refusal::Already);
        }
        let leaver = self.standing(old).ok_or(Refusal::Unknown)?;
        let comer = self.standing(new).ok_or(Refusal::Unknown)?;
        if comer.votes || !leaver.votes {
            return Err(Refusal::Unknown);
        }
        if !self.has_caught_up(comer) {
            return Err(Refusal::NotCaughtUp);
        }
        let rest = self.voters().filter(|other| other.id != old);
        if keeps_quorum(rest.chain([comer])) {
            Ok(())
        } else {
            Err(Refusal::LosesQuorum)
        }
    }

    fn has_caught_up(&self, one: &Standing) -> bool {
        one.is_alive && one.is_fed && one.matched + PROMOTION_LAG_MAX >= self.last_index
    }

    fn standing(&self, id: RaftId) -> Option<&Standing> {
        self.standings.iter().find(|one| one.id == id)
    }

    fn voters(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().filter(|one| one.votes)
    }
}

/// Whether these voters can decide something with those of them that live.
fn keeps_quorum<'a>(voters: impl Iterator<Item = &'a Standing>) -> bool {
    let (mut all, mut alive) = (0_usize, 0_usize);
    for voter in voters {
        all += 1;
        alive += usize::from(voter.is_alive);
    }
    all > 0 && alive > all / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::ids::Incarnation;

    fn member(name: &str, address: &str) -> Member {
        let incarnation = Incarnation([1; 16]);
        Member {
            id: RaftId::of(name, incarnation),
            name: name.to_owned(),
            address: address.to_owned(),
            incarnation,
            is_learner_for_good: false,
        }
    }

    fn standing(name: &str, votes: bool, is_alive: bool) -> Standing {
        Standing {
            id: member(name, "").id,
            votes,
            is_alive,
            is_fed: true,
            matched: 1000,
        }
    }

    fn members(names: &[&str]) -> Members {
        Members {
            present: names.iter().map(|name| member(name, name)).collect(),
            removed: vec![member("gone", "").id],
        }
    }

    #[test]
    fn who_joins_has_a_name_and_an_address_of_its_own() {
        let members = members(&["a"]);
        let survey = Survey {
            members: &members,
            standings: vec![standing("a", true, true)],
            last_index: 1000,
        };
        let join = |name, address| survey.check(&MemberChange::Join(member(name, address)));
        assert_eq!(join("b", "b"), Ok(()));
        assert_eq!(join("a", "b"), Err(Refusal::Already));
        assert_eq!(join("b", "a"), Err(Refusal::Taken));
        assert_eq!(join("gone", "b"), Err(Refusal::WasRemoved));
        assert_eq!(join("", "b"), Err(Refusal::Malformed));
        let mut other_life = member("a", "x");
        other_life.incarnation = Incarnation([2; 16]);
        assert_eq!(
            survey.check(&MemberChange::Join(other_life.clone())),
            Err(Refusal::Malformed),
            "the id is not of this life"
        );
        other_life.id = RaftId::of("a", other_life.incarnation);
        assert_eq!(
            survey.check(&MemberChange::Join(other_life)),
            Err(Refusal::Taken)
        );
    }

    #[test]
    fn nobody_leaves_whom_a_decision_needs() {
        let members = members(&["a", "b", "c", "d"]);
        let survey = |c_lives, d_matched| Survey {
            members: &members,
            standings: vec![
                standing("a", true, true),
                standing("b", true, true),
                standing("c", true, c_lives),
                Standing {
                    matched: d_matched,
                    ..standing("d", false, true)
                },
            ],
            last_index: 1000,
        };
        let id = |name| member(name, "").id;
        let remove = |name| MemberChange::Remove(id(name));
        assert_eq!(survey(true, 0).check(&remove("b")), Ok(()));
        assert_eq!(survey(false, 0).check(&remove("c")), Ok(()));
        assert_eq!(
            survey(false, 0).check(&remove("d")),
            Ok(()),
            "it does not vote"
        );
        assert_eq!(
            survey(false, 0).check(&remove("b")),
            Err(Refusal::LosesQuorum)
        );
        assert_eq!(
            survey(true, 0).check(&remove("gone")),
            Err(Refusal::Already)
        );
        assert_eq!(survey(true, 0).check(&remove("x")), Err(Refusal::Unknown));
        let replace = MemberChange::Replace {
            old: id("c"),
            new: id("d"),
        };
        assert_eq!(survey(false, 900).check(&replace), Ok(()));
        assert_eq!(
            survey(false, 800).check(&replace),
            Err(Refusal::NotCaughtUp)
        );
        assert_eq!(survey(true, 900).promotable(), Some(id("d")));
        assert_eq!(survey(true, 800).promotable(), None);
    }
}
