//! The end of a worker: killed, reaped, and what it has used.

use std::sync::Arc;

use mcp_v8_protocol::message::Start;
use tokio::time::timeout;

use super::Driver;
use crate::execution::alarm::{self, Deceased};
use crate::execution::event::{Event, Script};
use crate::execution::held::Held;
use crate::limits;
use crate::store::Status;
use crate::workers::Exit;

impl Driver {
    /// Kills its process. What that has used can be read from one that lives; one that ends by itself
    /// is reaped first, so that it is known before the end is written.
    pub(super) async fn kill(&mut self) {
        self.held.make_ending().await;
        let Held::Ending(process, _) = &self.held else {
            return;
        };
        let used = process.used();
        process.kill();
        if used.is_some() {
            self.spent.note(used);
        } else if timeout(limits::USAGE_WAIT_MAX, process.exited())
            .await
            .is_ok()
        {
            self.reaped = Some(self.reap().await);
        }
    }

    pub(super) async fn reap(&mut self) -> Event {
        self.held.make_ending().await;
        let Held::Ending(process, errand) = std::mem::replace(&mut self.held, Held::Nothing) else {
            return Event::Reaped(Exit::unseen(), Script::MayHaveRun);
        };
        let deceased = Deceased {
            execution: self.view.borrow().id,
            code: self.code,
            origin: process.origin(),
        };
        let exit = process.reap(limits::EXIT_GRACE).await;
        self.spent.charge(exit.used);
        // A worker that was given nothing has not run anybody's code.
        let Some(errand) = errand else {
            return Event::Reaped(exit, Script::Unread);
        };
        let script = match errand.unread() {
            Some(start) => {
                self.take_back(start);
                Script::Unread
            }
            None => {
                alarm::sound(deceased, &exit, u64::from(self.given.cpu_seconds()));
                Script::MayHaveRun
            }
        };
        Event::Reaped(exit, script)
    }

    /// Nobody has read it: the execution has not started, whatever was shown of it meanwhile.
    fn take_back(&mut self, start: Start) {
        self.source = Arc::new(start.source);
        self.is_start_unwritten = false;
        self.view.send_if_modified(|view| {
            let is_open = view.end.is_none();
            if is_open {
                view.status = Status::Queued;
                view.started_at = None;
            }
            is_open
        });
    }
}
