//! The task that owns one execution: it waits for what can happen, asks the machine, and does what
//! the machine says. Nobody else writes to an execution.

mod reaping;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mcp_v8_protocol::message::{ExecutionLimits, Start};
use mcp_v8_protocol::mode::Mode;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::admission::{Slot, Ticket};
use super::alarm::CodeHash;
use super::event::{Effect, Event, NotReady, Script};
use super::exchanges::Requests;
use super::heap::Heap;
use super::held::{Held, become_ready};
use super::outcome::Given;
use super::output::Output;
pub use super::services::Services;
use super::spent::Spent;
use super::state::{Settling, State};
use crate::audit::Place;
use crate::limits;
use crate::store::{CancelledBy, End, ExecutionId, Limits, Status, Tags, View};
use crate::tenant::Tenant;
use crate::workers::{Exit, Word};

/// Everybody else's ends of an execution.
#[derive(Debug)]
pub struct Handles {
    /// The execution as it stands; its last value is the end.
    pub view: watch::Receiver<View>,
    /// Asks for its end. One request is enough.
    pub cancel: oneshot::Sender<CancelledBy>,
}

/// The owner of one execution.
#[derive(Debug)]
pub struct Driver {
    services: Services,
    tenant: Tenant,
    given: Given,
    source: Arc<String>,
    code: CodeHash,
    heap: Heap,
    ticket: Option<Ticket>,
    slot: Option<Slot>,
    cancel: oneshot::Receiver<CancelledBy>,
    is_cancel_heard: bool,
    view: watch::Sender<View>,
    held: Held,
    output: Output,
    spent: Spent,
    /// What became of a process that was reaped before its turn.
    reaped: Option<Event>,
    requests: Requests,
    is_start_unwritten: bool,
    completed_at: Option<Timestamp>,
    /// When the current state has lasted too long.
    deadline: Instant,
}

/// What is run.
#[derive(Debug)]
pub struct Task {
    /// JavaScript or TypeScript.
    pub source: Arc<String>,
    /// What the heap that it leaves is tagged with.
    pub tags: Tags,
    /// Where its end is noted.
    pub end_place: Place,
}

/// A new execution as everybody sees it first.
pub fn accepted(id: ExecutionId, tenant: Tenant, limits: Limits) -> View {
    View {
        id,
        tenant,
        input_heap: None,
        session: None,
        status: Status::Queued,
        submitted_at: now(),
        started_at: None,
        completed_at: None,
        end: None,
        limits,
        source_bytes: 0,
        output_bytes: 0,
        output_truncated: false,
        usage: None,
    }
}

/// The time, as exactly as it is stored.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

impl Driver {
    /// The driver of an accepted execution. Nothing happens until [`Driver::run`] is awaited.
    pub fn new(services: Services, view: View, task: Task, ticket: Ticket) -> (Self, Handles) {
        let (cancel, cancel_asked) = oneshot::channel();
        let given = Given {
            limits: view.limits,
            mode: match services.heaps {
                None => Mode::Stateless,
                Some(_) => Mode::Stateful,
            },
        };
        let Task {
            source,
            tags,
            end_place,
        } = task;
        let tenant = view.tenant.clone();
        let meter = services.quotas.meter(&tenant);
        let output = Output::new(view.id, meter.clone());
        let spent = Spent::new(meter, end_place);
        let (view, seen) = watch::channel(view);
        let driver = Self {
            deadline: Instant::now() + services.queue_wait_max,
            services,
            tenant,
            given,
            code: CodeHash::of(&source),
            source,
            heap: Heap::new(tags),
            ticket: Some(ticket),
            slot: None,
            cancel: cancel_asked,
            is_cancel_heard: false,
            view,
            held: Held::Nothing,
            output,
            spent,
            reaped: None,
            requests: Requests::Forbidden,
            is_start_unwritten: false,
            completed_at: None,
        };
        (driver, Handles { view: seen, cancel })
    }

    /// Leads the execution to its end, and waits until nothing is left of it. When the future is
    /// dropped, the worker is killed and reaped.
    pub async fn run(mut self) {
        let mut state = State::Queued;
        let mut course = self.services.course();
        let mut answers = VecDeque::new();
        loop {
            let event = match answers.pop_front() {
                Some(event) => event,
                None => self.next_event(&state).await,
            };
            course.hear(&event, &state, self.given);
            let (next, effects) = state.on(event, self.given);
            state = next;
            course.reach(&state);
            for effect in effects {
                answers.extend(self.perform(*effect, &state).await);
                if *effect == Effect::Publish {
                    course.known(&self.view.borrow());
                }
            }
            if let State::Ended(_) = state {
                break;
            }
        }
    }

