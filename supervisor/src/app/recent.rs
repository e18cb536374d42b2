//! Executions that have just ended: a client that polls asks for the end once more when there is no driver
//! any more, and need not wait for the disk.

use lru::LruCache;
use tokio::time::Instant;

use crate::limits;
use crate::store::{ExecutionId, View};
use crate::tenant::Tenant;

/// The ends of a short while.
#[derive(Debug)]
pub(super) struct Recent(LruCache<ExecutionId, Noted>);

#[derive(Debug)]
struct Noted {
    at: Instant,
    view: View,
}

impl Default for Recent {
    fn default() -> Self {
        Self(LruCache::new(limits::RECENT_ENDS_MAX))
    }
}

impl Recent {
    /// Notes an end as it was written. One that is long, or may not be written, is left to the store.
    pub(super) fn note(&mut self, view: &View) {
        if view.is_recorded() && view.text_bytes() <= limits::RECENT_END_BYTES_MAX as u64 {
            let at = Instant::now();
            let view = view.clone();
            self.0.put(view.id, Noted { at, view });
        }
    }

    /// An execution of this tenant, if it has ended a moment ago.
    pub(super) fn find(&self, tenant: &Tenant, id: ExecutionId) -> Option<View> {
        let noted = self.0.peek(&id)?;
        let is_here =
            noted.view.tenant == *tenant && noted.at.elapsed() < limits::RECENT_END_AGE_MAX;
        is_here.then(|| noted.view.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::driver;
    use crate::store::{End, FailureKind, HeapEnd, Limits};

    fn ended(end: Option<End>) -> View {
        let limits = Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        };
        View {
            end,
            ..driver::accepted(ExecutionId::random(), Tenant::local(), limits)
        }
    }

    fn completed(result: String) -> View {
        ended(Some(End::Completed {
            result,
            result_truncated: false,
            preview: String::new(),
            heap: HeapEnd::NotKept,
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_known_to_its_tenant_for_a_while() {
        let mut recent = Recent::default();
        let view = completed("2".to_owned());
        recent.note(&view);
        assert_eq!(recent.find(&Tenant::local(), view.id), Some(view.clone()));
        let other: Tenant = "other".parse().expect("a name");
        assert_eq!(recent.find(&other, view.id), None);
        tokio::time::advance(limits::RECENT_END_AGE_MAX).await;
        assert_eq!(recent.find(&Tenant::local(), view.id), None);
    }

    #[tokio::test]
    async fn what_is_long_or_may_not_be_written_is_left_to_the_store() {
        let lost = ended(Some(End::Failed {
            kind: FailureKind::Server,
            error: "nobody wrote it".to_owned(),
            error_truncated: false,
        }));
        let long = completed("x".repeat(limits::RECENT_END_BYTES_MAX + 1));
        for view in [ended(None), lost, long] {
            let mut recent = Recent::default();
            recent.note(&view);
            assert_eq!(recent.find(&Tenant::local(), view.id), None, "{view:?}");
        }
    }

    #[tokio::test]
    async fn those_that_ended_first_make_room() {
        let mut recent = Recent::default();
        let views: Vec<View> = (0..=limits::RECENT_ENDS_MAX.get())
            .map(|number| completed(number.to_string()))
            .collect();
        for view in &views {
            recent.note(view);
        }
        assert_eq!(recent.find(&Tenant::local(), views[0].id), None);
        assert!(recent.find(&Tenant::local(), views[1].id).is_some());
    }
}
