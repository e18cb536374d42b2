//! The second stage: what it means. All faults are collected; nothing is tried on the machine.

use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Fault, Faults};
use super::raw::{Given, Origin, Raw, Said};
use super::setting::Setting;
use super::{
    BYTES_PER_MB, Config, Machine, Note, QUEUED_EXECUTIONS_MAX, RETENTION_COUNT_MAX,
    RETENTION_HOURS_MAX, RETENTION_MB_MAX, SECS_PER_HOUR, WORKER_NAME,
};
use crate::app::{EngineTier, ExecutionsConfig, Jail, Retention, SandboxMode, WorkerStart};
use crate::limits;
use crate::telemetry::LogOptions;

/// Judges what was said. `faults` are those that were found while reading.
pub(super) fn resolve(
    raw: &Raw,
    machine: &Machine,
    faults: Vec<Fault>,
    mut notes: Vec<Note>,
) -> Result<Config, Faults> {
    let mut resolver = Resolver { raw, faults };
    let state = resolver.state(machine, &mut notes);
    let node = resolver.node(&state, machine, &mut notes);
    let retention = resolver.retention();
    let worker_path = resolver.worker_path(machine);
    let jail = resolver.jail();
    let worker_start = resolver.word(
        Setting::WorkerStart,
        WorkerStart::default(),
        "zygote or exec",
        WorkerStart::from_name,
    );
    let wasm_modules = resolver.wasm_modules(jail.engine_tier);
    let cores = machine.cores.clamp(1, limits::CONCURRENT_EXECUTIONS_MAX);
    let executions = ExecutionsConfig {
        jail,
        worker_start,
        wasm_modules,
        retention,
        max_concurrent: resolver.count(
            Setting::MaxConcurrentExecutions,
            1..=limits::CONCURRENT_EXECUTIONS_MAX,
            cores,
        ),
        queue_length_max: resolver.count(
            Setting::MaxQueuedExecutions,
            0..=QUEUED_EXECUTIONS_MAX,
            limits::QUEUE_LENGTH_DEFAULT,
        ),
        heap_memory_default_mb: resolver.number(
            Setting::HeapMemoryMax,
            limits::HEAP_MEMORY_MB_SERVER_MIN..=limits::HEAP_MEMORY_MB_MAX,
            " MB",
            limits::HEAP_MEMORY_MB_DEFAULT,
        ),
        execution_timeout_default_secs: resolver.number(
            Setting::ExecutionTimeout,
            limits::EXECUTION_TIMEOUT_SECS_MIN..=limits::EXECUTION_TIMEOUT_SECS_MAX,
            " seconds",
            limits::EXECUTION_TIMEOUT_SECS_DEFAULT,
        ),
        tenant_limits: resolver.tenant_limits(),
        node,
        ..ExecutionsConfig::new(worker_path, state)
    };
    let transport = resolver.transport(&mut notes);
    let fetch = resolver.fetch();
    let audit = resolver.audit();
    let log = LogOptions {
        level: resolver.log_level(),
        format: resolver.log_format(),
    };
    let traces = resolver.traces();
    if resolver.faults.is_empty() {
        Ok(Config {
            transport,
            executions,
            fetch,
            audit,
            log,
            traces,
            notes,
            said: raw.clone(),
        })
    } else {
        Err(Faults(resolver.faults))
    }
}

pub(super) struct Resolver<'a> {
    pub(super) raw: &'a Raw,
    pub(super) faults: Vec<Fault>,
}

