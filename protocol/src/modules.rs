//! The WebAssembly modules that an operator preloads: what they may be called, and the file in memory in
//! which a supervisor hands them to its workers.
//!
//! ```text
//! file   = count: u32, module*                              numbers are little-endian
//! module = name: u32, bytes: u32 (lengths), digest: 32 bytes, the name, the bytes
//! ```
//!
//! A script finds a module that imports nothing as `name`, which are its exports, and every module as
//! `__wasm_name`.

use crate::limits::{WASM_MODULES_BYTES_MAX, WASM_MODULES_MAX, WASM_NAME_BYTES_MAX};

/// What the name of the global begins with that holds the module itself.
pub const MODULE_PREFIX: &str = "__wasm_";

/// The first bytes of every WebAssembly module: the magic number, and version 1.
pub const WASM_HEADER: [u8; 8] = *b"\0asm\x01\0\0\0";

/// One module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module<'a> {
    /// What scripts call it.
    pub name: &'a str,
    /// The SHA-256 of its bytes: a heap that has used it finds the same one again, or none.
    pub digest: [u8; 32],
    /// WebAssembly.
    pub bytes: &'a [u8],
}

/// Why a module cannot have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// No variable can be called so.
    #[error(
        "it is not a JavaScript identifier: use ASCII letters, digits, _ and $, no digit first, at most \
         {WASM_NAME_BYTES_MAX} of them"
    )]
    NotIdentifier,
    /// JavaScript or TypeScript needs the word.
    #[error("it is a reserved word of JavaScript; use another name")]
    Reserved,
    /// Scripts would lose something.
    #[error("scripts have a global of that name already; use another name")]
    BuiltIn,
    /// It would look like the module of another one.
    #[error("names that begin with {MODULE_PREFIX} are those of modules; leave that out")]
    Prefixed,
}

/// Checks a name.
///
/// # Errors
/// [`NameFault`].
pub fn check_name(name: &str) -> Result<(), NameFault> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    let is_identifier = !name.is_empty()
        && name.len() <= WASM_NAME_BYTES_MAX
        && name.bytes().all(is_part)
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if !is_identifier {
        Err(NameFault::NotIdentifier)
    } else if RESERVED.contains(&name) {
        Err(NameFault::Reserved)
    } else if GLOBALS.contains(&name) {
        Err(NameFault::BuiltIn)
    } else if name.starts_with(MODULE_PREFIX) {
        Err(NameFault::Prefixed)
    } else {
        Ok(())
    }
}

/// Why modules and a file do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// There are too many, or they are too large.
    #[error(
        "{count} modules of {bytes} bytes are more than the {WASM_MODULES_MAX} or the \
         {WASM_MODULES_BYTES_MAX} bytes that there can be"
    )]
    TooLarge {
        /// How many.
        count: usize,
        /// How much.
        bytes: usize,
    },
    /// The bytes are no such file.
    #[error("it is cut off, or not a file of modules")]
    Malformed,
}

/// Writes the file.
///
/// # Errors
/// [`FileFault::TooLarge`].
pub fn encode(modules: &[Module<'_>]) -> Result<Vec<u8>, FileFault> {
    let (count, bytes) = (modules.len(), modules.iter().map(|m| m.bytes.len()).sum());
    if count > WASM_MODULES_MAX || bytes > WASM_MODULES_BYTES_MAX {
        return Err(FileFault::TooLarge { count, bytes });
    }
    let length = |text: &[u8]| {
        let length = u32::try_from(text.len()).map_err(|_| FileFault::Malformed)?;
        Ok(length.to_le_bytes())
    };
    let mut file = Vec::with_capacity(bytes + count * (WASM_NAME_BYTES_MAX + 40) + 4);
    file.extend((u32::try_from(count).map_err(|_| FileFault::Malformed)?).to_le_bytes());
    for module in modules {
        file.extend(length(module.name.as_bytes())?);
        file.extend(length(module.bytes)?);
        file.extend(module.digest);
        file.extend(module.name.as_bytes());
        file.extend(module.bytes);
    }
    Ok(file)
}

/// Reads the file.
///
/// # Errors
/// [`FileFault`].
pub fn decode(file: &[u8]) -> Result<Vec<Module<'_>>, FileFault> {
    let mut rest = file;
    let count = number(&mut rest)?;
    if count > WASM_MODULES_MAX {
        let bytes = file.len();
        return Err(FileFault::TooLarge { count, bytes });
    }
    let mut modules = Vec::with_capacity(count);
    for _ in 0..count {
        let (name, bytes) = (number(&mut rest)?, number(&mut rest)?);
        let (digest, behind) = rest.split_first_chunk().ok_or(FileFault::Malformed)?;
        rest = behind;
        let name = str::from_utf8(take(&mut rest, name)?).map_err(|_| FileFault::Malformed)?;
        check_name(name).map_err(|_| FileFault::Malformed)?;
        modules.push(Module {
            name,
            digest: *digest,
            bytes: take(&mut rest, bytes)?,
        });
    }
    if rest.is_empty() {
        Ok(modules)
    } else {
        Err(FileFault::Malformed)
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], FileFault> {
    let (taken, behind) = rest.split_at_checked(length).ok_or(FileFault::Malformed)?;
    *rest = behind;
    Ok(taken)
}

fn number(rest: &mut &[u8]) -> Result<usize, FileFault> {
    let (number, behind) = rest.split_first_chunk().ok_or(FileFault::Malformed)?;
    *rest = behind;
    usize::try_from(u32::from_le_bytes(*number)).map_err(|_| FileFault::Malformed)
}

/// Words that cannot name a variable, sloppy or strict, and those that would be a trap.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger",
    "default", "delete", "do", "else", "enum", "export", "extends", "false", "finally", "for",
    "function", "if", "implements", "import", "in", "instanceof", "interface", "let", "new", "null",
    "package", "private", "protected", "public", "return", "static", "super", "switch", "this",
    "throw", "true", "try", "typeof", "var", "void", "while", "with", "yield",
];

