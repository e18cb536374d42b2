//! What a tenant whose questions take their time leaves to others.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::*;
use crate::quota::{Crowd, Member};

const PATIENCE: Duration = Duration::from_secs(30);
const ALLOW: &str = "package mcp.fetch\nimport rego.v1\nallow if input.tenant == \"quiet\"\n";

fn asked(tenant: &Tenant) -> String {
    let asked = Asked {
        tenant: tenant.clone(),
        session: None,
        method: Method::GET,
        url: "https://api.example.com/".parse().unwrap(),
        headers: HeaderMap::new(),
    };
    input::document(&asked).to_string()
}

/// All turns that this tenant may have, taken.
fn flood(turns: &Crowd, tenant: &Tenant) -> Vec<Member> {
    let taken = std::iter::from_fn(|| turns.turn(tenant).now_or_never().flatten());
    taken.collect()
}

#[tokio::test]
async fn evaluations_of_one_leave_turns_to_others() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("fetch.rego"), ALLOW).unwrap();
    let rego = Rego::open(directory.path().to_owned()).await.unwrap();
    let [loud, quiet]: [Tenant; 2] = ["loud", "quiet"].map(|name| name.parse().unwrap());
    let turns = flood(rego.turns(), &loud);
    assert_eq!(turns.len(), limits::REGO_EVALUATIONS_MAX / 2);
    let document = asked(&loud);
    let mut more = Box::pin(rego.ask(&loud, &document));
    assert!((&mut more).now_or_never().is_none(), "it waits");
    let document = asked(&quiet);
    let answer = timeout(PATIENCE, rego.ask(&quiet, &document)).await;
    assert!(answer.unwrap().unwrap().allow);
    drop(turns);
    assert!(!timeout(PATIENCE, more).await.unwrap().unwrap().allow);
}

#[tokio::test]
async fn questions_of_one_to_opa_leave_turns_to_others() {
    // It is never there: what counts is who gets as far as asking it.
    let url = "http://127.0.0.1:1/".parse().unwrap();
    let opa = Opa::new(&OpaOptions::new(url, "mcp/fetch").unwrap()).unwrap();
    let [loud, quiet]: [Tenant; 2] = ["loud", "quiet"].map(|name| name.parse().unwrap());
    let turns = flood(opa.turns(), &loud);
    assert_eq!(turns.len(), limits::OPA_QUESTIONS_MAX / 2);
    let document = asked(&loud);
    let mut more = Box::pin(opa.ask(&loud, &document));
    assert!((&mut more).now_or_never().is_none(), "it waits");
    let document = asked(&quiet);
    let answer = timeout(PATIENCE, opa.ask(&quiet, &document)).await;
    let unreachable = Err(Silence::Upstream(AskError::Late(
        limits::POLICY_ANSWER_TIMEOUT,
    )));
    assert_ne!(answer.unwrap(), unreachable, "it had its turn");
}
