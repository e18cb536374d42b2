//! How a node comes to a cluster: pure, over what its disk holds, what its operator says, and what others
//! answer.
//!
//! | Disk | Said | Others | |
//! |---|---|---|---|
//! | of a member | anything | | it goes on where its disk ends |
//! | of a member | `--force-new-cluster` | | it goes on alone |
//! | empty | `--force-new-cluster` | | refused: there is nothing to go on with |
//! | empty | nothing | | a cluster of one |
//! | empty | `--join` | | it asks to be let in |
//! | empty | `--peers` | not all answer | it waits |
//! | empty | `--peers` | all are new, and not all have heard of all | it waits |
//! | empty | `--peers` | all are new, and have heard of all | a new cluster of all of them |
//! | empty | `--peers` | some are in the cluster that they make with it | the same |
//! | empty | `--peers` | some are in a cluster that has gone on since, with it | it waits for what they have |
//! | empty | `--peers` | some are in a cluster without it | it asks to be let in |
//! | empty | `--peers` | some are in one cluster, others in another | refused |
//!
//! A majority of the listed would not be enough to begin with: the first members stand in no entry of the
//! log, so that all of them must begin with the same ones, each of which has a life of its own that only it
//! can tell. Whoever begins has seen that each of the others would make the very same cluster.

use super::name::{Address, Listed, NodeName};
use super::options::Begin;
use super::peer::Peer;
use crate::raft::ids::{ClusterId, RaftId};
use crate::raft::request::Member;

/// Who answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who it is.
    pub peer: Peer,
    /// Where it stands.
    pub seen: Seen,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is in no cluster.
    Fresh {
        /// The one that it would make, from when it has heard of all.
        proposal: Option<ClusterId>,
    },
    /// It is in one.
    Member {
        /// Which.
        cluster: ClusterId,
        /// Its members.
        members: Vec<Member>,
    },
}

/// What a node's disk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Nothing.
    Empty,
    /// It has been in a cluster.
    OfMember,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes on where its disk ends.
    Resume,
    /// It goes on there, as the only member of a new cluster.
    ResumeAlone,
    /// It is one of the first members of this cluster.
    First(Membership),
    /// It is a member of this cluster, and has nothing yet of what that has.
    Await(Membership),
    /// It asks the node at this address to be let in.
    Join(Address),
    /// It asks again later.
    Wait {
        /// What for.
        why: Waiting,
        /// The cluster that it would make.
        proposal: Option<Membership>,
    },
    /// It must not start so.
    Refuse(Contradiction),
}

/// A cluster, and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which.
    pub cluster: ClusterId,
    /// Its members.
    pub members: Vec<Member>,
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// These do not answer.
    #[error("no answer yet from {}", shown(.0))]
    Silent(Vec<Listed>),
    /// Who answers at an address is called otherwise.
    #[error("{listed} is expected, and {found} answers there")]
    OtherName {
        /// Who was to be there.
        listed: Listed,
        /// Who is.
        found: NodeName,
    },
    /// These have not heard of all others yet, or list others.
    #[error("{} would not make the same cluster yet; do all nodes list all others?", shown(.0))]
    NotAgreed(Vec<Listed>),
}

/// What cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// There is nothing to go on with.
    #[error("--force-new-cluster needs the disk of a member, and this one is empty")]
    NothingLeft,
    /// Two nodes are called the same.
    #[error("two nodes are called {0}: each needs a name of its own (--node-id)")]
    SameName(NodeName),
    /// An address that was listed leads back to this node.
    #[error("{0} is this node itself: --peers lists the others")]
    Itself(Listed),
    /// Those who were listed are in two clusters.
    #[error("the nodes of --peers are in different clusters: this node cannot belong to both")]
    TwoClusters,
}

fn shown(listed: &[Listed]) -> String {
    let shown: Vec<String> = listed.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

/// The cluster that these make as its first members.
pub fn first_cluster(members: &[Member]) -> ClusterId {
    let mut places: Vec<String> = members
        .iter()
        .map(|member| format!("{}@{}", member.name, member.address))
        .collect();
    places.sort();
    // Where they are is a part of the state that all begin with.
    let ids: Vec<RaftId> = members.iter().map(|member| member.id).collect();
    ClusterId::of(&places.join(","), &ids)
}

/// What a node knows of those whom it lists.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// What each has answered now.
    pub answers: &'a [(Listed, Option<Found>)],
    /// The cluster that it would have made, as of what they answered before.
    pub before: Option<&'a Membership>,
}

