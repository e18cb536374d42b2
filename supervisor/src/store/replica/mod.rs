//! The state that all nodes of a cluster share, in the session database.
//!
//! The tables of executions, sessions, heaps and tags are that state, together with who the members are,
//! what requests were answered, and which entry was applied last. On a single node the writer performs
//! commands on them as they come, and counts them; in a cluster the log says which. Output, code, doomed
//! heaps and servers lie in tables beside them that are a node's own: what is shared never depends on
//! those, but goes and stays with them (an execution that is forgotten takes its output along).
//!
//! An execution that was accepted here, and that the log has not named yet, has a row that is not shared:
//! for [`State`] it is not there.

mod executions;
#[cfg(test)]
pub(crate) mod tests;

use rusqlite::{Connection, OptionalExtension, params};

use super::doomed::{self, DoomedHeap};
use super::error::StoreError;
use super::garbage;
use super::read::count;
use super::write::integer;
use crate::heaps::{HeapId, TenantFolder};
use crate::raft::codec::{self, Reader};
use crate::raft::command::{self, Command, CursorKey, Execution, ExecutionKey, HeapKey, Outcome};
use crate::raft::ids::{Incarnation, RaftId, RequestId};
use crate::raft::log::{ConfState, Position};
use crate::raft::request::Member;
use crate::raft::state::{self, Members, SessionEntry, State};
use crate::tenant::Tenant;

pub(super) use self::executions::{
    accept_here, named_of, owners_at_work, start_here, unfinished_here, unshared_of,
};

/// The shared tables, within a transaction of the writer.
pub(super) struct Replica<'a> {
    connection: &'a Connection,
}

impl<'a> Replica<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// Does what a command says, on a single node. Whoever calls it counts it.
    pub(super) fn perform(&mut self, command: &Command) -> Result<Outcome, StoreError> {
        state::perform(self, command)
    }

    /// Notes that a single node has performed so many commands.
    pub(super) fn count_on(&mut self, commands: u64) -> Result<(), StoreError> {
        if commands > 0 {
            self.connection
                .prepare_cached("UPDATE applied SET idx = idx + ?1")?
                .execute([integer(commands)])?;
        }
        Ok(())
    }

    /// Whether the state belongs to a cluster, or waits for what one has.
    pub(super) fn is_in_cluster(&self) -> Result<bool, StoreError> {
        let is_waiting = self.applied()? == Position::default();
        Ok(is_waiting || !self.conf()?.get_voters().is_empty())
    }

    /// The configuration as of the last entry.
    pub(super) fn conf(&self) -> Result<ConfState, StoreError> {
        let bytes: Vec<u8> = self
            .connection
            .prepare_cached("SELECT conf FROM applied")?
            .query_row([], |row| row.get(0))?;
        read_conf(&bytes)
    }

    fn heap_seq(&self, tenant: &str, heap: &HeapKey) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT seq FROM heaps WHERE tenant = ?1 AND id = ?2")?
            .query_row(params![tenant, heap], |row| row.get(0))
            .optional()?)
    }

    fn clear_tags(&self, seq: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM heap_tags WHERE heap = ?1")?
            .execute([seq])?;
        Ok(())
    }
}

/// An execution of a single node is known, or goes on.
pub(super) fn begin(connection: &Connection, execution: &Execution) -> Result<(), StoreError> {
    state::begin(&mut Replica::new(connection), execution)?;
    Ok(())
}

/// Reads a configuration as it is stored. A node that was never in a cluster has none.
pub(super) fn read_conf(bytes: &[u8]) -> Result<ConfState, StoreError> {
    if bytes.is_empty() {
        return Ok(ConfState::default());
    }
    codec::read_conf(&mut Reader::new(bytes)).map_err(|_| StoreError::Corrupt {
        what: "configuration of the cluster",
    })
}

/// The name of a tenant, as it was checked where it came in.
fn tenant_named(name: &str) -> Result<Tenant, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt {
        what: "name of a tenant",
    })
}

fn raft_id(id: i64) -> Result<RaftId, StoreError> {
    let id = u64::try_from(id).ok().and_then(RaftId::from_u64);
    id.ok_or(StoreError::Corrupt { what: "node's id" })
}

