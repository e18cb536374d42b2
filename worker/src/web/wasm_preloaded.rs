//! The WebAssembly modules that an operator has preloaded: the host's half of `js/wasm_preloaded.js`.
//!
//! # Compiled once
//!
//! A fork server compiles each module before it forks ([`Preloaded::compile`]). What V8 makes of a module
//! belongs to the process and not to an isolate, so a worker, which is a copy of that process, makes its
//! module of it without reading a byte of it again, whichever isolate its heap needs. That takes the
//! place of V8's serialised modules: V8 serialises nothing but optimised code, of which there is none
//! before a script runs (functions are compiled at their first call), and a worker would have to copy it
//! and trust whoever made it. A worker that was executed compiles a module at its first use.
//!
//! The bytes lie in a file in memory, which the supervisor has sealed. It is mapped and closed before the
//! jail is shut, and nobody but its supervisor can write to it: a worker that tries to gets pages of its
//! own.

use std::cell::OnceCell;
use std::os::fd::{AsRawFd, OwnedFd};

use deno_core::v8;
use mcp_v8_protocol::modules::{self, FileFault, Module, WASM_HEADER};
use nix::errno::Errno;

use crate::runtime::State;
use crate::runtime::engine;
use crate::web::op::{Op, throw_type_error};

/// Which section of a module lists its imports.
const IMPORT_SECTION: u8 = 2;

/// Why there are no modules.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// The kernel does not map the file.
    #[error("cannot map the file of WebAssembly modules: {0}")]
    Map(#[from] Errno),
    /// It is another file.
    #[error("the file of WebAssembly modules cannot be read: {0}")]
    Fault(#[from] FileFault),
}

/// The modules of a process. They stay as long as it lives.
#[derive(Debug, Default)]
pub struct Preloaded(Vec<Entry>);

struct Entry {
    module: Module<'static>,
    compiled: OnceCell<v8::CompiledWasmModule>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.module.name)
    }
}

impl Preloaded {
    /// Maps the file that a supervisor has made, and closes it.
    ///
    /// # Errors
    /// [`PreloadError`].
    pub fn map(file: OwnedFd) -> Result<Self, PreloadError> {
        let length = nix::sys::stat::fstat(&file)?.st_size;
        let length = usize::try_from(length).map_err(|_| Errno::EOVERFLOW)?;
        // Private: kernels before 6.7 give no shared mapping of a file that is sealed against writing.
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last().into());
        }
        // SAFETY: the mapping has so many bytes and is never undone, and the file behind it is sealed.
        Self::of(unsafe { std::slice::from_raw_parts(start.cast(), length) })
    }

    /// Takes such a file as bytes.
    ///
    /// # Errors
    /// [`PreloadError`].
    pub fn of(file: &'static [u8]) -> Result<Self, PreloadError> {
        let entries = modules::decode(file)?.into_iter().map(|module| Entry {
            module,
            compiled: OnceCell::new(),
        });
        Ok(Self(entries.collect()))
    }

    /// Compiles all of them, for every isolate of this process and of those that it forks. One that V8
    /// refuses is left: a script that wants it hears why.
    pub fn compile(&self) {
        if self.0.is_empty() || !engine::has_web_assembly() {
            return;
        }
        engine::initialize();
        let params =
            v8::CreateParams::default().set_code_range_size_in_bytes(engine::CODE_RANGE_BYTES);
        // One of its own: that of a heap must not hold traces of it.
        let mut isolate = v8::Isolate::new(params);
        v8::scope!(let scope, &mut isolate);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        let scope = &mut v8::ContextScope::new(scope, context);
        for entry in &self.0 {
            v8::tc_scope!(let scope, scope);
            if let Some(module) = v8::WasmModuleObject::compile(scope, entry.module.bytes) {
                let _first = entry.compiled.set(module.get_compiled_module());
            }
        }
    }

    fn find(&self, name: &str, digest: &str) -> Option<&Entry> {
        let is_it = |entry: &&Entry| {
            entry.module.name == name && hexadecimal(&entry.module.digest) == digest
        };
        self.0.iter().find(is_it)
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a module that V8 has accepted imports nothing.
fn is_self_contained(module: &[u8]) -> bool {
    let mut rest = module.get(WASM_HEADER.len()..).unwrap_or_default();
    while let Some((section, behind)) = rest.split_first() {
        rest = behind;
        let Some(content) = number(&mut rest).and_then(|length| rest.split_at_checked(length))
        else {
            break;
        };
        let mut imports = content.0;
        if *section == IMPORT_SECTION {
            return number(&mut imports) == Some(0);
        }
        rest = content.1;
    }
    true
}

/// Reads an unsigned number in LEB128.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub(crate) fn ops() -> Vec<Op> {
    use v8::MapFnTo;
    vec![
        ("op_wasm_preloaded", preloaded.map_fn_to()),
        ("op_wasm_preloaded_module", preloaded_module.map_fn_to()),
    ]
}

