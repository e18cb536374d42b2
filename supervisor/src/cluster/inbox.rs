//! What happens to this node, on its way to the thread that drives it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::raft::core::Event;

/// Where events are left. Clones share it.
#[derive(Debug, Clone)]
pub struct Inbox(SyncSender<Event>);

/// As many events wait as may, or nobody takes them any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node cannot take more at the moment")]
pub struct Full;

impl Inbox {
    /// An inbox for so many events, and where they come out.
    pub fn new(events_max: usize) -> (Self, Receiver<Event>) {
        let (sender, receiver) = sync_channel(events_max);
        (Self(sender), receiver)
    }

    /// Leaves an event, or says at once that it cannot be taken.
    ///
    /// # Errors
    /// [`Full`].
    pub fn offer(&self, event: Event) -> Result<(), Full> {
        self.0.try_send(event).map_err(|_| Full)
    }
}
