//! A caller whose name is known.

use super::validity::Validity;
use crate::tenant::Tenant;

/// Who has made a request. A request has one from the layer that lets it in; where there is none, nobody
/// is served.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: Tenant,
    role: Role,
    validity: Validity,
}

/// What a caller may see beside what its tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    User,
    /// How the server as a whole does.
    Operator,
}

impl Caller {
    /// Whoever reaches a server that does not tell its callers apart.
    pub fn local() -> Self {
        Self::new(Tenant::local(), Role::Operator, Validity::default())
    }

    pub(super) const fn new(tenant: Tenant, role: Role, validity: Validity) -> Self {
        Self {
            tenant,
            role,
            validity,
        }
    }

    /// Whose the request is.
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whether it may see figures of all tenants.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Waits until its token has expired or was taken away; without a token forever.
    pub fn expired(&self) -> impl Future<Output = ()> + Send + use<> {
        self.validity.clone().over()
    }
}
