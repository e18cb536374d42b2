//! TextEncoder, TextDecoder, atob and btoa.

use deno_core::v8;

use crate::runtime::State;
use crate::web::decoders::{DecodeTextError, decode_all};
use crate::web::op::{Op, bytes_of, throw_range_error, throw_type_error, uint8_array, write_into};

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_encode", encode.map_fn_to()),
        ("op_decode", decode_utf8.map_fn_to()),
        ("op_encoding_encode_into", encode_into.map_fn_to()),
        ("op_encoding_normalize_label", normalize_label.map_fn_to()),
        ("op_encoding_decode_utf8", decode_utf8_keep_bom.map_fn_to()),
        (
            "op_encoding_decode_utf8_ascii_only",
            decode_ascii_only.map_fn_to(),
        ),
        ("op_encoding_decode_single", decode_single.map_fn_to()),
        ("op_encoding_new_decoder", new_decoder.map_fn_to()),
        ("op_encoding_decode", decode.map_fn_to()),
        ("op_base64_atob", atob.map_fn_to()),
        ("op_base64_btoa", btoa.map_fn_to()),
        ("op_console_get_string_width", string_width.map_fn_to()),
    ]
}

/// `op_encode(string)`: UTF-8 bytes.
fn encode(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let text = args.get(0).to_rust_string_lossy(scope);
    if let Some(bytes) = uint8_array(scope, text.as_bytes()) {
        returned.set(bytes.into());
    }
}

fn set_text(
    scope: &mut v8::PinScope<'_, '_>,
    returned: &mut v8::ReturnValue<'_>,
    text: Result<Vec<u16>, DecodeTextError>,
) {
    match text {
        Ok(units) => {
            match v8::String::new_from_two_byte(scope, &units, v8::NewStringType::Normal) {
                Some(text) => returned.set(text.into()),
                None => throw_range_error(scope, &DecodeTextError::TooLong.to_string()),
            }
        }
        Err(error @ (DecodeTextError::Label | DecodeTextError::TooLong)) => {
            throw_range_error(scope, &error.to_string());
        }
        Err(error) => throw_type_error(scope, &error.to_string()),
    }
}

/// `op_decode(bytes)`: UTF-8 without its byte order mark, malformed parts replaced.
fn decode_utf8(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let bytes = bytes_of(args.get(0)).unwrap_or_default();
    set_text(
        scope,
        &mut returned,
        decode_all("utf-8", false, false, &bytes),
    );
}

/// `op_encoding_decode_utf8(bytes, ignoreBom)`.
fn decode_utf8_keep_bom(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let bytes = bytes_of(args.get(0)).unwrap_or_default();
    let ignore_bom = args.get(1).boolean_value(scope);
    set_text(
        scope,
        &mut returned,
        decode_all("utf-8", false, ignore_bom, &bytes),
    );
}

/// `op_encoding_decode_utf8_ascii_only(bytes)`: the text when it is all ASCII, else null.
fn decode_ascii_only(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let bytes = bytes_of(args.get(0)).unwrap_or_default();
    let text = bytes
        .is_ascii()
        .then(|| v8::String::new_from_one_byte(scope, &bytes, v8::NewStringType::Normal));
    match text.flatten() {
        Some(text) => returned.set(text.into()),
        None => returned.set_null(),
    }
}

/// `op_encoding_decode_single(bytes, label, fatal, ignoreBom)`.
fn decode_single(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let bytes = bytes_of(args.get(0)).unwrap_or_default();
    let label = args.get(1).to_rust_string_lossy(scope);
    let (fatal, ignore_bom) = (
        args.get(2).boolean_value(scope),
        args.get(3).boolean_value(scope),
    );
    set_text(
        scope,
        &mut returned,
        decode_all(&label, fatal, ignore_bom, &bytes),
    );
}

/// `op_encoding_new_decoder(label, fatal, ignoreBom)`: the number of a decoder.
fn new_decoder(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let label = args.get(0).to_rust_string_lossy(scope);
    let (fatal, ignore_bom) = (
        args.get(1).boolean_value(scope),
        args.get(2).boolean_value(scope),
    );
    let opened = State::of(scope)
        .decoders
        .borrow_mut()
        .open(&label, fatal, ignore_bom);
    match opened {
        Ok(id) => returned.set_uint32(id),
        Err(error) => throw_range_error(scope, &error.to_string()),
    }
}

