//! What an operator watches, in the text form of OpenMetrics.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::task::spawn_blocking;

use super::connections::Connections;
use crate::app::Executions;
use crate::metrics::{self, Exposition};

/// The bounds of the histogram of answers, in seconds. Waits last up to 50.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 25.0, 60.0,
];

/// The route of requests for something that is not there.
const NO_ROUTE: &str = "none";

/// A route, as it is written where it is served. Clones share it, so that no request makes a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Route(Arc<str>);

impl Borrow<str> for Route {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}

/// The labels of the count of requests. All are out of short lists, whatever clients send.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Route,
    status: u16,
}

/// Those of their times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct On {
    route: Route,
}

/// All figures. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    exposition: Arc<Exposition>,
    requests: Family<Answered, Counter>,
    seconds: Family<On, Histogram>,
    /// The routes that were asked for, each with its times.
    routes: Arc<RwLock<HashMap<Route, Histogram>>>,
}

impl Metrics {
    pub(super) fn new(executions: Executions, connections: Connections) -> Self {
        let mut exposition = Exposition::new(&executions.figures(), &executions.build());
        let requests = Family::default();
        exposition.add(
            "http_requests",
            "Requests that were answered, by method, route and status",
            requests.clone(),
        );
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let seconds = Family::new_with_constructor(histogram);
        exposition.add(
            "http_request_seconds",
            "Seconds until an answer began, by route",
            seconds.clone(),
        );
        exposition.add_collector(Box::new(Standing {
            executions,
            connections,
            since: Instant::now(),
        }));
        Self {
            exposition: Arc::new(exposition),
            requests,
            seconds,
            routes: Arc::default(),
        }
    }

    /// A route and its times.
    fn of(&self, route: &str) -> (Route, Histogram) {
        let known = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((route, seconds)) = known.get_key_value(route) {
            return (route.clone(), seconds.clone());
        }
        drop(known);
        let route = Route(route.into());
        let on = On {
            route: route.clone(),
        };
        let seconds = self.seconds.get_or_create(&on).clone();
        let mut known = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(route.clone(), seconds.clone());
        (route, seconds)
    }
}

/// The text with all figures. Some are asked of the file system, which may take its time.
pub(super) async fn show(State(metrics): State<Metrics>) -> Response {
    let shown = spawn_blocking(move || metrics.exposition.text()).await;
    match shown {
        Ok(Ok(text)) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "the figures cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Counts a request and its answer.
pub(super) async fn count(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let (route, seconds) = metrics.of(route.map_or(NO_ROUTE, MatchedPath::as_str));
    let method = method(request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let answered = Answered {
        method,
        route,
        status,
    };
    metrics.requests.get_or_create(&answered).inc();
    seconds.observe(began.elapsed().as_secs_f64());
    response
}

/// The method, out of those that mean anything here.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Figures that are looked up when they are asked for.
#[derive(Debug)]
struct Standing {
    executions: Executions,
    connections: Connections,
    since: Instant,
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let load = self.executions.load();
        let store = self.executions.store_load();
        let database_bytes = usize::try_from(store.database_bytes).unwrap_or(usize::MAX);
        let gauges = [
            (
                "store_writes_queued",
                "Writes that wait for the session database",
                store.queued,
            ),
            (
                "fetch_connections_open",
                "Connections that are open for requests of scripts",
                self.executions.fetch_connections(),
            ),
            (
                "store_database_bytes",
                "What the session database takes on disk, with its journal",
                database_bytes,
            ),
            ("executions_running", "Executions that run", load.running),
            (
                "executions_queued",
                "Executions that wait for a slot",
                load.queued,
            ),
            (
                "http_connections",
                "Connections that are open",
                self.connections.count(),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metrics::show(&mut encoder, name, help, &gauge)?;
        }
        metrics::show(
            &mut encoder,
            "uptime_seconds",
            "Seconds since the server began to listen",
            &ConstGauge::new(self.since.elapsed().as_secs_f64()),
        )?;
        let ended = ConstCounter::new(0_u64);
        let help = "Executions that ended, by how";
        let mut family =
            encoder.encode_descriptor("executions_ended", help, None, ended.metric_type())?;
        for (status, count) in load.ended {
            let labels = [("status", status.name())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
