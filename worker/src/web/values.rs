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
check!(is_map, |v| v.is_map());
check!(is_set, |v| v.is_set());

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
        ("op_is_map", is_map.map_fn_to()),
        ("op_is_set", is_set.map_fn_to()),
    ]
}
