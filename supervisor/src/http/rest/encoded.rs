//! Texts in URLs: what is not the percent-encoding of UTF-8 is refused, not guessed at.

use crate::api::arguments::{Fault, Object};
use crate::api::clip;

/// The text that a part of a URL stands for; `None` where it is malformed. In a query, `+` is a blank.
pub(super) fn decode(part: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if is_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// A query, read.
#[derive(Debug)]
pub(super) struct Query {
    /// Its texts by name.
    pub(super) found: Object,
    /// What is wrong with it.
    pub(super) faults: Vec<Fault>,
}

/// Reads a query. Each name may stand there once.
pub(super) fn query(query: &str) -> Query {
    let mut found = Object::new();
    let mut faults = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(name, true), decode(text, true)) {
            (None, _) => faults.push(garbled("the name of a parameter")),
            (Some(name), None) => faults.push(garbled(&clip(&name))),
            (Some(name), Some(_)) if found.contains_key(&name) => {
                faults.push(Fault::Repeated {
                    name: clip(&name).into_owned(),
                });
            }
            (Some(name), Some(text)) => drop(found.insert(name, text.into())),
        }
    }
    Query { found, faults }
}

pub(super) fn garbled(name: &str) -> Fault {
    Fault::Garbled {
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_decoded_strictly() {
        for (part, in_path, in_query) in [
            ("", Some(""), Some("")),
            ("a+b", Some("a+b"), Some("a b")),
            ("%41%2f%2B", Some("A/+"), Some("A/+")),
            ("%C3%bc", Some("\u{fc}"), Some("\u{fc}")),
            ("\u{fc}", Some("\u{fc}"), Some("\u{fc}")),
            ("%00", Some("\0"), Some("\0")),
            ("%", None, None),
            ("a%4", None, None),
            ("%zz", None, None),
            ("%+1", None, None),
            ("%\u{fc}", None, None),
            ("%ff", None, None),
            ("%c3", None, None),
            ("%ed%a0%80", None, None),
        ] {
            assert_eq!(decode(part, false).as_deref(), in_path, "{part}");
            assert_eq!(decode(part, true).as_deref(), in_query, "{part}");
        }
    }

    #[test]
    fn a_query_has_each_name_once() {
        let Query { found, faults } = query("a=1&&b=x%3Dy&c&d=&=e&");
        assert_eq!(
            serde_json::to_string(&found).unwrap(),
            r#"{"a":"1","b":"x=y","c":"","d":"","":"e"}"#
        );
        assert_eq!(faults, []);
        let Query { found, faults } = query("a=1&%61=2&%ff=3&b=%ff&a=");
        assert_eq!(serde_json::to_string(&found).unwrap(), r#"{"a":"1"}"#);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "a is given more than once",
                "the name of a parameter is not percent-encoded UTF-8",
                "b is not percent-encoded UTF-8",
                "a is given more than once",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_query_is_too_much(text in "([&=%+]|[0-9a-fA-F]|\\PC){0,60}") {
            let _ = query(&text);
        }

        #[test]
        fn what_is_encoded_comes_back(text in "\\PC{0,20}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded, true), Some(text.clone()));
            prop_assert_eq!(decode(&encoded, false), Some(text));
        }
    }
}
