//! The use cases of one tenant over executions.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::cursor::List;
use super::error::{Conflict, Error, Unavailable};
use super::executions::{Executions, Shared, unreadable};
use super::nodes::Reach;
use super::remote::Found;
use super::request::{ListPage, ListRequest};
use super::start::Mode;
use super::tenants;
use super::validate;
use crate::execution::admission::Refusal;
use crate::execution::outcome;
use crate::limits;
use crate::metrics::LimitName;
use crate::store::{
    CancelledBy, ExecutionId, ExecutionPosition, IdMatches, OutputPage, PageRequest, Status, Store,
    StoreError, Stored, View,
};
use crate::tenant::Tenant;

/// What one tenant can do on a server, and all that it can see: what others have is to it as if it were
/// not there. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub(super) shared: Arc<Shared>,
    tenant: Tenant,
    pub(super) way: Way,
}

/// How a tenant has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// What tells its token from its others.
    pub(super) token: Option<Arc<str>>,
    /// Over what.
    pub(super) transport: Option<&'static str>,
    /// How far it looks.
    pub(super) reach: Reach,
}

impl Executions {
    /// What this tenant can do. Nothing can be asked of executions otherwise.
    pub fn of(&self, tenant: Tenant) -> Workspace {
        Workspace {
            shared: Arc::clone(&self.shared),
            tenant,
            way: Way::default(),
        }
    }
}

impl Workspace {
    /// The same, for somebody who has come over this transport with this token: for the audit log.
    #[must_use]
    pub fn through(mut self, transport: &'static str, token: Option<&str>) -> Self {
        self.way = Way {
            token: token.map(Arc::from),
            transport: Some(transport),
            ..self.way
        };
        self
    }

    /// Whose it is.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whether anything is kept between executions.
    pub fn mode(&self) -> Mode {
        self.shared.mode
    }

