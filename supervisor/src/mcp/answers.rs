//! How much of answers is in hand, over all clients and transports. An answer is made once there is room
//! for the largest, then holds what it takes until its client has taken it.

use std::io;

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::ErrorData;
use rmcp::service::RequestContext;
use serde::Serialize;
use tokio::time::timeout;

use super::admission::Place;
use crate::limits;
use crate::quota::{Crowd, Member, Sharing};
use crate::tenant::Tenant;

/// The room for answers, in bytes that tenants share. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Answers(Crowd);

/// Room for one answer that is being made.
#[derive(Debug)]
pub(super) struct Room(Member);

/// There is no room for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server has as many large answers in hand as it allows; try again in a moment")]
pub(super) struct NoRoom;

impl Answers {
    pub(super) fn new(sharing: Sharing) -> Self {
        Self(Crowd::new(limits::MCP_ANSWERS_BYTES_MAX, sharing))
    }

    /// Waits until this tenant may have room for the largest answer, though not without end.
    pub(super) async fn room(&self, tenant: &Tenant) -> Result<Room, NoRoom> {
        let most = self.0.turn_with(tenant, limits::MCP_ANSWER_BYTES);
        let waited = timeout(limits::MCP_ANSWER_WAIT_MAX, most).await;
        waited.ok().flatten().map(Room).ok_or(NoRoom)
    }
}

impl Room {
    /// The answer is made: only what it takes is held from now on.
    pub(super) fn made(
        mut self,
        answer: &impl Serialize,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), NoRoom> {
        self.fit(json_bytes(answer))?;
        let parts = context.extensions.get::<Parts>();
        let place = parts.and_then(|parts| parts.extensions.get::<Place>());
        // Without one it is answered at once, on standard output.
        if let Some(place) = place {
            place.hold(self.0);
        }
        Ok(())
    }

    fn fit(&mut self, bytes: usize) -> Result<(), NoRoom> {
        match bytes.checked_sub(self.0.units()) {
            None | Some(0) => self.0.shrink_to(bytes),
            // Larger than almost any: text that is escaped twice.
            Some(more) => self.0.grow(more).map_err(|_| NoRoom)?,
        }
        Ok(())
    }
}

/// The length of a shape as JSON. One that cannot be written takes nothing: it is not sent.
fn json_bytes(shape: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, shape) {
        Ok(()) => counter.0,
        Err(_) => 0,
    }
}

/// Counts what is written.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<NoRoom> for ErrorData {
    fn from(error: NoRoom) -> Self {
        Self::internal_error(error.to_string(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_together_have_a_bound_in_bytes() {
        assert_eq!(json_bytes(&["a\"", "\u{1}"]), r#"["a\"","\u0001"]"#.len());
        let (answers, one) = (Answers::new(Sharing::Alone), Tenant::local());
        let whole = limits::MCP_ANSWERS_BYTES_MAX;
        let each = limits::MCP_ANSWER_BYTES;
        let mut made = Vec::new();
        for _ in 0..whole / each {
            made.push(answers.room(&one).await.unwrap());
        }
        assert_eq!(answers.room(&one).await.err(), Some(NoRoom));
        // What turns out small makes room for others.
        made[0].fit(100).unwrap();
        assert!(answers.room(&one).await.is_err());
        made[1].fit(each - 100).unwrap();
        assert!(answers.room(&one).await.is_ok());
        assert_eq!(made[2].fit(each + whole), Err(NoRoom));
        made[2].fit(each + each).unwrap();
        assert!(answers.room(&one).await.is_err());
        drop(made);
        assert!(answers.0.enter_with(&one, whole).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answers_keeps_others_from_none() {
        let answers = Answers::new(Sharing::Tenants);
        let [flood, quiet] = ["flood", "quiet"].map(|name| name.parse().unwrap());
        let mut untaken = Vec::new();
        while let Ok(room) = answers.room(&flood).await {
            untaken.push(room);
        }
        let all = limits::MCP_ANSWERS_BYTES_MAX / limits::MCP_ANSWER_BYTES;
        assert_eq!(untaken.len(), all / 2);
        assert!(answers.room(&quiet).await.is_ok());
    }
}