/// What scripts have by themselves, with fetch and without, inherited names included. An end-to-end test
/// holds it against a real worker.
#[rustfmt::skip]
const GLOBALS: &[&str] = &[
    "AbortController", "AbortSignal", "AggregateError", "Array", "ArrayBuffer",
    "AsyncDisposableStack", "Atomics", "BigInt", "BigInt64Array", "BigUint64Array", "Blob",
    "Boolean", "ByteLengthQueuingStrategy", "CloseEvent", "CountQueuingStrategy", "Crypto",
    "CryptoKey", "CustomEvent", "DOMException", "DataView", "Date", "DisposableStack", "Error",
    "ErrorEvent", "EvalError", "Event", "EventSource", "EventTarget", "File",
    "FinalizationRegistry", "Float16Array", "Float32Array", "Float64Array", "FormData", "Function",
    "Headers", "Infinity", "Int16Array", "Int32Array", "Int8Array", "Intl", "Iterator", "JSON",
    "Map", "Math", "MessageEvent", "NaN", "Number", "Object", "Performance", "PerformanceEntry",
    "PerformanceMark", "PerformanceMeasure", "ProgressEvent", "Promise", "PromiseRejectionEvent",
    "Proxy", "RangeError", "ReadableByteStreamController", "ReadableStream",
    "ReadableStreamBYOBReader", "ReadableStreamBYOBRequest", "ReadableStreamDefaultController",
    "ReadableStreamDefaultReader", "ReferenceError", "Reflect", "RegExp", "Request", "Response",
    "Set", "SharedArrayBuffer", "String", "SubtleCrypto", "SuppressedError", "Symbol",
    "SyntaxError", "Temporal", "TextDecoder", "TextDecoderStream", "TextEncoder",
    "TextEncoderStream", "TransformStream", "TransformStreamDefaultController", "TypeError",
    "URIError", "URL", "URLSearchParams", "Uint16Array", "Uint32Array", "Uint8Array",
    "Uint8ClampedArray", "WeakMap", "WeakRef", "WeakSet", "WebAssembly", "WebSocket",
    "WritableStream", "WritableStreamDefaultController", "WritableStreamDefaultWriter",
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__",
    "atob", "btoa", "clearInterval", "clearTimeout", "console", "constructor", "crypto",
    "decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "eval", "fetch",
    "globalThis", "hasOwnProperty", "isFinite", "isNaN", "isPrototypeOf", "parseFloat", "parseInt",
    "performance", "propertyIsEnumerable", "queueMicrotask", "reportError", "setInterval",
    "setTimeout", "structuredClone", "toLocaleString", "toString", "undefined", "unescape",
    "valueOf",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> [Module<'static>; 2] {
        let module = |name, bytes| Module {
            name,
            digest: [7; 32],
            bytes,
        };
        [module("a", b"\0asm" as &[u8]), module("$b_2", b"")]
    }

    #[test]
    fn a_file_holds_what_was_put_in() {
        let file = encode(&modules()).unwrap();
        assert_eq!(decode(&file).unwrap(), modules());
        assert_eq!(decode(&encode(&[]).unwrap()).unwrap(), []);
    }

    #[test]
    fn a_file_that_is_cut_off_or_longer_is_refused() {
        let mut file = encode(&modules()).unwrap();
        for length in 0..file.len() {
            assert_eq!(
                decode(&file[..length]),
                Err(FileFault::Malformed),
                "{length}"
            );
        }
        file.push(0);
        assert_eq!(decode(&file), Err(FileFault::Malformed));
        assert!(decode(&u32::MAX.to_le_bytes()).is_err());
        file[4] = u8::MAX;
        assert!(decode(&file).is_err());
    }

    #[test]
    fn too_many_do_not_go_into_a_file() {
        let many = [modules()[0]; WASM_MODULES_MAX + 1];
        assert!(matches!(encode(&many), Err(FileFault::TooLarge { .. })));
    }

    #[test]
    fn names_are_identifiers_that_nobody_needs() {
        for name in ["math", "$", "_", "a1", "sqlite", "Math2", "of", "async"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(WASM_NAME_BYTES_MAX + 1);
        for name in ["", "1a", "a-b", "a.b", "a b", "ü", "a\0", &long] {
            assert_eq!(check_name(name), Err(NameFault::NotIdentifier), "{name}");
        }
        for name in ["let", "await", "class", "enum"] {
            assert_eq!(check_name(name), Err(NameFault::Reserved), "{name}");
        }
        for name in ["Math", "undefined", "fetch", "console", "WebAssembly"] {
            assert_eq!(check_name(name), Err(NameFault::BuiltIn), "{name}");
        }
        assert_eq!(check_name("__wasm_a"), Err(NameFault::Prefixed));
    }
}
