//! A caller whose name is known.

use std::sync::Arc;

use super::scopes::{Scope, Scopes};
use super::tokens::TokenHash;
use super::validity::Validity;
use crate::tenant::Tenant;

/// Who has made a request. A request has one from the layer that lets it in; where there is none, nobody
/// is served.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: Tenant,
    role: Role,
    scopes: Scopes,
    validity: Validity,
    token: Option<Arc<str>>,
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

    pub(super) fn new(tenant: Tenant, role: Role, validity: Validity) -> Self {
        Self {
            tenant,
            role,
            scopes: Scopes::default(),
            validity,
            token: None,
        }
    }

    /// The same, who may do no more than this.
    pub(super) fn with_scopes(self, scopes: Scopes) -> Self {
        Self { scopes, ..self }
    }

    /// The same, who has brought this token.
    pub(super) fn with_token(mut self, token: &[u8]) -> Self {
        self.token = Some(TokenHash::of(token).beginning().into());
        self
    }

    /// What tells its token from others, and says nothing about it; nothing where it needs none.
    pub fn token_id(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whose the request is.
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Whether it may see figures of all tenants.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Whether its token lets it do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// Waits until its token has expired or was taken away; without a token forever.
    pub fn expired(&self) -> impl Future<Output = ()> + Send + use<> {
        self.validity.clone().over()
    }
}
