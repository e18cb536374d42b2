//! The shared tables against the state in memory: the same entries give the same answers and the same
//! state, whatever a node's own rows are.

use bytes::Bytes;
use proptest::prelude::*;
use rusqlite::{Connection, TransactionBehavior};

use super::{Replica, accept_here, start_here, unshared_of};
use crate::raft::command::{
    self, Command, CursorKey, Ended, Execution, Kept, Outcome, Retag, TagChange, Used,
};
use crate::raft::ids::{Incarnation, RaftId, RequestId};
use crate::raft::log::{ConfState, Position};
use crate::raft::request::{Member, MemberChange};
use crate::raft::state::{Item, MemoryState, SessionEntry, State, Ticket, What, apply};
use crate::store::read;
use crate::store::record::ExecutionId;
use crate::store::schema::migrate;
use crate::store::write::{Chunk, Rule, Write};

/// Something that happens to a node. Names are few, so that they meet.
#[derive(Debug, Clone)]
enum Act {
    /// An entry of the log.
    Entry(Entry),
    /// The node accepts, starts and hears an execution that the log may name later.
    Own(u8),
    /// The process ends, and another one opens the file.
    Reopen,
}

#[derive(Debug, Clone)]
enum Entry {
    Nothing,
    Command(u8, Command),
    Members(Option<u8>, Option<MemberChange>, Option<Vec<u8>>),
}

pub(in crate::store) fn node(number: u8) -> RaftId {
    RaftId::from_u64(u64::from(number) + 1).unwrap()
}

fn member(number: u8) -> Member {
    Member {
        id: node(number),
        name: format!("n{number}"),
        address: format!("a{number}:1"),
        incarnation: Incarnation([number; 16]),
        is_learner_for_good: number.is_multiple_of(2),
    }
}

pub(in crate::store) fn conf(voters: &[u8]) -> ConfState {
    let mut conf = ConfState::default();
    let voters = voters.iter().map(|one| node(*one).get());
    conf.set_voters(voters.collect());
    conf
}

fn ended() -> impl Strategy<Value = Ended> {
    prop_oneof![
        ("[a-c]{0,3}", any::<bool>(), 0..4u8).prop_map(|(result, result_truncated, heap)| {
            Ended::Completed {
                preview: result.clone(),
                result,
                result_truncated,
                heap: match heap {
                    0 => Ok(None),
                    1 => Err("why".to_owned()),
                    heap => Ok(Some([heap; 32])),
                },
            }
        }),
        ("[a-c]{0,3}", any::<bool>()).prop_map(|(error, error_truncated)| Ended::Failed {
            kind: "memory".to_owned(),
            error,
            error_truncated,
        }),
        any::<bool>().prop_map(|by_shutdown| Ended::Cancelled { by_shutdown }),
        (0..9u64).prop_map(|after_secs| Ended::TimedOut { after_secs }),
    ]
}

prop_compose! {
    fn execution()(
        id in 0..5u8,
        (tenant, owner) in (0..2u8, 0..2u8),
        session in prop::option::of(0..2u8),
        input_heap in prop::option::of(0..4u8),
        started_us in prop::option::of(0..9i64),
        used in prop::option::of(0..9u64),
        (output_bytes, output_truncated, source_bytes) in (0..9u64, any::<bool>(), 0..9u64),
    ) -> Execution {
        Execution {
            id: [id; 16],
            tenant: format!("t{tenant}"),
            owner: node(owner),
            session: session.map(|name| format!("s{name}")),
            input_heap: input_heap.map(|heap| [heap; 32]),
            submitted_us: i64::from(id),
            source_bytes,
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
            started_us,
            output_bytes,
            output_truncated,
            usage: used.map(|cpu_ms| Used { cpu_ms, peak_memory_bytes: 7 }),
            end: None,
        }
    }
}

fn tags() -> impl Strategy<Value = Vec<(String, String)>> {
    let tag = (0..3u8, 0..2u8).prop_map(|(key, value)| (format!("k{key}"), value.to_string()));
    prop::collection::vec(tag, 0..4)
}

