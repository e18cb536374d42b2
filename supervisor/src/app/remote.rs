//! Executions of other nodes, as this one sees them.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::error::{Conflict, Error, Internal, Unavailable};
use super::nodes::{Nodes, Reach};
use super::question::{Asked, Told};
use super::workspace::Workspace;
use crate::limits;
use crate::raft::ids::RaftId;
use crate::store::{CancelledBy, End, ExecutionId, OutputPage, PageRequest, Source, Stored, View};

/// Where an execution is that has no driver here.
#[derive(Debug)]
pub(super) enum Found {
    /// The store knows all of it that will ever be known here.
    Here(Box<Stored>),
    /// This node has it, and has told this much before.
    There(RaftId, Option<Box<View>>),
}

impl Workspace {
    /// Only what this node itself has: another one asks for it.
    pub(super) fn here(mut self) -> Self {
        self.way.reach = Reach::Here;
        self
    }

    /// The same, by what this node knows of the others, which may be a moment old.
    #[must_use]
    pub fn locally(mut self) -> Self {
        self.way.reach = Reach::Local;
        self
    }

    /// For who has begun an execution here, and waits for it: without the cluster it is told how that
    /// stands, and not that nothing was done.
    #[must_use]
    pub fn of_own(&self) -> Self {
        self.clone().locally()
    }

    /// The cluster, where there is one to ask.
    pub(super) fn nodes(&self) -> Option<&Nodes> {
        let nodes = self.shared.nodes().map(AsRef::as_ref);
        nodes.filter(|_| self.way.reach != Reach::Here)
    }

    /// Waits until what was certain when this was called can be seen here.
    pub(super) async fn catch_up(&self) -> Result<(), Error> {
        match self.nodes() {
            Some(nodes) if self.way.reach == Reach::Certain => nodes.catch_up().await,
            _ => Ok(()),
        }
    }

    /// Whether something certain can be said, or done.
    pub(super) fn expect_cluster(&self) -> Result<(), Error> {
        match self.nodes() {
            Some(nodes) if self.way.reach == Reach::Certain => nodes.look(),
            _ => Ok(()),
        }
    }

    /// Where an execution is that has no driver here.
    pub(super) async fn find(&self, id: ExecutionId) -> Result<Found, Error> {
        let stored = self.stored(id).await?;
        let Some(nodes) = self.nodes() else {
            let stored = stored.ok_or(Error::NotFound { id })?;
            return Ok(Found::Here(Box::new(stored)));
        };
        if let Some(stored) = stored {
            return Ok(place(stored));
        }
        if let Some(maker) = nodes.maker(id) {
            return Ok(Found::There(maker, None));
        }
        self.catch_up().await?;
        self.stored(id)
            .await?
            .map(place)
            .ok_or(Error::NotFound { id })
    }

    /// The other node that has the output and the code of an execution without a driver here; none where
    /// this one has them.
    pub(super) async fn keeper(&self, id: ExecutionId) -> Result<Option<RaftId>, Error> {
        if self.nodes().is_none() {
            return Ok(None);
        }
        Ok(match self.find(id).await? {
            Found::Here(stored) => (!stored.is_own).then_some(stored.owner),
            Found::There(node, _) => Some(node),
        })
    }

    /// An execution without a driver here as it stands, and the other node that runs it.
    pub(super) async fn seen(&self, id: ExecutionId) -> Result<(View, Option<RaftId>), Error> {
        match self.find(id).await? {
            Found::Here(stored) => Ok((stored.view, None)),
            Found::There(node, known) => {
                let view = match self.view_there(node, id, Duration::ZERO).await {
                    Ok(view) => view,
                    Err(error) => self.without_node(id, known, error).await?,
                };
                Ok((view, Some(node)))
            }
        }
    }

