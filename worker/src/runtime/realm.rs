//! One isolate with one context, from nothing or from a snapshot.

use std::borrow::Cow;
use std::rc::Rc;

use deno_core::v8;
use mcp_v8_protocol::message::{ExecutionLimits, FailureKind, Grants};

use crate::runtime::engine::CODE_RANGE_BYTES;
use crate::runtime::heap::{HEAP_BYTES_MAX, limit_heap, used_bytes};
use crate::runtime::hooks::{HOOKS_INDEX, Hooks, restored_hooks, run_bootstrap};
use crate::runtime::outcome::Outcome;
use crate::runtime::repl::Repl;
use crate::runtime::state::{Host, State};
use crate::runtime::{engine, errors, event_loop, heap_walk, inspector_ops, language};
use crate::typescript;
use crate::web::ops;
use crate::web::wasm_preloaded::Preloaded;

/// A heap as bytes: V8's snapshot of an isolate and its context.
pub type Snapshot = v8::StartupData;

/// What an isolate is made from, and for.
#[derive(Clone, Copy)]
enum Origin {
    /// From nothing, for a script whose heap is not kept.
    Run,
    /// From nothing, for a heap.
    NewHeap,
    /// From a heap.
    Heap,
}

/// Why a heap could not be turned into bytes. (Some heaps make V8 end the process instead.)
#[derive(Debug, thiserror::Error)]
pub enum UnsavableHeap {
    /// Something of V8's WebAssembly is still referred to.
    #[error(
        "something that the script left refers to a running WebAssembly instance, for instance an \
         Error that was made in a function which WebAssembly called, and whose stack nobody has read"
    )]
    WebAssembly,
    /// A shared buffer.
    #[error(
        "something that the script left refers to a SharedArrayBuffer, which cannot be stored. Keep a \
         copy of its bytes in an ArrayBuffer instead"
    )]
    SharedBuffer,
    /// Something that is partly V8's C++ is still referred to.
    #[error(
        "something that the script left cannot be stored: an object of Intl or Temporal, or an \
         Atomics.waitAsync that waits. Keep the text or the numbers that it stands for instead, and \
         set the variables that hold it to undefined"
    )]
    Host,
    /// The runtime's own scripts failed.
    #[error("the runtime could not end the execution: {0}")]
    End(String),
    /// V8 says no more.
    #[error("V8 cannot make a snapshot of it")]
    Engine,
}

/// A runtime that has run no script yet. It is used for one script, then thrown away.
pub struct Realm {
    // Dropped in this order: the inspector, then every handle, then the isolate.
    repl: Option<Repl>,
    hooks: Hooks,
    hooks_object: v8::Global<v8::Object>,
    context: v8::Global<v8::Context>,
    state: Rc<State>,
    /// What a runtime takes of V8's heap before any script, in bytes: it is not counted as a script's.
    own_bytes: usize,
    isolate: v8::OwnedIsolate,
}

impl std::fmt::Debug for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realm").finish_non_exhaustive()
    }
}

impl Realm {
    /// A runtime for a script whose heap is not kept, with every web global loaded.
    pub fn for_run() -> Self {
        let mut realm = Self::open(
            |params, references| v8::Isolate::new(params.external_references(references)),
            Origin::Run,
        );
        realm.load_everything();
        realm.connect();
        realm.own_bytes = used_bytes(&mut realm.isolate);
        realm
    }

    /// A runtime whose heap can be taken with [`Realm::into_snapshot`]: fresh, or restored. Web
    /// globals are loaded when they are used.
    ///
    /// `snapshot` must come from [`Realm::into_snapshot`] of this build: V8 does not check it.
    pub fn for_heap(snapshot: Option<Snapshot>) -> Self {
        match snapshot {
            None => Self::for_new_heap(),
            Some(snapshot) => Self::for_stored_heap(snapshot),
        }
    }

    fn for_new_heap() -> Self {
        let mut realm = Self::open(
            |params, references| v8::Isolate::snapshot_creator(Some(references), Some(params)),
            Origin::NewHeap,
        );
        realm.connect();
        realm.rehearse();
        realm.own_bytes = used_bytes(&mut realm.isolate);
        realm
    }

    fn for_stored_heap(snapshot: Snapshot) -> Self {
        let mut realm = Self::open(
            |params, references| {
                v8::Isolate::snapshot_creator_from_existing_snapshot(
                    snapshot,
                    Some(references),
                    Some(params),
                )
            },
            Origin::Heap,
        );
        realm.connect();
        realm
    }

    /// A runtime with a stored heap in the place of this one, which has run nothing. Of that heap only
    /// what a new one has too is counted as the runtime's.
    ///
    /// `snapshot` is as in [`Realm::for_heap`].
    #[must_use]
    pub fn with_heap(self, snapshot: Snapshot) -> Self {
        let mut realm = Self::for_stored_heap(snapshot);
        realm.own_bytes = self.own_bytes;
        if let Some(modules) = self.state.preloaded.get() {
            realm.preload(Rc::clone(modules));
        }
        // Tearing an isolate down takes longer than an execution.
        std::mem::forget(self);
        realm
    }

