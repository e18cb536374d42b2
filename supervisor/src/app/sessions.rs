//! The use cases over what is kept between executions: heaps, sessions, tags.

use super::cursor::List;
use super::error::{Error, Unavailable};
use super::executions::unreadable;
use super::nodes::undecided;
use super::noted::Asked;
use super::request::{
    HeapChoice, HeapList, HeapQuery, RunRequest, SessionList, SessionsRequest, SnapshotsRequest,
};
use super::start::Mode;
use super::validate;
use super::workspace::Workspace;
use crate::heaps::HeapId;
use crate::store::{EntriesPage, EntryRange, SessionName, StoreError, TagKey, Tags};

impl Workspace {
    /// The sessions, the last begun first. A session is there from its first heap on.
    ///
    /// # Errors
    /// [`Error::Stateless`]; [`Error::Invalid`] for a limit out of range or a cursor that is none;
    /// [`Error::Internal`].
    pub async fn list_sessions(&self, request: SessionsRequest) -> Result<SessionList, Error> {
        self.need_state("list_sessions")?;
        validate::sessions(&request)?;
        self.catch_up().await?;
        let after = self
            .place(List::Sessions, request.cursor.as_deref())
            .await?;
        let store = self.store();
        let listed = store
            .sessions(self.tenant().clone(), request.limit, after)
            .await
            .map_err(unreadable)?;
        Ok(SessionList {
            sessions: listed.found,
            next_cursor: self.cursor(List::Sessions, listed.next).await?,
        })
    }

    /// The entries of a session, oldest first: one for each execution that completed with this
    /// session and left a heap behind.
    ///
    /// # Errors
    /// [`Error::Stateless`]; [`Error::UnknownSession`]; [`Error::Invalid`] for a limit out of range;
    /// [`Error::Internal`].
    pub async fn session_snapshots(
        &self,
        session: SessionName,
        request: SnapshotsRequest,
    ) -> Result<EntriesPage, Error> {
        self.need_state("list_session_snapshots")?;
        validate::snapshots(&request)?;
        let range = EntryRange {
            from_index: request.from_index,
            limit: request.limit,
            with_code: request.with_code,
        };
        self.catch_up().await?;
        self.store()
            .session_entries(self.tenant().clone(), session.clone(), range)
            .await
            .map_err(unreadable)?
            .ok_or(Error::UnknownSession { session })
    }

    /// The tags of a heap.
    ///
    /// # Errors
    /// [`Error::Stateless`]; [`Error::UnknownHeap`]; [`Error::Internal`].
    pub async fn heap_tags(&self, heap: HeapId) -> Result<Tags, Error> {
        self.need_state("get_heap_tags")?;
        self.catch_up().await?;
        self.store()
            .heap_tags(self.tenant().clone(), heap)
            .await
            .map_err(unreadable)?
            .ok_or(Error::UnknownHeap { heap })
    }

    /// Replaces all tags of a heap; none of them delete those that it has.
    ///
    /// # Errors
    /// [`Error::Stateless`]; [`Error::UnknownHeap`]; [`Error::Unavailable`]: nothing has changed.
    pub async fn set_heap_tags(&self, heap: HeapId, tags: Tags) -> Result<(), Error> {
        self.need_state("set_heap_tags")?;
        self.expect_cluster()?;
        let asked = self.tags_change(heap, "set")?;
        let written = self
            .store()
            .set_tags(self.tenant().clone(), heap, tags)
            .await;
        changed(heap, written, asked)
    }

    /// Deletes these tags of a heap, or all of them. A tag that is not there is no error.
    ///
    /// # Errors
    /// As [`Workspace::set_heap_tags`].
    pub async fn delete_heap_tags(
        &self,
        heap: HeapId,
        keys: Option<Vec<TagKey>>,
    ) -> Result<(), Error> {
        self.need_state("delete_heap_tags")?;
        self.expect_cluster()?;
        let asked = self.tags_change(heap, "delete")?;
        let written = self
            .store()
            .delete_tags(self.tenant().clone(), heap, keys)
            .await;
        changed(heap, written, asked)
    }

    /// The heaps that have all these tags, the newest first.
    ///
    /// # Errors
    /// [`Error::Stateless`]; [`Error::Invalid`] without a tag, for a limit out of range and for a
    /// cursor that is none; [`Error::Internal`].
    pub async fn query_heaps_by_tags(&self, query: HeapQuery) -> Result<HeapList, Error> {
        self.need_state("query_heaps_by_tags")?;
        validate::heap_query(&query)?;
        self.catch_up().await?;
        let after = self.place(List::Heaps, query.cursor.as_deref()).await?;
        let listed = self
            .store()
            .heaps_by_tags(self.tenant().clone(), query.tags, query.limit, after)
            .await
            .map_err(unreadable)?;
        Ok(HeapList {
            heaps: listed.found,
            next_cursor: self.cursor(List::Heaps, listed.next).await?,
        })
    }

    /// The heap that an execution is to start from. `latest` is what it is now, whatever its session
    /// does until the execution starts.
    pub(super) async fn input_heap(&self, request: &RunRequest) -> Result<Option<HeapId>, Error> {
        if request.heap.is_some() {
            self.catch_up().await?;
        }
        Ok(match (&request.heap, &request.session) {
            (None, _) => None,
            (Some(HeapChoice::Id(heap)), _) => Some(*heap),
            (Some(HeapChoice::Latest), None) => return Err(validate::latest_of_nothing()),
            (Some(HeapChoice::Latest), Some(session)) => self
                .store()
                .latest_heap(self.tenant().clone(), session.clone())
                .await
                .map_err(unreadable)?
                .map(Some)
                .ok_or_else(|| Error::NoLatestHeap {
                    session: session.clone(),
                })?,
        })
    }

    fn need_state(&self, what: &'static str) -> Result<(), Error> {
        match self.mode() {
            Mode::Stateful => Ok(()),
            Mode::Stateless => Err(Error::Stateless { what }),
        }
    }
}

/// What became of a change of a heap's tags. It is noted, unless it was certainly not made.
fn changed(heap: HeapId, written: Result<bool, StoreError>, asked: Asked) -> Result<(), Error> {
    let changed = found(heap, written);
    match &changed {
        Ok(()) => asked.came_to(true),
        // The log says so when it is dropped.
        Err(Error::Unavailable(Unavailable::Undecided { .. } | Unavailable::ShuttingDown)) => {}
        Err(_) => asked.came_to_nothing(),
    }
    changed
}

fn found(heap: HeapId, written: Result<bool, StoreError>) -> Result<(), Error> {
    match written {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::UnknownHeap { heap }),
        Err(StoreError::Closed) => Err(Error::Unavailable(Unavailable::ShuttingDown)),
        Err(StoreError::Cluster(failure)) => Err(undecided(failure)),
        Err(error) => {
            tracing::error!(%error, "tags could not be written");
            Err(Error::Unavailable(Unavailable::Unwritten {
                problem: error.to_string(),
            }))
        }
    }
}
