//! A handler whose tools do what a test wants.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode, ErrorData,
    ProgressNotificationParam, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::support::PATIENCE;

/// Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Stub(Arc<State>);

#[derive(Debug, Default)]
struct State {
    started: watch::Sender<usize>,
    cancelled: watch::Sender<usize>,
    is_released: watch::Sender<bool>,
    told: watch::Sender<usize>,
    flooded: watch::Sender<usize>,
}

impl Stub {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Waits until so many calls have begun to wait.
    pub(crate) async fn started(&self, number: usize) {
        reaches(&self.0.started, number).await;
    }

    /// Waits until so many calls were cancelled.
    pub(crate) async fn cancelled(&self, number: usize) {
        reaches(&self.0.cancelled, number).await;
    }

    pub(crate) fn cancelled_so_far(&self) -> usize {
        *self.0.cancelled.borrow()
    }

    /// Waits until a flood is stuck, because nobody reads it.
    pub(crate) async fn stuck(&self) {
        let mut before = 0;
        loop {
            sleep(Duration::from_millis(100)).await;
            let told = *self.0.told.borrow();
            if told > 0 && told == before {
                assert_eq!(*self.0.flooded.borrow(), 0, "all of it was taken");
                return;
            }
            before = told;
        }
    }

    /// Waits until so many floods have ended.
    pub(crate) async fn flooded(&self, number: usize) {
        reaches(&self.0.flooded, number).await;
    }

    /// Lets all calls that wait answer, now and from now on.
    pub(crate) fn release(&self) {
        self.0.is_released.send_replace(true);
    }

    async fn wait(&self, context: &RequestContext<RoleServer>) -> &'static str {
        let mut released = self.0.is_released.subscribe();
        self.0.started.send_modify(|number| *number += 1);
        tokio::select! {
            () = context.ct.cancelled() => {
                self.0.cancelled.send_modify(|number| *number += 1);
                "cancelled"
            }
            _ = released.wait_for(|is_released| *is_released) => "released",
        }
    }
}

impl Stub {
    /// Tells more than any buffer holds.
    async fn flood(&self, context: &RequestContext<RoleServer>) {
        let token = context.meta.get_progress_token();
        let token = token.expect("the test gives one");
        for progress in 0..512_u32 {
            let told = ProgressNotificationParam::new(token.clone(), f64::from(progress))
                .with_message("x".repeat(64 << 10));
            let is_told = tokio::select! {
                () = context.ct.cancelled() => false,
                told = context.peer.notify_progress(told) => told.is_ok(),
            };
            if !is_told {
                break;
            }
            self.0.told.send_modify(|number| *number += 1);
        }
        self.0.flooded.send_modify(|number| *number += 1);
    }
}

async fn reaches(counter: &watch::Sender<usize>, number: usize) {
    let mut counter = counter.subscribe();
    let reached = counter.wait_for(|so_far| *so_far >= number);
    timeout(PATIENCE, reached)
        .await
        .expect("in time")
        .expect("it lives");
}

impl ServerHandler for Stub {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let said = match request.name.as_ref() {
            "quick" => "quick".to_owned(),
            "wait" => self.wait(&context).await.to_owned(),
            // What the library answers with a status of its own.
            "wait_and_fail" => {
                self.wait(&context).await;
                let code = ErrorCode::METHOD_NOT_FOUND;
                return Err(ErrorData::new(code, "late", None));
            }
            "panic" => panic!("as the test wants it"),
            "flood" => {
                self.flood(&context).await;
                "flooded".to_owned()
            }
            other => return Err(ErrorData::invalid_params(other.to_owned(), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(said)]).into())
    }
}
