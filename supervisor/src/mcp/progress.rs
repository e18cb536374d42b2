//! Progress of a call that waits, for clients that gave a token.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// The time between two notifications.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// When to tell, and whom.
#[derive(Debug)]
pub(super) struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    since: Instant,
    wait: Duration,
    ticks: Interval,
}

impl Progress {
    /// For a call that starts to wait now, for at most `wait`.
    pub(super) fn new(context: &RequestContext<RoleServer>, wait: Duration) -> Self {
        let since = Instant::now();
        let mut ticks = tokio::time::interval_at(since + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let token = context.meta.get_progress_token();
        Self {
            to: token.map(|token| (context.peer.clone(), token)),
            since,
            wait,
            ticks,
        }
    }

    /// Waits until it is time to tell; forever, when nobody wants to know.
    pub(super) async fn due(&mut self) {
        if self.to.is_none() {
            std::future::pending::<()>().await;
        }
        self.ticks.tick().await;
    }

    /// Tells how long the call has waited, in milliseconds of those that it may, and `message`.
    /// Returns when the notification is on its way: the answer cannot overtake it.
    pub(super) async fn tell(&self, message: String) {
        let Some((peer, token)) = &self.to else {
            return;
        };
        let param = ProgressNotificationParam::new(token.clone(), millis(self.since.elapsed()))
            .with_total(millis(self.wait))
            .with_message(message);
        if let Err(error) = peer.notify_progress(param).await {
            tracing::debug!(%error, "a progress notification was not sent");
        }
    }
}

fn millis(time: Duration) -> f64 {
    // Waits end after 50,000 ms: far below what a float counts exactly.
    (time.as_secs_f64() * 1000.0).floor()
}
