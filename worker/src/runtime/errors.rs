//! What values and errors look like to a person, with positions in the user's own source.

use deno_core::v8;
use mcp_v8_protocol::message::FailureKind;

use crate::runtime::hooks::Hooks;
use crate::runtime::outcome::Outcome;
use crate::runtime::position::Position;
use crate::runtime::state::State;
use crate::sandbox;

/// The bounds of a result's preview: nesting, entries of a collection, characters of a string.
const PREVIEW_DEPTH: i32 = 3;
const PREVIEW_ENTRIES: i32 = 50;
const PREVIEW_STRING_CHARS: i32 = 500;

/// The bounds of an inspected error.
const ERROR_DEPTH: i32 = 4;

/// The name that V8 gives to a script without one, which is what a user's script is.
const USER_SCRIPT: &str = "<anonymous>";

/// An exception that ended an evaluation.
pub(crate) struct Thrown<'s> {
    pub(crate) value: ThrownValue<'s>,
    /// Where a source that did not compile is wrong.
    pub(crate) at: Position,
    /// Whether the source compiled.
    pub(crate) compiled: bool,
}

/// What was thrown.
pub(crate) enum ThrownValue<'s> {
    Object(v8::Local<'s, v8::Value>),
    /// A primitive value, as a developer would write it.
    Primitive(String),
}

/// Installs the callbacks that see errors before a script does.
pub(crate) fn install(isolate: &mut v8::Isolate) {
    isolate.set_capture_stack_trace_for_uncaught_exceptions(true, 10);
    isolate.set_prepare_stack_trace_callback(prepare_stack_trace);
    isolate.set_promise_reject_callback(promise_rejected);
    isolate.add_message_listener(message);
}

/// The one callback that V8 keeps inside the heap.
pub(crate) fn error_listener() -> v8::ExternalReference {
    v8::ExternalReference { message }
}

/// Formats a stack as V8 does, without frames of the runtime's own scripts, and with positions mapped
/// back to the source. With this callback installed V8 never calls `Error.prepareStackTrace`, which
/// would hand a script the functions of the frames below it.
fn prepare_stack_trace<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    let mut text = header(scope, error);
    for index in 0..sites.length() {
        if let Some(frame) = frame(scope, sites, index) {
            text.push_str("\n    at ");
            text.push_str(&frame);
        }
    }
    v8::String::new(scope, &text).map_or_else(|| v8::undefined(scope).into(), Into::into)
}

/// `Name: message`, by the rules of `Error.prototype.toString`.
fn header(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<'_, v8::Value>) -> String {
    v8::tc_scope!(let scope, scope);
    let Ok(object) = v8::Local::<v8::Object>::try_from(error) else {
        return String::new();
    };
    let property = |name: &str| {
        let key = v8::String::new(scope, name)?;
        let value = object.get(scope, key.into())?;
        if value.is_undefined() {
            return None;
        }
        Some(value.to_string(scope)?.to_rust_string_lossy(scope))
    };
    let name = property("name").unwrap_or_else(|| "Error".to_owned());
    let message = property("message").unwrap_or_default();
    match (name.is_empty(), message.is_empty()) {
        (_, true) => name,
        (true, false) => message,
        (false, false) => format!("{name}: {message}"),
    }
}

fn frame(
    scope: &mut v8::PinScope<'_, '_>,
    sites: v8::Local<'_, v8::Array>,
    index: u32,
) -> Option<String> {
    v8::tc_scope!(let scope, scope);
    let site = v8::Local::<v8::Object>::try_from(sites.get_index(scope, index)?).ok()?;
    let call = |name: &str| {
        let key = v8::String::new(scope, name)?;
        let method = v8::Local::<v8::Function>::try_from(site.get(scope, key.into())?).ok()?;
        let value = method.call(scope, site.into(), &[])?;
        Some(value.to_string(scope)?.to_rust_string_lossy(scope))
    };
    let text = call("toString")?;
    if text.contains("ext:") && call("getScriptNameOrSourceURL")?.starts_with("ext:") {
        return None;
    }
    // Positions inside evaluated code are its own.
    if call("isEval").is_some_and(|is_eval| is_eval == "true") {
        return Some(text);
    }
    Some(map_frame(scope, text))
}

