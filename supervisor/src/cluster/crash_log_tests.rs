//! Who the node is whose power goes, and what comes to it from the rest of its cluster.

use std::path::Path;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use raft::eraftpb::{Entry, EntryType};
use tempfile::TempDir;

use super::files::Beginning;
use crate::dice::Dice;
use crate::raft::command::{self, Command};
use crate::raft::ids::{ClusterId, Incarnation, RaftId, RequestId};
use crate::raft::log::{ConfState, Identity, Position};
use crate::raft::request::{Member, MemberChange};
use crate::raft::state::{Item, Members, Ticket, What};
use crate::store::snapshot::Made;
use crate::store::{Retention, SharedState, Store, StorePlace, any_command};

pub(super) fn me() -> Identity {
    let incarnation = Incarnation([1; 16]);
    Identity {
        cluster: ClusterId([9; 16]),
        id: RaftId::of("a", incarnation),
        incarnation,
    }
}

pub(super) fn member(name: &str) -> Member {
    let incarnation = Incarnation([1; 16]);
    Member {
        id: RaftId::of(name, incarnation),
        name: name.to_owned(),
        address: format!("{name}:1"),
        incarnation,
        is_learner_for_good: true,
    }
}

pub(super) fn first_members() -> (Members, ConfState) {
    let mut conf = ConfState::default();
    conf.set_voters(vec![me().id.get()]);
    let members = Members {
        present: vec![member("a")],
        removed: Vec::new(),
    };
    (members, conf)
}

pub(super) fn beginning() -> Beginning {
    let (members, conf) = first_members();
    Beginning::First { members, conf }
}

pub(super) fn open_store(directory: &Path) -> Result<Store, String> {
    let place = StorePlace::Directory(directory.to_owned());
    Store::open_in_cluster(place, Retention::default(), me().id).map_err(|error| error.to_string())
}

/// What came into the log, and what it does.
pub(super) struct Source {
    runner: TestRunner,
    learners: u32,
    last: Option<RequestId>,
}

impl Source {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), rng),
            learners: 0,
            last: None,
        }
    }

    pub(super) fn entry(&mut self, at: Position, dice: &mut Dice) -> Entry {
        let mut entry = Entry {
            index: at.index,
            term: at.term,
            ..Entry::default()
        };
        if dice.chance(100) {
            return entry;
        }
        if dice.chance(80) && self.learners < 6 {
            self.learners += 1;
            let change = MemberChange::Join(member(&format!("l{}", self.learners)));
            let mut context = vec![0];
            context.extend(command::encode(&change).unwrap());
            entry.set_entry_type(EntryType::EntryConfChangeV2);
            entry.context = context.into();
            return entry;
        }
        let mut command = any_command().new_tree(&mut self.runner).unwrap().current();
        if let Command::End(_, Some(kept)) = &mut command
            && dice.chance(400)
        {
            kept.code = "x".repeat(dice.below(30_000));
        }
        // Some come twice.
        let again = self.last.filter(|_| dice.chance(100));
        let id = again.unwrap_or_else(|| RequestId(dice.bytes()));
        self.last = Some(id);
        let mut context = id.0.to_vec();
        context.extend((at.index - 1).to_le_bytes());
        entry.context = context.into();
        entry.data = command::encode(&command).unwrap().into();
        entry
    }
}

/// What an entry does to a state.
pub(super) fn item(entry: &Entry, conf: &ConfState) -> Item {
    let at = Position {
        index: entry.index,
        term: entry.term,
    };
    let context = &entry.context;
    let what = match entry.get_entry_type() {
        EntryType::EntryConfChangeV2 => {
            let change: MemberChange = command::decode(&context[1..]).unwrap();
            let MemberChange::Join(member) = &change else {
                unreachable!("nothing else was made")
            };
            let mut conf = conf.clone();
            conf.mut_learners().push(member.id.get());
            conf.mut_learners().sort_unstable();
            What::Members {
                ticket: None,
                change: Some(change),
                conf: Some(conf),
            }
        }
        _ if entry.data.is_empty() => What::Nothing,
        _ => {
            let ticket = Ticket {
                id: RequestId(context[..16].try_into().unwrap()),
                born: u64::from_le_bytes(context[16..].try_into().unwrap()),
            };
            What::Command(ticket, entry.data.clone())
        }
    };
    Item { at, what }
}

/// Another node, which is ahead, and whose snapshots come here.
pub(super) struct Leader {
    _place: TempDir,
    store: Store,
    applied: u64,
}

impl Leader {
    pub(super) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = open_store(place.path()).unwrap();
        let (members, conf) = first_members();
        let state = SharedState {
            applied: Position::FIRST,
            conf,
            members,
        };
        store.replication().found(state).unwrap();
        Self {
            _place: place,
            store,
            applied: 1,
        }
    }

    pub(super) fn snapshot(&mut self, history: &[Item], directory: &Path) -> Made {
        let new = history.iter().filter(|item| item.at.index > self.applied);
        let new: Vec<Item> = new.cloned().collect();
        let state = self.store.replication();
        self.applied += new.len() as u64;
        state.apply(new, false).unwrap();
        state.make_snapshot(directory).unwrap()
    }
}
