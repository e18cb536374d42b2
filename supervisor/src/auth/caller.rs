//! A caller whose name is known.

use crate::tenant::Tenant;

/// Who has made a request. A request has one from the layer that lets it in; where there is none, nobody
/// is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    tenant: Tenant,
}

impl Caller {
    /// Whoever reaches a server that does not tell its callers apart.
    pub fn local() -> Self {
        Self::of(Tenant::local())
    }

    /// Somebody of this tenant.
    pub const fn of(tenant: Tenant) -> Self {
        Self { tenant }
    }

    /// Whose the request is.
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }
}
