//! WebAssembly in heaps: the host's half of `js/wasm.js`.
//!
//! V8 does not install the `WebAssembly` global in isolates that make snapshots, and cannot put its
//! objects into one. But the functions behind that global are there, as API callbacks that its library
//! exports and knows in snapshots; so they are host functions, and the script above them gives a user's
//! script objects of ours. What is V8's lives in the same isolate, under the same limits, and is garbage
//! when a heap is stored. What happened to stay is found before V8 is asked for the snapshot, which it
//! would answer by ending the process.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use deno_core::v8;

use crate::runtime::{State, has_web_assembly};
use crate::web::op::{Op, bytes_of, throw_type_error, uint8_array};

macro_rules! v8_callbacks {
    ($($name:literal $function:ident $symbol:literal)*) => {
        unsafe extern "C" {
            $(
                #[link_name = concat!(
                    "_ZN2v88internal4wasm", $symbol, "ERKNS_20FunctionCallbackInfoINS_5ValueEEE"
                )]
                fn $function(info: *const v8::FunctionCallbackInfo);
            )*
        }

        /// V8's own functions.
        pub(crate) fn v8_functions() -> Vec<Op> {
            vec![$(($name, $function as v8::FunctionCallback)),*]
        }
    };
}

// `v8::internal::wasm::WebAssembly...(const FunctionCallbackInfo<Value>&)`, as `src/wasm/wasm-js.h` of
// V8 lists them.
v8_callbacks! {
    "wasm_compile" compile "18WebAssemblyCompile"
    "wasm_validate" validate "19WebAssemblyValidate"
    "wasm_instantiate" instantiate "22WebAssemblyInstantiate"
    "wasm_module" module "17WebAssemblyModule"
    "wasm_module_imports" module_imports "24WebAssemblyModuleImports"
    "wasm_module_exports" module_exports "24WebAssemblyModuleExports"
    "wasm_module_custom_sections" module_custom_sections "31WebAssemblyModuleCustomSections"
    "wasm_instance" instance "19WebAssemblyInstance"
    "wasm_instance_exports" instance_exports "29WebAssemblyInstanceGetExports"
    "wasm_table" table "16WebAssemblyTable"
    "wasm_table_get" table_get "19WebAssemblyTableGet"
    "wasm_table_set" table_set "19WebAssemblyTableSet"
    "wasm_table_grow" table_grow "20WebAssemblyTableGrow"
    "wasm_table_get_length" table_get_length "25WebAssemblyTableGetLength"
    "wasm_memory" memory "17WebAssemblyMemory"
    "wasm_memory_grow" memory_grow "21WebAssemblyMemoryGrow"
    "wasm_memory_buffer" memory_buffer "26WebAssemblyMemoryGetBuffer"
    "wasm_memory_to_resizable_buffer" memory_resizable "34WebAssemblyMemoryToResizableBuffer"
    "wasm_global" global "17WebAssemblyGlobal"
    "wasm_global_value_of" global_value_of "24WebAssemblyGlobalValueOf"
    "wasm_global_get_value" global_get_value "25WebAssemblyGlobalGetValue"
    "wasm_global_set_value" global_set_value "25WebAssemblyGlobalSetValue"
    "wasm_tag" tag "14WebAssemblyTag"
    "wasm_exception" exception "20WebAssemblyException"
    "wasm_exception_get_arg" exception_get_arg "26WebAssemblyExceptionGetArg"
    "wasm_exception_is" exception_is "22WebAssemblyExceptionIs"
}

/// What of V8's WebAssembly may be in use.
#[derive(Default)]
pub(crate) struct Living {
    /// Whether anything was compiled in this execution.
    has_run: Cell<bool>,
    /// V8's modules and instances. Whatever else is V8's and alive keeps one of them alive, or cannot
    /// get to a script.
    watched: RefCell<WeakList<v8::Object>>,
    /// Objects of ours that keep something in a heap.
    kept: RefCell<WeakList<v8::Object>>,
    /// V8's buffers of memories, and those that a script has over the same bytes.
    buffers: RefCell<Vec<(v8::Weak<v8::ArrayBuffer>, v8::Weak<v8::ArrayBuffer>)>>,
}