/// Maps the `<anonymous>:line:column` at the end of a frame back to the source.
fn map_frame(isolate: &v8::Isolate, text: String) -> String {
    let state = State::of(isolate);
    let positions = state.positions.borrow();
    let Some(positions) = positions.as_ref() else {
        return text;
    };
    let mapped = (|| {
        let start = text.rfind(USER_SCRIPT)?;
        let rest = text[start..].strip_prefix(USER_SCRIPT)?.strip_prefix(':')?;
        let (digits, tail) = rest.split_at(rest.find(')').unwrap_or(rest.len()));
        let (line, column) = digits.split_once(':')?;
        let at = Position {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        };
        let Position { line, column } = positions.original(at);
        Some(format!(
            "{}{USER_SCRIPT}:{line}:{column}{tail}",
            &text[..start]
        ))
    })();
    mapped.unwrap_or(text)
}

/// `import()`: rejected, with a reason that helps.
pub(crate) fn refuse_import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _options: v8::Local<'s, v8::Data>,
    _resource: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    _attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    let specifier = specifier.to_rust_string_lossy(scope);
    let text = format!(
        "Cannot import '{specifier}': there are no modules here; put all code into one script"
    );
    let text = v8::String::new(scope, &text)?;
    let error = v8::Exception::type_error(scope, text);
    let resolver = v8::PromiseResolver::new(scope)?;
    resolver.reject(scope, error);
    Some(resolver.get_promise(scope))
}

unsafe extern "C" fn promise_rejected(message: v8::PromiseRejectMessage<'_>) {
    v8::callback_scope!(unsafe scope, &message);
    let state = State::of(scope);
    let promise = v8::Global::new(scope, message.get_promise());
    match message.get_event() {
        v8::PromiseRejectEvent::PromiseRejectWithNoHandler => {
            let reason = message
                .get_value()
                .unwrap_or_else(|| v8::undefined(scope).into());
            state.rejected_at.set(place_of(scope, reason));
            let reason = v8::Global::new(scope, reason);
            state.rejections.borrow_mut().push((promise, reason));
        }
        v8::PromiseRejectEvent::PromiseHandlerAddedAfterReject => {
            state
                .rejections
                .borrow_mut()
                .retain(|(known, _)| *known != promise);
        }
        v8::PromiseRejectEvent::PromiseRejectAfterResolved
        | v8::PromiseRejectEvent::PromiseResolveAfterResolved => {}
    }
}

/// The place in a user's script that is being run.
fn place_of(
    scope: &mut v8::PinScope<'_, '_>,
    reason: v8::Local<'_, v8::Value>,
) -> Option<Position> {
    let message = v8::Exception::create_message(scope, reason);
    let line = u32::try_from(message.get_line_number(scope)?).ok()?;
    let column = u32::try_from(message.get_start_column()).ok()? + 1;
    Some(Position { line, column })
}

/// Exceptions that V8 itself reports: those of `queueMicrotask` callbacks.
unsafe extern "C" fn message(message: v8::Local<'_, v8::Message>, error: v8::Local<'_, v8::Value>) {
    v8::callback_scope!(unsafe scope, message);
    State::of(scope).report_uncaught(v8::Global::new(scope, error));
}

/// A string as a developer would write it, cut like every other preview.
pub(crate) fn quote(text: &str) -> String {
    let limit = usize::try_from(PREVIEW_STRING_CHARS).unwrap_or(usize::MAX);
    let end = text
        .char_indices()
        .nth(limit)
        .map_or(text.len(), |(end, _)| end);
    let shown = &text[..end];
    let json = serde_json::to_string(shown).unwrap_or_default();
    // Deno's inspector takes the first kind of quotes that needs no escaping.
    let quoted = match ['"', '\'', '`']
        .into_iter()
        .find(|quote| !shown.contains(*quote))
    {
        Some(quote @ ('\'' | '`')) => {
            let inner = json
                .get(1..json.len() - 1)
                .unwrap_or_default()
                .replace("\\\"", "\"");
            format!("{quote}{inner}{quote}")
        }
        _ => json,
    };
    match text[end..].chars().count() {
        0 => quoted,
        more => format!("{quoted}... {more} more characters"),
    }
}

