//! The two eras of the protocol, and what results of the stateless one (2026-07-28 and later) say
//! beside their content.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CacheScope, Implementation, ListResourceTemplatesResult, ListResourcesResult, MetaObject,
    ProtocolVersion, ReadResourceResult,
};
use rmcp::service::RequestContext;

/// The name by which the server goes.
const SERVER_NAME: &str = "mcp-v8";

/// Under which key of `_meta` a result says who gave it.
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Who this server is.
pub(super) fn identity() -> Implementation {
    Implementation::new(SERVER_NAME, env!("CARGO_PKG_VERSION"))
        .with_title("mcp-v8: JavaScript and TypeScript in V8")
}

/// Whether the request is of the stateless era.
pub(super) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Results of the stateless era say who gave them; there is nothing to say to others.
pub(super) fn stamp(context: &RequestContext<RoleServer>) -> Option<MetaObject> {
    let identity = is_modern(context).then(|| serde_json::to_value(identity()).ok())??;
    let mut meta = MetaObject::new();
    meta.insert(SERVER_INFO_KEY.to_owned(), identity);
    Some(meta)
}

/// How long a result may be kept by those who got it, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freshness {
    scope: CacheScope,
    time: Duration,
}

impl Freshness {
    /// For what is the same for everybody.
    pub(super) const fn for_all(time: Duration) -> Self {
        Self {
            scope: CacheScope::Public,
            time,
        }
    }

    /// For what belongs to the caller.
    pub(super) const fn for_caller(time: Duration) -> Self {
        Self {
            scope: CacheScope::Private,
            time,
        }
    }
}

/// Where a result says who gave it, for how many milliseconds it is fresh, and for whom.
type Labels<'a> = (
    &'a mut Option<MetaObject>,
    &'a mut Option<u64>,
    &'a mut Option<CacheScope>,
);

/// A result that may be kept for a while.
pub(super) trait Kept: Sized {
    /// Its labels.
    fn labels(&mut self) -> Labels<'_>;

    /// Labels it, where the era of the request knows labels.
    fn labelled(mut self, context: &RequestContext<RoleServer>, freshness: Freshness) -> Self {
        if is_modern(context) {
            let millis = u64::try_from(freshness.time.as_millis()).unwrap_or(u64::MAX);
            let (meta, time, scope) = self.labels();
            *meta = stamp(context);
            *time = Some(millis);
            *scope = Some(freshness.scope);
        }
        self
    }
}

macro_rules! kept {
    ($($result:ty),+) => {$(
        impl Kept for $result {
            fn labels(&mut self) -> Labels<'_> {
                (&mut self.meta, &mut self.ttl_ms, &mut self.cache_scope)
            }
        }
    )+};
}

kept!(
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult
);
