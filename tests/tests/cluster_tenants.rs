//! Two tenants of one cluster: whatever one has made at one node is to the other as if it were not there, at
//! any node.

use e2e::cluster::{Cluster, Setup};
use e2e::home::Home;
use e2e::processes;
use e2e::server::PATIENCE;

use crate::tenants::{assert_apart_in_api, assert_apart_in_mcp};
use crate::tenants_parts::{FIRST, Ids, SECOND, assert_untouched, token_file};

#[test]
fn no_node_shows_a_tenant_what_another_one_has() {
    let home = Home::new();
    let arguments = vec!["--auth-tokens".to_owned(), token_file(&home)];
    let cluster = Cluster::start(&Setup {
        arguments,
        ..Setup::default()
    });
    let theirs = Ids::of(&cluster.client("a").with_token(FIRST));
    // All nodes know of what runs, too.
    let running = format!("/api/executions/{}?consistency=local", theirs.running);
    for name in ["b", "c"] {
        let first = cluster.client(name).with_token(FIRST);
        let is_known = || {
            let listed = first.get("/api/executions?consistency=local");
            listed.body.contains(&theirs.running)
        };
        assert!(processes::within(PATIENCE, is_known), "{name}");
        let second = cluster.client(name).with_token(SECOND);
        assert_eq!(second.get(&running).status, 404, "{name}");
    }
    for node in cluster.nodes() {
        let client = cluster.client(&node.name);
        let (first, second) = (client.with_token(FIRST), client.with_token(SECOND));
        assert_apart_in_api(&first, &second, &theirs);
        assert_apart_in_mcp(&first, &second, &theirs);
        assert_untouched(&first, &second, &theirs);
        assert_eq!(client.get("/api/executions").status, 401);
    }
    let first = cluster.client("c").with_token(FIRST);
    let cancel = format!("/api/executions/{}/cancel", theirs.running);
    assert_eq!(first.bare("POST", &cancel).status, 200);
    for node in cluster.nodes() {
        assert!(!node.log().contains("mcpv8_"), "a token is in a log");
    }
    cluster.finish();
}
