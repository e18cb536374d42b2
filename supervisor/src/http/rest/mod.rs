//! The REST API: the use cases of the tools over plain HTTP, in the same shapes.
//!
//! ```text
//! request ─▶ form (path, query, body ─▶ arguments, all faults at once) ─▶ calls ─▶ app
//!                        ▲                                                  │
//! operation (the table) ─┴─▶ openapi                  answer, stream ◀──────┘
//! ```

mod answer;
mod body;
mod calls;
mod consistency;
pub(super) mod early;
mod encoded;
mod form;
mod openapi;
mod operation;
mod pattern;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{MethodFilter, on};

use super::error::HttpError;
use crate::app::Executions;
use crate::limits;
use crate::quota::Crowd;
use calls::Desk;
use form::Form;
use operation::Operation;

pub use openapi::document;

/// All routes beneath `/api`. Other paths and methods are answered in the same form. Requests come with
/// their [`crate::auth::Caller`]; others are refused.
pub fn router(executions: Executions) -> Router {
    let mode = executions.mode();
    let streams = Crowd::new(limits::HTTP_STREAMS_MAX, executions.sharing());
    let mut router = Router::new();
    for operation in Operation::ALL {
        let route = operation.route();
        // Each method of the table has a filter.
        let Ok(filter) = MethodFilter::try_from(route.method) else {
            continue;
        };
        let desk = Arc::new(Desk {
            executions: executions.clone(),
            operation,
            form: Form::new(operation, mode),
            streams: streams.clone(),
        });
        let handler = async move |request: Request| desk.perform(request).await;
        router = router.route(route.path, on(filter, handler));
    }
    router
        .fallback(async || HttpError::UnknownPath)
        .method_not_allowed_fallback(async || HttpError::WrongMethod)
}
