//! The description of the API, against a checked-in copy: nobody changes the contract by accident.
//! `UPDATE_SNAPSHOTS=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use crate::rest_api::{Api, request};
use crate::support::assert_snapshot;
use axum::body::Body;
use axum::http::Method;
use mcp_v8::http::rest;
use serde_json::Value;

/// The routes that were promised.
const PROMISED: [&str; 14] = [
    "post /api/exec",
    "get /api/executions",
    "get /api/executions/{execution_id}",
    "get /api/executions/{execution_id}/source",
    "get /api/executions/{execution_id}/output",
    "get /api/executions/{execution_id}/output/stream",
    "post /api/executions/{execution_id}/cancel",
    "get /api/sessions",
    "get /api/sessions/{session}/snapshots",
    "get /api/heaps/{heap}/tags",
    "put /api/heaps/{heap}/tags",
    "delete /api/heaps/{heap}/tags",
    "post /api/heaps/query",
    "get /api/openapi.json",
];

#[test]
fn the_description_is_that_of_the_snapshot() {
    let now = format!("{:#}\n", rest::document());
    assert_snapshot("../docs/openapi.json", "the API differs", &now);
}

#[test]
fn every_promised_route_is_described() {
    let mut described = Vec::new();
    for (path, operations) in rest::document()["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.push(format!("{method} {path}"));
        }
    }
    described.sort();
    let mut promised = PROMISED.map(str::to_owned).to_vec();
    promised.sort();
    assert_eq!(described, promised);
}

#[test]
fn operations_are_described_in_full() {
    let document = rest::document();
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} is there twice");
            assert!(operation["summary"].is_string(), "{name}");
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            for parameter in &parameters {
                assert!(parameter["description"].is_string(), "{name}: {parameter}");
                assert!(
                    parameter["schema"]["type"].is_string(),
                    "{name}: {parameter}"
                );
            }
            let mut in_path = parameters.iter().filter(|one| one["in"] == "path");
            let is_named =
                |one: &Value| path.contains(&format!("{{{}}}", one["name"].as_str().unwrap()));
            assert!(in_path.all(is_named), "{name}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{name} {status}");
                assert!(response["content"].is_object(), "{name} {status}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = rest::document();
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1);
    let mut count = 0;
    for reference in references {
        let place = reference.split('"').next().unwrap();
        assert!(document.pointer(place).is_some(), "{place}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_and_every_route_of_it_is_there() {
    let api = Api::new().await;
    assert_eq!(&api.get("/api/openapi.json").await.ok(), rest::document());
    for route in PROMISED {
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.to_ascii_uppercase().parse().unwrap();
        let path = path.replace(['{', '}'], "x");
        let got = api.ask(request(method, &path, Body::from("{}"))).await;
        assert!(got.status != 405, "{route}");
        assert!(
            !String::from_utf8_lossy(&got.body).contains("\"not_found\""),
            "{route}"
        );
    }
}
