//! The table of host functions, and how scripts get at them.

use deno_core::v8;

use crate::runtime::{InspectorOp, State, error_listener, lent_ops, source};
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
        ("make", make.map_fn_to()),
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

/// The function that makes host functions for the bootstrap script, by name. They are made when a script
/// first takes them: what is made is in each heap.
pub(crate) fn maker<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Function>> {
    use v8::MapFnTo;
    throwing(v8::Function::builder_raw(make.map_fn_to())).build(scope)
}

/// The host function of that name; nothing where there is none.
fn make(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let name = args.get(0).to_rust_string_lossy(scope);
    if let Some(builder) = builder(scope, &name)
        && let Some(function) = builder.build(scope)
    {
        returned.set(function.into());
    }
}

type Builder<'s> = v8::FunctionBuilder<'s, v8::Function>;

fn builder<'s>(scope: &mut v8::PinScope<'s, '_>, name: &str) -> Option<Builder<'s>> {
    if let Some((_, function)) = own().into_iter().find(|(known, _)| *known == name) {
        return Some(throwing(v8::Function::builder_raw(function)));
    }
    let theirs = wasm::v8_functions();
    if let Some((_, function)) = theirs.into_iter().find(|(known, _)| *known == name) {
        // Some of these are constructors.
        return Some(v8::Function::builder_raw(function));
    }
    let op = lent_ops().into_iter().find(|op| op.name == name)?;
    let record = v8::External::new(scope, op.record).into();
    Some(throwing(v8::Function::builder_raw(op.function)).data(record))
}

/// Of a function that throws when it is called with `new`.
fn throwing(builder: Builder<'_>) -> Builder<'_> {
    builder.constructor_behavior(v8::ConstructorBehavior::Throw)
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
