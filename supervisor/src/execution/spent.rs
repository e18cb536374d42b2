//! What an execution has used, who is charged for it, and who is told.

use std::time::Duration;

use crate::audit::{EndUsage, Event, Place};
use crate::quota::Meter;
use crate::store::{End, FailureKind, HeapEnd, Usage, View};
use crate::workers::Used;

/// What it has used so far.
#[derive(Debug)]
pub(super) struct Spent {
    meter: Meter,
    /// What those of its workers used that are gone: more than one where the first had read nothing.
    gone: Option<Used>,
    /// What the one used that is there, or was killed just now.
    present: Option<Used>,
    end_place: Option<Place>,
}

impl Spent {
    pub(super) fn new(meter: Meter, end_place: Place) -> Self {
        Self {
            meter,
            gone: None,
            present: None,
            end_place: Some(end_place),
        }
    }

    /// What its worker has used by now.
    pub(super) fn note(&mut self, used: Option<Used>) {
        self.present = either(self.present, used, Used::or_more);
    }

    /// Its worker is gone: the tenant is charged for all that this one has used.
    pub(super) fn charge(&mut self, used: Option<Used>) {
        self.note(used);
        let present = self.present.take();
        if let Some(used) = present {
            self.meter.cpu(used.cpu);
        }
        self.gone = either(self.gone, present, Used::and);
    }

    /// For its record.
    pub(super) fn usage(&self) -> Option<Usage> {
        let used = either(self.gone, self.present, Used::and);
        used.map(|used| Usage {
            cpu_ms: millis(used.cpu),
            peak_memory_bytes: used.peak_bytes,
        })
    }

    /// Notes its end, once.
    pub(super) fn tell(&mut self, view: &View) {
        let Some(place) = self.end_place.take() else {
            return;
        };
        place.note(ended(view));
    }
}

fn ended(view: &View) -> Event {
    let usage = view.usage;
    let times = view.started_at.zip(view.completed_at);
    Event::ExecutionEnded {
        tenant: view.tenant.name().to_owned(),
        execution: view.id.to_string(),
        status: view.status.name(),
        error_kind: match &view.end {
            Some(End::Failed { kind, .. }) => Some(FailureKind::name(*kind)),
            Some(End::Completed { .. } | End::Cancelled { .. } | End::TimedOut { .. }) | None => {
                None
            }
        },
        output_heap: match &view.end {
            Some(End::Completed {
                heap: HeapEnd::Kept(heap),
                ..
            }) => Some(heap.to_string()),
            Some(_) | None => None,
        },
        usage: EndUsage {
            wall_ms: times.map(|(from, to)| millis(to.duration_since(from).unsigned_abs())),
            cpu_ms: usage.map(|usage| usage.cpu_ms),
            peak_memory_bytes: usage.map(|usage| usage.peak_memory_bytes),
            output_bytes: view.output_bytes,
        },
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn either(
    one: Option<Used>,
    other: Option<Used>,
    both: impl FnOnce(Used, Used) -> Used,
) -> Option<Used> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}
