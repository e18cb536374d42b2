//! Every decision on a request is noted before anything comes of it.

use super::Requester;
use super::failure::Failure;
use crate::audit::{Event, text};
use crate::policy::{Asked, Denied, Permit};
use crate::quota::Excess;

/// What was decided.
enum Verdict<'a> {
    Allowed,
    Denied(&'a Denied),
    OverQuota,
}

impl Requester {
    /// Counts a request, if it may be made.
    pub(super) async fn count(&self, asked: &Asked) -> Result<(), Failure> {
        match self.meter.fetch() {
            Ok(()) => Ok(()),
            Err(excess) => Err(self.over(asked, excess).await),
        }
    }

    async fn over(&self, asked: &Asked, excess: Excess) -> Failure {
        match self.note(asked, Verdict::OverQuota).await {
            Ok(()) => excess.into(),
            Err(unwritable) => unwritable,
        }
    }

    /// Notes what the policy has decided. What cannot be noted is not done.
    pub(super) async fn witness(
        &self,
        asked: &Asked,
        decided: Result<Permit, Denied>,
    ) -> Result<Permit, Failure> {
        let verdict = decided
            .as_ref()
            .map_or_else(Verdict::Denied, |_| Verdict::Allowed);
        self.note(asked, verdict).await?;
        Ok(decided?)
    }

    async fn note(&self, asked: &Asked, verdict: Verdict<'_>) -> Result<(), Failure> {
        if !self.audit.is_on() {
            return Ok(());
        }
        let place = self.audit.place_in_time().await?;
        place.note(self.event(asked, verdict));
        Ok(())
    }

    fn event(&self, asked: &Asked, verdict: Verdict<'_>) -> Event {
        let url = &asked.url;
        let (verdict, rule) = match verdict {
            Verdict::Allowed => ("allowed", None),
            Verdict::OverQuota => ("over_quota", None),
            Verdict::Denied(Denied::ByRule { rule, .. }) => ("denied", Some(rule)),
            Verdict::Denied(Denied::Unanswered { rule, .. }) => ("unanswered", Some(rule)),
        };
        Event::RequestDecided {
            tenant: self.tenant.name().to_owned(),
            execution: self.execution.to_string(),
            method: text(asked.method.as_str()),
            scheme: url.scheme().to_owned(),
            host: text(url.host_str().unwrap_or_default()),
            port: url.port_or_known_default(),
            verdict,
            rule: rule.map(|rule| text(rule)),
        }
    }
}
