//! Objects that are looked at before a heap is stored, if they still live.

use deno_core::v8;

use crate::runtime::State;
use crate::web::op::Op;

/// How many handles a list has when it is looked through for the first time.
const FIRST_LOOK: usize = 64;

/// Weak handles, without those to what has gone.
#[derive(Default)]
pub(crate) struct WeakList {
    items: Vec<v8::Weak<v8::Object>>,
    /// Its length when it is looked through next.
    next_look: usize,
}

impl WeakList {
    pub(crate) fn push(&mut self, isolate: &mut v8::Isolate, object: v8::Local<'_, v8::Object>) {
        if self.items.len() >= self.next_look {
            self.items.retain(|item| !item.is_empty());
            self.next_look = FIRST_LOOK.max(self.items.len() * 2);
        }
        self.items.push(v8::Weak::new(isolate, object));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether anything lives, as far as garbage was collected.
    pub(crate) fn is_any_alive(&self) -> bool {
        self.items.iter().any(|item| !item.is_empty())
    }

    /// What lives.
    pub(crate) fn alive<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
    ) -> Vec<v8::Local<'s, v8::Value>> {
        self.items
            .iter()
            .filter_map(|item| Some(item.to_local(scope)?.into()))
            .collect()
    }
}

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![("op_watch_shared_buffer", watch_shared_buffer.map_fn_to())]
}

/// `op_watch_shared_buffer(buffer)`: V8 stores such a buffer, but as one that is not shared, which none
/// of its functions takes then.
fn watch_shared_buffer(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _returned: v8::ReturnValue<'_>,
) {
    if let Ok(object) = v8::Local::<v8::Object>::try_from(args.get(0)) {
        let state = State::of(scope);
        state.shared_buffers.borrow_mut().push(scope, object);
    }
}
