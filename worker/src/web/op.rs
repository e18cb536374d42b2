//! What a host function is, and what they share: exceptions, and bytes in and out of buffers.

use deno_core::v8;

use crate::runtime::State;

/// One host function.
pub(crate) type Op = (&'static str, v8::FunctionCallback);

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