/// The outcome for an object or function: `String(value)` and an inspection.
///
/// # Errors
/// The outcome of a value that has no text.
pub(crate) fn describe_value(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    value: v8::Local<'_, v8::Value>,
) -> Result<Outcome, Outcome> {
    if let Ok(symbol) = v8::Local::<v8::Symbol>::try_from(value) {
        let description = symbol.description(scope);
        let text = if description.is_undefined() {
            String::new()
        } else {
            description.to_rust_string_lossy(scope)
        };
        let text = format!("Symbol({text})");
        return Ok(Outcome::Completed {
            result: text.clone(),
            preview: text,
        });
    }
    if !value.is_object() {
        let text = value.to_rust_string_lossy(scope);
        let preview = if value.is_string() {
            quote(&text)
        } else if value.is_big_int() {
            format!("{text}n")
        } else {
            text.clone()
        };
        return Ok(Outcome::Completed {
            result: text,
            preview,
        });
    }
    let preview = inspect(scope, hooks, value, PREVIEW_DEPTH);
    v8::tc_scope!(let scope, scope);
    match value.to_string(scope) {
        Some(text) => {
            let result = text.to_rust_string_lossy(scope);
            Ok(Outcome::Completed {
                result,
                preview: preview.unwrap_or_default(),
            })
        }
        None => {
            let why = scope
                .exception()
                .map(|error| error.to_rust_string_lossy(scope));
            let why = why.unwrap_or_default();
            Err(Outcome::failed(
                FailureKind::Unprintable,
                format!(
                    "The value of the script cannot be converted to a string: {why}\n\
                     End the script with JSON.stringify(value) to see it"
                ),
            ))
        }
    }
}

/// The outcome of a script that threw at its top level, or did not compile.
pub(crate) fn describe_evaluation_error(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    thrown: Thrown<'_>,
) -> Outcome {
    let state = State::of(scope);
    let place = |at: Position| format!("    at {USER_SCRIPT}:{}:{}", at.line, at.column);
    match thrown.value {
        ThrownValue::Object(value) if value.is_native_error() => {
            let what = header(scope, value);
            if thrown.compiled || !what.starts_with("SyntaxError") {
                return describe_thrown(scope, hooks, value, FailureKind::Exception);
            }
            let at = original(&state, thrown.at);
            let (what, at) = match &*state.complaint.borrow() {
                Some(complaint) if misses_types(&what) && is_beyond(complaint.at, at) => {
                    (format!("SyntaxError: {}", complaint.message), complaint.at)
                }
                _ => (what, at),
            };
            Outcome::failed(FailureKind::Syntax, format!("{what}\n{}", place(at)))
        }
        // What is not an Error has no stack: the place of its rejection is all there is.
        ThrownValue::Object(value) => {
            let at = state.rejected_at.get().map(|at| original(&state, at));
            match describe_thrown(scope, hooks, value, FailureKind::Exception) {
                Outcome::Failed { kind, error } => with_place(kind, error, at.map(place)),
                completed @ Outcome::Completed { .. } => completed,
            }
        }
        ThrownValue::Primitive(text) => {
            let at = state.rejected_at.get().map(|at| original(&state, at));
            with_place(
                FailureKind::Exception,
                format!("Uncaught {text}"),
                at.map(place),
            )
        }
    }
}

/// The outcome of a script that names a private member outside of its class. In REPL mode V8 lets
/// that pass, for debuggers; for a script it is a syntax error.
pub(crate) fn refuse_private_names(
    scope: &mut v8::PinScope<'_, '_>,
    source: &str,
) -> Option<Outcome> {
    if !source.contains('#') {
        return None;
    }
    v8::tc_scope!(let scope, scope);
    // An async function is as close as a function's body comes to a REPL script.
    let wrapped = v8::String::new(scope, &format!("async () => {{\n{source}\n}}"))?;
    let name = v8::undefined(scope).into();
    let origin = v8::ScriptOrigin::new(
        scope, name, -1, 0, false, 0, None, false, false, false, None,
    );
    let compiled = v8::Script::compile(scope, wrapped, Some(&origin));
    let (None, Some(error), Some(message)) = (compiled, scope.exception(), scope.message()) else {
        return None;
    };
    let what = header(scope, error);
    if !what.starts_with("SyntaxError: Private field") {
        return None;
    }
    let line = u32::try_from(message.get_line_number(scope)?).ok()?;
    let column = u32::try_from(message.get_start_column()).ok()? + 1;
    let Position { line, column } = original(&State::of(scope), Position { line, column });
    let error = format!("{what}\n    at {USER_SCRIPT}:{line}:{column}");
    Some(Outcome::failed(FailureKind::Syntax, error))
}

