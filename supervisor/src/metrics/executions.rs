//! What executions count.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::by::{By, label};
use super::histogram::Histogram;
use super::tenants::ByTenant;

label! {
    /// A part of an execution's life.
    pub Phase, "phase":
        /// It waits for a slot.
        Queue = "queue",
        /// Its worker is started, its heap is fetched.
        Worker = "worker",
        /// Its script runs.
        Run = "run",
        /// Its script has ended: its heap is saved, its process reaped.
        Settle = "settle",
        /// Its heap is stored, its end is written.
        Store = "store",
        /// Everybody knows its end, and its killed process is buried.
        Clear = "clear",
}

label! {
    /// How a worker ended that was not ended by the server.
    pub DeathClass, "class":
        /// It exited without a result, as after a good end.
        Clean = "clean",
        /// A limit of memory.
        Memory = "memory",
        /// The kernel's limit of CPU time.
        CpuTime = "cpu_time",
        /// The filter of system calls.
        Sandbox = "sandbox",
        /// It could not set itself up.
        StartFailed = "start_failed",
        /// It did not understand the server.
        Protocol = "protocol",
        /// Somebody else killed it.
        Killed = "killed",
        /// A crash.
        Crashed = "crashed",
        /// An exit code that means nothing.
        Exited = "exited",
        /// It closed its pipe and went on.
        Severed = "severed",
        /// It hangs in the kernel.
        Lingers = "lingers",
        /// It ended with its fork server.
        Orphaned = "orphaned",
}

label! {
    /// A limit that an execution has met.
    pub LimitName, "limit":
        /// Memory: V8's heap, buffers, or what is resident.
        Memory = "memory",
        /// The time of one execution.
        ExecutionTimeout = "execution_timeout",
        /// CPU time.
        CpuTime = "cpu_time",
        /// The time in the queue.
        QueueWait = "queue_wait",
        /// The places in the queue.
        QueueLength = "queue_length",
        /// What one tenant may have of the slots and the queue.
        TenantShare = "tenant_share",
        /// Bytes of console output.
        OutputBytes = "output_bytes",
        /// The length of a result.
        ResultBytes = "result_bytes",
        /// The length of an error's text.
        ErrorBytes = "error_bytes",
        /// Messages of a worker.
        Frames = "frames",
        /// Calls of a worker.
        Calls = "calls",
        /// The time to save a heap.
        SaveWait = "save_wait",
        /// The time for a worker's first word.
        HelloWait = "hello_wait",
}

/// What executions count. Clones share it.
#[derive(Debug, Clone)]
pub struct ExecutionFigures {
    /// Accepted ones.
    pub accepted: Counter,
    /// Time in each phase.
    pub phases: By<Phase, Histogram>,
    /// Time from acceptance until everybody knows the end.
    pub total: Histogram,
    /// Deaths of workers.
    pub deaths: By<DeathClass, Counter>,
    /// Limits that were met.
    pub limits: By<LimitName, Counter>,
    /// Executions that began anew because their worker died before it had read their script.
    pub restarts: Counter,
    /// Console output, in bytes.
    pub output_bytes: Counter,
    /// CPU time of workers, in milliseconds.
    pub cpu_ms: Counter,
    /// Ends, by tenant.
    pub of_tenants: ByTenant,
}

impl Default for ExecutionFigures {
    fn default() -> Self {
        Self {
            accepted: Counter::default(),
            phases: By::of_seconds(),
            total: Histogram::of_seconds(),
            deaths: By::default(),
            limits: By::default(),
            restarts: Counter::default(),
            output_bytes: Counter::default(),
            cpu_ms: Counter::default(),
            of_tenants: ByTenant::default(),
        }
    }
}

impl ExecutionFigures {
    /// One more meets a limit.
    pub fn hit(&self, limit: LimitName) {
        self.limits.of(limit).inc();
    }

    /// A worker was found to have used so much CPU time.
    pub fn used(&self, cpu: Duration) {
        self.cpu_ms
            .inc_by(u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "executions_accepted",
            "Executions that were accepted",
            self.accepted.clone(),
        );
        registry.register(
            "execution_phase_seconds",
            "Seconds that executions spent in each phase: queue, worker, run, settle, store, clear",
            self.phases.clone(),
        );
        registry.register(
            "execution_seconds",
            "Seconds from the acceptance of an execution until its end was known",
            self.total.clone(),
        );
        registry.register(
            "worker_deaths",
            "Workers that ended by themselves before their execution had ended, by class",
            self.deaths.clone(),
        );
        registry.register(
            "limits_hit",
            "Limits that executions met, by name",
            self.limits.clone(),
        );
        registry.register(
            "execution_restarts",
            "Executions whose worker died before it had read their script, and that got another one",
            self.restarts.clone(),
        );
        registry.register(
            "execution_output_bytes",
            "Bytes of console output that were kept",
            self.output_bytes.clone(),
        );
        registry.register(
            "worker_cpu_milliseconds",
            "CPU time of workers whose execution has ended, in milliseconds",
            self.cpu_ms.clone(),
        );
        registry.register(
            "tenant_executions_ended",
            "Executions that ended, by tenant; tenants without a series of their own are 'other'",
            self.of_tenants.clone(),
        );
    }
}