    /// Whether an execution would be accepted now, whatever it is: a look that costs next to nothing.
    /// One that is submitted after it may still be refused.
    ///
    /// # Errors
    /// [`Error::Overloaded`], [`Error::TenantFull`], [`Error::QueueShared`], [`Error::OverQuota`],
    /// [`Error::Unavailable`].
    pub fn admits(&self) -> Result<(), Error> {
        let (shared, tenant) = (&self.shared, &self.tenant);
        let quotas = &shared.services.quotas;
        shared.services.audit.ready()?;
        if let Some(nodes) = shared.nodes() {
            nodes.look()?;
        }
        let share = tenants::share(quotas.limits(tenant));
        let looked = shared.admission.look(tenant, share);
        looked.map_err(|why| self.refused(why))?;
        quotas.look(tenant).map_err(Error::OverQuota)
    }

    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        let figures = &self.shared.services.figures;
        match refusal {
            Refusal::Full {
                slots,
                queue_length,
            } => {
                figures.hit(LimitName::QueueLength);
                Error::Overloaded {
                    running: slots,
                    queue_length,
                }
            }
            Refusal::OwnFull {
                running,
                queue_length,
            } => {
                figures.hit(LimitName::TenantShare);
                Error::TenantFull {
                    running,
                    queue_length,
                }
            }
            Refusal::QueueShared { waiting } => {
                figures.hit(LimitName::TenantShare);
                Error::QueueShared { waiting }
            }
            Refusal::Closed => Error::Unavailable(Unavailable::ShuttingDown),
        }
    }

    /// The execution as it stands.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Internal`].
    pub async fn get(&self, id: ExecutionId) -> Result<View, Error> {
        if let Some(view) = self.known(id) {
            if view.end.is_none() {
                // Others may have given this node up.
                self.expect_cluster()?;
            }
            return Ok(view);
        }
        Ok(self.seen(id).await?.0)
    }

    /// An execution that has a driver here, or had one a moment ago.
    pub(super) fn known(&self, id: ExecutionId) -> Option<View> {
        let mut live = self.shared.live();
        match live.of(&self.tenant, id) {
            Some(execution) => Some(execution.view.borrow().clone()),
            None => live.recent.find(&self.tenant, id),
        }
    }

    /// The execution at its end, or as it stands when the wait ran out: it waits for
    /// [`limits::WAIT_MAX`] at most. Dropping the future ends
    /// the wait and nothing else.
    ///
    /// # Errors
    /// As [`Workspace::get`].
    pub async fn wait(&self, id: ExecutionId, wait: Duration) -> Result<View, Error> {
        let until = Instant::now() + wait.min(limits::WAIT_MAX);
        if let Some(mut view) = self.live_view(id) {
            let ended = timeout_at(until, view.wait_for(|view| view.end.is_some())).await;
            let has_driver = !matches!(ended, Ok(Err(_)));
            drop(ended);
            // Where the driver has gone without an end, the store says what is known.
            if has_driver {
                let view = view.borrow().clone();
                if view.end.is_none() {
                    self.expect_cluster()?;
                }
                return Ok(view);
            }
        }
        if let Some(view) = self.known(id).filter(|view| view.end.is_some()) {
            return Ok(view);
        }
        self.wait_without_driver(id, until).await
    }

    /// A page of the output, also while the execution runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a line offset of 0 and for limits out of range, and as
    /// [`Workspace::get`].
    pub async fn output(&self, id: ExecutionId, request: PageRequest) -> Result<OutputPage, Error> {
        validate::page(request)?;
        let live = self.live_view(id).map(|view| {
            let view = view.borrow();
            (view.status, view.is_recorded())
        });
        let store = &self.shared.services.store;
        if let Some((_, is_recorded)) = live {
            // Behind a recorded end there is nothing to wait for.
            if !is_recorded {
                self.settle().await?;
            }
        } else if let Some(node) = self.keeper(id).await? {
            return self.output_there(node, id, request).await;
        }
        let page = store
            .output(self.tenant.clone(), id, request)
            .await
            .map_err(unreadable)?;
        let mut page = page.ok_or(Error::NotFound { id })?;
        if !page.status.is_end() {
            page.status = match live {
                Some((status, _)) => status,
                None => self.get(id).await?.status,
            };
        }
        Ok(page)
    }

    /// A page to tell beside how an execution stands, which is no secret because its output cannot be
    /// read now; the log says that.
    pub async fn output_if_readable(
        &self,
        view: &View,
        request: PageRequest,
    ) -> Option<OutputPage> {
        let id = view.id;
        // Of one that has ended without a word the store has nothing to add.
        if view.is_recorded() && view.output_bytes == 0 {
            return Some(OutputPage::nothing(view.status));
        }
        let page = self.output(id, request).await;
        page.inspect_err(|error| tracing::warn!(%id, %error, "the output could not be read"))
            .ok()
    }

    /// Kills the execution, or takes it out of the queue, and waits until its end is written.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has ended, also when it ended before the kill, with how it has;
    /// [`Error::Unavailable`] when its node does not say what it has done: who asks again is told that, or
    /// has it done; and as [`Workspace::get`].
    pub async fn cancel(&self, id: ExecutionId) -> Result<(), Error> {
        let found = self
            .shared
            .live()
            .of(&self.tenant, id)
            .map(|execution| (execution.view.clone(), execution.cancel.take()));
        let Some((view, cancel)) = found else {
            return match self.find(id).await? {
                Found::There(node, _) => self.cancel_elsewhere(node, id).await,
                Found::Here(stored) if stored.view.status.is_end() => {
                    let status = stored.view.status;
                    Err(Error::Conflict(Conflict::NotRunning { id, status }))
                }
                Found::Here(_) => Err(Error::Conflict(Conflict::RunsElsewhere { id })),
            };
        };
        drop(view);
        let asked = self.cancel_asked(id);
        let is_first = cancel.is_some();
        if let Some(cancel) = cancel {
            // A driver that does not listen any more has an end already.
            let _ = cancel.send(CancelledBy::Client);
        }
        let view = self.wait(id, limits::CANCEL_WAIT_MAX).await?;
        if view.status.is_end() {
            asked.came_to(is_first && view.status == Status::Cancelled);
        }
        match view.status {
            Status::Cancelled if is_first => Ok(()),
            Status::Completed | Status::Failed | Status::Cancelled | Status::TimedOut => {
                Err(Error::Conflict(Conflict::NotRunning {
                    id,
                    status: view.status,
                }))
            }
            Status::Queued | Status::Running => {
                Err(Error::Unavailable(Unavailable::StillEnding { id }))
            }
        }
    }

    /// A page of the list, newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a limit out of range or a cursor that is none; [`Error::Internal`].
    pub async fn list(&self, request: ListRequest) -> Result<ListPage, Error> {
        validate::list(&request)?;
        let after = self
            .place(List::Executions, request.cursor.as_deref())
            .await?;
        let store = &self.shared.services.store;
        self.catch_up().await?;
        self.settle().await?;
        let mut found = store
            .list(
                self.tenant.clone(),
                request.status,
                request.limit + 1,
                after,
            )
            .await
            .map_err(unreadable)?;
        let length = request.limit as usize;
        let is_cut = found.len() > length;
        found.truncate(length);
        let next = found.last().filter(|_| is_cut).map(ExecutionPosition::of);
        Ok(ListPage {
            next_cursor: self.cursor(List::Executions, next).await?,
            executions: found,
        })
    }

    /// The executions whose ids begin with this text: the newest, at most `limit`, and how many there
    /// are.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn ids_beginning_with(&self, text: &str, limit: u32) -> Result<IdMatches, Error> {
        self.catch_up().await?;
        self.settle().await?;
        self.shared
            .services
            .store
            .ids_beginning_with(self.tenant.clone(), text, limit)
            .await
            .map_err(unreadable)
    }

    /// The view of an execution that has a driver here, as it changes.
    pub(super) fn live_view(&self, id: ExecutionId) -> Option<watch::Receiver<View>> {
        let mut live = self.shared.live();
        let execution = live.of(&self.tenant, id)?;
        Some(execution.view.clone())
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.services.store
    }

    /// Waits until what happened before this call can be read. What could not be written is missed
    /// by others: here what is there can still be read.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        match self.shared.services.store.flush(&self.tenant).await {
            Err(StoreError::Closed) => Err(unreadable(StoreError::Closed)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// An execution that has no driver here, as the store knows it, if it does.
    pub(super) async fn stored(&self, id: ExecutionId) -> Result<Option<Stored>, Error> {
        let stored = self
            .shared
            .services
            .store
            .get(self.tenant.clone(), id)
            .await;
        let Some(mut stored) = stored.map_err(unreadable)? else {
            return Ok(None);
        };
        // Its driver has gone, and the store never took its end.
        if stored.is_own && stored.view.end.is_none() && self.live_view(id).is_none() {
            let end = outcome::lost();
            stored.view.status = end.status();
            stored.view.end = Some(end);
        }
        Ok(Some(stored))
    }
}
