//! How a server stands as a whole: whether it accepts, how much goes on, and how it ends.

use super::error::Unavailable;
use super::executions::Executions;
use super::load::Load;
use crate::store::{CancelledBy, Status};

impl Executions {
    /// Whether executions are accepted.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Unavailable> {
        if self.shared.live().is_closing {
            return Err(Unavailable::ShuttingDown);
        }
        if let Err(unwritable) = self.shared.services.audit.ready() {
            return Err(Unavailable::Audit {
                problem: unwritable.problem,
            });
        }
        match self.shared.services.store.trouble() {
            Some(trouble) => Err(Unavailable::Store {
                problem: trouble.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// How much is going on.
    pub fn load(&self) -> Load {
        let live = self.shared.live();
        let statuses = live
            .drivers
            .values()
            .map(|execution| execution.view.borrow().status);
        let (mut running, mut queued) = (0, 0);
        for status in statuses {
            match status {
                Status::Queued => queued += 1,
                Status::Running => running += 1,
                Status::Completed | Status::Failed | Status::Cancelled | Status::TimedOut => {}
            }
        }
        Load {
            running,
            queued,
            ended: self.shared.ended.all(),
        }
    }

    /// Accepts nothing more. What was accepted goes on.
    pub fn close(&self) {
        self.shared.admission.close();
        self.shared.live().is_closing = true;
    }

    /// Waits until nothing is queued or runs.
    pub async fn idle(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.shared.emptied.notified());
            emptied.as_mut().enable();
            if self.shared.live().drivers.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Accepts nothing more, cancels what is queued or running, and waits until every end is known.
    /// All of it can still be read.
    pub async fn cancel_all(&self) {
        self.close();
        for execution in self.shared.live().drivers.values_mut() {
            if let Some(cancel) = execution.cancel.take() {
                // A driver that does not listen any more has an end already.
                let _ = cancel.send(CancelledBy::Shutdown);
            }
        }
        self.idle().await;
    }

    /// The same, and then waits until every worker is reaped and every row is written. Nothing can be
    /// read any more.
    pub async fn shut_down(&self) {
        self.cancel_all().await;
        let shared = &self.shared;
        shared.stop.token().cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
        shared.services.spawner.shut_down().await;
        shared.services.audit.close().await;
        if let Err(error) = shared.services.store.close().await {
            tracing::debug!(%error, "the store was closed before");
        }
    }
}
