//! Reading sessions, heaps and tags back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::Store;
use super::error::StoreError;
use super::read::{ListPosition, count, heap, maybe_heap, parsed, time};
use super::session::SessionName;
use super::tags::Tags;
use super::write::integer;
use crate::heaps::HeapId;
use crate::limits::STATE_PAGE_BYTES_MAX;
use crate::tenant::Tenant;

/// One execution of a session that left a heap behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntry {
    /// Its place in the session, from 0.
    pub index: u64,
    /// The heap that it started from; `None` for a fresh one.
    pub input_heap: Option<HeapId>,
    /// The heap that it left behind.
    pub output_heap: HeapId,
    /// The code as it was submitted; `None` when it was not asked for.
    pub code: Option<String>,
    /// When it completed.
    pub timestamp: Timestamp,
}

/// A page of the entries of a session, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntriesPage {
    /// The entries.
    pub entries: Vec<SessionEntry>,
    /// Where the next page begins; `None` on the last one.
    pub next_index: Option<u64>,
}

/// A heap with its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedHeap {
    /// The heap.
    pub heap: HeapId,
    /// Its tags, all of them.
    pub tags: Tags,
}

/// A page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What was found.
    pub found: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<ListPosition>,
}

impl Store {
    /// Whether this tenant has this heap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_heap(&self, tenant: Tenant, heap: HeapId) -> Result<bool, StoreError> {
        self.read(tenant, move |connection, tenant| {
            Ok(heap_seq(connection, tenant, heap)?.is_some())
        })
        .await
    }

    /// When a heap was used last; `None` when this tenant has no such heap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heap_last_used(
        &self,
        tenant: Tenant,
        heap: HeapId,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            let mut statement = connection
                .prepare_cached("SELECT last_used_at FROM heaps WHERE tenant = ?1 AND id = ?2")?;
            let mut rows = statement.query(params![tenant.name(), heap.as_bytes()])?;
            rows.next()?.map(|row| time(row, 0)).transpose()
        })
        .await
    }

    /// The newest heap of a session; `None` when there is no such session. (A session is made by its
    /// first heap.)
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn latest_heap(
        &self,
        tenant: Tenant,
        session: SessionName,
    ) -> Result<Option<HeapId>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            latest_heap(connection, tenant, &session)
        })
        .await
    }

    /// Sessions, the last begun first, at most `limit`, begun before `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions(
        &self,
        tenant: Tenant,
        limit: u32,
        after: Option<ListPosition>,
    ) -> Result<Listed<SessionName>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            sessions(connection, tenant, limit, after)
        })
        .await
    }

    /// Entries of a session from this index on, at most `limit`; `None` when there is no such
    /// session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session_entries(
        &self,
        tenant: Tenant,
        session: SessionName,
        range: EntryRange,
    ) -> Result<Option<EntriesPage>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            session_entries(connection, tenant, &session, range)
        })
        .await
    }

    /// The tags of a heap; `None` when this tenant has no such heap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heap_tags(
        &self,
        tenant: Tenant,
        heap: HeapId,
    ) -> Result<Option<Tags>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            heap_seq(&snapshot, tenant, heap)?
                .map(|seq| tags_of(&snapshot, seq))
                .transpose()
        })
        .await
    }

    /// Heaps that have all these tags (one at least), the newest first, at most `limit`, older than
    /// `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heaps_by_tags(
        &self,
        tenant: Tenant,
        tags: Tags,
        limit: u32,
        after: Option<ListPosition>,
    ) -> Result<Listed<TaggedHeap>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            heaps_by_tags(&snapshot, tenant, &tags, limit, after)
        })
        .await
    }
}

/// Which entries of a session to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRange {
    /// The first, from 0.
    pub from_index: u64,
    /// How many: 1 to [`crate::limits::SESSION_ENTRIES_LENGTH_MAX`].
    pub limit: u32,
    /// Whether their code is wanted, which may be long.
    pub with_code: bool,
}

fn heap_seq(
    connection: &Connection,
    tenant: &Tenant,
    heap: HeapId,
) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT seq FROM heaps WHERE tenant = ?1 AND id = ?2")?
        .query_row(params![tenant.name(), heap.as_bytes()], |row| row.get(0))
        .optional()?)
}

fn latest_heap(
    connection: &Connection,
    tenant: &Tenant,
    session: &SessionName,
) -> Result<Option<HeapId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT output_heap FROM session_entries
         WHERE session = (SELECT seq FROM sessions WHERE tenant = ?1 AND name = ?2)
         ORDER BY position DESC LIMIT 1",
    )?;
    let mut rows = statement.query(params![tenant.name(), session.as_str()])?;
    rows.next()?.map(|row| heap(row, 0)).transpose()
}

