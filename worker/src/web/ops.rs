//! The table of host functions, and how scripts get at them.

use std::ffi::c_void;

use deno_core::v8;

use crate::runtime::{InspectorOp, State, error_listener, source};
use crate::web::{clone, crypto_ops, encoding, time, url, values};

/// One host function.
pub(crate) type Op = (&'static str, v8::FunctionCallback);

fn own() -> Vec<Op> {
    use v8::MapFnTo;
    let mut all: Vec<Op> = vec![
        ("op_load_script", load_script.map_fn_to()),
        ("op_console_write", console_write.map_fn_to()),
        ("op_queue_microtask", queue_microtask.map_fn_to()),
        ("op_report_exception", report_exception.map_fn_to()),
        ("sink", sink.map_fn_to()),
    ];
    all.extend(values::ops());
    all.extend(time::ops());
    all.extend(encoding::ops());
    all.extend(url::ops());
    all.extend(clone::ops());
    all.extend(crypto_ops::ops());
    all
}

/// Every address that a heap may refer to, in an order that depends on this program only.
pub(crate) fn external_references(inspector: &[InspectorOp]) -> Vec<v8::ExternalReference> {
    let own = own()
        .into_iter()
        .map(|(_, function)| v8::ExternalReference { function });
    let lent = inspector.iter().flat_map(|op| {
        [
            v8::ExternalReference {
                function: op.function,
            },
            v8::ExternalReference { pointer: op.record },
        ]
    });
    own.chain(lent).chain([error_listener()]).collect()
}

/// Makes the `ops` object of the bootstrap script.
pub(crate) fn bind<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    inspector: &[InspectorOp],
) -> Option<v8::Local<'s, v8::Object>> {
    let object = v8::Object::new(scope);
    let null = v8::null(scope).into();
    object.set_prototype(scope, null)?;
    for (name, function) in own() {
        put(scope, object, name, function, None)?;
    }
    for op in inspector {
        put(scope, object, op.name, op.function, Some(op.record))?;
    }
    Some(object)
}

fn put(
    scope: &mut v8::PinScope<'_, '_>,
    object: v8::Local<'_, v8::Object>,
    name: &str,
    callback: v8::FunctionCallback,
    record: Option<*mut c_void>,
) -> Option<()> {
    let mut builder =
        v8::Function::builder_raw(callback).constructor_behavior(v8::ConstructorBehavior::Throw);
    if let Some(record) = record {
        builder = builder.data(v8::External::new(scope, record).into());
    }
    let function = builder.build(scope)?;
    let key = v8::String::new(scope, name)?;
    object.set(scope, key.into(), function.into())?;
    Some(())
}

/// The function that takes a value from the inspector session (`crate::runtime::repl`).
pub(crate) fn sink_function<'s>(
    scope: &mut v8::PinScope<'s, '_>,
) -> Option<v8::Local<'s, v8::Function>> {
    use v8::MapFnTo;
    v8::Function::builder_raw(sink.map_fn_to()).build(scope)
}

fn sink(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let value = v8::Global::new(scope, args.get(0));
    *State::of(scope).handed_over.borrow_mut() = Some(value);
}

/// Compiles the body of a function with parameters, under a name that hides it from stacks.
pub(crate) fn compile_function<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    body: v8::Local<'s, v8::String>,
    parameters: &[v8::Local<'s, v8::String>],
) -> Option<v8::Local<'s, v8::Function>> {
    let name = v8::String::new(scope, name)?.into();
    let origin =
        v8::ScriptOrigin::new(scope, name, 0, 0, false, 0, None, false, false, false, None);
    let mut source = v8::script_compiler::Source::new(body, Some(&origin));
    v8::script_compiler::compile_function(
        scope,
        &mut source,
        parameters,
        &[],
        v8::script_compiler::CompileOptions::NoCompileOptions,
        v8::script_compiler::NoCacheReason::NoReason,
    )
}

