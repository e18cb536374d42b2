//! The structured clone algorithm, by V8's serializer.

use std::cell::{Cell, RefCell};

use deno_core::v8;

use crate::runtime::State;
use crate::web::op::{Op, throw_range_error, throw_type_error};
use crate::web::wasm;

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![("op_structured_clone", structured_clone.map_fn_to())]
}

/// Objects that V8 does not know (Blob, DOMException): collected on the way in, their clones handed
/// out on the way back, by their place in the stream.
struct Hosts {
    /// What objects of the web's classes bear, once there is one. They have no clones but those that
    /// their class makes.
    interface: Option<v8::Global<v8::Symbol>>,
    brand: v8::Global<v8::Symbol>,
    clone: v8::Global<v8::Function>,
    cloned: RefCell<Vec<v8::Global<v8::Object>>>,
    next: Cell<usize>,
}

/// Throws what the script turns into a DataCloneError: an object with the brand, which no getter of
/// a user can throw.
fn refuse(
    scope: &mut v8::PinScope<'_, '_>,
    brand: &v8::Global<v8::Symbol>,
    message: v8::Local<'_, v8::String>,
) {
    let refusal = v8::Object::new(scope);
    let brand = v8::Local::new(scope, brand);
    refusal.set(scope, brand.into(), message.into());
    scope.throw_exception(refusal.into());
}

struct Writer<'a>(&'a Hosts);
struct Reader<'a>(&'a Hosts);

impl v8::ValueSerializerImpl for Writer<'_> {
    fn throw_data_clone_error<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        message: v8::Local<'s, v8::String>,
    ) {
        refuse(scope, &self.0.brand, message);
    }

    fn has_custom_host_object(&self, _isolate: &v8::Isolate) -> bool {
        true
    }

    fn is_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        object: v8::Local<'s, v8::Object>,
    ) -> Option<bool> {
        let brand = v8::Local::new(scope, &self.0.brand);
        if wasm::is_ours(scope, object) {
            return Some(true);
        }
        if let Some(interface) = &self.0.interface {
            let interface = v8::Local::new(scope, interface);
            if object.has_own_property(scope, interface.into())? {
                return Some(true);
            }
        }
        object.has(scope, brand.into())
    }

    fn write_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        object: v8::Local<'s, v8::Object>,
        _stream: &dyn v8::ValueSerializerHelper,
    ) -> Option<bool> {
        let clone = v8::Local::new(scope, &self.0.clone);
        let undefined = v8::undefined(scope).into();
        let cloned = clone.call(scope, undefined, &[object.into()])?;
        let cloned = v8::Local::<v8::Object>::try_from(cloned).ok()?;
        self.0
            .cloned
            .borrow_mut()
            .push(v8::Global::new(scope, cloned));
        Some(true)
    }
}

impl v8::ValueDeserializerImpl for Reader<'_> {
    fn read_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        _stream: &dyn v8::ValueDeserializerHelper,
    ) -> Option<v8::Local<'s, v8::Object>> {
        let index = self.0.next.replace(self.0.next.get() + 1);
        let cloned = self.0.cloned.borrow();
        Some(v8::Local::new(scope, cloned.get(index)?))
    }
}

/// `op_structured_clone(value, transfer, brand, cloneHostObject, interfaceBrand)`. Throws an object with the brand,
/// which holds the reason, for what cannot be cloned.
fn structured_clone<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut returned: v8::ReturnValue<'_>,
) {
    let (Ok(brand), Ok(clone)) = (
        v8::Local::<v8::Symbol>::try_from(args.get(2)),
        v8::Local::<v8::Function>::try_from(args.get(3)),
    ) else {
        return throw_type_error(scope, "op_structured_clone takes a brand and a function");
    };
    let interface = v8::Local::<v8::Symbol>::try_from(args.get(4)).ok();
    let hosts = Hosts {
        interface: interface.map(|brand| v8::Global::new(scope, brand)),
        brand: v8::Global::new(scope, brand),
        clone: v8::Global::new(scope, clone),
        cloned: RefCell::default(),
        next: Cell::new(0),
    };
    let Some(transfer) = transferred(scope, args.get(1)) else {
        if let Some(message) = v8::String::new(scope, "Value not transferable") {
            refuse(scope, &hosts.brand, message);
        }
        return;
    };
    let context = scope.get_current_context();
    let bytes = {
        let serializer = v8::ValueSerializer::new(scope, Box::new(Writer(&hosts)));
        v8::ValueSerializerHelper::write_header(&serializer);
        for (index, buffer) in (0..).zip(&transfer) {
            v8::ValueSerializerHelper::transfer_array_buffer(&serializer, index, *buffer);
        }
        if serializer.write_value(context, args.get(0)) != Some(true) {
            return;
        }
        serializer.release()
    };
    let mut stores = Vec::new();
    for buffer in &transfer {
        stores.push(buffer.get_backing_store());
        buffer.detach(None);
    }
    if !State::of(scope).buffers.has_room(bytes.len()) {
        // V8 would only say that it cannot read the data.
        return throw_range_error(scope, "Array buffer allocation failed");
    }
    let deserializer = v8::ValueDeserializer::new(scope, Box::new(Reader(&hosts)), &bytes);
    if v8::ValueDeserializerHelper::read_header(&deserializer, context) != Some(true) {
        return;
    }
    for (index, store) in (0..).zip(&stores) {
        let buffer = v8::ArrayBuffer::with_backing_store(scope, store);
        v8::ValueDeserializerHelper::transfer_array_buffer(&deserializer, index, buffer);
    }
    if let Some(value) = deserializer.read_value(context) {
        returned.set(value);
    }
}

/// The buffers to transfer; `None` when something else is among them.
fn transferred<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    list: v8::Local<'s, v8::Value>,
) -> Option<Vec<v8::Local<'s, v8::ArrayBuffer>>> {
    let Ok(list) = v8::Local::<v8::Array>::try_from(list) else {
        return Some(Vec::new());
    };
    let mut buffers: Vec<v8::Local<'s, v8::ArrayBuffer>> = Vec::new();
    for index in 0..list.length() {
        let value = list.get_index(scope, index)?;
        match v8::Local::<v8::ArrayBuffer>::try_from(value) {
            Ok(buffer)
                if buffer.is_detachable()
                    && !wasm::is_ours(scope, buffer.into())
                    && !buffer.was_detached()
                    && !buffers.contains(&buffer) =>
            {
                buffers.push(buffer);
            }
            _ => return None,
        }
    }
    Some(buffers)
}
