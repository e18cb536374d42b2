//! What a node says to clients before it has come into its cluster, which may take as long as its operator
//! takes to start the others: that it lives, and that it serves nobody yet. Nothing of a request is looked
//! at but its path, and each connection is closed with its answer, so that nobody goes on to speak to what
//! knows no more than that.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::error::HttpError;
use super::error_code::ErrorCode;
use super::health;
use super::refusal::{Refusal, last};
use super::rest::early::pass_over;
use crate::app::{Check, CheckState, Readiness};

const NOT_YET: Refusal = Refusal {
    code: ErrorCode::ClusterUnavailable,
    message: "this node waits to come into its cluster; nothing was done. Try again in a moment, or another node",
};

/// All of it.
pub(super) fn router() -> Router {
    Router::new()
        .route("/healthz", get(async || last(health::lives())))
        .route("/readyz", get(async || last(health::told(&unready()))))
        .method_not_allowed_fallback(async || last(HttpError::WrongMethod.into_response()))
        .fallback(not_yet)
}

async fn not_yet(request: Request) -> Response {
    pass_over(request.into_body());
    last(NOT_YET.response())
}

fn unready() -> Readiness {
    Readiness(vec![(Check::Cluster, CheckState::Failing)])
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::{CONNECTION, RETRY_AFTER};
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(method: &str, path: &str) -> (Response<()>, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let response = router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let shown = serde_json::from_slice(&body).unwrap_or_default();
        (Response::from_parts(parts, ()), shown)
    }

    #[tokio::test]
    async fn it_lives_and_serves_nobody() {
        let (alive, shown) = ask("GET", "/healthz").await;
        assert_eq!(
            (alive.status().as_u16(), shown),
            (200, json!({"status": "alive"}))
        );
        let (ready, shown) = ask("GET", "/readyz").await;
        let expected = json!({"status": "unready", "checks": {"cluster": "failing"}});
        assert_eq!((ready.status().as_u16(), shown), (503, expected));
        for (method, path) in [
            ("POST", "/mcp"),
            ("GET", "/api/executions"),
            ("POST", "/api/exec"),
            ("GET", "/metrics"),
            ("GET", "/"),
            ("OPTIONS", "/api/exec"),
        ] {
            let (refused, shown) = ask(method, path).await;
            assert_eq!(refused.status().as_u16(), 503, "{path}");
            assert_eq!(
                shown["error"]["code"], "cluster_unavailable",
                "{path}: {shown}"
            );
            let headers = refused.headers();
            assert!(headers.contains_key(RETRY_AFTER), "{path}: {headers:?}");
            assert_eq!(headers[CONNECTION], "close", "{path}");
        }
    }
}
