//! The tests of the server in one program, because linking one for each file takes minutes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod alarms;
mod audit_full;
mod auth_http;
mod auth_issuer;
mod auth_jwt;
mod boundaries;
mod executions;
mod fairness;
mod fetch;
mod garbage;
mod heap_places;
mod heaps;
mod heaps_s3;
mod http_server;
mod https;
mod injection;
mod injection_tokens;
mod kept;
mod kept_model;
mod mcp_client;
mod mcp_http;
mod mcp_http_time;
mod mcp_pair;
mod mcp_process;
mod mcp_resources;
mod mcp_server;
mod mcp_sessions;
mod mcp_sse;
mod mcp_stdio;
mod mcp_tasks;
mod mcp_tools;
mod mcp_wire;
mod persistence;
mod policy_check;
mod policy_files;
mod policy_opa;
mod policy_rego;
mod process_one;
mod rest;
mod rest_api;
mod rest_errors;
mod rest_openapi;
mod rest_stream;
mod s3_servers;
mod stand_in;
mod support;
mod worker_start;
mod zygote;
mod zygote_faults;
