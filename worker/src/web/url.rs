//! URL and URLSearchParams, on the `url` crate.

use ::url::{Url, form_urlencoded, quirks};
use deno_core::v8;

use crate::runtime::State;
use crate::web::op::{Op, bytes_of, throw_type_error, write_into};

/// The input is its own serialisation.
const SAME: u32 = 0;
/// The serialisation is another; `op_url_get_serialization` gives it.
const OTHER: u32 = 1;
/// Not a URL.
const INVALID: u32 = 2;
/// The port of a URL that has none.
const NO_PORT: u32 = 65_536;

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_url_parse", parse.map_fn_to()),
        ("op_url_parse_with_base", parse_with_base.map_fn_to()),
        ("op_url_reparse", reparse.map_fn_to()),
        ("op_url_get_serialization", get_serialization.map_fn_to()),
        (
            "op_url_parse_search_params",
            parse_search_params.map_fn_to(),
        ),
        (
            "op_url_stringify_search_params",
            stringify_search_params.map_fn_to(),
        ),
    ]
}

/// `op_url_parse(href, components)`.
fn parse(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let href = args.get(0).to_rust_string_lossy(scope);
    let url = Url::parse(&href).ok();
    returned.set_uint32(answer(scope, url, &href, args.get(1)));
}

/// `op_url_parse_with_base(href, base, components)`.
fn parse_with_base(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let href = args.get(0).to_rust_string_lossy(scope);
    let base = args.get(1).to_rust_string_lossy(scope);
    let url = Url::parse(&base)
        .ok()
        .and_then(|base| base.join(&href).ok());
    returned.set_uint32(answer(scope, url, &href, args.get(2)));
}

/// `op_url_reparse(href, setter, value, components)`: sets one part.
fn reparse(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let href = args.get(0).to_rust_string_lossy(scope);
    let setter = args.get(1).uint32_value(scope).unwrap_or(u32::MAX);
    let value = args.get(2).to_rust_string_lossy(scope);
    let url = Url::parse(&href)
        .ok()
        .and_then(|mut url| set_part(&mut url, setter, &value).map(|()| url));
    returned.set_uint32(answer(scope, url, &href, args.get(3)));
}

/// The numbers are those of Deno's `00_url.js`.
fn set_part(url: &mut Url, setter: u32, value: &str) -> Option<()> {
    match setter {
        0 => quirks::set_hash(url, value),
        1 => quirks::set_host(url, value).ok()?,
        2 => quirks::set_hostname(url, value).ok()?,
        3 => quirks::set_password(url, value).ok()?,
        4 => quirks::set_pathname(url, value),
        5 => quirks::set_port(url, value).ok()?,
        6 => quirks::set_protocol(url, value).ok()?,
        7 => quirks::set_search(url, value),
        8 => quirks::set_username(url, value).ok()?,
        _ => return None,
    }
    Some(())
}

fn answer(
    scope: &mut v8::PinScope<'_, '_>,
    url: Option<Url>,
    href: &str,
    components: v8::Local<'_, v8::Value>,
) -> u32 {
    let Some(url) = url else { return INVALID };
    let parts = quirks::internal_components(&url);
    let numbers = [
        parts.scheme_end,
        parts.username_end,
        parts.host_start,
        parts.host_end,
        parts.port.map_or(NO_PORT, u32::from),
        parts.path_start,
        parts.query_start.unwrap_or(0),
        parts.fragment_start.unwrap_or(0),
    ];
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect();
    if write_into(components, &bytes).is_none() {
        return INVALID;
    }
    let text = String::from(url);
    if text == href {
        return SAME;
    }
    *State::of(scope).url_serialization.borrow_mut() = text;
    OTHER
}

/// `op_url_get_serialization()`: of the last URL that was not its own serialisation.
fn get_serialization(
    scope: &mut v8::PinScope<'_, '_>,
    _args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let text = std::mem::take(&mut *State::of(scope).url_serialization.borrow_mut());
    if let Some(text) = v8::String::new(scope, &text) {
        returned.set(text.into());
    }
}

/// `op_url_parse_search_params(string | null, bytes?)`: pairs of strings.
fn parse_search_params(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let bytes = if args.get(0).is_string() {
        args.get(0).to_rust_string_lossy(scope).into_bytes()
    } else {
        bytes_of(args.get(1)).unwrap_or_default()
    };
    let mut pairs = Vec::new();
    for (name, value) in form_urlencoded::parse(&bytes) {
        let (Some(name), Some(value)) = (
            v8::String::new(scope, &name),
            v8::String::new(scope, &value),
        ) else {
            return throw_type_error(scope, "the parameters are too long");
        };
        pairs.push(v8::Array::new_with_elements(scope, &[name.into(), value.into()]).into());
    }
    returned.set(v8::Array::new_with_elements(scope, &pairs).into());
}

/// `op_url_stringify_search_params(pairs)`.
fn stringify_search_params(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let text = (|| {
        let pairs = v8::Local::<v8::Array>::try_from(args.get(0)).ok()?;
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        for index in 0..pairs.length() {
            let pair = v8::Local::<v8::Array>::try_from(pairs.get_index(scope, index)?).ok()?;
            let name = pair.get_index(scope, 0)?.to_rust_string_lossy(scope);
            let value = pair.get_index(scope, 1)?.to_rust_string_lossy(scope);
            serializer.append_pair(&name, &value);
        }
        v8::String::new(scope, &serializer.finish())
    })();
    match text {
        Some(text) => returned.set(text.into()),
        None => throw_type_error(scope, "the parameters are not pairs of strings"),
    }
}