impl State for Replica<'_> {
    type Error = StoreError;

    fn applied(&self) -> Result<Position, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT idx, term FROM applied")?;
        let mut rows = statement.query([])?;
        let row = rows.next()?.ok_or(StoreError::Corrupt {
            what: "state without a position",
        })?;
        Ok(Position {
            index: count(row, 0)?,
            term: count(row, 1)?,
        })
    }

    fn set_applied(&mut self, at: Position, conf: Option<&ConfState>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE applied SET idx = ?1, term = ?2")?
            .execute(params![integer(at.index), integer(at.term)])?;
        let Some(conf) = conf else { return Ok(()) };
        let mut bytes = Vec::new();
        codec::write_conf(&mut bytes, conf).map_err(|_| StoreError::Corrupt {
            what: "configuration of the cluster",
        })?;
        self.connection
            .prepare_cached("UPDATE applied SET conf = ?1")?
            .execute([bytes])?;
        Ok(())
    }

    fn answer(&self, request: RequestId) -> Result<Option<Outcome>, StoreError> {
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT outcome FROM answers WHERE request = ?1")?
            .query_row([request.0], |row| row.get(0))
            .optional()?;
        let read = |bytes: Vec<u8>| {
            command::decode(&bytes).map_err(|_| StoreError::Corrupt {
                what: "answer to a request",
            })
        };
        bytes.map(read).transpose()
    }

    fn keep_answer(
        &mut self,
        request: RequestId,
        index: u64,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let bytes = command::encode(&outcome).map_err(|_| StoreError::Corrupt {
            what: "answer to a request",
        })?;
        self.connection
            .prepare_cached("INSERT INTO answers (idx, request, outcome) VALUES (?1, ?2, ?3)")?
            .execute(params![integer(index), request.0, bytes])?;
        Ok(())
    }

    fn forget_answers_before(&mut self, index: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM answers WHERE idx < ?1")?
            .execute([integer(index)])?;
        Ok(())
    }

    fn has_ended(&self, id: &ExecutionKey) -> Result<Option<bool>, StoreError> {
        executions::has_ended(self.connection, id)
    }

    fn put_execution(&mut self, execution: &Execution) -> Result<(), StoreError> {
        executions::put(self.connection, execution)
    }

    fn unfinished(&self, id: &ExecutionKey) -> Result<Option<Execution>, StoreError> {
        executions::unfinished(self.connection, id)
    }

    fn forget_execution(&mut self, id: &ExecutionKey) -> Result<(), StoreError> {
        executions::forget(self.connection, id)
    }

    fn put_heap(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        stored_bytes: u64,
        at_us: i64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO heaps (tenant, id, stored_bytes, created_at, last_used_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (tenant, id) DO UPDATE SET
                     stored_bytes = ?3, last_used_at = max(last_used_at, ?4)",
            )?
            .execute(params![tenant, heap, integer(stored_bytes), at_us])?;
        // It was put again: whoever was about to remove it finds it too young.
        let heap = HeapId::from_bytes(*heap);
        doomed::revive(self.connection, &tenant_named(tenant)?, heap)?;
        Ok(())
    }

    fn touch_heap(&mut self, tenant: &str, heap: &HeapKey, at_us: i64) -> Result<bool, StoreError> {
        let touched = self
            .connection
            .prepare_cached(
                "UPDATE heaps SET last_used_at = max(last_used_at, ?3)
                 WHERE tenant = ?1 AND id = ?2",
            )?
            .execute(params![tenant, heap, at_us])?;
        Ok(touched > 0)
    }

    fn heap_used(&self, tenant: &str, heap: &HeapKey) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT last_used_at FROM heaps WHERE tenant = ?1 AND id = ?2")?
            .query_row(params![tenant, heap], |row| row.get(0))
            .optional()?)
    }

    fn is_heap_needed(&self, tenant: &str, heap: &HeapKey) -> Result<bool, StoreError> {
        garbage::is_needed(self.connection, tenant, heap)
    }

    /// Its content is this node's to remove.
    fn remove_heap(&mut self, tenant: &str, heap: &HeapKey) -> Result<(), StoreError> {
        let stored: Option<i64> = self
            .connection
            .prepare_cached(
                "DELETE FROM heaps WHERE tenant = ?1 AND id = ?2 RETURNING stored_bytes",
            )?
            .query_row(params![tenant, heap], |row| row.get(0))
            .optional()?;
        let Some(stored) = stored else { return Ok(()) };
        let doomed = DoomedHeap {
            folder: TenantFolder::of(&tenant_named(tenant)?),
            heap: HeapId::from_bytes(*heap),
            stored_bytes: stored.unsigned_abs(),
        };
        doomed.doom(self.connection)?;
        Ok(())
    }

    /// Within one transaction, in which nobody else writes, the next index of a session is its own.
    fn append_entry(
        &mut self,
        tenant: &str,
        session: &str,
        entry: SessionEntry,
    ) -> Result<u64, StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO sessions (tenant, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![tenant, session])?;
        let position: i64 = self
            .connection
            .prepare_cached(
                "INSERT INTO session_entries
                     (session, position, tenant, input_heap, output_heap, kept_at, code)
                 SELECT seq,
                     (SELECT coalesce(max(position) + 1, 0) FROM session_entries
                      WHERE session = sessions.seq),
                     tenant, ?3, ?4, ?5, ?6
                 FROM sessions WHERE tenant = ?1 AND name = ?2
                 RETURNING position",
            )?
            .query_row(
                params![
                    tenant,
                    session,
                    entry.input_heap,
                    entry.output_heap,
                    entry.kept_us,
                    entry.code,
                ],
                |row| row.get(0),
            )?;
        Ok(position.unsigned_abs())
    }

    fn set_tags(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        tags: &[(String, String)],
    ) -> Result<(), StoreError> {
        let Some(seq) = self.heap_seq(tenant, heap)? else {
            return Ok(());
        };
        self.clear_tags(seq)?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO heap_tags (heap, key, value, tenant) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (heap, key) DO UPDATE SET value = ?3",
        )?;
        for (key, value) in tags {
            insert.execute(params![seq, key, value, tenant])?;
        }
        Ok(())
    }

    fn delete_tags(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        keys: &[String],
    ) -> Result<(), StoreError> {
        let Some(seq) = self.heap_seq(tenant, heap)? else {
            return Ok(());
        };
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM heap_tags WHERE heap = ?1 AND key = ?2")?;
        for key in keys {
            delete.execute(params![seq, key])?;
        }
        Ok(())
    }

    fn keep_cursor_key(&mut self, key: CursorKey) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO cursor_key (one, key) VALUES (1, ?1) ON CONFLICT DO NOTHING",
            )?
            .execute([key.0])?;
        Ok(())
    }

    fn members(&self) -> Result<Members, StoreError> {
        let mut members = Members::default();
        let mut present = self.connection.prepare_cached(
            "SELECT id, name, address, incarnation, is_learner_for_good FROM members ORDER BY id",
        )?;
        let mut rows = present.query([])?;
        while let Some(row) = rows.next()? {
            members.present.push(Member {
                id: raft_id(row.get(0)?)?,
                name: row.get(1)?,
                address: row.get(2)?,
                incarnation: Incarnation(row.get(3)?),
                is_learner_for_good: row.get(4)?,
            });
        }
        let mut removed = self
            .connection
            .prepare_cached("SELECT id FROM removed ORDER BY seq")?;
        let mut rows = removed.query([])?;
        while let Some(row) = rows.next()? {
            members.removed.push(raft_id(row.get(0)?)?);
        }
        Ok(members)
    }

    fn set_members(&mut self, members: &Members) -> Result<(), StoreError> {
        self.connection.execute("DELETE FROM members", [])?;
        for member in &members.present {
            self.connection
                .prepare_cached(
                    "INSERT INTO members (id, name, address, incarnation, is_learner_for_good)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    integer(member.id.get()),
                    member.name,
                    member.address,
                    member.incarnation.0,
                    member.is_learner_for_good,
                ])?;
        }
        self.connection.execute("DELETE FROM removed", [])?;
        for id in &members.removed {
            self.connection
                .prepare_cached("INSERT INTO removed (id) VALUES (?1)")?
                .execute([integer(id.get())])?;
        }
        Ok(())
    }
}