prop_compose! {
    fn kept()(heap in 0..4u8, stored_bytes in 0..9u64, code in "[a-z]{0,4}", tags in tags()) -> Kept {
        Kept { heap: [heap; 32], stored_bytes, code, tags }
    }
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    let whose = || (0..2u8, 0..4u8).prop_map(|(tenant, heap)| (format!("t{tenant}"), [heap; 32]));
    let change = prop_oneof![
        tags().prop_map(TagChange::Replace),
        prop::collection::vec((0..3u8).prop_map(|key| format!("k{key}")), 0..3)
            .prop_map(TagChange::Delete),
        Just(TagChange::DeleteAll),
    ];
    prop_oneof![
        2 => execution().prop_map(|execution| Command::Begin(Box::new(execution))),
        5 => (execution(), 0..9i64, ended(), prop::option::of(kept())).prop_map(
            |(mut execution, at_us, ended, kept)| {
                execution.end = Some((at_us, ended));
                Command::End(Box::new(execution), kept.map(Box::new))
            }
        ),
        1 => (prop::collection::vec(0..5u8, 0..4), 0..9i64).prop_map(|(ids, at_us)| Command::Abandon {
            executions: ids.into_iter().map(|id| [id; 16]).collect(),
            at_us,
            error: "lost".to_owned(),
        }),
        3 => (whose(), change, 0..9i64).prop_map(|((tenant, heap), change, at_us)| {
            Command::Retag(Box::new(Retag { tenant, heap, change, at_us }))
        }),
        1 => (whose(), 0..9i64).prop_map(|((tenant, heap), at_us)| Command::Touch {
            tenant, heap, at_us,
        }),
        3 => (whose(), 0..12i64).prop_map(|((tenant, heap), unused_since_us)| Command::Forget {
            tenant, heap, unused_since_us,
        }),
        1 => (whose(), 0..9u64, 0..9i64).prop_map(|((tenant, heap), stored_bytes, at_us)| {
            Command::Adopt { tenant, heap, stored_bytes, at_us }
        }),
        1 => prop::collection::vec(0..5u8, 0..3)
            .prop_map(|ids| Command::Expire(ids.into_iter().map(|id| [id; 16]).collect())),
        1 => (0..3u8).prop_map(|key| Command::HidePlaces(CursorKey([key; 32]))),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let change = prop_oneof![
        (0..4u8).prop_map(|one| MemberChange::Join(member(one))),
        (0..4u8).prop_map(|one| MemberChange::Remove(node(one))),
        (0..4u8).prop_map(|one| MemberChange::Promote(node(one))),
    ];
    prop_oneof![
        1 => Just(Entry::Nothing),
        12 => (any::<u8>(), command()).prop_map(|(id, command)| Entry::Command(id, command)),
        2 => (
            prop::option::of(any::<u8>()),
            prop::option::of(change),
            prop::option::of(prop::collection::vec(0..4u8, 0..4)),
        ).prop_map(|(id, change, conf)| Entry::Members(id, change, conf)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => entry().prop_map(Act::Entry),
        3 => (0..5u8).prop_map(Act::Own),
        1 => Just(Act::Reopen),
    ]
}

/// What is shared, read out of its tables.
pub(crate) fn read_back(connection: &Connection) -> MemoryState {
    let replica = Replica::new(connection);
    let mut state = MemoryState::default();
    let Ok(()) = state.set_applied(replica.applied().unwrap(), Some(&replica.conf().unwrap()));
    let mut rows = connection
        .prepare("SELECT idx, request, outcome FROM answers")
        .unwrap();
    let answers = rows.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get(1)?,
            row.get::<_, Vec<u8>>(2)?,
        ))
    });
    for (index, request, outcome) in answers.unwrap().map(Result::unwrap) {
        let outcome: Outcome = command::decode(&outcome).unwrap();
        let Ok(()) = state.keep_answer(RequestId(request), index.unsigned_abs(), outcome);
    }
    let mut rows = connection
        .prepare("SELECT id, tenant FROM executions WHERE is_shared")
        .unwrap();
    let executions = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    for (id, tenant) in executions.unwrap().map(Result::unwrap) {
        let (id, tenant) = (ExecutionId::from_key(id), tenant.parse().unwrap());
        let stored = read::get(connection, node(0), &tenant, id)
            .unwrap()
            .unwrap();
        let told: i64 = connection
            .query_row(
                "SELECT told_output_bytes FROM executions WHERE id = ?1",
                [id.0.as_bytes()],
                |row| row.get(0),
            )
            .unwrap();
        let mut execution = stored.view.into_execution(stored.owner);
        execution.output_bytes = told.unsigned_abs();
        let Ok(()) = state.put_execution(&execution);
    }
    read_heaps(connection, &mut state);
    if let Some(key) = read::cursor_key(connection).unwrap() {
        let Ok(()) = state.keep_cursor_key(key);
    }
    let mut rows = connection
        .prepare(
            "SELECT sessions.tenant, name, input_heap, output_heap, kept_at, code
             FROM session_entries JOIN sessions ON sessions.seq = session
             ORDER BY session, position",
        )
        .unwrap();
    let entries = rows.query_map([], |row| {
        let entry = SessionEntry {
            input_heap: row.get(2)?,
            output_heap: row.get(3)?,
            kept_us: row.get(4)?,
            code: row.get(5)?,
        };
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, entry))
    });
    for (tenant, name, entry) in entries.unwrap().map(Result::unwrap) {
        let Ok(_) = state.append_entry(&tenant, &name, entry);
    }
    let Ok(()) = state.set_members(&replica.members().unwrap());
    state
}

