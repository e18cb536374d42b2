//! What every hop of a request passes: policy, then injected headers.

use std::fmt;

use async_trait::async_trait;
use http::HeaderMap;

use super::injection::{Injection, NoValue};
use crate::policy::{Asked, Denied, Permit, Policy};

/// Who decides on a request. A server has [`Policy`] and [`Injection`]; tests have others.
#[async_trait]
pub trait Rules: fmt::Debug + Send + Sync {
    /// As [`Policy::decide`].
    ///
    /// # Errors
    /// [`Denied`] unless it may be made.
    async fn decide(&self, asked: &Asked) -> Result<Permit, Denied>;

    /// As [`Injection::headers_for`].
    ///
    /// # Errors
    /// [`NoValue`] when a rule applies and its value cannot be had.
    async fn headers_for(&self, asked: &Asked) -> Result<HeaderMap, NoValue>;

    /// As [`Injection::refused`].
    fn refused(&self, asked: &Asked, given: &HeaderMap);
}

/// What the operator configured.
#[derive(Debug)]
pub(super) struct Configured {
    pub(super) policy: Policy,
    pub(super) injection: Injection,
}

#[async_trait]
impl Rules for Configured {
    async fn decide(&self, asked: &Asked) -> Result<Permit, Denied> {
        self.policy.decide(asked).await
    }

    async fn headers_for(&self, asked: &Asked) -> Result<HeaderMap, NoValue> {
        let Asked { tenant, method, .. } = asked;
        self.injection.headers_for(tenant, method, &asked.url).await
    }

    fn refused(&self, asked: &Asked, given: &HeaderMap) {
        let request = (&asked.method, &asked.url);
        self.injection.refused(&asked.tenant, request, given);
    }
}