impl Living {
    /// Whether anything was compiled in this execution. Since then the second stack that V8 takes of
    /// an error is empty: it would refer to instances, and cannot be let go.
    pub(crate) fn has_run(&self) -> bool {
        self.has_run.get()
    }

    /// Whether something of V8's is still referred to, after a garbage collection. Forgets all.
    pub(crate) fn end(&self) -> bool {
        self.kept.take();
        self.buffers.take();
        let watched = self.watched.take();
        watched.items.iter().any(|object| !object.is_empty())
    }
}

/// Weak handles, without those to what is gone.
struct WeakList<T> {
    items: Vec<v8::Weak<T>>,
    /// Its length when it is next looked through.
    next: usize,
}

impl<T> Default for WeakList<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            next: 64,
        }
    }
}

impl<T> WeakList<T> {
    fn push(&mut self, handle: v8::Weak<T>) {
        if self.items.len() >= self.next {
            self.items.retain(|item| !item.is_empty());
            self.next = 64.max(self.items.len() * 2);
        }
        self.items.push(handle);
    }
}

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_wasm_is_there", is_there.map_fn_to()),
        ("op_wasm_is_module", is_module.map_fn_to()),
        ("op_wasm_copy", copy.map_fn_to()),
        ("op_wasm_mark", mark.map_fn_to()),
        ("op_wasm_watch", watch.map_fn_to()),
        ("op_wasm_keep", keep.map_fn_to()),
        ("op_wasm_kept", kept.map_fn_to()),
        ("op_wasm_share", share.map_fn_to()),
        ("op_wasm_detach", detach.map_fn_to()),
        ("op_wasm_settle", settle.map_fn_to()),
    ]
}

/// `op_wasm_is_there()`: whether this engine tier has WebAssembly.
fn is_there(
    _scope: &mut v8::PinScope<'_, '_>,
    _args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    returned.set_bool(has_web_assembly());
}

/// `op_wasm_is_module(value)`: whether it is a module of V8's.
fn is_module(
    _scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    returned.set_bool(args.get(0).is_wasm_module_object());
}

/// `op_wasm_copy(source)`: the bytes of what V8 takes for a module's, if there are any.
fn copy(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let source = args.get(0);
    if !source.is_array_buffer() && !source.is_typed_array() {
        return;
    }
    if let Some(bytes) = bytes_of(source).filter(|bytes| !bytes.is_empty())
        && let Some(array) = uint8_array(scope, &bytes)
    {
        returned.set(array.into());
    }
}

/// What marks an object of ours.
fn brand<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Private>> {
    let name = v8::String::new(scope, "WebAssembly")?;
    Some(v8::Private::for_api(scope, Some(name)))
}

/// `op_wasm_mark(object)`: makes it one that [`is_ours`] finds.
fn mark(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    if let Ok(object) = v8::Local::<v8::Object>::try_from(args.get(0)) {
        make_ours(scope, object);
    }
}

fn make_ours(scope: &mut v8::PinScope<'_, '_>, object: v8::Local<'_, v8::Object>) {
    if let Some(brand) = brand(scope) {
        let value = v8::undefined(scope).into();
        object.set_private(scope, brand, value);
    }
}

/// Whether an object stands for one of V8's, which can be neither cloned nor transferred.
pub(crate) fn is_ours(scope: &mut v8::PinScope<'_, '_>, object: v8::Local<'_, v8::Object>) -> bool {
    brand(scope).is_some_and(|brand| object.has_private(scope, brand) == Some(true))
}

/// `op_wasm_watch(object)`: a module or an instance that V8 has made.
fn watch(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let Ok(object) = v8::Local::<v8::Object>::try_from(args.get(0)) else {
        return;
    };
    let state = State::of(scope);
    if !state.web_assembly.has_run.replace(true) {
        // Not off: then V8 leaves stacks half done, which it cannot finish after a snapshot.
        scope.set_capture_stack_trace_for_uncaught_exceptions(true, 0);
    }
    let handle = v8::Weak::new(scope, object);
    state.web_assembly.watched.borrow_mut().push(handle);
}

