//! How an execution is accepted.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::error::{Error, Unavailable};
use super::executions::{LiveExecution, Shared};
use super::input;
use super::noted;
use super::request::RunRequest;
use super::tenants;
use super::validate;
use super::workspace::Workspace;
use crate::execution::course;
use crate::execution::driver::{self, Driver, Task};
use crate::limits;
use crate::store::{ExecutionId, View};

impl Workspace {
    /// Accepts an execution. It is durable within 50 ms. The heap that it is to start from is found
    /// before that.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Stateless`], [`Error::UnknownHeap`], [`Error::NoLatestHeap`],
    /// [`Error::Overloaded`], [`Error::TenantFull`], [`Error::QueueShared`], [`Error::OverQuota`],
    /// [`Error::Unavailable`], [`Error::Internal`]: nothing was accepted.
    pub async fn submit(&self, request: RunRequest) -> Result<ExecutionId, Error> {
        let audit = &self.shared.services.audit;
        let code_sha256 = audit.is_on().then(|| noted::code_hash(&request.source));
        let accepted = self.accept(request, code_sha256.clone()).await;
        if let Err(error) = &accepted {
            self.note_refusal(error, code_sha256);
        }
        accepted
    }

    async fn accept(
        &self,
        request: RunRequest,
        code_sha256: Option<String>,
    ) -> Result<ExecutionId, Error> {
        let shared = &self.shared;
        let own = shared.services.quotas.limits(self.tenant());
        let defaults = tenants::defaults(*shared.defaults(), own);
        let limits = validate::run(&request, defaults, shared.mode)?;
        tenants::check(limits, own)?;
        if let Some(trouble) = shared.services.store.trouble() {
            return Err(Error::Unavailable(Unavailable::Store {
                problem: trouble.to_string(),
            }));
        }
        // Before heaps are looked up, which may take a fetch: what is refused is to cost nothing.
        self.admits()?;
        if let Some(nodes) = shared.nodes() {
            nodes.admit().await?;
        }
        let input_heap = self.input_heap(&request).await?;
        if let (Some(heap), Some(heaps)) = (input_heap, &shared.services.heaps) {
            input::prepare(&shared.services.store, heaps, self.tenant(), heap).await?;
        }
        let ticket = shared
            .admission
            .enter(self.tenant(), tenants::share(own))
            .map_err(|why| self.refused(why))?;
        // For its beginning and its end: both are noted, or it is not accepted.
        let audit = &shared.services.audit;
        let (begin_place, end_place) = (audit.place()?, audit.place()?);
        let room = timeout(
            limits::ACCEPT_WAIT_MAX,
            shared.services.store.reserve(self.tenant()),
        )
        .await;
        let room = room
            .map_err(|_| Error::Unavailable(Unavailable::SlowStore))?
            .map_err(|_| Error::Unavailable(Unavailable::ShuttingDown))?;
        // From here on nothing waits: a caller who goes away leaves nothing half accepted.
        let id = match shared.nodes() {
            None => ExecutionId::random(),
            Some(nodes) => ExecutionId::random_of(nodes.me),
        };
        let view = View {
            input_heap,
            session: request.session,
            source_bytes: request.source.len() as u64,
            ..driver::accepted(id, self.tenant().clone(), limits)
        };
        let span = course::span_of(&view);
        let turn = ticket.turn();
        let code = Arc::new(request.source);
        let (driver, handles) = Driver::new(
            shared.services.clone(),
            view.clone(),
            Task {
                source: Arc::clone(&code),
                tags: request.tags,
                end_place,
            },
            ticket,
        );
        let seen = handles.view.clone();
        let mut live = shared.live();
        if live.is_closing {
            return Err(Error::Unavailable(Unavailable::ShuttingDown));
        }
        let quotas = &shared.services.quotas;
        quotas.accept(self.tenant()).map_err(Error::OverQuota)?;
        if let Some(code_sha256) = code_sha256 {
            begin_place.note(self.accepted(&view, code_sha256));
        }
        live.drivers.insert(
            id,
            LiveExecution {
                tenant: self.tenant().clone(),
                view: handles.view,
                turn,
                cancel: Some(handles.cancel),
                is_announced: false,
            },
        );
        room.accept(view, code);
        let leave = Leave {
            shared: Arc::clone(shared),
            id,
            view: seen,
        };
        let token = shared.tasks.token();
        drop(live);
        let driving = async move {
            let _token = token;
            let _leave = leave;
            driver.run().await;
        };
        tokio::spawn(driving.instrument(span));
        Ok(id)
    }
}

/// Takes an execution out of the living, however its driver ends.
#[derive(Debug)]
struct Leave {
    shared: Arc<Shared>,
    id: ExecutionId,
    view: watch::Receiver<View>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let view = self.view.borrow();
        self.shared.ended.count(view.status);
        let mut live = self.shared.live();
        live.drivers.remove(&self.id);
        live.recent.note(&view);
        if live.drivers.is_empty() {
            self.shared.emptied.notify_waiters();
        }
    }
}
