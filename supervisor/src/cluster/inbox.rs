//! What happens to a node, until its thread takes note of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::limits::INBOX_EVENTS_MAX;
use crate::raft::core::Event;

/// There is no room for an event. Whoever has it loses it, or comes again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node has too much to do; try again later")]
pub struct Full;

/// The way to a node's thread. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Mutex<VecDeque<Event>>>);

/// What a node's thread takes at once.
#[derive(Debug)]
pub struct Taken {
    /// What has come.
    pub events: Vec<Event>,
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an event where the node's thread will find it. It never blocks.
    ///
    /// # Errors
    /// [`Full`].
    pub fn offer(&self, event: Event) -> Result<(), Full> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= INBOX_EVENTS_MAX {
            return Err(Full);
        }
        events.push_back(event);
        Ok(())
    }

    /// What has come by then.
    pub fn take(&self, _until: Instant) -> Taken {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Taken {
            events: events.drain(..).collect(),
        }
    }
}