fn sessions(
    connection: &Connection,
    tenant: &Tenant,
    limit: u32,
    after: Option<ListPosition>,
) -> Result<Listed<SessionName>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, name FROM sessions
         WHERE tenant = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
    )?;
    let before = after.map_or(i64::MAX, |position| position.0);
    let mut rows = statement.query(params![tenant.name(), before, i64::from(limit) + 1])?;
    let mut page = PageMaker::new(limit);
    while let Some(row) = rows.next()? {
        let name = parsed(row, 1, "name of a session")?;
        if !page.add(ListPosition(row.get(0)?), 0, name) {
            break;
        }
    }
    Ok(page.listed())
}

fn session_entries(
    connection: &Connection,
    tenant: &Tenant,
    session: &SessionName,
    range: EntryRange,
) -> Result<Option<EntriesPage>, StoreError> {
    let seq: Option<i64> = connection
        .prepare_cached("SELECT seq FROM sessions WHERE tenant = ?1 AND name = ?2")?
        .query_row(params![tenant.name(), session.as_str()], |row| row.get(0))
        .optional()?;
    let Some(seq) = seq else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT position, input_heap, output_heap, kept_at, CASE WHEN ?4 THEN code END
         FROM session_entries
         WHERE session = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query(params![
        seq,
        integer(range.from_index),
        i64::from(range.limit) + 1,
        range.with_code,
    ])?;
    let mut page = PageMaker::new(range.limit);
    while let Some(row) = rows.next()? {
        let entry = SessionEntry {
            index: count(row, 0)?,
            input_heap: maybe_heap(row, 1)?,
            output_heap: heap(row, 2)?,
            timestamp: time(row, 3)?,
            code: row.get(4)?,
        };
        let bytes = entry.code.as_ref().map_or(0, String::len);
        if !page.add(entry.index, bytes, entry) {
            break;
        }
    }
    let next_index = page
        .is_cut
        .then(|| page.last.map(|last| last + 1))
        .flatten();
    Ok(Some(EntriesPage {
        entries: page.found,
        next_index,
    }))
}

fn tags_of(connection: &Connection, seq: i64) -> Result<Tags, StoreError> {
    let tags: Result<BTreeMap<String, String>, _> = connection
        .prepare_cached("SELECT key, value FROM heap_tags WHERE heap = ?1")?
        .query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect();
    Ok(Tags::stored(tags?))
}

/// Walks down the lists of the heaps with each tag at once: whatever one list does not have, the
/// others skip. So the rarest tag says how long it takes, wherever it stands.
fn heaps_by_tags(
    connection: &Connection,
    tenant: &Tenant,
    tags: &Tags,
    limit: u32,
    after: Option<ListPosition>,
) -> Result<Listed<TaggedHeap>, StoreError> {
    let mut next_with = connection.prepare_cached(
        "SELECT heap FROM heap_tags
         WHERE tenant = ?1 AND key = ?2 AND value = ?3 AND heap <= ?4
         ORDER BY heap DESC LIMIT 1",
    )?;
    let mut id_of = connection.prepare_cached("SELECT id FROM heaps WHERE seq = ?1")?;
    let mut page = PageMaker::new(limit);
    let mut candidate = after.map_or(i64::MAX, |position| position.0 - 1);
    let mut agreed = 0;
    for (key, value) in tags.iter().collect::<Vec<_>>().into_iter().cycle() {
        let found: Option<i64> = next_with
            .query_row(params![tenant.name(), key, value, candidate], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(found) = found else { break };
        agreed = if found == candidate { agreed + 1 } else { 1 };
        candidate = found;
        if agreed < tags.len() {
            continue;
        }
        let heap = id_of.query_row([found], |row| row.get(0).map(HeapId::from_bytes))?;
        let tags = tags_of(connection, found)?;
        if !page.add(ListPosition(found), tags.bytes(), TaggedHeap { heap, tags }) {
            break;
        }
        candidate -= 1;
        agreed = 0;
    }
    Ok(page.listed())
}

/// Fills a page until it is full: by number, or by bytes, but for the first.
#[derive(Debug)]
struct PageMaker<T, P> {
    found: Vec<T>,
    last: Option<P>,
    length_max: usize,
    bytes_left: usize,
    is_cut: bool,
}

impl<T, P: Copy> PageMaker<T, P> {
    fn new(limit: u32) -> Self {
        Self {
            found: Vec::new(),
            last: None,
            length_max: limit as usize,
            bytes_left: STATE_PAGE_BYTES_MAX,
            is_cut: false,
        }
    }

    /// Adds one more, or says that it has no place any more.
    fn add(&mut self, position: P, bytes: usize, one: T) -> bool {
        let is_first = self.found.is_empty();
        if !is_first && (self.found.len() >= self.length_max || bytes > self.bytes_left) {
            self.is_cut = true;
            return false;
        }
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.last = Some(position);
        self.found.push(one);
        true
    }
}

impl<T> PageMaker<T, ListPosition> {
    fn listed(self) -> Listed<T> {
        Listed {
            next: self.last.filter(|_| self.is_cut),
            found: self.found,
        }
    }
}
