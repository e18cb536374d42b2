//! How many requests and streams there may be at once, and how much of their answers is in hand.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::quota::{Crowd, Member, NoPlace, Sharing};
use crate::tenant::Tenant;

/// A number of places, which tenants share.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    number: u32,
    crowd: Crowd,
}

/// One place, taken until the last clone is dropped. It travels with a request's extensions: so it
/// is held while the handler works, also when nobody waits for the answer any more.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Held>);

#[derive(Debug)]
struct Held {
    _permit: OwnedSemaphorePermit,
    _member: Member,
    answer: Mutex<Option<Member>>,
}

impl Place {
    /// Holds the room of the request's answer too, until the client has taken it.
    pub(super) fn hold(&self, room: Member) {
        let mut answer = self.0.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = Some(room);
    }
}

impl Places {
    pub(super) fn new(number: u32, sharing: Sharing) -> Self {
        Self {
            free: Arc::new(Semaphore::new(number as usize)),
            number,
            crowd: Crowd::new(number as usize, sharing),
        }
    }

    /// A place, if one is free that this tenant may have.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(super) fn take(&self, tenant: &Tenant) -> Result<Place, NoPlace> {
        let member = self.crowd.enter(tenant)?;
        let permit = self.free.clone().try_acquire_owned();
        Ok(Place(Arc::new(Held {
            _permit: permit.map_err(|_| NoPlace::Full)?,
            _member: member,
            answer: Mutex::default(),
        })))
    }

    /// Waits until all places are free, and gives none away from then on.
    pub(super) async fn close(&self) {
        // It is closed here alone: no error means anything else.
        let _all = self.free.acquire_many(self.number).await;
        self.free.close();
    }
}