/// `op_encoding_decode(bytes, decoder, stream)`.
fn decode(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let bytes = bytes_of(args.get(0)).unwrap_or_default();
    let id = args.get(1).uint32_value(scope).unwrap_or_default();
    let last = !args.get(2).boolean_value(scope);
    let text = State::of(scope)
        .decoders
        .borrow_mut()
        .decode(id, &bytes, last);
    set_text(scope, &mut returned, text);
}

/// `op_encoding_encode_into(string, bytes)`: units read times 2^32, plus bytes written.
fn encode_into(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    const READ_UNIT: f64 = 4_294_967_296.0;
    let text = args.get(0).to_rust_string_lossy(scope);
    let room =
        v8::Local::<v8::ArrayBufferView>::try_from(args.get(1)).map_or(0, |v| v.byte_length());
    let fitting = &text[..text.floor_char_boundary(room)];
    let read = u32::try_from(fitting.encode_utf16().count()).unwrap_or(u32::MAX);
    let written = u32::try_from(fitting.len()).unwrap_or(u32::MAX);
    match write_into(args.get(1), fitting.as_bytes()) {
        Some(()) => returned.set_double(f64::from(read) * READ_UNIT + f64::from(written)),
        None => throw_type_error(scope, "encodeInto takes a Uint8Array"),
    }
}

/// `op_encoding_normalize_label(label)`.
fn normalize_label(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let label = args.get(0).to_rust_string_lossy(scope);
    match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
        Some(encoding) => {
            if let Some(name) = v8::String::new(scope, &encoding.name().to_lowercase()) {
                returned.set(name.into());
            }
        }
        None => throw_range_error(
            scope,
            &format!("The encoding label provided ('{label}') is invalid."),
        ),
    }
}

/// The forgiving decoder of <https://infra.spec.whatwg.org/#forgiving-base64-decode>.
fn forgiving_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let mut compact: String = text
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' '))
        .collect();
    if compact.len().is_multiple_of(4) {
        let kept = compact
            .strip_suffix("==")
            .or_else(|| compact.strip_suffix('='))
            .map(str::len);
        compact.truncate(kept.unwrap_or(compact.len()));
    }
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
        .decode(compact)
        .ok()
}

/// `op_base64_atob(string)`: a string of bytes as characters.
fn atob(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let text = args.get(0).to_rust_string_lossy(scope);
    let decoded = forgiving_base64(&text)
        .and_then(|bytes| v8::String::new_from_one_byte(scope, &bytes, v8::NewStringType::Normal));
    match decoded {
        Some(text) => returned.set(text.into()),
        None => throw_type_error(scope, "Failed to decode base64"),
    }
}

/// `op_base64_btoa(string)`.
fn btoa(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    use base64::Engine;
    let text = args.get(0).to_rust_string_lossy(scope);
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    let encoded = bytes.and_then(|bytes| {
        v8::String::new(
            scope,
            &base64::engine::general_purpose::STANDARD.encode(bytes),
        )
    });
    match encoded {
        Some(text) => returned.set(text.into()),
        None => throw_type_error(scope, "The string contains characters outside of Latin1"),
    }
}

/// `op_console_get_string_width(string)`: columns on a terminal.
fn string_width(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let text = args.get(0).to_rust_string_lossy(scope);
    let width = unicode_width::UnicodeWidthStr::width(text.as_str());
    returned.set_uint32(u32::try_from(width).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_as_the_web_does() {
        assert_eq!(forgiving_base64("aGk="), Some(b"hi".to_vec()));
        assert_eq!(forgiving_base64(" a G\nk "), Some(b"hi".to_vec()));
        assert_eq!(forgiving_base64("aGk=="), None);
        assert_eq!(forgiving_base64("a"), None);
        assert_eq!(forgiving_base64("aGl=x"), None);
        assert_eq!(forgiving_base64(""), Some(Vec::new()));
        assert_eq!(forgiving_base64("YQ"), Some(b"a".to_vec()));
    }
}
