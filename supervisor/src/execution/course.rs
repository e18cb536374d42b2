//! What is counted of one execution as it takes its course, and the spans that a trace shows of it. It
//! looks on: nothing here decides anything.

use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::event::{Event, NotReady};
use super::outcome::Given;
use super::state::{Riddle, Settling, State};
use crate::metrics::{DeathClass, ExecutionFigures, LimitName, Phase};
use crate::store::{End, FailureKind, View};
use crate::telemetry::{self, LOGGED, TRACED, TraceParent};
use crate::workers::{Death, Exit, LinkError, Vitals};

/// The span of an execution: a part of what was asked by whoever submits it, and named in all that the
/// log says of it.
pub(crate) fn span_of(view: &View) -> Span {
    let asked = TraceParent::of(&Span::current());
    // Not a child of the span of what was asked, which would then last as long as this one does.
    let span = tracing::error_span!(
        target: LOGGED, parent: None, "execution", id = %view.id, tenant = %view.tenant,
        trace_id = Empty, status = Empty
    );
    if let Some(asked) = asked {
        asked.adopt(&span);
    }
    if let Some(trace_id) = telemetry::trace_id(&span) {
        span.record("trace_id", trace_id);
    }
    span
}

/// The course of one execution.
#[derive(Debug)]
pub(super) struct Course {
    figures: ExecutionFigures,
    vitals: Vitals,
    accepted_at: Instant,
    phase: Option<Phase>,
    since: Instant,
    span: Span,
    is_known: bool,
}

impl Course {
    /// Of an execution that was accepted just now.
    pub(super) fn begin(figures: ExecutionFigures, vitals: Vitals) -> Self {
        let now = Instant::now();
        figures.accepted.inc();
        Self {
            figures,
            vitals,
            accepted_at: now,
            phase: Some(Phase::Queue),
            since: now,
            span: span_of_phase(Phase::Queue),
            is_known: false,
        }
    }

    /// Counts what has happened in this state.
    pub(super) fn hear(&self, event: &Event, state: &State, given: Given) {
        match event {
            Event::WorkerReady => self.vitals.well(),
            Event::SpawnFailed(_) => self.vitals.ill(),
            Event::WorkerBroke(LinkError::TooManyFrames) => self.figures.hit(LimitName::Frames),
            Event::WorkerBroke(LinkError::TooManyCalls) => self.figures.hit(LimitName::Calls),
            Event::WorkerNotReady(why) => {
                self.vitals.ill();
                if let NotReady::Silent { .. } = why {
                    self.figures.hit(LimitName::HelloWait);
                }
            }
            Event::Deadline if matches!(state, State::Saving(_)) => {
                self.figures.hit(LimitName::SaveWait);
            }
            Event::Reaped(exit, _) => self.bury(exit, state, given),
            _ => {}
        }
    }

    /// Takes note of the state that it is in now.
    pub(super) fn reach(&mut self, state: &State) {
        let phase = phase_of(state);
        if phase == self.phase {
            return;
        }
        let now = Instant::now();
        if let Some(over) = self.phase {
            self.figures.phases.of(over).time(now - self.since);
        }
        if self.phase == Some(Phase::Settle) && phase == Some(Phase::Worker) {
            self.figures.restarts.inc();
        }
        self.phase = phase;
        self.since = now;
        self.span = phase.map_or_else(Span::none, span_of_phase);
    }

    /// Everybody has been told this end.
    pub(super) fn known(&mut self, view: &View) {
        if std::mem::replace(&mut self.is_known, true) {
            return;
        }
        let figures = &self.figures;
        figures.total.time(self.accepted_at.elapsed());
        figures.of_tenants.of(view.tenant.name()).inc();
        figures.output_bytes.inc_by(view.output_bytes);
        if view.output_truncated {
            figures.hit(LimitName::OutputBytes);
        }
        for limit in view.end.iter().flat_map(limits_of) {
            figures.hit(limit);
        }
        let span = Span::current();
        span.record("status", view.status.name());
    }

    fn bury(&self, exit: &Exit, state: &State, given: Given) {
        self.figures.used(exit.cpu());
        if let State::Settling(Settling::Reaping(riddle, _)) = state
            && is_own_death(riddle)
        {
            let death = exit.death(u64::from(given.cpu_seconds()));
            self.figures.deaths.of(class(&death)).inc();
        }
    }
}

