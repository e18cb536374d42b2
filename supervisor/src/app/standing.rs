//! How a server stands as a whole: whether it accepts, how much goes on, and how it ends.

use mcp_v8_protocol::PROTOCOL_VERSION;

use super::executions::Executions;
use super::load::Load;
use super::recent::Recent;
use crate::cluster::Standing;
use crate::fetch::Broker;
use crate::metrics::{Build, Figures};
use crate::store::{CancelledBy, Limits, Status, StoreLoad, sqlite_version};

impl Executions {
    /// What all parts count.
    pub fn figures(&self) -> Figures {
        let services = &self.shared.services;
        let pool = services.spawner.figures().cloned();
        let heaps = services.heaps.as_ref().map(|heaps| heaps.figures().clone());
        let broker = services.broker.as_ref();
        let nodes = self.shared.nodes();
        Figures {
            executions: services.figures.clone(),
            pool: pool.unwrap_or_default(),
            store: services.store.figures().clone(),
            heaps: heaps.unwrap_or_default(),
            fetch: broker
                .map(|broker| broker.figures().clone())
                .unwrap_or_default(),
            cluster: nodes
                .map(|nodes| nodes.handle.figures().clone())
                .unwrap_or_default(),
        }
    }

    /// Which programs these are.
    pub fn build(&self) -> Build {
        Build {
            v8: self.v8_version().to_owned(),
            protocol: PROTOCOL_VERSION.to_string(),
            sqlite: sqlite_version().to_owned(),
        }
    }

    /// Connections that are open for requests of scripts.
    pub fn fetch_connections(&self) -> usize {
        let broker = self.shared.services.broker.as_ref();
        broker.map_or(0, Broker::connections)
    }

    /// How much there is of the store. It asks the file system, and so may block.
    pub fn store_load(&self) -> StoreLoad {
        self.shared.services.store.load()
    }

    /// How much is going on.
    pub fn load(&self) -> Load {
        let live = self.shared.live();
        let statuses = live
            .drivers
            .values()
            .map(|execution| execution.view.borrow().status);
        let (mut running, mut queued) = (0, 0);
        for status in statuses {
            match status {
                Status::Queued => queued += 1,
                Status::Running => running += 1,
                Status::Completed | Status::Failed | Status::Cancelled | Status::TimedOut => {}
            }
        }
        Load {
            running,
            queued,
            ended: self.shared.ended.all(),
        }
    }

    /// Gives these limits, from now on, to those who do not ask.
    pub fn set_defaults(&self, limits: Limits) {
        *self.shared.defaults() = limits;
    }

    /// Waits until this server can take no part in its cluster any more: why. It has to end then.
    pub async fn lost(&self) -> String {
        let Some(nodes) = self.shared.nodes() else {
            return std::future::pending().await;
        };
        let mut status = nodes.handle.watch();
        let is_lost = |status: &crate::cluster::Status| {
            matches!(
                status.standing,
                Standing::Failed | Standing::Stopped(Some(_))
            )
        };
        let standing = match status.wait_for(is_lost).await {
            Ok(status) => status.standing,
            // It has ended because it was told to.
            Err(_) => return std::future::pending().await,
        };
        match standing {
            Standing::Stopped(Some(why)) => why.to_string(),
            _ => "this node cannot trust its disk; its log says why".to_owned(),
        }
    }

    /// Accepts nothing more. What was accepted goes on.
    pub fn close(&self) {
        self.shared.admission.close();
        self.shared.live().is_closing = true;
    }

    /// Waits until nothing is queued or runs.
    pub async fn idle(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.shared.emptied.notified());
            emptied.as_mut().enable();
            if self.shared.live().drivers.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Accepts nothing more, cancels what is queued or running, and waits until every end is known.
    /// All of it can still be read.
    pub async fn cancel_all(&self) {
        self.close();
        self.shared.services.store.hurry();
        for execution in self.shared.live().drivers.values_mut() {
            if let Some(cancel) = execution.cancel.take() {
                // A driver that does not listen any more has an end already.
                let _ = cancel.send(CancelledBy::Shutdown);
            }
        }
        self.idle().await;
    }

    /// The same, and then waits until every worker is reaped and every row is written. Nothing can be
    /// read any more.
    pub async fn shut_down(&self) {
        self.cancel_all().await;
        let shared = &self.shared;
        shared.stop.token().cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
        shared.services.spawner.shut_down().await;
        if let Some(nodes) = shared.nodes() {
            nodes.leave().await;
        }
        shared.services.audit.close().await;
        // Every driver has gone: from here on the store alone knows, until it is closed.
        shared.live().recent = Recent::default();
        if let Err(error) = shared.services.store.close().await {
            tracing::debug!(%error, "the store was closed before");
        }
    }
}