fn read_heaps(connection: &Connection, state: &mut MemoryState) {
    let mut rows = connection
        .prepare("SELECT tenant, id, stored_bytes, last_used_at, seq FROM heaps")
        .unwrap();
    let heaps = rows.query_map([], |row| {
        let seq: i64 = row.get(4)?;
        let bytes: i64 = row.get(2)?;
        Ok((
            row.get::<_, String>(0)?,
            row.get(1)?,
            bytes,
            row.get(3)?,
            seq,
        ))
    });
    for (tenant, heap, bytes, used, seq) in heaps.unwrap().map(Result::unwrap) {
        let Ok(()) = state.put_heap(&tenant, &heap, bytes.unsigned_abs(), used);
        let mut rows = connection
            .prepare("SELECT key, value FROM heap_tags WHERE heap = ?1")
            .unwrap();
        let tags = rows.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)));
        let tags: Vec<_> = tags.unwrap().map(Result::unwrap).collect();
        let Ok(()) = state.set_tags(&tenant, &heap, &tags);
    }
}

/// A node: its file, and the state in memory that it is held against.
struct Pair {
    _place: tempfile::TempDir,
    path: std::path::PathBuf,
    connection: Connection,
    memory: MemoryState,
}

impl Pair {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.db");
        let mut connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")
            .unwrap();
        migrate(&mut connection).unwrap();
        Replica::new(&connection)
            .set_applied(Position::FIRST, Some(&conf(&[0])))
            .unwrap();
        Self {
            memory: MemoryState::first(Vec::new(), &conf(&[0])),
            _place: place,
            path,
            connection,
        }
    }

    fn apply(&mut self, entry: Entry) {
        let Ok(before) = self.memory.applied();
        let ticket = |id| Ticket {
            id: RequestId([id; 16]),
            born: before.index,
        };
        let what = match entry {
            Entry::Nothing => What::Nothing,
            Entry::Command(id, command) => {
                let bytes = command::encode(&command).unwrap();
                What::Command(ticket(id), Bytes::from(bytes))
            }
            Entry::Members(id, change, voters) => What::Members {
                ticket: id.map(ticket),
                change,
                conf: voters.map(|voters| conf(&voters)),
            },
        };
        let at = Position {
            index: before.index + 1,
            term: before.term,
        };
        let item = Item { at, what };
        let expected = apply(&mut self.memory, &item).unwrap();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        let found = apply(&mut Replica::new(&transaction), &item).unwrap();
        transaction.commit().unwrap();
        assert_eq!(found, expected);
    }

    fn own(&self, number: u8) {
        let execution = Execution {
            id: [number; 16],
            tenant: "t0".to_owned(),
            owner: node(0),
            session: None,
            input_heap: Some([number; 32]),
            submitted_us: 1,
            source_bytes: 1,
            heap_memory_max_mb: 9,
            execution_timeout_secs: 31,
            started_us: Some(3),
            output_bytes: 0,
            output_truncated: false,
            usage: None,
            end: None,
        };
        accept_here(&self.connection, &execution).unwrap();
        start_here(&self.connection, &execution).unwrap();
        let chunk = Chunk {
            id: ExecutionId::from_key(execution.id),
            start_byte: 0,
            newlines_before: 0,
            data: "out".to_owned(),
        };
        // A second time the piece is there already.
        let _ = Write::Output(chunk).apply(&self.connection, Rule::Cluster);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tables_and_memory_agree(acts in prop::collection::vec(act(), 1..60)) {
        let mut pair = Pair::new();
        for act in acts {
            match act {
                Act::Entry(entry) => pair.apply(entry),
                Act::Own(number) => pair.own(number),
                Act::Reopen => pair.connection = Connection::open(&pair.path).unwrap(),
            }
        }
        let found = read_back(&pair.connection);
        prop_assert_eq!(&found, &pair.memory);
        prop_assert_eq!(command::encode(&found), command::encode(&pair.memory));
    }
}

#[test]
fn an_execution_of_this_node_is_shared_as_the_log_tells_of_it() {
    let mut pair = Pair::new();
    pair.own(1);
    let own = unshared_of(&pair.connection, node(0)).unwrap();
    assert_eq!(own.len(), 1);
    let mut told = own[0].clone();
    told.execution_timeout_secs = 77;
    told.output_bytes = 2;
    pair.apply(Entry::Command(1, Command::Begin(Box::new(told))));
    assert_eq!(unshared_of(&pair.connection, node(0)).unwrap(), []);
    assert_eq!(read_back(&pair.connection), pair.memory);
    let stored = read::get(
        &pair.connection,
        node(0),
        &"t0".parse().unwrap(),
        ExecutionId::from_key([1; 16]),
    );
    let view = stored.unwrap().unwrap().view;
    assert_eq!(view.output_bytes, 3, "what lies here is more than was told");
    // Its output goes with it.
    let mut ended = own[0].clone();
    ended.end = Some((5, Ended::TimedOut { after_secs: 1 }));
    pair.apply(Entry::Command(2, Command::End(Box::new(ended), None)));
    pair.apply(Entry::Command(3, Command::Expire(vec![[1; 16]])));
    let left: i64 = pair
        .connection
        .query_row("SELECT count(*) FROM output", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}
