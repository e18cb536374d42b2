//! The code of an execution, to be looked at beside its error.

use super::error::Error;
use super::executions::unreadable;
use super::workspace::Workspace;
use crate::store::{ExecutionId, Source};

impl Workspace {
    /// The code of an execution as it was submitted. It goes with the execution.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Internal`].
    pub async fn source(&self, id: ExecutionId) -> Result<Source, Error> {
        // What was accepted a moment ago is written within another.
        if self.live_view(id).is_some() {
            self.settle().await?;
        } else if let Some(node) = self.keeper(id).await? {
            return self.source_there(node, id).await;
        }
        self.store()
            .source(self.tenant().clone(), id)
            .await
            .map_err(unreadable)?
            .ok_or(Error::NotFound { id })
    }
}
