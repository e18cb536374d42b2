//! The requests that were read and not answered yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::Notify;

use super::admission::Place;

/// The unanswered requests, each with its place where places are counted.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    ids: Mutex<HashMap<RequestId, Option<Place>>>,
    ended: Notify,
}

impl InFlight {
    /// Notes a request. `false`: one of this id is there already.
    pub(super) fn begin(&self, id: RequestId, place: Option<Place>) -> bool {
        match self.ids().entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(place);
                true
            }
        }
    }

    /// The place of a request.
    pub(super) fn place(&self, id: &RequestId) -> Option<Place> {
        self.ids().get(id).cloned().flatten()
    }

    /// A request was answered, or its answer is not wanted any more.
    pub(super) fn end(&self, id: &RequestId) {
        if self.ids().remove(id).is_some() {
            self.ended.notify_waiters();
        }
    }

    /// Waits until at most `most` requests are unanswered.
    pub(super) async fn at_most(&self, most: usize) {
        loop {
            // Made before the look, so that no end between look and wait is missed.
            let ended = self.ended.notified();
            if self.ids().len() <= most {
                return;
            }
            ended.await;
        }
    }

    /// How many they are.
    pub(super) fn number(&self) -> usize {
        self.ids().len()
    }

    /// One of them.
    pub(super) fn any(&self) -> Option<RequestId> {
        self.ids().keys().next().cloned()
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<RequestId, Option<Place>>> {
        // A map is whole even if somebody panicked over it.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn waits_until_all_are_answered() {
        let in_flight = Arc::new(InFlight::default());
        assert!(in_flight.begin(RequestId::Number(1), None));
        assert!(!in_flight.begin(RequestId::Number(1), None));
        assert!(in_flight.begin(RequestId::String("1".into()), None));
        let settled = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.at_most(0).await }
        });
        in_flight.end(&RequestId::Number(1));
        in_flight.end(&RequestId::Number(7));
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!settled.is_finished());
        in_flight.end(&RequestId::String("1".into()));
        settled.await.unwrap();
    }
}