/// Whether the worker ended before the server had a reason to end it.
fn is_own_death(riddle: &Riddle) -> bool {
    match riddle {
        Riddle::Gone | Riddle::Torn | Riddle::LostHeap(_) => true,
        Riddle::NotReady(why) => why.is_death(),
    }
}

fn span_of_phase(phase: Phase) -> Span {
    match phase {
        Phase::Queue => tracing::info_span!(target: TRACED, "queue"),
        Phase::Worker => tracing::info_span!(target: TRACED, "worker"),
        Phase::Run => tracing::info_span!(target: TRACED, "run"),
        Phase::Settle => tracing::info_span!(target: TRACED, "settle"),
        Phase::Store => tracing::info_span!(target: TRACED, "store"),
        Phase::Clear => tracing::info_span!(target: TRACED, "clear"),
    }
}

fn phase_of(state: &State) -> Option<Phase> {
    match state {
        State::Queued => Some(Phase::Queue),
        State::Starting(_) => Some(Phase::Worker),
        State::Running(_) => Some(Phase::Run),
        State::Saving(_) | State::Settling(Settling::Reaping(..)) => Some(Phase::Settle),
        State::Settling(Settling::Storing(_) | Settling::Committing(..)) => Some(Phase::Store),
        State::Clearing(_) => Some(Phase::Clear),
        State::Ended(_) => None,
    }
}

/// The limits that an end tells of.
fn limits_of(end: &End) -> Vec<LimitName> {
    match end {
        End::TimedOut { .. } => vec![LimitName::ExecutionTimeout],
        End::Completed {
            result_truncated: true,
            ..
        } => vec![LimitName::ResultBytes],
        End::Failed {
            kind,
            error_truncated,
            ..
        } => {
            let limit = match kind {
                FailureKind::Memory => Some(LimitName::Memory),
                FailureKind::CpuTime => Some(LimitName::CpuTime),
                FailureKind::QueueWait => Some(LimitName::QueueWait),
                _ => None,
            };
            let cut = error_truncated.then_some(LimitName::ErrorBytes);
            limit.into_iter().chain(cut).collect()
        }
        End::Completed { .. } | End::Cancelled { .. } => Vec::new(),
    }
}

fn class(death: &Death) -> DeathClass {
    match death {
        Death::Clean => DeathClass::Clean,
        Death::Memory => DeathClass::Memory,
        Death::CpuTime => DeathClass::CpuTime,
        Death::Sandbox => DeathClass::Sandbox,
        Death::StartFailed => DeathClass::StartFailed,
        Death::Protocol => DeathClass::Protocol,
        Death::Killed => DeathClass::Killed,
        Death::Crashed { .. } => DeathClass::Crashed,
        Death::Exited { .. } => DeathClass::Exited,
        Death::Severed => DeathClass::Severed,
        Death::Lingers => DeathClass::Lingers,
        Death::Orphaned => DeathClass::Orphaned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Build, Exposition, Figures};

    #[test]
    fn an_end_tells_of_its_limits() {
        let failed = |kind, error_truncated| End::Failed {
            kind,
            error: String::new(),
            error_truncated,
        };
        assert_eq!(
            limits_of(&failed(FailureKind::Memory, false)),
            [LimitName::Memory]
        );
        assert_eq!(
            limits_of(&failed(FailureKind::Exception, true)),
            [LimitName::ErrorBytes]
        );
        assert_eq!(
            limits_of(&End::TimedOut { after_secs: 1 }),
            [LimitName::ExecutionTimeout]
        );
        assert!(limits_of(&failed(FailureKind::Exception, false)).is_empty());
    }

    #[test]
    fn each_phase_is_counted_once_it_is_over() {
        let figures = ExecutionFigures::default();
        let mut course = Course::begin(figures.clone(), Vitals::default());
        course.reach(&State::Queued);
        course.reach(&State::Ended(End::TimedOut { after_secs: 1 }));
        course.reach(&State::Ended(End::TimedOut { after_secs: 1 }));
        let all = Figures {
            executions: figures,
            ..Figures::default()
        };
        let build = Build {
            v8: String::new(),
            protocol: String::new(),
            sqlite: String::new(),
        };
        let shown = Exposition::new(&all, &build).text().unwrap();
        for line in [
            "mcp_v8_executions_accepted_total 1",
            "mcp_v8_execution_phase_seconds_count{phase=\"queue\"} 1",
            "mcp_v8_execution_phase_seconds_count{phase=\"run\"} 0",
        ] {
            assert!(shown.lines().any(|is| is == line), "{line}: {shown}");
        }
    }
}
