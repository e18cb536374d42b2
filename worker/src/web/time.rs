//! Timers, clocks, and the numbers behind `Math.random`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deno_core::v8;

use crate::runtime::{State, TimerId};
use crate::web::op::{Op, throw_type_error, write_into};

/// What script time is rounded down to: too coarse to time a cache line, fine enough for a person.
/// (W3C High Resolution Time, section 7, asks for 100 µs where nothing isolates the contexts.)
const RESOLUTION: Duration = Duration::from_micros(100);

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_timer_start", timer_start.map_fn_to()),
        ("op_timer_cancel", timer_cancel.map_fn_to()),
        ("op_timer_unref", timer_unref.map_fn_to()),
        ("op_monotonic_ms", monotonic_ms.map_fn_to()),
        ("op_now", now.map_fn_to()),
        ("op_time_origin", time_origin.map_fn_to()),
        ("op_random_numbers", random_numbers.map_fn_to()),
    ]
}

fn timer_id(scope: &v8::PinScope<'_, '_>, args: &v8::FunctionCallbackArguments<'_>) -> TimerId {
    args.get(0).uint32_value(scope).unwrap_or_default()
}

/// `op_timer_start(id, delayMs, repeats)`.
fn timer_start(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let (id, delay_ms) = (timer_id(scope, &args), args.get(1).number_value(scope));
    let repeats = args.get(2).boolean_value(scope);
    let state = State::of(scope);
    state
        .timers
        .borrow_mut()
        .start(id, delay_ms.unwrap_or_default(), repeats, Instant::now());
}

/// `op_timer_cancel(id)`.
fn timer_cancel(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let id = timer_id(scope, &args);
    State::of(scope).timers.borrow_mut().cancel(id);
}

/// `op_timer_unref(id, unref)`: whether the timer keeps the script alive.
fn timer_unref(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let (id, unref) = (timer_id(scope, &args), args.get(1).boolean_value(scope));
    State::of(scope).timers.borrow_mut().set_unref(id, unref);
}

fn since_start(state: &State) -> Duration {
    coarse(state.started.get().elapsed())
}

fn coarse(time: Duration) -> Duration {
    let nanos = time.as_nanos() - time.as_nanos() % RESOLUTION.as_nanos();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// `op_monotonic_ms()`: milliseconds since the script began, rounded down.
fn monotonic_ms(
    scope: &mut v8::PinScope<'_, '_>,
    _args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let milliseconds = since_start(&State::of(scope)).as_millis();
    returned.set_double(u32::try_from(milliseconds).unwrap_or(u32::MAX).into());
}

/// Writes seconds and nanoseconds as two little-endian 32-bit numbers, as Deno's script reads them.
fn write_time(
    scope: &mut v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
    time: Duration,
) {
    let mut bytes = [0; 8];
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&seconds.to_le_bytes());
    bytes[4..].copy_from_slice(&time.subsec_nanos().to_le_bytes());
    if write_into(args.get(0), &bytes).is_none() {
        throw_type_error(scope, "op_now takes a view of eight bytes");
    }
}

/// `op_now(bytes)`: time since the script began.
fn now(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let time = since_start(&State::of(scope));
    write_time(scope, &args, time);
}

/// `op_time_origin(bytes)`: when the script began, since 1970.
fn time_origin(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let origin = coarse(wall.saturating_sub(State::of(scope).started.get().elapsed()));
    write_time(scope, &args, origin);
}

/// `op_random_numbers(float64Array)`: fills it with numbers in [0, 1), straight from the kernel.
fn random_numbers(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    /// The numbers that a double holds exactly in [0, 1) with equal spacing.
    const STEPS: f64 = (1u64 << 53) as f64;
    let filled = (|| {
        let view = v8::Local::<v8::Float64Array>::try_from(args.get(0)).ok()?;
        let mut bytes = vec![0; view.byte_length()];
        getrandom::fill(&mut bytes).ok()?;
        for chunk in bytes.chunks_exact_mut(8) {
            let random = u64::from_le_bytes(chunk.try_into().ok()?) >> 11;
            #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double")]
            chunk.copy_from_slice(&(random as f64 / STEPS).to_le_bytes());
        }
        write_into(view.into(), &bytes)
    })();
    if filled.is_none() {
        throw_type_error(scope, "the kernel gave no random numbers");
    }
}