/// `op_wasm_keep(object)`: an object of ours that `op_wasm_kept` is to give.
fn keep(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    if let Ok(object) = v8::Local::<v8::Object>::try_from(args.get(0)) {
        let handle = v8::Weak::new(scope, object);
        State::of(scope).web_assembly.kept.borrow_mut().push(handle);
    }
}

/// `op_wasm_kept()`: the objects of `op_wasm_keep` that are still there.
fn kept(
    scope: &mut v8::PinScope<'_, '_>,
    _args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let list = State::of(scope).web_assembly.kept.take();
    let objects: Vec<v8::Local<'_, v8::Value>> = list
        .items
        .iter()
        .filter_map(|handle| Some(handle.to_local(scope)?.into()))
        .collect();
    returned.set(v8::Array::new_with_elements(scope, &objects).into());
}

/// Gives back what [`share`] holds.
unsafe extern "C" fn drop_store(_bytes: *mut c_void, _length: usize, store: *mut c_void) {
    let store: *mut v8::SharedRef<v8::BackingStore> = store.cast();
    // SAFETY: it is the box that `share` made, and V8 gives it back once.
    drop(unsafe { Box::from_raw(store) });
}

/// `op_wasm_share(buffer, key)`: a buffer of ours over the bytes of a memory's. V8's own refers to the
/// memory, and nobody but V8 can detach it.
fn share(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    if let Ok(shared) = v8::Local::<v8::SharedArrayBuffer>::try_from(args.get(0)) {
        let store = shared.get_backing_store();
        let over = v8::SharedArrayBuffer::with_backing_store(scope, &store);
        return returned.set(over.into());
    }
    let Ok(buffer) = v8::Local::<v8::ArrayBuffer>::try_from(args.get(0)) else {
        return throw_type_error(scope, "op_wasm_share takes a buffer");
    };
    let store = buffer.get_backing_store();
    let over = match store.data() {
        Some(bytes) if store.byte_length() > 0 => {
            let length = store.byte_length();
            let holder = Box::into_raw(Box::new(store));
            // SAFETY: the bytes live as long as the store that the box holds, and are not moved: a
            // memory that grows in another place gets another store.
            let over = unsafe {
                v8::ArrayBuffer::new_backing_store_from_ptr(
                    bytes.as_ptr(),
                    length,
                    drop_store,
                    holder.cast(),
                )
            };
            v8::ArrayBuffer::with_backing_store(scope, &over.make_shared())
        }
        _ => v8::ArrayBuffer::new(scope, 0),
    };
    over.set_detach_key(args.get(1));
    make_ours(scope, over.into());
    let handles = (v8::Weak::new(scope, buffer), v8::Weak::new(scope, over));
    State::of(scope)
        .web_assembly
        .buffers
        .borrow_mut()
        .push(handles);
    returned.set(over.into());
}

/// `op_wasm_detach(buffer, key)`.
fn detach(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    if let Ok(buffer) = v8::Local::<v8::ArrayBuffer>::try_from(args.get(0)) {
        v8::tc_scope!(let _scope, scope);
        if buffer.detach(Some(args.get(1))) != Some(true) {
            // One from a heap, where V8 does not keep the key.
            buffer.detach(None);
        }
    }
}

/// `op_wasm_settle(key)`: detaches the buffers over those that V8 has detached, since their memories
/// have grown.
fn settle(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    let key = args.get(0);
    let state = State::of(scope);
    state
        .web_assembly
        .buffers
        .borrow_mut()
        .retain(|(source, over)| {
            let Some(over) = over.to_local(scope) else {
                return false;
            };
            let is_current = source
                .to_local(scope)
                .is_some_and(|source| !source.was_detached());
            if !is_current {
                over.detach(Some(key));
            }
            is_current
        });
}
