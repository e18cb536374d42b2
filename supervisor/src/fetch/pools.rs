//! Connections that are kept: of each tenant its own, and those that may lead to special addresses
//! apart from those that may not.
//!
//! HTTP/2 is for requests without a body. What a server does not take of a body would stay in the
//! connection after its exchange, which others may use; a connection of HTTP/1.1 has one exchange at a
//! time, and ends with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mcp_v8_protocol::limits::{HEADERS_BYTES_MAX, HEADERS_MAX};
use nix::sys::resource::{Resource, getrlimit};
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt as _};

use super::address::Reach;
use super::bounds::Bounds;
use super::connect::{Resolver, Tcp};
use super::failure::Failure;
use super::frames::Watched;
use super::upload::Upload;
use super::windows::{AllWindows, Windows};
use crate::limits;
use crate::tenant::Tenant;

type Connector = BoxCloneSyncService<Uri, TokioIo<Watched>, BoxError>;

/// Sessions of TLS that one tenant's connections resume.
const TLS_SESSIONS: usize = 64;

/// All connections of scripts.
pub(super) struct Pools {
    tls: ClientConfig,
    resolver: Arc<dyn Resolver>,
    connect_wait: Duration,
    open: Arc<Semaphore>,
    open_max: usize,
    open_per_tenant: usize,
    connections: Arc<Semaphore>,
    connections_max: usize,
    lookups: Arc<Semaphore>,
    windows: AllWindows,
    tenants: Mutex<HashMap<Tenant, Arc<Share>>>,
}

/// What one tenant has of them.
pub(super) struct Share {
    open: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    windows: Windows,
    clients: Mutex<HashMap<Lane, HttpClient>>,
}

/// Which connections a request may go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    /// Where they may lead to.
    pub(super) reach: Reach,
    /// What is spoken there.
    pub(super) versions: Versions,
}

/// The versions of HTTP that may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Versions {
    /// HTTP/1.1.
    First,
    /// That and, over TLS, HTTP/2.
    Both,
}

impl Versions {
    /// Those for a request with such a body.
    pub(super) fn of(upload: &Upload) -> Self {
        match upload.is_end_stream() {
            true => Self::Both,
            false => Self::First,
        }
    }
}

/// Sends requests over kept connections. Clones share them.
#[derive(Clone)]
pub(super) struct HttpClient(Client<Connector, Upload>);

/// A place among the requests that are under way.
#[derive(Debug)]
pub(super) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Pools {
    pub(super) fn new(tls: ClientConfig, resolver: Arc<dyn Resolver>, bounds: &Bounds) -> Self {
        let connections = bounds.connections.min(descriptors());
        // There is always a connection for a request once idle ones are given up, and one tenant leaves
        // some to others.
        let open_max = bounds.open.min(connections);
        let open_per_tenant = bounds.open_per_tenant.min(open_max.div_ceil(2));
        Self {
            tls,
            resolver,
            connect_wait: bounds.connect_wait,
            open: Arc::new(Semaphore::new(open_max)),
            open_max,
            open_per_tenant,
            connections: Arc::new(Semaphore::new(connections)),
            connections_max: connections,
            lookups: Arc::new(Semaphore::new(limits::FETCH_LOOKUPS_MAX)),
            windows: AllWindows::new(),
            tenants: Mutex::default(),
        }
    }

    /// What a tenant has, kept while anybody holds it.
    pub(super) fn share(&self, tenant: &Tenant) -> Arc<Share> {
        let mut tenants = lock(&self.tenants);
        if let Some(share) = tenants.get(tenant) {
            return Arc::clone(share);
        }
        if tenants.len() >= limits::FETCH_TENANTS_MAX {
            tenants.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = Arc::new(Share {
            open: Arc::new(Semaphore::new(self.open_per_tenant)),
            lookups: Arc::new(Semaphore::new(limits::FETCH_LOOKUPS_PER_TENANT_MAX)),
            windows: self.windows.of_tenant(),
            clients: Mutex::default(),
        });
        tenants.insert(tenant.clone(), Arc::clone(&share));
        share
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        let free = self.connections.available_permits();
        self.connections_max.saturating_sub(free)
    }

    /// A place for one more request.
    pub(super) fn enter(&self, share: &Share) -> Result<Place, Failure> {
        let of_tenant = Arc::clone(&share.open).try_acquire_owned();
        let of_all = Arc::clone(&self.open).try_acquire_owned();
        Ok(Place {
            _of_tenant: of_tenant.map_err(|_| Failure::OpenOfTenant(self.open_per_tenant))?,
            _of_all: of_all.map_err(|_| Failure::OpenOfAll(self.open_max))?,
        })
    }

    /// The client of a tenant for requests that may go so.
    pub(super) fn client(&self, share: &Share, lane: Lane) -> HttpClient {
        if self.connections.available_permits() == 0 {
            self.give_up_idle();
        }
        let mut clients = lock(&share.clients);
        let client = clients.entry(lane);
        client
            .or_insert_with(|| self.connect_as(share, lane))
            .clone()
    }

    /// Connections that carry a request live on, and are not kept afterwards.
    fn give_up_idle(&self) {
        for share in lock(&self.tenants).values() {
            lock(&share.clients).clear();
        }
    }

    fn connect_as(&self, share: &Share, lane: Lane) -> HttpClient {
        let mut tls = self.tls.clone();
        tls.resumption = Resumption::in_memory_sessions(TLS_SESSIONS);
        let tcp = Tcp {
            reach: lane.reach,
            resolver: Arc::clone(&self.resolver),
            lookups: Arc::clone(&share.lookups),
            lookups_of_all: Arc::clone(&self.lookups),
            connections: Arc::clone(&self.connections),
        };
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1();
        let connector = match lane.versions {
            Versions::First => builder.wrap_connector(tcp),
            Versions::Both => builder.enable_http2().wrap_connector(tcp),
        };
        let headers_max = u32::try_from(HEADERS_BYTES_MAX + 32 * HEADERS_MAX).unwrap_or(u32::MAX);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::FETCH_IDLE_MAX)
            .pool_max_idle_per_host(limits::FETCH_IDLE_PER_HOST_MAX)
            .http1_max_buf_size(limits::FETCH_HEAD_BUFFER_BYTES)
            .http1_max_headers(HEADERS_MAX)
            .http2_max_header_list_size(headers_max)
            .http2_initial_stream_window_size(limits::FETCH_HTTP2_STREAM_BYTES)
            .http2_initial_connection_window_size(limits::FETCH_HTTP2_CONNECTION_BYTES)
            .build(BoxCloneSyncService::new(
                Timeout::new(connector, self.connect_wait).map_response(Watched::over),
            ));
        HttpClient(client)
    }
}

impl Share {
    /// Where its bodies have room to be decoded.
    pub(super) fn windows(&self) -> Windows {
        self.windows.clone()
    }
}

impl HttpClient {
    pub(super) async fn send(
        &self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        self.0.request(request).await
    }
}

/// How many descriptors of this process may be such connections.
fn descriptors() -> usize {
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    let all = usize::try_from(soft).unwrap_or(usize::MAX);
    (all / limits::FETCH_DESCRIPTORS_PART).max(1)
}

/// A panic while it was held left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pools")
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}