impl Resolver<'_> {
    /// The value that counts, read by `read`; the default where nothing or nonsense was said.
    pub(super) fn value<T>(
        &mut self,
        setting: Setting,
        default: T,
        read: impl FnOnce(&Said) -> Result<T, Fault>,
    ) -> T {
        match self.raw.get(setting).map(read) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(fault)) => {
                self.faults.push(fault);
                default
            }
        }
    }

    pub(super) fn number(
        &mut self,
        setting: Setting,
        range: RangeInclusive<u64>,
        unit: &'static str,
        default: u64,
    ) -> u64 {
        self.value(setting, default, |said| number(said, range, unit))
    }

    fn count(&mut self, setting: Setting, range: RangeInclusive<usize>, default: usize) -> usize {
        let range = *range.start() as u64..=*range.end() as u64;
        let number = self.number(setting, range, "", default as u64);
        // Within a range of `usize`, so that nothing is lost.
        usize::try_from(number).unwrap_or(default)
    }

    fn retention(&mut self) -> Retention {
        let default = Retention::default();
        let hours = self.number(
            Setting::ExecutionRetentionHours,
            1..=RETENTION_HOURS_MAX,
            " hours",
            default.age_max.as_secs() / SECS_PER_HOUR,
        );
        let count_max = self.number(
            Setting::ExecutionRetentionCount,
            1..=RETENTION_COUNT_MAX,
            "",
            default.count_max,
        );
        let mb = self.number(
            Setting::ExecutionRetentionMb,
            1..=RETENTION_MB_MAX,
            " MB",
            default.bytes_max / BYTES_PER_MB,
        );
        Retention {
            age_max: Duration::from_secs(hours * SECS_PER_HOUR),
            count_max,
            bytes_max: mb * BYTES_PER_MB,
        }
    }

    /// A path that may be left open.
    pub(super) fn path(&mut self, setting: Setting) -> Option<PathBuf> {
        self.value(setting, None, |said| path(said).map(Some))
    }

    fn worker_path(&mut self, machine: &Machine) -> PathBuf {
        if let Some(path) = self.path(Setting::WorkerPath) {
            return path;
        }
        match &machine.program {
            Ok(program) => program.with_file_name(WORKER_NAME),
            Err(problem) => {
                if self.raw.get(Setting::WorkerPath).is_none() {
                    self.faults.push(Fault::NoProgramPath {
                        problem: problem.clone(),
                    });
                }
                PathBuf::from(WORKER_NAME)
            }
        }
    }

    fn jail(&mut self) -> Jail {
        Jail {
            sandbox: self.word(
                Setting::Sandbox,
                SandboxMode::default(),
                "required or best-effort",
                SandboxMode::from_name,
            ),
            engine_tier: self.word(
                Setting::EngineTier,
                EngineTier::default(),
                "one of jit, baseline, jitless",
                EngineTier::from_name,
            ),
        }
    }

    /// One of a few words.
    pub(super) fn word<T>(
        &mut self,
        setting: Setting,
        default: T,
        expected: &str,
        from_name: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.value(setting, default, |said| {
            from_name(text(said, expected)?).ok_or_else(|| malformed(said, expected))
        })
    }

    /// Two settings that exclude each other.
    pub(super) fn conflict(&mut self, first: Setting, second: Setting, reason: &'static str) {
        if let (Some(first), Some(second)) = (self.origin(first), self.origin(second)) {
            self.faults.push(Fault::Conflict {
                first,
                second,
                reason,
            });
        }
    }

    /// A setting that means nothing without another.
    pub(super) fn need(&mut self, setting: Setting, needed: Setting, reason: &'static str) {
        if let (Some(origin), None) = (self.origin(setting), self.origin(needed)) {
            self.faults.push(Fault::Incomplete {
                origin,
                needed,
                reason,
            });
        }
    }

    pub(super) fn origin(&self, setting: Setting) -> Option<Origin> {
        self.raw.get(setting).map(|said| said.origin.clone())
    }
}

pub(super) fn malformed(said: &Said, expected: impl Into<String>) -> Fault {
    Fault::Malformed {
        origin: said.origin.clone(),
        given: said.given.to_string(),
        expected: expected.into(),
    }
}

/// The text that was said: on the command line anything, in the file a string.
pub(super) fn text<'a>(said: &'a Said, expected: &str) -> Result<&'a str, Fault> {
    match &said.given {
        Given::Text(text) => text.to_str(),
        Given::Texts(_) => None,
        Given::Toml(value) => value.as_str(),
    }
    .ok_or_else(|| malformed(said, expected))
}

pub(super) fn number(
    said: &Said,
    range: RangeInclusive<u64>,
    unit: &'static str,
) -> Result<u64, Fault> {
    let (least, most) = range.clone().into_inner();
    let expected = || malformed(said, format!("a whole number from {least} to {most}{unit}"));
    let parsed: i128 = match &said.given {
        Given::Text(text) => match text.to_str().map(|text| text.trim().parse()) {
            Some(Ok(number)) => number,
            _ => return Err(expected()),
        },
        Given::Texts(_) => return Err(expected()),
        Given::Toml(value) => i128::from(value.as_integer().ok_or_else(expected)?),
    };
    u64::try_from(parsed)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| Fault::OutOfRange {
            origin: said.origin.clone(),
            given: parsed.to_string(),
            least,
            most,
            unit,
        })
}

pub(super) fn switch(said: &Said) -> Result<bool, Fault> {
    let answer = match &said.given {
        Given::Text(text) => match text.to_str() {
            Some("true" | "1" | "yes" | "on") => Some(true),
            Some("false" | "0" | "no" | "off") => Some(false),
            _ => None,
        },
        Given::Texts(_) => None,
        Given::Toml(value) => value.as_bool(),
    };
    answer.ok_or_else(|| malformed(said, "true or false"))
}

/// A path. Relative ones are taken from where the server was started, from the file too.
pub(super) fn path(said: &Said) -> Result<PathBuf, Fault> {
    let path = match &said.given {
        Given::Text(text) => PathBuf::from(text),
        Given::Toml(toml::Value::String(text)) => PathBuf::from(text),
        Given::Texts(_) | Given::Toml(_) => return Err(malformed(said, "a path in quotes")),
    };
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(malformed(said, "a path"));
    }
    Ok(path)
}
