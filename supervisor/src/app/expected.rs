//! When a client that polls is to look again: about when the end of its execution is to be expected. Each
//! look before that costs the server what it could run scripts with.

use std::time::Duration;

use jiff::Timestamp;

use super::error::Error;
use super::executions::LiveExecution;
use super::workspace::Workspace;
use crate::execution::admission::Pace;
use crate::limits::{FOREIGN_POLL_INTERVAL, POLL_AFTER_MAX, POLL_AFTER_MIN};
use crate::store::{ExecutionId, Status, View};

/// An execution as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The execution.
    pub view: View,
    /// When to look again; `None` once it has ended.
    pub poll_after: Option<Duration>,
}

impl Workspace {
    /// As [`Workspace::get`], for somebody who will look again.
    ///
    /// # Errors
    /// As [`Workspace::get`].
    pub async fn look(&self, id: ExecutionId) -> Result<Looked, Error> {
        let live = {
            let mut live = self.shared.live();
            let found = live.of(self.tenant(), id);
            found.map(|execution| looked(self.pace(), execution))
        };
        if let Some(looked) = live {
            if looked.view.end.is_none() {
                // As for [`Workspace::get`]: others may have given this node up.
                self.expect_cluster()?;
            }
            return Ok(looked);
        }
        let view = self.get(id).await?;
        Ok(Looked {
            poll_after: view.end.is_none().then_some(FOREIGN_POLL_INTERVAL),
            view,
        })
    }

    /// When to look again at an execution that has not ended.
    pub fn poll_after(&self, id: ExecutionId) -> Duration {
        let mut live = self.shared.live();
        match live.of(self.tenant(), id) {
            Some(execution) => expected(self.pace(), execution, &execution.view.borrow()),
            // Another server runs it, or it ends just now.
            None => FOREIGN_POLL_INTERVAL,
        }
    }

    fn pace(&self) -> &Pace {
        self.shared.admission.pace()
    }
}

fn looked(pace: &Pace, execution: &LiveExecution) -> Looked {
    let view = execution.view.borrow().clone();
    let poll_after = view.end.is_none();
    Looked {
        poll_after: poll_after.then(|| expected(pace, execution, &view)),
        view,
    }
}

fn expected(pace: &Pace, execution: &LiveExecution, view: &View) -> Duration {
    let until = match (view.status, view.started_at) {
        (Status::Queued, _) | (_, None) => pace.until_end_of(execution.turn),
        (_, Some(started_at)) => {
            // A clock that was set back says nothing.
            let elapsed = Timestamp::now().duration_since(started_at);
            pace.until_end_after(Duration::try_from(elapsed).unwrap_or_default())
        }
    };
    until.clamp(POLL_AFTER_MIN, POLL_AFTER_MAX)
}