/// `op_load_script(name)`: the script as a function of `__bootstrap`.
fn load_script(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let name = args.get(0).to_rust_string_lossy(scope);
    let function = source(&name).and_then(|text| {
        // Strict, so that `caller` shows a user's function nothing of the script.
        let body = format!("'use strict'; const exported =\n{text}\nreturn exported;");
        let body = v8::String::new(scope, &body)?;
        let parameter = v8::String::new(scope, "__bootstrap")?;
        compile_function(scope, &name, body, &[parameter])
    });
    match function {
        Some(function) => returned.set(function.into()),
        None => throw_type_error(scope, &format!("{name} is not part of this runtime")),
    }
}

/// `op_console_write(text)`.
fn console_write(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let text = args.get(0).to_rust_string_lossy(scope);
    if let Some(host) = State::of(scope).host.borrow_mut().as_mut() {
        host.console(&text);
    }
}

/// `op_queue_microtask(function)`.
fn queue_microtask(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    if let Ok(callback) = v8::Local::<v8::Function>::try_from(args.get(0)) {
        scope.enqueue_microtask(callback);
    }
}

/// `op_report_exception(error)`: what an event listener or `reportError` lets through.
fn report_exception(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let error = v8::Global::new(scope, args.get(0));
    State::of(scope).report_uncaught(error);
}

/// Throws a `TypeError`.
pub(crate) fn throw_type_error(scope: &mut v8::PinScope<'_, '_>, message: &str) {
    if let Some(message) = v8::String::new(scope, message) {
        let error = v8::Exception::type_error(scope, message);
        scope.throw_exception(error);
    }
}

/// Throws a `RangeError`.
pub(crate) fn throw_range_error(scope: &mut v8::PinScope<'_, '_>, message: &str) {
    if let Some(message) = v8::String::new(scope, message) {
        let error = v8::Exception::range_error(scope, message);
        scope.throw_exception(error);
    }
}

/// Copies the bytes of a buffer or view; `None` for anything else.
pub(crate) fn bytes_of(value: v8::Local<'_, v8::Value>) -> Option<Vec<u8>> {
    if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(value) {
        let mut bytes = vec![0; view.byte_length()];
        let copied = view.copy_contents(&mut bytes);
        bytes.truncate(copied);
        return Some(bytes);
    }
    let store = if let Ok(buffer) = v8::Local::<v8::ArrayBuffer>::try_from(value) {
        buffer.get_backing_store()
    } else {
        v8::Local::<v8::SharedArrayBuffer>::try_from(value)
            .ok()?
            .get_backing_store()
    };
    Some(store.iter().map(std::cell::Cell::get).collect())
}

/// Writes into a view; what does not fit is left out.
pub(crate) fn write_into(view: v8::Local<'_, v8::Value>, bytes: &[u8]) -> Option<()> {
    let view = v8::Local::<v8::ArrayBufferView>::try_from(view).ok()?;
    let (offset, length) = (view.byte_offset(), view.byte_length());
    let store = view.get_backing_store()?;
    let cells = store.get(offset..offset.checked_add(length.min(bytes.len()))?)?;
    for (cell, byte) in cells.iter().zip(bytes) {
        cell.set(*byte);
    }
    Some(())
}

/// A `Uint8Array` that owns the bytes; `None` when the buffer budget is used up (an exception is
/// pending then).
pub(crate) fn uint8_array<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bytes: &[u8],
) -> Option<v8::Local<'s, v8::Uint8Array>> {
    let buffer = array_buffer(scope, bytes)?;
    v8::Uint8Array::new(scope, buffer, 0, bytes.len())
}

/// An `ArrayBuffer` that owns the bytes, out of the buffer budget; as [`uint8_array`] else.
pub(crate) fn array_buffer<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bytes: &[u8],
) -> Option<v8::Local<'s, v8::ArrayBuffer>> {
    // What nothing uses any more counts until V8 collects it, which V8 does by itself only for the
    // buffers that scripts make.
    if !State::of(scope).buffers.has_room(bytes.len()) {
        scope.low_memory_notification();
    }
    // V8 ends the process when this fails, so it must not.
    if !State::of(scope).buffers.has_room(bytes.len()) {
        throw_range_error(scope, "Array buffer allocation failed");
        return None;
    }
    let buffer = v8::ArrayBuffer::new(scope, bytes.len());
    let store = buffer.get_backing_store();
    for (cell, byte) in store.iter().zip(bytes) {
        cell.set(*byte);
    }
    Some(buffer)
}
