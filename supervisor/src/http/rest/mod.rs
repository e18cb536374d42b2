//! The REST API: the twins of the tools of MCP, with the same shapes, and console output as a stream.
//!
//! * `operation`: what there is, as a table. The router and the description are both made from it.
//! * `given`: what a request gives, as arguments.
//! * `perform`: what each operation does.
//! * `stream`: console output as server-sent events.
//! * `error`: errors as answers.
//! * [`openapi`]: the description.

mod error;
mod given;
pub mod openapi;
mod operation;
mod perform;
mod stream;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, on};

use self::given::Given;
use self::operation::Operation;
use crate::app::Executions;

/// Where the description is.
pub const OPENAPI_PATH: &str = "/api/openapi.json";

/// The API over these executions.
pub fn router(executions: Executions) -> Router {
    let described = Router::new().route(OPENAPI_PATH, get(openapi::show));
    Operation::ALL
        .into_iter()
        .fold(described, |router, operation| {
            let executions = executions.clone();
            let answer = move |given: Given| answer(operation, executions, given);
            router.route(operation.path(), on(operation.method(), answer))
        })
}

async fn answer(operation: Operation, executions: Executions, given: Given) -> Response {
    match perform::perform(operation, &executions, &given).await {
        Ok(response) => response,
        Err(error) => error.response(operation),
    }
}
