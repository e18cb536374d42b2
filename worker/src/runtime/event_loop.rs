//! Runs a script until nothing is left to do.
//!
//! One turn: microtasks, V8's own tasks, then one reply of the supervisor that has come and one timer
//! that is due. Between turns nothing runs, so rejections that nobody handled by then are failures.

use std::rc::Rc;
use std::time::Instant;

use deno_core::v8;
use mcp_v8_protocol::exit::ExitCode;
use mcp_v8_protocol::fetch::FetchReply;
use mcp_v8_protocol::message::FailureKind;

use crate::conversation::end_process;
use crate::runtime::hooks::Hooks;
use crate::runtime::outcome::Outcome;
use crate::runtime::repl::{Evaluation, Repl};
use crate::runtime::state::State;
use crate::runtime::{engine, errors};
use crate::web::fetch;

const NOTHING_LEFT: &str = "The script waits for a promise that can no longer be settled: no timer \
and no other work is left that could settle it. Resolve or reject it, or do not await it.";

/// The value of a script, on its way to its text.
enum Value {
    /// The evaluation has not answered.
    Awaited,
    /// It answered with a promise, which is awaited in turn.
    Promised(v8::Global<v8::Promise>),
    /// The text is known; what is left of the script still runs.
    Known(Outcome),
}

/// Runs `source` (JavaScript) and everything that it starts.
pub(crate) fn run(
    scope: &mut v8::PinScope<'_, '_>,
    repl: &mut Repl,
    hooks: &Hooks,
    state: &Rc<State>,
    source: &str,
) -> Outcome {
    if let Some(outcome) = errors::refuse_private_names(scope, source) {
        return outcome;
    }
    let id = repl.evaluate(source);
    let mut value = Value::Awaited;
    loop {
        // Each turn has handles of its own: a script may take a great many.
        v8::scope!(let scope, scope);
        turn(scope);
        value = match advance(scope, repl, hooks, id, value) {
            Ok(value) => value,
            Err(outcome) => return outcome,
        };
        if let Some(outcome) = unhandled(scope, hooks, state, &value) {
            return outcome;
        }
        if !wait_and_fire(scope, hooks, state) {
            break;
        }
    }
    match value {
        Value::Known(outcome) => outcome,
        Value::Awaited | Value::Promised(_) => {
            Outcome::failed(FailureKind::NothingLeftToWaitFor, NOTHING_LEFT)
        }
    }
}

fn turn(scope: &mut v8::PinScope<'_, '_>) {
    loop {
        scope.perform_microtask_checkpoint();
        if !v8::Platform::pump_message_loop(engine::initialize(), scope, false) {
            return;
        }
    }
}

/// Takes the value a step further; `Err` ends the run.
fn advance(
    scope: &mut v8::PinScope<'_, '_>,
    repl: &mut Repl,
    hooks: &Hooks,
    id: i32,
    value: Value,
) -> Result<Value, Outcome> {
    let value = match value {
        Value::Awaited => match repl.take_evaluation(scope, id) {
            None => return Ok(Value::Awaited),
            Some(evaluation) => answered(scope, hooks, evaluation)?,
        },
        other => other,
    };
    let Value::Promised(global) = value else {
        return Ok(value);
    };
    let promise = v8::Local::new(scope, &global);
    match promise.state() {
        v8::PromiseState::Pending => Ok(Value::Promised(global)),
        v8::PromiseState::Fulfilled => {
            let settled = promise.result(scope);
            Ok(Value::Known(errors::describe_value(scope, hooks, settled)?))
        }
        v8::PromiseState::Rejected => {
            let reason = promise.result(scope);
            Err(errors::describe_thrown(
                scope,
                hooks,
                reason,
                FailureKind::Exception,
            ))
        }
    }
}

fn answered(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    evaluation: Evaluation<'_>,
) -> Result<Value, Outcome> {
    match evaluation {
        Evaluation::Primitive { text, preview } => Ok(Value::Known(Outcome::Completed {
            result: text,
            preview,
        })),
        Evaluation::Object(object) => match v8::Local::<v8::Promise>::try_from(object) {
            Ok(promise) => {
                promise.mark_as_handled();
                Ok(Value::Promised(v8::Global::new(scope, promise)))
            }
            Err(_) => Ok(Value::Known(errors::describe_value(scope, hooks, object)?)),
        },
        Evaluation::Thrown(thrown) => Err(errors::describe_evaluation_error(scope, hooks, thrown)),
    }
}