/// Whether an error of V8's parser is one that it has with types.
fn misses_types(what: &str) -> bool {
    let Some(message) = what.strip_prefix("SyntaxError: ") else {
        return false;
    };
    [
        "Unexpected ",
        "Invalid or unexpected ",
        "Missing initializer ",
        "missing )",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

/// Whether one parser came clearly further than another; both name about the same place for what
/// both refuse.
fn is_beyond(one: Position, other: Position) -> bool {
    one.line > other.line || (one.line == other.line && one.column > other.column + 1)
}

fn original(state: &State, at: Position) -> Position {
    state
        .positions
        .borrow()
        .as_ref()
        .map_or(at, |positions| positions.original(at))
}

fn with_place(kind: FailureKind, error: String, place: Option<String>) -> Outcome {
    match place {
        Some(place) => Outcome::failed(kind, format!("{error}\n{place}")),
        None => Outcome::failed(kind, error),
    }
}

/// The outcome for something thrown.
pub(crate) fn describe_thrown(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    value: v8::Local<'_, v8::Value>,
    kind: FailureKind,
) -> Outcome {
    let text = inspect(scope, hooks, value, ERROR_DEPTH)
        // The inspector's way of saying that a getter of the script was in its way.
        .filter(|text| !text.starts_with("[Internal Formatting Error]"))
        .or_else(|| stack_of(scope, value))
        .unwrap_or_else(|| "an error that cannot be shown".to_owned());
    if value.is_native_error() {
        let header = header(scope, value);
        let is_memory = is_out_of_memory(&header)
            // ICU says only that something went wrong.
            || (header.starts_with(ICU_FAILED) && sandbox::is_short_of_memory());
        Outcome::failed(if is_memory { FailureKind::Memory } else { kind }, text)
    } else {
        Outcome::failed(kind, format!("Uncaught {text}"))
    }
}

/// How the text begins of an error for which ICU is to blame: most often it got no memory.
const ICU_FAILED: &str = "RangeError: Internal error. Icu error";

/// Whether an error is V8's way of saying that a buffer or a WebAssembly memory does not fit. Its
/// texts are all there is to tell by; the specs in `tests/specs/limits` hold them.
fn is_out_of_memory(header: &str) -> bool {
    let Some(message) = header.strip_prefix("RangeError: ") else {
        return false;
    };
    [
        "Array buffer allocation failed",
        "WebAssembly.Memory(): could not allocate memory",
        "WebAssembly.Memory.grow(): Unable to grow instance memory",
        "WebAssembly.Instance(): Out of memory",
    ]
    .iter()
    .any(|text| message.starts_with(text))
        || message.ends_with(": Out of memory")
}

fn stack_of(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<'_, v8::Value>) -> Option<String> {
    v8::tc_scope!(let scope, scope);
    let object = v8::Local::<v8::Object>::try_from(value).ok()?;
    let key = v8::String::new(scope, "stack")?;
    let stack = object.get(scope, key.into())?;
    stack.is_string().then(|| stack.to_rust_string_lossy(scope))
}

/// Deno's inspection of a value, bounded.
fn inspect(
    scope: &mut v8::PinScope<'_, '_>,
    hooks: &Hooks,
    value: v8::Local<'_, v8::Value>,
    depth: i32,
) -> Option<String> {
    v8::tc_scope!(let scope, scope);
    let options = v8::Object::new(scope);
    for (name, limit) in [
        ("depth", depth),
        ("iterableLimit", PREVIEW_ENTRIES),
        ("strAbbreviateSize", PREVIEW_STRING_CHARS),
    ] {
        let key = v8::String::new(scope, name)?;
        let limit = v8::Integer::new(scope, limit);
        options.set(scope, key.into(), limit.into())?;
    }
    let undefined = v8::undefined(scope).into();
    let function = v8::Local::new(scope, &hooks.inspect_value);
    let text = function.call(scope, undefined, &[value, options.into()])?;
    Some(text.to_rust_string_lossy(scope))
}
