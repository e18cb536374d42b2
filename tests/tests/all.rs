//! The tests over the real programs in one, because linking one for each file takes minutes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod abuse;
mod abuse_table;
mod audit;
mod audit_full_disk;
mod authentication;
mod bad_input;
mod by_hand;
mod cluster_answers;
mod cluster_clocks;
mod cluster_copies;
mod cluster_disk;
mod cluster_heaps;
mod cluster_kills;
mod cluster_lan;
mod cluster_large;
mod cluster_members;
mod cluster_partitions;
mod cluster_tenants;
mod cluster_unanswered;
mod command_line;
mod fairness;
mod fetch;
mod figures;
mod floods;
mod forged_heaps;
mod hostile;
mod hostile_fetch;
mod hostile_fork_server;
mod hostile_heaps;
mod hostile_start;
mod http;
mod http_api;
mod http_mcp;
mod kill;
mod kill_real;
mod layers;
mod lifecycle;
mod load_table;
mod memory;
mod operation;
mod quotas;
mod reloading;
mod rmcp_client;
mod scopes;
mod secret_files;
mod secrets;
mod service;
mod soak;
mod soak_of_tenants;
mod specs;
mod standards;
mod stateful;
mod tenant_fetches;
mod tenants;
mod tenants_parts;
mod tiers;
mod tools;
mod traces;
mod wasm_modules;
