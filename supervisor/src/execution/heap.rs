//! The heap of one execution: the stored one that its script continues, and the one that it leaves.

use mcp_v8_protocol::message::HeapUse;
use mcp_v8_protocol::mode::Mode;
use tokio::time::timeout;

use super::driver::Services;
use super::event::Event;
use crate::heaps::{HeapId, Heaps, Snapshot};
use crate::limits;
use crate::store::{End, HeapEnd, Keep, Tags, View};
use crate::tenant::Tenant;

/// As far as it has come.
#[derive(Debug)]
pub(super) struct Heap {
    /// The stored one that the script continues, once it is here.
    input: Option<Snapshot>,
    /// The script, for the session that it belongs to.
    code: String,
    tags: Tags,
    /// What the worker has saved.
    saved: Option<Vec<u8>>,
    /// What it takes where it is stored, in bytes.
    stored_bytes: u64,
}

impl Heap {
    pub(super) fn new(tags: Tags) -> Self {
        Self {
            input: None,
            code: String::new(),
            tags,
            saved: None,
            stored_bytes: 0,
        }
    }

    /// Whether the stored heap is here.
    pub(super) fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// The stored heap.
    pub(super) fn input(&self) -> Option<Snapshot> {
        self.input.clone()
    }

    /// Fetches the stored heap; why not, for people.
    pub(super) async fn fetch(
        &mut self,
        heaps: &Heaps,
        tenant: &Tenant,
        id: HeapId,
    ) -> Result<(), String> {
        let fetched = timeout(limits::HEAP_FETCH_WAIT_MAX, heaps.fetch(tenant, id)).await;
        match fetched {
            Ok(Ok(snapshot)) => {
                self.input = Some(snapshot);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "the store of heaps did not answer for {} s",
                limits::HEAP_FETCH_WAIT_MAX.as_secs()
            )),
        }
    }

    /// What the worker is told.
    pub(super) fn wanted(&self, mode: Mode) -> HeapUse {
        match (mode, &self.input) {
            (Mode::Stateless, _) => HeapUse::Discard,
            (Mode::Stateful, None) => HeapUse::New,
            (Mode::Stateful, Some(snapshot)) => HeapUse::Continue {
                bytes: snapshot.len() as u64,
            },
        }
    }

    /// Remembers the script.
    pub(super) fn note_code(&mut self, code: &str) {
        code.clone_into(&mut self.code);
    }

    /// Takes what the worker has saved.
    pub(super) fn take(&mut self, snapshot: Vec<u8>) {
        self.saved = Some(snapshot);
    }

    /// Makes it durable.
    pub(super) async fn store(&mut self, services: &Services, view: &View) -> Event {
        let (Some(heaps), Some(snapshot)) = (&services.heaps, self.saved.take()) else {
            return Event::HeapNotStored {
                why: "there is nothing to store, or no place for it".to_owned(),
            };
        };
        if let Err(why) = has_room(services, &view.tenant).await {
            return Event::HeapNotStored { why };
        }
        match heaps.put(&view.tenant, snapshot).await {
            Ok(stored) => {
                self.stored_bytes = stored.stored_bytes;
                Event::HeapStored(stored.id)
            }
            Err(error) => {
                tracing::error!(id = %view.id, %error, "a heap could not be stored");
                Event::HeapNotStored {
                    why: error.to_string(),
                }
            }
        }
    }

    /// What is to be written beside an end: of a heap that is durable.
    pub(super) fn keep(&mut self, view: &View, end: &End) -> Option<Keep> {
        let End::Completed {
            heap: HeapEnd::Kept(heap),
            ..
        } = end
        else {
            return None;
        };
        Some(Keep {
            tenant: view.tenant.clone(),
            heap: *heap,
            stored_bytes: self.stored_bytes,
            input_heap: view.input_heap,
            session: view.session.clone(),
            code: std::mem::take(&mut self.code),
            tags: std::mem::take(&mut self.tags),
        })
    }
}

/// Whether the tenant may have one more heap stored; why not, for people. Those that are being stored
/// at the time are not known yet.
async fn has_room(services: &Services, tenant: &Tenant) -> Result<(), String> {
    if services.quotas.limits(tenant).stored_heap_mb.is_none() {
        return Ok(());
    }
    let stored = services.store.heap_bytes(tenant.clone()).await;
    let stored = stored.map_err(|error| error.to_string())?;
    let room = services.quotas.heap(tenant, stored);
    room.map_err(|full| full.to_string())
}