/// What a node does that has been told this, and has heard that.
pub fn decide(
    me: &Peer,
    disk: Disk,
    (begin, forces_new): (&Begin, bool),
    heard: Heard<'_>,
) -> Decision {
    match (disk, forces_new) {
        (Disk::OfMember, true) => return Decision::ResumeAlone,
        (Disk::OfMember, false) => return Decision::Resume,
        (Disk::Empty, true) => return Decision::Refuse(Contradiction::NothingLeft),
        (Disk::Empty, false) => {}
    }
    match begin {
        Begin::Alone => Decision::First(membership(vec![me.as_member(false)])),
        Begin::Join { seed, .. } => Decision::Join(seed.clone()),
        Begin::With(_) => together(me, heard),
    }
}

fn membership(mut members: Vec<Member>) -> Membership {
    // All nodes begin with the same state, in the same order.
    members.sort_by_key(|member| member.id);
    Membership {
        cluster: first_cluster(&members),
        members,
    }
}

fn together(me: &Peer, Heard { answers, before }: Heard<'_>) -> Decision {
    if let Some(contradiction) = contradiction(me, answers) {
        return Decision::Refuse(contradiction);
    }
    let wait = |why| Decision::Wait {
        why,
        proposal: None,
    };
    for (listed, found) in answers {
        if let (Some(name), Some(found)) = (&listed.name, found)
            && *name != found.peer.name
        {
            return wait(Waiting::OtherName {
                listed: listed.clone(),
                found: found.peer.name.clone(),
            });
        }
    }
    if let Some(decision) = running(me, answers) {
        return decision;
    }
    let silent = answers.iter().filter(|(_, found)| found.is_none());
    let silent: Vec<Listed> = silent.map(|(listed, _)| listed.clone()).collect();
    if !silent.is_empty() {
        return Decision::Wait {
            why: Waiting::Silent(silent),
            proposal: before.filter(|before| is_still(before, answers)).cloned(),
        };
    }
    let others = answers.iter().filter_map(|(_, found)| found.as_ref());
    let others = others.map(|found| found.peer.as_member(false));
    let first = membership(others.chain([me.as_member(false)]).collect());
    let agrees = |found: &Found| {
        found.seen
            == Seen::Fresh {
                proposal: Some(first.cluster),
            }
    };
    let others = answers
        .iter()
        .filter(|(_, found)| !found.as_ref().is_some_and(agrees));
    let others: Vec<Listed> = others.map(|(listed, _)| listed.clone()).collect();
    if others.is_empty() {
        return Decision::First(first);
    }
    Decision::Wait {
        why: Waiting::NotAgreed(others),
        proposal: Some(first),
    }
}

/// Whether all who have answered are those that they were. Who is silent for once has not changed its mind,
/// and whoever stands by its word then is believed by the others: were it taken back each time, machines that
/// are so busy that some answer is always missing would never find a moment in which all agree. A cluster is
/// begun all the same by those alone who have just heard all of its members.
fn is_still(before: &Membership, answers: &[(Listed, Option<Found>)]) -> bool {
    let mut found = answers.iter().filter_map(|(_, found)| found.as_ref());
    found.all(|found| before.members.contains(&found.peer.as_member(false)))
}

fn contradiction(me: &Peer, answers: &[(Listed, Option<Found>)]) -> Option<Contradiction> {
    let mut names = vec![&me.name];
    for (listed, found) in answers {
        let Some(found) = found else {
            continue;
        };
        if found.peer.id == me.id {
            return Some(Contradiction::Itself(listed.clone()));
        }
        if names.contains(&&found.peer.name) {
            return Some(Contradiction::SameName(found.peer.name.clone()));
        }
        names.push(&found.peer.name);
    }
    None
}

/// What a node does some of whose others are in a cluster already.
fn running(me: &Peer, answers: &[(Listed, Option<Found>)]) -> Option<Decision> {
    let mut running = answers.iter().filter_map(|(listed, found)| {
        let found = found.as_ref()?;
        match &found.seen {
            Seen::Member { cluster, members } => Some((listed, *cluster, members)),
            Seen::Fresh { .. } => None,
        }
    });
    let (listed, cluster, _) = running.clone().next()?;
    if running.clone().any(|(_, other, _)| other != cluster) {
        return Some(Decision::Refuse(Contradiction::TwoClusters));
    }
    let with_me = running.find(|(_, _, members)| members.iter().any(|one| one.id == me.id));
    let Some((_, _, members)) = with_me else {
        return Some(Decision::Join(listed.address.clone()));
    };
    let first = membership(members.clone());
    if first.cluster == cluster {
        return Some(Decision::First(first));
    }
    // It has gone on since. This life of the node has said nothing in it, and can begin with nothing.
    Some(Decision::Await(Membership {
        cluster,
        members: first.members,
    }))
}

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;