/// An uncaught exception or an unhandled rejection, if there is one.
fn unhandled(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    state: &Rc<State>,
    value: &Value,
) -> Option<Outcome> {
    if let Some(error) = state.uncaught.borrow_mut().take() {
        let error = v8::Local::new(scope, error);
        return Some(errors::describe_thrown(
            scope,
            hooks,
            error,
            FailureKind::Exception,
        ));
    }
    let rejections = std::mem::take(&mut *state.rejections.borrow_mut());
    for (promise, reason) in rejections {
        let awaited = match value {
            Value::Promised(awaited) => *awaited == promise,
            Value::Awaited | Value::Known(_) => false,
        };
        if !awaited {
            let reason = v8::Local::new(scope, reason);
            let kind = FailureKind::UnhandledRejection;
            return Some(errors::describe_thrown(scope, hooks, reason, kind));
        }
    }
    None
}

/// Waits for the next timer or reply, and lets the script have it. False when nothing is left that
/// keeps the script alive.
fn wait_and_fire(scope: &mut v8::PinScope<'_, '_>, hooks: &Hooks, state: &Rc<State>) -> bool {
    let (is_held, due) = {
        let mut timers = state.timers.borrow_mut();
        (timers.keep_alive(), timers.next_due())
    };
    let (is_awaited, is_any_open) = {
        let exchanges = state.exchanges.borrow();
        (exchanges.is_any_awaited(), exchanges.is_any_open())
    };
    if !is_held && !is_awaited {
        return refuse_waiting(scope, hooks, state);
    }
    if is_any_open {
        let reply = match state.host.borrow_mut().as_mut() {
            Some(host) => host.next_reply(due),
            None => None,
        };
        if let Some(reply) = reply {
            take_reply(scope, hooks, state, &reply);
            // Its consequences come before those of a timer.
            turn(scope);
        }
    } else if let Some(due) = due {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let due = state.timers.borrow_mut().take_due(Instant::now());
    if let Some(id) = due {
        let id = v8::Number::new(scope, f64::from(id)).into();
        call(scope, state, &hooks.run_timer, &[id]);
    }
    true
}

fn take_reply(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    state: &Rc<State>,
    reply: &FetchReply,
) {
    let heard = state
        .exchanges
        .borrow_mut()
        .heard(reply.exchange, &reply.step);
    match heard {
        Ok(true) => {}
        Ok(false) => return,
        Err(_) => end_process(ExitCode::Protocol),
    }
    v8::tc_scope!(let scope, scope);
    let hook = v8::Local::new(scope, &hooks.take_reply);
    if fetch::deliver(scope, hook, reply).is_none() {
        // There was no room for the bytes.
        if let Some(exception) = scope.exception() {
            state.report_uncaught(v8::Global::new(scope, exception));
        }
    }
}

/// Fails the requests that wait for others to end, when nothing is left that could end those. False
/// when there are none.
fn refuse_waiting(scope: &mut v8::PinScope<'_, '_>, hooks: &Hooks, state: &Rc<State>) -> bool {
    let is_crowded = state.exchanges.borrow_mut().take_crowded();
    if is_crowded {
        call(scope, state, &hooks.refuse_waiting, &[]);
    }
    is_crowded
}

/// Calls a function of the bootstrap script; what it throws ends the script.
fn call(
    scope: &mut v8::PinScope<'_, '_>,
    state: &Rc<State>,
    function: &v8::Global<v8::Function>,
    arguments: &[v8::Local<'_, v8::Value>],
) {
    v8::tc_scope!(let scope, scope);
    let undefined = v8::undefined(scope).into();
    let function = v8::Local::new(scope, function);
    let _returned = function.call(scope, undefined, arguments);
    if let Some(exception) = scope.exception() {
        state.report_uncaught(v8::Global::new(scope, exception));
    }
}