/// `op_wasm_preloaded()`: of each module its name, its digest, and whether it imports nothing;
/// `undefined` where there are none.
fn preloaded(
    scope: &mut v8::PinScope<'_, '_>,
    _args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let state = State::of(scope);
    let Some(modules) = state
        .preloaded
        .get()
        .filter(|modules| !modules.0.is_empty())
    else {
        return;
    };
    let mut listed = Vec::with_capacity(modules.0.len());
    for Entry { module, .. } in &modules.0 {
        let name = v8::String::new(scope, module.name);
        let digest = v8::String::new(scope, &hexadecimal(&module.digest));
        let (Some(name), Some(digest)) = (name, digest) else {
            return;
        };
        let is_self_contained = v8::Boolean::new(scope, is_self_contained(module.bytes));
        let fields = [name.into(), digest.into(), is_self_contained.into()];
        listed.push(v8::Array::new_with_elements(scope, &fields).into());
    }
    returned.set(v8::Array::new_with_elements(scope, &listed).into());
}

/// `op_wasm_preloaded_module(name, digest)`: the module, V8's.
fn preloaded_module(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut returned: v8::ReturnValue<'_>,
) {
    let name = args.get(0).to_rust_string_lossy(scope);
    let digest = args.get(1).to_rust_string_lossy(scope);
    let state = State::of(scope);
    let entry = state
        .preloaded
        .get()
        .and_then(|all| all.find(&name, &digest));
    let Some(entry) = entry else {
        let text = format!(
            "the WebAssembly module {name} of this heap is not among those of this server, or is another \
             version there"
        );
        return throw_type_error(scope, &text);
    };
    let module = match entry.compiled.get() {
        Some(compiled) => v8::WasmModuleObject::from_compiled_module(scope, compiled),
        None => v8::WasmModuleObject::compile(scope, entry.module.bytes),
    };
    // Without one an exception is pending.
    if let Some(module) = module {
        returned.set(module.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[u8]) -> Vec<u8> {
        [&WASM_HEADER, sections].concat()
    }

    #[test]
    fn imports_are_found_behind_other_sections() {
        // (type (func)), and a custom section whose content looks like imports
        let before = [1, 4, 1, 0x60, 0, 0, 0, 3, 1, 2, 1];
        assert!(is_self_contained(&module(&[])));
        assert!(is_self_contained(&module(&before)));
        assert!(is_self_contained(&module(
            &[&before[..], &[2, 1, 0]].concat()
        )));
        assert!(!is_self_contained(&module(
            &[&before[..], &[2, 5, 1, 0, 0, 0, 0]].concat()
        )));
        // A length in two bytes.
        assert!(!is_self_contained(&module(&[2, 0x85, 0, 1, 0, 0, 0, 0])));
    }

    #[test]
    fn what_is_no_module_ends_the_search() {
        assert!(is_self_contained(b""));
        assert!(is_self_contained(&module(&[1, 0xff])));
        assert!(is_self_contained(&module(&[1, 200])));
        assert!(is_self_contained(&module(&[0; 3])));
        assert!(is_self_contained(&module(&[0xff; 32])));
    }
}