    /// Gives scripts the modules that the operator has preloaded. The first ones stay.
    pub fn preload(&mut self, modules: Rc<Preloaded>) {
        let _first = self.state.preloaded.set(modules);
    }

    fn open(
        make: impl FnOnce(v8::CreateParams, Cow<'static, [v8::ExternalReference]>) -> v8::OwnedIsolate,
        origin: Origin,
    ) -> Self {
        let platform = engine::initialize();
        // Of an isolate that this thread had before.
        inspector_ops::forget();
        let inspector = inspector_ops::ops();
        let references = Cow::Owned(ops::external_references(&inspector));
        let state = State::new();
        let buffers = &state.buffers;
        // The runtime's own buffers are made before a limit is known.
        buffers.set(HEAP_BYTES_MAX);
        let params = v8::CreateParams::default()
            .heap_limits(0, HEAP_BYTES_MAX)
            .set_code_range_size_in_bytes(CODE_RANGE_BYTES)
            .array_buffer_allocator(buffers.allocator())
            .allow_atomics_wait(false)
            .cpp_heap(v8::cppgc::Heap::create(
                platform.clone(),
                v8::cppgc::HeapCreateParams::default(),
            ));
        let mut isolate = make(params, references);
        isolate.set_slot(Rc::clone(&state));
        isolate.set_host_import_module_dynamically_callback(errors::refuse_import);
        isolate.set_microtasks_policy(v8::MicrotasksPolicy::Explicit);
        // The parameter is not heeded where snapshots are made.
        isolate.set_allow_atomics_wait(false);
        errors::install(&mut isolate);

        let (context, hooks_object, hooks) = {
            v8::scope!(let scope, &mut isolate);
            let context = v8::Context::new(scope, v8::ContextOptions::default());
            let scope = &mut v8::ContextScope::new(scope, context);
            let hooks = match origin {
                Origin::Heap => restored_hooks(scope),
                Origin::NewHeap => {
                    language::complete(scope);
                    run_bootstrap(scope, true)
                }
                Origin::Run => run_bootstrap(scope, false),
            };
            let functions = Hooks::of(scope, hooks);
            (
                v8::Global::new(scope, context),
                v8::Global::new(scope, hooks),
                functions,
            )
        };
        Self {
            repl: None,
            hooks,
            hooks_object,
            context,
            state,
            own_bytes: 0,
            isolate,
        }
    }

    /// Connects the inspector session that evaluates scripts.
    fn connect(&mut self) {
        let repl = Repl::connect(&mut self.isolate, &self.context);
        self.repl = Some(repl);
    }

    /// Does once for all workers of a fork server what each would do: compiles the functions that run
    /// before and after a script, and moves what the heap begins with to where a snapshot wants it. Not for
    /// heaps that are not kept: what a script then fills quickly, V8 would collect again and again.
    fn rehearse(&mut self) {
        {
            v8::scope_with_context!(let scope, &mut self.isolate, &self.context);
            let undefined = v8::undefined(scope).into();
            let is_fetch_granted = v8::Boolean::new(scope, false).into();
            let hooks: [(_, &[v8::Local<'_, v8::Value>]); 2] = [
                (&self.hooks.begin_run, &[is_fetch_granted]),
                (&self.hooks.end_run, &[]),
            ];
            for (hook, arguments) in hooks {
                let hook = v8::Local::new(scope, hook);
                assert!(
                    hook.call(scope, undefined, arguments).is_some(),
                    "the hooks of a new heap run"
                );
            }
        }
        self.isolate.low_memory_notification();
    }

    fn load_everything(&mut self) {
        v8::scope_with_context!(let scope, &mut self.isolate, &self.context);
        let undefined = v8::undefined(scope).into();
        let load = v8::Local::new(scope, &self.hooks.load_everything);
        assert!(
            load.call(scope, undefined, &[]).is_some(),
            "the web scripts load"
        );
    }

    /// Runs one script to its end, and everything that it started.
    pub fn run(&mut self, source: &str, limits: &ExecutionLimits, host: Box<dyn Host>) -> Outcome {
        let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        self.state.grants.set(host.grants());
        *self.state.host.borrow_mut() = Some(host);
        if let Some(outcome) = self.full(limits) {
            return outcome;
        }
        let heap_limit = self.own_bytes.saturating_add(bytes(limits.heap_bytes));
        limit_heap(&mut self.isolate, &self.state, heap_limit);
        self.state.buffers.set(bytes(limits.buffer_bytes));
        self.state.started.set(std::time::Instant::now());
        let lowered = typescript::lower(source);
        *self.state.positions.borrow_mut() = lowered.positions;
        *self.state.complaint.borrow_mut() = lowered.complaint;
        let Some(repl) = self.repl.as_mut() else {
            unreachable!("connected when it was made")
        };
        v8::scope_with_context!(let scope, &mut self.isolate, &self.context);
        let undefined = v8::undefined(scope).into();
        let begin = v8::Local::new(scope, &self.hooks.begin_run);
        let is_fetch_granted = v8::Boolean::new(scope, self.state.grants.get().fetch).into();
        let _returned = begin.call(scope, undefined, &[is_fetch_granted]);
        event_loop::run(scope, repl, &self.hooks, &self.state, &lowered.source)
    }

    /// The outcome of a script that has no room, because the stored heap alone is above its limit.
    fn full(&mut self, limits: &ExecutionLimits) -> Option<Outcome> {
        let held = used_bytes(&mut self.isolate).saturating_sub(self.own_bytes) as u64;
        if held < limits.heap_bytes {
            return None;
        }
        let (held_mb, limit_mb) = (held.div_ceil(1 << 20), limits.heap_bytes >> 20);
        Some(Outcome::failed(
            FailureKind::Memory,
            format!("The stored heap holds {held_mb} MB, and the limit is {limit_mb} MB"),
        ))
    }

    /// Takes the host back after [`Realm::run`].
    pub fn take_host(&mut self) -> Option<Box<dyn Host>> {
        self.state.host.borrow_mut().take()
    }

    /// Turns the heap into bytes.
    ///
    /// # Errors
    /// [`UnsavableHeap`]. Some heaps make V8 end the process.
    pub fn into_snapshot(mut self) -> Result<Snapshot, UnsavableHeap> {
        self.state.is_saving.set(true);
        // Of requests nothing more is said: what is open is nobody's any more.
        self.state.grants.set(Grants::default());
        self.state.exchanges.take();
        if let Err(why) = self.end_run() {
            // V8 insists on a snapshot from such an isolate before it goes.
            std::mem::forget(self);
            return Err(why);
        }
        {
            v8::scope_with_context!(let scope, &mut self.isolate, &self.context);
            if let Some(repl) = self.repl.take() {
                repl.disconnect(scope);
            }
            let context = scope.get_current_context();
            let hooks = v8::Local::new(scope, &self.hooks_object);
            let index = scope.add_context_data(context, hooks);
            assert_eq!(
                index, HOOKS_INDEX,
                "the hooks are the only data of the context"
            );
        }
        inspector_ops::forget();
        self.state.rejections.borrow_mut().clear();
        self.state.uncaught.borrow_mut().take();
        self.state.handed_over.borrow_mut().take();
        let Self {
            hooks,
            hooks_object,
            context,
            state,
            mut isolate,
            ..
        } = self;
        {
            v8::scope!(let scope, &mut isolate);
            let local = v8::Local::new(scope, &context);
            scope.set_default_context(local);
        }
        drop((hooks, hooks_object, context));
        let _slot = isolate.remove_slot::<Rc<State>>();
        drop(state);
        if has_handles(&mut isolate) {
            std::mem::forget(isolate);
            return Err(UnsavableHeap::Host);
        }
        heap_walk::while_saving(|| isolate.create_blob(v8::FunctionCodeHandling::Keep))
            .ok_or(UnsavableHeap::Engine)
    }

    /// Lets go of what belongs to the execution and not to the heap.
    fn end_run(&mut self) -> Result<(), UnsavableHeap> {
        v8::scope_with_context!(let scope, &mut self.isolate, &self.context);
        {
            v8::tc_scope!(let scope, scope);
            let undefined = v8::undefined(scope).into();
            let end_run = v8::Local::new(scope, &self.hooks.end_run);
            if end_run.call(scope, undefined, &[]).is_none() {
                let why = scope.exception();
                let why = why.map(|error| error.to_rust_string_lossy(scope));
                return Err(UnsavableHeap::End(why.unwrap_or_default()));
            }
        }
        let shared_buffers = self.state.shared_buffers.take();
        if self.state.web_assembly.has_run() || !shared_buffers.is_empty() {
            scope.low_memory_notification();
        }
        if self.state.web_assembly.end() {
            return Err(UnsavableHeap::WebAssembly);
        }
        if shared_buffers.is_any_alive() {
            return Err(UnsavableHeap::SharedBuffer);
        }
        Ok(())
    }
}

/// What V8 takes for one global handle, in bytes.
const HANDLE_BYTES: usize = 32;

/// Whether anything beside the context to store has a global handle: V8 ends the process over it.
/// That is so of all objects with a part in C++ (those of Intl and Temporal), as long as they live.
fn has_handles(isolate: &mut v8::OwnedIsolate) -> bool {
    let has_handles = |isolate: &mut v8::OwnedIsolate| {
        isolate.get_heap_statistics().used_global_handles_size() > HANDLE_BYTES
    };
    if !has_handles(isolate) {
        return false;
    }
    isolate.low_memory_notification();
    has_handles(isolate)
}
