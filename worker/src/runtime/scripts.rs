//! The JavaScript of the web globals: Deno's, taken from the crates that publish it, and ours.
//!
//! The scripts are handed to V8 as ordinary strings. deno_core hands them over as external strings,
//! which ties a snapshot to a table of addresses that changes from one generation to the next.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use deno_core::Extension;

/// Ours. They have the shape of Deno's: an immediately called function that reads `__bootstrap`.
const OWN: &[(&str, &str)] = &[
    ("ext:mcp_v8/body.js", include_str!("../web/js/body.js")),
    (
        "ext:mcp_v8/console.js",
        include_str!("../web/js/console.js"),
    ),
    ("ext:mcp_v8/crypto.js", include_str!("../web/js/crypto.js")),
    (
        "ext:mcp_v8/crypto_asymmetric.js",
        include_str!("../web/js/crypto_asymmetric.js"),
    ),
    (
        "ext:mcp_v8/crypto_jwk.js",
        include_str!("../web/js/crypto_jwk.js"),
    ),
    (
        "ext:mcp_v8/crypto_key.js",
        include_str!("../web/js/crypto_key.js"),
    ),
    (
        "ext:mcp_v8/crypto_params.js",
        include_str!("../web/js/crypto_params.js"),
    ),
    (
        "ext:mcp_v8/crypto_symmetric.js",
        include_str!("../web/js/crypto_symmetric.js"),
    ),
    (
        "ext:mcp_v8/exchange.js",
        include_str!("../web/js/exchange.js"),
    ),
    ("ext:mcp_v8/fetch.js", include_str!("../web/js/fetch.js")),
    (
        "ext:mcp_v8/finalization.js",
        include_str!("../web/js/finalization.js"),
    ),
    (
        "ext:mcp_v8/form_data.js",
        include_str!("../web/js/form_data.js"),
    ),
    (
        "ext:mcp_v8/headers.js",
        include_str!("../web/js/headers.js"),
    ),
    (
        "ext:mcp_v8/multipart.js",
        include_str!("../web/js/multipart.js"),
    ),
    (
        "ext:mcp_v8/request.js",
        include_str!("../web/js/request.js"),
    ),
    (
        "ext:mcp_v8/response.js",
        include_str!("../web/js/response.js"),
    ),
    (
        "ext:mcp_v8/shared_buffer.js",
        include_str!("../web/js/shared_buffer.js"),
    ),
    (
        "ext:mcp_v8/structured_clone.js",
        include_str!("../web/js/structured_clone.js"),
    ),
    ("ext:mcp_v8/wasm.js", include_str!("../web/js/wasm.js")),
    (
        "ext:mcp_v8/wasm_preloaded.js",
        include_str!("../web/js/wasm_preloaded.js"),
    ),
    (
        "ext:mcp_v8/wasm_values.js",
        include_str!("../web/js/wasm_values.js"),
    ),
];

include!(concat!(env!("OUT_DIR"), "/web_scripts.rs"));

/// A script that Deno's scripts ask for and that is ours here: there are no message ports.
const REPLACED: &[(&str, &str)] = &[(
    "ext:deno_web/13_message_port.js",
    "ext:mcp_v8/structured_clone.js",
)];

/// The function body that makes `core`, `primordials` and the global scope.
pub(crate) const BOOTSTRAP: &str = include_str!("../web/js/bootstrap.js");

fn sources() -> &'static Vec<(&'static str, &'static str)> {
    static SOURCES: OnceLock<Vec<(&'static str, &'static str)>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let mut all = OWN.to_vec();
        for extension in [deno_webidl::deno_webidl::init(), deno_web()] {
            let names = extension.lazy_loaded_js_files.iter();
            all.extend(names.filter_map(|file| {
                let name = file.specifier;
                let embedded = DENO.iter().find(|(known, _)| *known == name);
                debug_assert!(embedded.is_some(), "{name} is not embedded");
                embedded.copied()
            }));
        }
        all
    })
}

/// deno_web and what it needs, without their scripts, which deno_core would read from files.
pub(crate) fn scriptless_extensions() -> Vec<Extension> {
    let mut extensions = vec![deno_webidl::deno_webidl::init(), deno_web()];
    for extension in &mut extensions {
        extension.lazy_loaded_js_files = Cow::Borrowed(&[]);
        extension.lazy_loaded_esm_files = Cow::Borrowed(&[]);
    }
    extensions
}

/// deno_web, for its sources and its inspector; nothing else of it is used.
fn deno_web() -> Extension {
    deno_web::deno_web::init(
        std::sync::Arc::new(deno_web::BlobStore::default()),
        None,
        false,
        deno_web::InMemoryBroadcastChannel::default(),
    )
}

/// The text of a script, by the name that scripts use in `core.loadExtScript`.
pub(crate) fn source(name: &str) -> Option<&'static str> {
    let name = REPLACED
        .iter()
        .find(|(from, _)| *from == name)
        .map_or(name, |(_, to)| to);
    sources()
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Every script, in an order that depends on this program only.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    sources().iter().chain(REPLACED).copied()
}

/// The names that any script takes from `primordials`, so that no others are kept in a heap.
pub(crate) fn primordial_names() -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    for (_, text) in sources() {
        let Some(end) = text.find("} = primordials") else {
            continue;
        };
        let Some(start) = text[..end].rfind('{') else {
            continue;
        };
        let list = &text[start + 1..end];
        for line in list.lines() {
            let code = line.split("//").next().unwrap_or_default();
            for name in code.split(',') {
                let name = name.split(':').next().unwrap_or_default().trim();
                if !name.is_empty() {
                    names.insert(name);
                }
            }
        }
        names.extend(inline_names(text));
    }
    names
}

/// Names used as `primordials.Name`.
fn inline_names(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split("primordials.").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_that_globals_come_from_are_there() {
        for name in [
            "ext:deno_webidl/00_webidl.js",
            "ext:deno_web/00_url.js",
            "ext:deno_web/01_console.js",
            "ext:deno_web/13_message_port.js",
            "ext:mcp_v8/console.js",
        ] {
            assert!(source(name).is_some_and(|text| !text.is_empty()), "{name}");
        }
        assert!(source("ext:nothing/here.js").is_none());
    }

    #[test]
    fn primordial_names_are_names() {
        let names = primordial_names();
        assert!(names.contains("ArrayPrototypePush"));
        assert!(names.contains("TypedArrayPrototypeGetSymbolToStringTag"));
        assert!(
            names
                .iter()
                .all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')),
            "{names:?}"
        );
    }
}
