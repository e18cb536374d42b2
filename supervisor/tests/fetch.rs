//! The requests of scripts, against real servers: good ones, slow ones and hostile ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "fetch_parts/addresses.rs"]
mod addresses;
#[path = "fetch_parts/bodies.rs"]
mod bodies;
#[path = "fetch_parts/client.rs"]
mod client;
#[path = "fetch_parts/hostile.rs"]
mod hostile;
#[path = "fetch_parts/limits.rs"]
mod limits;
#[path = "fetch_parts/requests.rs"]
mod requests;
#[path = "fetch_parts/second.rs"]
mod second;
#[path = "fetch_parts/servers.rs"]
mod servers;
#[path = "fetch_parts/tls.rs"]
mod tls;
#[path = "fetch_parts/uploads.rs"]
mod uploads;