    async fn next_event(&mut self, state: &State) -> Event {
        match state {
            State::Queued => self.wait_for_slot().await,
            State::Starting(_) => self.wait_for_hello().await,
            State::Running(_) => {
                let resident_bytes_max = self.given.resident_bytes_max();
                let event = self.wait_for_word(resident_bytes_max).await;
                // Whatever it was, the script runs no more: nobody waits for what it has asked.
                self.requests = Requests::Forbidden;
                event
            }
            State::Saving(_) => {
                let resident_bytes_max = self.given.resident_bytes_to_save_max();
                self.wait_for_word(resident_bytes_max).await
            }
            // Each effect of these states is answered, so nobody comes here. If one did, the
            // execution would end rather than hang.
            State::Settling(Settling::Reaping(..)) | State::Clearing(_) => {
                Event::Reaped(Exit::unseen(), Script::MayHaveRun)
            }
            State::Settling(Settling::Storing(_)) => Event::HeapNotStored {
                why: "nobody has stored it".to_owned(),
            },
            State::Settling(Settling::Committing(..)) | State::Ended(_) => Event::Committed,
        }
    }

    async fn wait_for_slot(&mut self) -> Event {
        let Some(ticket) = &mut self.ticket else {
            return Event::SlotGranted;
        };
        tokio::select! {
            biased;
            by = asked(&mut self.cancel, &mut self.is_cancel_heard) => Event::CancelAsked(by),
            slot = ticket.slot() => {
                self.slot = Some(slot);
                self.ticket = None;
                Event::SlotGranted
            }
            () = sleep_until(self.deadline) => Event::QueueWaitOver {
                after_secs: self.services.queue_wait_max.as_secs(),
            },
        }
    }

    async fn wait_for_hello(&mut self) -> Event {
        if let Some(event) = self.fetch_input().await {
            return event;
        }
        tokio::select! {
            biased;
            by = asked(&mut self.cancel, &mut self.is_cancel_heard) => Event::CancelAsked(by),
            event = become_ready(&self.services.spawner, &mut self.held) => event,
            () = sleep_until(self.deadline) => Event::WorkerNotReady(NotReady::Silent {
                after_ms: u64::try_from(self.services.hello_timeout.as_millis())
                    .unwrap_or(u64::MAX),
            }),
        }
    }

    /// Has the heap that the script continues, before a worker waits for it; an event when there is
    /// something to tell of that.
    async fn fetch_input(&mut self) -> Option<Event> {
        let (tenant, id) = {
            let view = self.view.borrow();
            (view.tenant.clone(), view.input_heap?)
        };
        let heaps = self.services.heaps.as_ref()?;
        if self.heap.has_input() {
            return None;
        }
        let event = tokio::select! {
            biased;
            by = asked(&mut self.cancel, &mut self.is_cancel_heard) => Event::CancelAsked(by),
            fetched = self.heap.fetch(heaps, &tenant, id) => match fetched {
                Ok(()) => {
                    self.deadline = Instant::now() + self.services.hello_timeout;
                    return None;
                }
                Err(why) => Event::InputHeapFailed { why },
            },
        };
        Some(event)
    }

    async fn wait_for_word(&mut self, resident_bytes_max: u64) -> Event {
        let resident_bytes_max = resident_bytes_max + self.services.spawner.module_bytes();
        let Held::Running(worker) = &mut self.held else {
            return Event::WorkerGone;
        };
        let mut next_look = Instant::now() + limits::MEMORY_LOOK_INTERVAL;
        loop {
            let has_writes = self.is_start_unwritten || self.output.has_pending();
            let has_room = worker.has_room();
            // What a worker says is taken before it is passed on, as long as there is room: small
            // pieces travel together, and a slow disk slows the worker, nobody else. Replies come
            // before that: there are no more than it has asked for. A word that waits for room holds
            // up no reply, and a reply that waits for the worker to read holds up no word.
            tokio::select! {
                biased;
                by = asked(&mut self.cancel, &mut self.is_cancel_heard) => {
                    return Event::CancelAsked(by);
                }
                () = sleep_until(self.deadline) => return Event::Deadline,
                () = sleep_until(next_look) => {
                    if worker.resident_bytes() > Some(resident_bytes_max) {
                        return Event::WorkerTooLarge;
                    }
                    next_look = Instant::now() + limits::MEMORY_LOOK_INTERVAL;
                }
                reply = self.requests.next_if(has_room) => {
                    if let Err(error) = worker.reply(reply) {
                        return Event::WorkerBroke(error);
                    }
                }
                word = worker.next(self.output.ear()) => match word {
                    Ok(Word::Room) => {}
                    Ok(Word::Console(text)) => self.output.add(&text),
                    Ok(Word::Fetch(call)) => if let Err(breach) = self.requests.call(call) {
                        return Event::WorkerBroke(breach.into());
                    },
                    Ok(Word::Finished(finished)) => return Event::Reported(finished),
                    Ok(Word::Saved { bytes }) => return match worker.snapshot(bytes).await {
                        Ok(snapshot) => {
                            self.heap.take(snapshot);
                            Event::HeapSaved
                        }
                        Err(error) => Event::HeapNotSaved {
                            why: format!("its snapshot cannot be copied ({error})"),
                        },
                    },
                    Ok(Word::Unsaved { why }) => return Event::HeapNotSaved { why },
                    Ok(Word::Gone) => return Event::WorkerGone,
                    Err(error) => return Event::WorkerBroke(error),
                },
                room = self.services.store.reserve(&self.tenant), if has_writes => {
                    let Ok(room) = room else {
                        self.is_start_unwritten = false;
                        self.output.take();
                        continue;
                    };
                    if self.is_start_unwritten {
                        self.is_start_unwritten = false;
                        room.start(self.view.borrow().clone());
                    } else if let Some(chunk) = self.output.take() {
                        room.append(chunk);
                        show_output(&self.view, &self.output);
                    }
                }
            }
        }
    }

