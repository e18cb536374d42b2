//! The table of host functions, and how scripts get at them.

use deno_core::v8;

use crate::runtime::{InspectorOp, State, error_listener, source};
use crate::web::op::{Op, throw_type_error};
use crate::web::{
    clone, crypto_ops, encoding, fetch, time, url, values, wasm, wasm_preloaded, weak,
};

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
    all.extend(wasm::ops());
    all.extend(wasm_preloaded::ops());
    all.extend(weak::ops());
    all.extend(fetch::ops());
    all
}

/// Every address that a heap may refer to and V8 does not know by itself, in an order that depends on
/// this program only.
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

/// The names of the functions of that table, in its order.
pub(crate) fn names(inspector: &[InspectorOp]) -> Vec<&'static str> {
    let own = own().into_iter().map(|(name, _)| name);
    own.chain(inspector.iter().map(|op| op.name)).collect()
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
        let builder = v8::Function::builder_raw(function);
        put(scope, object, name, throwing(builder))?;
    }
    // Some of these are constructors.
    for (name, function) in wasm::v8_functions() {
        put(scope, object, name, v8::Function::builder_raw(function))?;
    }
    for op in inspector {
        let builder = v8::Function::builder_raw(op.function);
        let record = v8::External::new(scope, op.record).into();
        put(scope, object, op.name, throwing(builder).data(record))?;
    }
    Some(object)
}

type Builder<'s> = v8::FunctionBuilder<'s, v8::Function>;

/// Of a function that throws when it is called with `new`.
fn throwing(builder: Builder<'_>) -> Builder<'_> {
    builder.constructor_behavior(v8::ConstructorBehavior::Throw)
}

fn put<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'_, v8::Object>,
    name: &str,
    builder: Builder<'s>,
) -> Option<()> {
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
