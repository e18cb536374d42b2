//! Whether a client has what it asks for already (RFC 9110, If-None-Match).

use axum::http::HeaderValue;

/// Whether one of these headers names this tag. They list tags in quotes, weak ones too, or are `*`.
pub(super) fn is_known<'a>(
    headers: impl IntoIterator<Item = &'a HeaderValue>,
    tag: &HeaderValue,
) -> bool {
    headers
        .into_iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b','))
        .map(|named| named.trim_ascii())
        .any(|named| named == b"*" || named.strip_prefix(b"W/").unwrap_or(named) == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_every_form() {
        let tag = HeaderValue::from_static("\"abc\"");
        for (headers, known) in [
            (&["\"abc\""][..], true),
            (&["W/\"abc\""], true),
            (&["\"x\" ,\t\"abc\""], true),
            (&["\"x\"", "\"abc\""], true),
            (&["*"], true),
            (&[], false),
            (&[""], false),
            (&["abc"], false),
            (&["\"abcd\""], false),
            (&["w/\"abc\""], false),
        ] {
            let given: Vec<_> = headers
                .iter()
                .map(|header| HeaderValue::from_static(header))
                .collect();
            assert_eq!(is_known(&given, &tag), known, "{headers:?}");
        }
    }
}