    /// How an execution of another node stands, at its end or after this wait.
    pub(super) async fn view_there(
        &self,
        node: RaftId,
        id: ExecutionId,
        wait: Duration,
    ) -> Result<View, Error> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match self.ask(node, id, (Asked::View { wait_ms }, wait)).await? {
            Told::View(execution, status) => {
                let view = View::from_execution(*execution, status);
                let view = view.map_err(|error| self.nonsense(node, error.to_string()))?;
                if view.id == id && view.tenant == *self.tenant() {
                    Ok(view)
                } else {
                    Err(self.nonsense(node, "it tells of another execution".to_owned()))
                }
            }
            _ => Err(self.unasked(node)),
        }
    }

    /// A page of the output of an execution of another node.
    pub(super) async fn output_there(
        &self,
        node: RaftId,
        id: ExecutionId,
        request: PageRequest,
    ) -> Result<OutputPage, Error> {
        match self.ask_keeper(node, id, Asked::Output(request)).await? {
            Told::Output(page) => Ok(*page),
            _ => Err(self.unasked(node)),
        }
    }

    /// The code of an execution of another node.
    pub(super) async fn source_there(
        &self,
        node: RaftId,
        id: ExecutionId,
    ) -> Result<Source, Error> {
        match self.ask_keeper(node, id, Asked::Source).await? {
            Told::Source(code) => Ok(code.map_or(Source::NotKept, Source::Kept)),
            _ => Err(self.unasked(node)),
        }
    }

    /// Has another node end one of its executions. Where its answer is lost, the end that it has recorded may
    /// still tell what it has done.
    pub(super) async fn cancel_elsewhere(
        &self,
        node: RaftId,
        id: ExecutionId,
    ) -> Result<(), Error> {
        let asked = self.cancel_asked(id);
        let told = match self.cancel_there(node, id).await {
            Err(Error::Unavailable(Unavailable::Node { node, problem })) => {
                let end = self.end_known_to_others(id).await;
                end.unwrap_or(Err(Error::Unavailable(Unavailable::CancelUnanswered {
                    node,
                    problem,
                })))
            }
            told => told,
        };
        match &told {
            Ok(()) => asked.came_to(true),
            Err(Error::Conflict(_)) => asked.came_to(false),
            // The log says that it is not known.
            Err(Error::Unavailable(_) | Error::Internal(_)) => {}
            Err(_) => asked.came_to_nothing(),
        }
        told
    }

    /// How an execution has ended that somebody was asked to cancel, as far as that stands in the log.
    async fn end_known_to_others(&self, id: ExecutionId) -> Option<Result<(), Error>> {
        self.catch_up().await.ok()?;
        let stored = self.stored(id).await.ok()??;
        cancelled(id, &stored.view)
    }

    async fn cancel_there(&self, node: RaftId, id: ExecutionId) -> Result<(), Error> {
        let asked = (Asked::Cancel, limits::CANCEL_WAIT_MAX);
        match self.ask(node, id, asked).await? {
            Told::Cancelled => Ok(()),
            _ => Err(self.unasked(node)),
        }
    }

    /// How long the output of an execution of another node is, once that is more than this, or it has
    /// ended.
    pub(super) async fn growth_there(
        &self,
        node: RaftId,
        id: ExecutionId,
        seen: u64,
    ) -> Result<(u64, bool), Error> {
        let asked = (Asked::Growth { seen }, limits::GROWTH_WAIT_MAX);
        match self.ask(node, id, asked).await? {
            Told::Growth {
                output_bytes,
                has_ended,
            } => Ok((output_bytes, has_ended)),
            _ => Err(self.unasked(node)),
        }
    }

    /// The same of one that this node may have: after a while in any case.
    pub(super) async fn growth(&self, id: ExecutionId, seen: u64) -> Result<(u64, bool), Error> {
        let Some(mut view) = self.live_view(id) else {
            let view = self.get(id).await?;
            return Ok((view.output_bytes, view.end.is_some()));
        };
        let news = |view: &View| view.output_bytes > seen || view.end.is_some();
        let _ = timeout(limits::GROWTH_WAIT_MAX, view.wait_for(news)).await;
        let view = view.borrow();
        Ok((view.output_bytes, view.end.is_some()))
    }

    /// What is certain of an execution whose node gives no answer.
    pub(super) async fn without_node(
        &self,
        id: ExecutionId,
        known: Option<Box<View>>,
        error: Error,
    ) -> Result<View, Error> {
        if self.way.reach == Reach::Local {
            return known.map(|view| *view).ok_or(error);
        }
        // It may have ended since, or been given up.
        self.catch_up().await?;
        let stored = self.stored(id).await?;
        stored.map(|stored| stored.view).ok_or(error)
    }

    /// Waits for the end of an execution that has no driver here, until then.
    pub(super) async fn wait_without_driver(
        &self,
        id: ExecutionId,
        until: Instant,
    ) -> Result<View, Error> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let pause = left.min(limits::FOREIGN_POLL_INTERVAL);
            match self.find(id).await? {
                Found::Here(stored) => {
                    if stored.view.end.is_some() || left.is_zero() {
                        return Ok(stored.view);
                    }
                    // Another server on the same directory runs it.
                    sleep(pause).await;
                }
                Found::There(node, known) => match self.view_there(node, id, left).await {
                    Ok(view) if view.end.is_some() || left.is_zero() => return Ok(view),
                    Ok(_) => {}
                    Err(Error::Unavailable(Unavailable::Node { .. })) if !left.is_zero() => {
                        // It may come back, or be given up.
                        sleep(pause).await;
                    }
                    Err(error) => return self.without_node(id, known, error).await,
                },
            }
        }
    }

    /// Asks a node that has the output and the code of an execution.
    async fn ask_keeper(&self, node: RaftId, id: ExecutionId, asked: Asked) -> Result<Told, Error> {
        if !self.nodes().is_some_and(|nodes| nodes.is_member(node)) {
            return Err(Error::Gone { id });
        }
        self.ask(node, id, (asked, Duration::ZERO)).await
    }

    async fn ask(
        &self,
        node: RaftId,
        id: ExecutionId,
        asked: (Asked, Duration),
    ) -> Result<Told, Error> {
        let nodes = self.nodes().ok_or(Error::NotFound { id })?;
        nodes.ask(node, (self.tenant(), id), asked).await
    }

    fn unasked(&self, node: RaftId) -> Error {
        self.nonsense(node, "it answers something else".to_owned())
    }

    fn nonsense(&self, node: RaftId, problem: String) -> Error {
        tracing::error!(%node, problem, "a node gave an answer that makes no sense");
        Error::Internal(Internal::Node { problem })
    }
}

/// What an end says to whoever has asked for it, and has got no answer: cancelled is what they wanted.
fn cancelled(id: ExecutionId, view: &View) -> Option<Result<(), Error>> {
    Some(match view.end.as_ref()? {
        End::Cancelled {
            by: CancelledBy::Client,
        } => Ok(()),
        _ => Err(Error::Conflict(Conflict::NotRunning {
            id,
            status: view.status,
        })),
    })
}

/// An execution of another node that has not ended is best known there.
fn place(stored: Stored) -> Found {
    if stored.is_own || stored.view.end.is_some() {
        return Found::Here(Box::new(stored));
    }
    Found::There(stored.owner, Some(Box::new(stored.view)))
}
