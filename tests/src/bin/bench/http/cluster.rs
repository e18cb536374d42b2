//! The loads of the table on three nodes of a cluster: each client has one of them.
//!
//! Nodes keep the heap of each execution, as a server of its own does by default: servers that keep nothing
//! have nothing to agree upon, and need no cluster.

use std::time::Duration;

use e2e::cluster::{Cluster, Setup, TIMES_DEFAULT};
use serde_json::{Value, json};

use super::chain::Chains;
use super::load::{self, Arrivals, Load, Place, Way};
use super::{Measured, RATES, REST, WARM_UP};
use crate::target::Target;

/// Measures them, each load for so long.
pub(crate) fn measure(time: Duration, cores: usize) -> Measured {
    let cluster = Cluster::start(&Setup {
        times: TIMES_DEFAULT,
        ..Setup::default()
    });
    let nodes: Vec<Place> = cluster.nodes().iter().map(Place::of_node).collect();
    let warm_up = Load::new(Way::Wait, Arrivals::Closed { clients: cores });
    load::put(&nodes, warm_up, WARM_UP);
    let mut wrong = 0;
    let mut rates: Vec<Value> = Vec::new();
    for way in [Way::Poll, Way::Wait] {
        for rate in RATES {
            std::thread::sleep(REST);
            let per_sec = f64::from(rate);
            let outcome = load::put(&nodes, Load::new(way, Arrivals::Constant { per_sec }), time);
            wrong += outcome.wrong();
            rates.push(json!({"way": way, "per_sec": rate, "outcome": outcome.json()}));
        }
    }
    let chains = Chains::measure(&nodes, time);
    cluster.finish();
    Measured {
        targets: vec![
            Target::at_most(
                "requests to three nodes that neither completed nor were refused with a Retry-After",
                wrong as f64,
                0.0,
            ),
            Target::at_most(
                "steps of sessions on three nodes that did not follow the one before",
                chains.wrong as f64,
                0.0,
            ),
        ],
        report: json!({
            "nodes": nodes.len(),
            "seconds_of_each_load": time.as_secs_f64(),
            "stateful": {"rates": rates, "chains": chains.json()},
        }),
    }
}
