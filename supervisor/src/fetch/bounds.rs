//! The limits of requests that are kept while they run; tests have smaller ones.

use std::time::Duration;

use crate::limits;

/// How much, and how long. The default is that of [`crate::limits`].
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Requests of one execution.
    pub requests: u32,
    /// Requests of one tenant that are under way.
    pub open_per_tenant: usize,
    /// Requests of all tenants that are under way.
    pub open: usize,
    /// Connections, idle ones included.
    pub connections: usize,
    /// Bytes that one execution sends in bodies.
    pub request_bytes: u64,
    /// Bytes that one execution receives in bodies.
    pub response_bytes: u64,
    /// How long it may take to connect, TLS included.
    pub connect_wait: Duration,
    /// How long a server may take to answer.
    pub head_wait: Duration,
    /// How long a piece of a body may take that is waited for.
    pub piece_wait: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            requests: limits::FETCH_REQUESTS_MAX,
            open_per_tenant: limits::FETCH_OPEN_PER_TENANT_MAX,
            open: limits::FETCH_OPEN_MAX,
            connections: limits::FETCH_CONNECTIONS_MAX,
            request_bytes: limits::FETCH_REQUEST_BYTES_MAX,
            response_bytes: limits::FETCH_RESPONSE_BYTES_MAX,
            connect_wait: limits::FETCH_CONNECT_WAIT_MAX,
            head_wait: limits::FETCH_HEAD_WAIT_MAX,
            piece_wait: limits::FETCH_PIECE_WAIT_MAX,
        }
    }
}
