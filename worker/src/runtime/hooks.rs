//! What the bootstrap script gives the host: the few functions that it calls.

use deno_core::v8;

use crate::runtime::scripts;
use crate::web::ops;

/// The index of the hooks object among the context's snapshot data.
pub(crate) const HOOKS_INDEX: usize = 0;

/// The functions that the bootstrap script gives the host.
pub(crate) struct Hooks {
    pub(crate) run_timer: v8::Global<v8::Function>,
    pub(crate) inspect_value: v8::Global<v8::Function>,
    pub(crate) begin_run: v8::Global<v8::Function>,
    pub(crate) end_run: v8::Global<v8::Function>,
    pub(crate) take_reply: v8::Global<v8::Function>,
    pub(crate) refuse_waiting: v8::Global<v8::Function>,
    pub(crate) load_everything: v8::Global<v8::Function>,
}

/// Runs the bootstrap script in a fresh context.
pub(crate) fn run_bootstrap<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    is_for_heap: bool,
) -> v8::Local<'s, v8::Object> {
    v8::tc_scope!(let scope, scope);
    let made = (|| {
        let make_op = ops::maker(scope)?;
        let names: Vec<v8::Local<'_, v8::Value>> = scripts::primordial_names()
            .into_iter()
            .filter_map(|name| v8::String::new(scope, name).map(Into::into))
            .collect();
        let names = v8::Array::new_with_elements(scope, &names);
        let parameters = [
            v8::String::new(scope, "makeOp")?,
            v8::String::new(scope, "primordialNames")?,
            v8::String::new(scope, "isForHeap")?,
        ];
        let text = v8::String::new(scope, scripts::BOOTSTRAP)?;
        let function = ops::compile_function(scope, "ext:mcp_v8/bootstrap.js", text, &parameters)?;
        let undefined = v8::undefined(scope).into();
        let is_for_heap = v8::Boolean::new(scope, is_for_heap);
        let arguments = [make_op.into(), names.into(), is_for_heap.into()];
        let hooks = function.call(scope, undefined, &arguments)?;
        v8::Local::<v8::Object>::try_from(hooks).ok()
    })();
    match made {
        Some(hooks) => hooks,
        None => {
            let why = scope
                .exception()
                .map(|error| error.to_rust_string_lossy(scope));
            panic!("the bootstrap script reads nothing but this program, and runs: {why:?}")
        }
    }
}

/// The hooks of a context that comes from a snapshot.
pub(crate) fn restored_hooks<'s>(scope: &mut v8::PinScope<'s, '_>) -> v8::Local<'s, v8::Object> {
    match scope.get_context_data_from_snapshot_once::<v8::Object>(HOOKS_INDEX) {
        Ok(hooks) => hooks,
        Err(error) => panic!("a heap of this build holds the hooks: {error}"),
    }
}

impl Hooks {
    pub(crate) fn of(scope: &mut v8::PinScope<'_, '_>, hooks: v8::Local<'_, v8::Object>) -> Self {
        let function = |name: &str| {
            let key = v8::String::new(scope, name)?;
            let value = hooks.get(scope, key.into())?;
            let function = v8::Local::<v8::Function>::try_from(value).ok()?;
            Some(v8::Global::new(scope, function))
        };
        match (
            function("beginRun"),
            function("runTimer"),
            function("inspectValue"),
            function("endRun"),
            function("takeReply"),
            function("refuseWaiting"),
            function("loadEverything"),
        ) {
            (
                Some(begin_run),
                Some(run_timer),
                Some(inspect_value),
                Some(end_run),
                Some(take_reply),
                Some(refuse_waiting),
                Some(load_everything),
            ) => Self {
                begin_run,
                run_timer,
                inspect_value,
                end_run,
                take_reply,
                refuse_waiting,
                load_everything,
            },
            _ => unreachable!("the bootstrap script returns these seven"),
        }
    }
}
