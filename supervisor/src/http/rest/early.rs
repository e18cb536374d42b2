//! Executions that a full server refuses are refused before their bodies are read: what is too much is to
//! cost as little as it can, and so to leave the processors to what runs.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::operation::Operation;
use crate::app::Executions;
use crate::auth::{Caller, Scope};
use crate::http::error::HttpError;
use crate::limits;

/// Passes a request on, unless it is to run something and nothing can be accepted.
pub(in crate::http) async fn refuse<F>(
    executions: &Executions,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let run = Operation::RunJs.route();
    let is_run = *request.method() == run.method && request.uri().path() == run.path;
    let caller = request.extensions().get::<Caller>();
    // Who may not run anything is told that.
    let may_run = |caller: &&Caller| is_run && caller.may(Scope::Run);
    if let Some(caller) = caller.filter(may_run) {
        let workspace = executions
            .of(caller.tenant().clone())
            .through("rest", caller.token_id());
        if let Err(error) = workspace.admits() {
            pass_over(request.into_body());
            workspace.note_early_refusal(&error);
            return HttpError::Refused(error).into_response();
        }
    }
    next(request).await
}

/// Lets a client get rid of a body that nobody wants: most read no answer before, and would see nothing
/// but a broken connection. Even a small one can come after its head, when the answer is on its way.
pub(in crate::http) fn pass_over(mut body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let passed = async {
            let mut left = limits::HTTP_BODY_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, bytes::Bytes::len);
                match left.checked_sub(length) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        };
        // One that takes longer has seen its answer by then.
        let _ = timeout(limits::HTTP_REFUSED_BODY_WAIT_MAX, passed).await;
    });
}
