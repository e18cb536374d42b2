//! A new configuration for a server that runs.
//!
//! The configuration is read again as it was at the start. Each part that can take something new has a
//! [`Reload`] in the list; first all of them make ready, and only when none has an objection all of them
//! change. So a configuration that is wrong anywhere changes nothing.
//!
//! To make one more setting reloadable: implement [`Reload`] for what holds it, and add that to the
//! server's [`Reloader`] in `main`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::app::Executions;
use crate::auth::Authenticator;
use crate::config::raw::Raw;
use crate::config::{Config, Setting, changed};
use crate::fetch::Broker;
use crate::mcp::{Defaults, Server};
use crate::telemetry::{Log, NoLog};

/// What a part does when all parts are ready.
pub type Change = Box<dyn FnOnce() + Send>;

/// Why a part does not take a configuration; its text is for the operator, and holds no secret.
pub type Objection = Box<dyn std::error::Error + Send + Sync>;

/// A part that can take a new configuration.
#[async_trait]
pub trait Reload: Send + Sync {
    /// What it takes, in words.
    fn name(&self) -> &'static str;

    /// The settings that it takes.
    fn settings(&self) -> &'static [Setting];

    /// Reads and checks what it needs, and changes nothing yet.
    ///
    /// # Errors
    /// [`Objection`]: nothing is changed anywhere.
    async fn prepare(&self, config: &Config) -> Result<Change, Objection>;
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("{part}: {objection}")]
pub struct Refused {
    /// The part that objects.
    pub part: &'static str,
    /// Why.
    pub objection: Objection,
}

/// What has become of a new configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Settings that have other values now.
    pub changed: Vec<Setting>,
    /// Settings that were said to have other values, which takes a restart.
    pub need_restart: Vec<Setting>,
}

impl std::fmt::Display for Reloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |settings: &[Setting]| {
            let names: Vec<&str> = settings.iter().map(|setting| setting.name()).collect();
            names.join(", ")
        };
        match self.changed.as_slice() {
            [] => f.write_str("no setting has changed")?,
            changed => write!(f, "changed: {}", names(changed))?,
        }
        match self.need_restart.as_slice() {
            [] => Ok(()),
            settings => write!(f, "; these need a restart: {}", names(settings)),
        }
    }
}

/// All parts that can take a new configuration.
pub struct Reloader {
    parts: Vec<Box<dyn Reload>>,
    /// What was said of the settings as they are now.
    current: Raw,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.parts.iter().map(|part| part.name()).collect();
        f.debug_struct("Reloader").field("parts", &names).finish()
    }
}

impl Reloader {
    /// Nothing can be reloaded yet. The server was started with this.
    pub fn new(current: Raw) -> Self {
        Self {
            parts: Vec::new(),
            current,
        }
    }

    /// One more part.
    #[must_use]
    pub fn with(mut self, part: impl Reload + 'static) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// One more part, where there is one.
    #[must_use]
    pub fn with_each(mut self, parts: impl IntoIterator<Item: Reload + 'static>) -> Self {
        for part in parts {
            self = self.with(part);
        }
        self
    }

    /// Has all parts take this configuration, or none.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub async fn reload(&mut self, config: &Config) -> Result<Reloaded, Refused> {
        let mut changes = Vec::new();
        for part in &self.parts {
            let prepared = part.prepare(config).await;
            changes.push(prepared.map_err(|objection| Refused {
                part: part.name(),
                objection,
            })?);
        }
        for change in changes {
            change();
        }
        let (changed, need_restart): (Vec<_>, Vec<_>) = changed(&self.current, &config.said)
            .into_iter()
            .partition(|setting| self.takes(*setting));
        for setting in &changed {
            self.current.take_from(&config.said, *setting);
        }
        Ok(Reloaded {
            changed,
            need_restart,
        })
    }

    fn takes(&self, setting: Setting) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| part.settings().contains(&setting))
    }
}

#[async_trait]
impl Reload for Log {
    fn name(&self) -> &'static str {
        "the log"
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::LogLevel]
    }

    async fn prepare(&self, config: &Config) -> Result<Change, Objection> {
        let (log, level) = (self.clone(), config.log.level);
        Ok(Box::new(move || {
            if let Err(error) = log.set_level(level) {
                let error: NoLog = error;
                tracing::warn!(%error, "the log says as much as before");
            }
        }))
    }
}