    async fn perform(&mut self, effect: Effect, state: &State) -> Option<Event> {
        match effect {
            Effect::Launch => {
                self.deadline = Instant::now() + self.services.hello_timeout;
                None
            }
            Effect::Run => self.start_script().await,
            Effect::AwaitHeap => {
                self.deadline = Instant::now() + limits::SAVE_WAIT_MAX;
                None
            }
            Effect::StoreHeap => {
                let view = self.view.borrow().clone();
                Some(self.heap.store(&self.services, &view).await)
            }
            Effect::Kill => {
                self.kill().await;
                None
            }
            Effect::Reap => Some(match self.reaped.take() {
                Some(event) => event,
                None => self.reap().await,
            }),
            Effect::Commit => Some(self.commit(state).await),
            Effect::Publish => {
                self.publish(state);
                None
            }
            Effect::Release => {
                self.slot = None;
                self.ticket = None;
                None
            }
        }
    }

    fn publish(&mut self, state: &State) {
        let (State::Clearing(end) | State::Ended(end)) = state else {
            return;
        };
        // Whoever sees the end may count on a place.
        if let Some(slot) = &mut self.slot {
            slot.promise();
        }
        let view = self.ended(end.clone());
        self.spent.tell(&view);
        self.view.send_replace(view);
    }

    async fn start_script(&mut self) -> Option<Event> {
        let Held::Ready(ready) = std::mem::replace(&mut self.held, Held::Nothing) else {
            return Some(Event::WorkerGone);
        };
        self.requests = Requests::new(&self.services, &self.view.borrow());
        let start = Start {
            source: Arc::unwrap_or_clone(std::mem::take(&mut self.source)),
            limits: ExecutionLimits {
                heap_bytes: self.given.heap_bytes(),
                buffer_bytes: self.given.heap_bytes(),
                cpu_seconds: self.given.cpu_seconds(),
                snapshot_bytes: self.given.snapshot_bytes(),
            },
            heap: self.heap.wanted(self.given.mode),
            grants: self.requests.grants(),
        };
        if self.view.borrow().session.is_some() {
            self.heap.note_code(&start.source);
        }
        match ready.start(start, self.heap.input()).await {
            Ok(running) => self.held = Held::Running(running),
            Err((process, error)) => {
                self.held = Held::Ending(process, None);
                return Some(Event::WorkerBroke(error));
            }
        }
        let timeout = Duration::from_secs(self.given.limits.execution_timeout_secs);
        self.deadline = Instant::now() + timeout;
        self.view.send_modify(|view| {
            view.status = Status::Running;
            view.started_at = Some(now());
        });
        self.is_start_unwritten = true;
        None
    }

    async fn commit(&mut self, state: &State) -> Event {
        let State::Settling(Settling::Committing(end, _)) = state else {
            return Event::Committed;
        };
        if let Some(chunk) = self.output.take()
            && let Ok(room) = self.services.store.reserve(&self.tenant).await
        {
            room.append(chunk);
        }
        show_output(&self.view, &self.output);
        let keep = self.heap.keep(&self.view.borrow(), end);
        let view = self.ended(end.clone());
        match self.services.store.end(view, keep).await {
            Ok(()) => Event::Committed,
            Err(error) => {
                let id = self.view.borrow().id;
                tracing::error!(%id, %error, "the end of an execution could not be recorded");
                Event::CommitFailed(error)
            }
        }
    }

    fn ended(&mut self, end: End) -> View {
        // The committed and the published view are the same.
        let completed_at = *self.completed_at.get_or_insert_with(now);
        View {
            status: end.status(),
            completed_at: Some(completed_at),
            end: Some(end),
            usage: self.spent.usage(),
            ..self.view.borrow().clone()
        }
    }
}

/// Waits until somebody asks for the end; for ever when nobody can any more.
async fn asked(cancel: &mut oneshot::Receiver<CancelledBy>, is_heard: &mut bool) -> CancelledBy {
    if !*is_heard {
        let asked = cancel.await;
        *is_heard = true;
        if let Ok(by) = asked {
            return by;
        }
    }
    std::future::pending().await
}

fn show_output(view: &watch::Sender<View>, output: &Output) {
    view.send_modify(|view| {
        view.output_bytes = output.bytes();
        view.output_truncated = output.is_truncated();
    });
}
