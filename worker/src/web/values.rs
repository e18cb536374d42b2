//! What kind of value something is: the checks that scripts cannot make themselves without trusting
//! what a user may have changed.

use deno_core::v8;

use crate::web::op::Op;

macro_rules! check {
    ($name:ident, |$value:ident| $test:expr) => {
        fn $name(
            scope: &mut v8::PinScope<'_, '_>,
            args: v8::FunctionCallbackArguments<'_>,
            mut returned: v8::ReturnValue<'_>,
        ) {
            let _ = scope;
            let $value = args.get(0);
            returned.set_bool($test);
        }
    };
}

check!(is_array_buffer, |v| v.is_array_buffer());
check!(is_shared_array_buffer, |v| v.is_shared_array_buffer());
check!(is_any_array_buffer, |v| v.is_array_buffer()
    || v.is_shared_array_buffer());
check!(is_data_view, |v| v.is_data_view());
check!(is_typed_array, |v| v.is_typed_array());
check!(is_proxy, |v| v.is_proxy());
check!(is_native_error, |v| v.is_native_error());

/// `op_preview_entries(value)`: the entries of a Map, a Set or an iterator over one, in one array of
/// keys and values or of values, and whether it is the former; null for anything else. An iterator
/// stays where it is.
fn preview_entries(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let (entries, is_key_value) = match v8::Local::<v8::Object>::try_from(args.get(0)) {
        Ok(object) => object.preview_entries(scope),
        Err(_) => (None, false),
    };
    match entries {
        Some(entries) => {
            let is_key_value = v8::Boolean::new(scope, is_key_value);
            let pair = [entries.into(), is_key_value.into()];
            returned.set(v8::Array::new_with_elements(scope, &pair).into());
        }
        None => returned.set_null(),
    }
}

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_is_array_buffer", is_array_buffer.map_fn_to()),
        (
            "op_is_shared_array_buffer",
            is_shared_array_buffer.map_fn_to(),
        ),
        ("op_is_any_array_buffer", is_any_array_buffer.map_fn_to()),
        ("op_is_data_view", is_data_view.map_fn_to()),
        ("op_is_typed_array", is_typed_array.map_fn_to()),
        ("op_is_proxy", is_proxy.map_fn_to()),
        ("op_is_native_error", is_native_error.map_fn_to()),
        ("op_preview_entries", preview_entries.map_fn_to()),
    ]
}