/// The limits of executions whose callers do not ask for their own.
#[derive(Debug)]
pub struct DefaultLimits {
    /// What gives them.
    pub executions: Executions,
    /// What tells clients of them.
    pub server: Server,
}

#[async_trait]
impl Reload for DefaultLimits {
    fn name(&self) -> &'static str {
        "the default limits"
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::HeapMemoryMax, Setting::ExecutionTimeout]
    }

    async fn prepare(&self, config: &Config) -> Result<Change, Objection> {
        let (executions, server) = (self.executions.clone(), self.server.clone());
        let defaults = Defaults {
            heap_memory_max_mb: config.executions.heap_memory_default_mb,
            execution_timeout_secs: config.executions.execution_timeout_default_secs,
        };
        Ok(Box::new(move || {
            executions.set_defaults(crate::app::Limits {
                heap_memory_max_mb: defaults.heap_memory_max_mb,
                execution_timeout_secs: defaults.execution_timeout_secs,
            });
            server.set_defaults(defaults);
        }))
    }
}

/// What tenants may use that have no limits of their own.
#[derive(Debug)]
pub struct TenantDefaults(pub Executions);

#[async_trait]
impl Reload for TenantDefaults {
    fn name(&self) -> &'static str {
        "the limits of tenants"
    }

    fn settings(&self) -> &'static [Setting] {
        &[
            Setting::TenantConcurrent,
            Setting::TenantQueued,
            Setting::TenantExecutionsPerMinute,
            Setting::TenantCpuSecondsPerHour,
            Setting::TenantFetchesPerMinute,
            Setting::TenantOutputMbPerHour,
            Setting::TenantStoredHeapMb,
        ]
    }

    async fn prepare(&self, config: &Config) -> Result<Change, Objection> {
        let (executions, limits) = (self.0.clone(), config.executions.tenant_limits);
        Ok(Box::new(move || executions.allow_by_default(limits)))
    }
}

/// Who may call, and how much. The files and addresses are those of the start; what they hold is read again.
#[derive(Debug)]
pub struct Callers {
    /// Who tells them apart.
    pub authenticator: Arc<Authenticator>,
    /// What limits what they use.
    pub executions: Executions,
}

#[async_trait]
impl Reload for Callers {
    fn name(&self) -> &'static str {
        "callers"
    }

    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    async fn prepare(&self, _: &Config) -> Result<Change, Objection> {
        let prepared = self.authenticator.prepare().await?;
        let (authenticator, executions) =
            (Arc::clone(&self.authenticator), self.executions.clone());
        Ok(Box::new(move || {
            authenticator.change(prepared);
            executions.allow(authenticator.limits());
            executions.name_in_figures(&authenticator.tenants());
        }))
    }
}

/// Whether scripts make requests was decided at the start.
#[derive(Debug, thiserror::Error)]
#[error(
    "scripts make requests, or make none, for as long as the server runs: restart it to change that"
)]
pub struct FetchIsFixed;

/// The policies for requests of scripts, and the headers that these get.
#[derive(Debug)]
pub struct FetchRules(pub Option<Broker>);

#[async_trait]
impl Reload for FetchRules {
    fn name(&self) -> &'static str {
        "requests of scripts"
    }

    fn settings(&self) -> &'static [Setting] {
        &[
            Setting::PolicyDir,
            Setting::OpaUrl,
            Setting::OpaFetchPolicy,
            Setting::OpaCacheMs,
            Setting::FetchAllowPrivate,
            Setting::FetchHeader,
            Setting::FetchHeaderConfig,
        ]
    }

    async fn prepare(&self, config: &Config) -> Result<Change, Objection> {
        match (&self.0, &config.fetch) {
            (None, None) => Ok(Box::new(|| ())),
            (Some(broker), Some(options)) => {
                let parts = options.clone().open().await?;
                let broker = broker.clone();
                Ok(Box::new(move || {
                    broker.replace(parts.policy, parts.injection, parts.allow_private);
                }))
            }
            (None, Some(_)) | (Some(_), None) => Err(FetchIsFixed.into()),
        }
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
