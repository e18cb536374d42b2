//! What the operator said about the requests of scripts, and what becomes of it at the start.

use super::injection::{Environment, Injection, InjectionError, InjectionOptions};
use crate::policy::{Policy, PolicyError, PolicyOptions};

/// That scripts may make requests, and which.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Who is asked for each.
    pub policy: PolicyOptions,
    /// Which headers they get on their way out.
    pub injection: InjectionOptions,
    /// Whether all of them may go to private and special addresses, whatever the policy says.
    pub allow_private: bool,
}

/// What requests are made with.
#[derive(Debug)]
pub struct FetchParts {
    /// Who is asked for each.
    pub policy: Policy,
    /// Which headers they get on their way out.
    pub injection: Injection,
    /// Whether all of them may go to private and special addresses, whatever the policy says.
    pub allow_private: bool,
}

/// Why no request could be made as the operator wants it. All that is wrong is in it, and no secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchOptionsError {
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The rules for headers cannot be used.
    #[error(transparent)]
    Injection(#[from] InjectionError),
    /// Neither can.
    #[error("{0}; {1}")]
    Both(PolicyError, InjectionError),
}

impl FetchOptions {
    /// Reads policies and rules, and takes secrets from this process's environment.
    ///
    /// # Errors
    /// [`FetchOptionsError`] when something does not load; the server must not start then.
    pub async fn open(self) -> Result<FetchParts, FetchOptionsError> {
        self.open_with(&|name| std::env::var_os(name)).await
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// As [`FetchOptions::open`].
    pub async fn open_with(
        self,
        environment: Environment<'_>,
    ) -> Result<FetchParts, FetchOptionsError> {
        let policy = Policy::open(self.policy).await;
        let injection = Injection::open(self.injection, environment).await;
        match (policy, injection) {
            (Ok(policy), Ok(injection)) => Ok(FetchParts {
                policy,
                injection,
                allow_private: self.allow_private,
            }),
            (Err(policy), Err(injection)) => Err(FetchOptionsError::Both(policy, injection)),
            (Err(policy), Ok(_)) => Err(policy.into()),
            (Ok(_), Err(injection)) => Err(injection.into()),
        }
    }
}
