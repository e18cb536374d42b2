//! Which WebAssembly modules scripts get: from `--wasm-module` and `--wasm-config` together, read and
//! looked at as far as this program can. Whether V8 takes them is found by a worker, at start.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use mcp_v8_protocol::limits::{WASM_MODULE_BYTES_MAX, WASM_MODULES_BYTES_MAX, WASM_MODULES_MAX};
use mcp_v8_protocol::modules::{NameFault, WASM_HEADER, check_name};

use super::fault::Fault;
use super::raw::{Given, Origin, Said};
use super::resolve::{Resolver, malformed, path};
use super::setting::Setting;
use super::wasm_config;
use crate::app::{EngineTier, WasmModule};

/// What can be wrong with a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFault {
    /// It has no name or no file.
    #[error("it is not NAME=FILE, such as math=/opt/math.wasm")]
    Unnamed,
    /// It cannot have its name.
    #[error("{0}")]
    Name(#[from] NameFault),
    /// Another one has its name.
    #[error("{0} gives a module of that name too; give each a name of its own")]
    Twice(Origin),
    /// There is one too many.
    #[error("there can be {WASM_MODULES_MAX} modules, and this is one more; leave some out")]
    TooMany,
    /// Its file cannot be read.
    #[error("the file cannot be read ({0}); correct the path, or the file's permissions")]
    Unreadable(String),
    /// It is not in a file.
    #[error("it is not a file; give the path of one")]
    NotFile,
    /// It is too large.
    #[error(
        "it is larger than {} MB; use a smaller one (wasm-opt -Oz, or a build without debug information)",
        WASM_MODULE_BYTES_MAX >> 20
    )]
    TooLarge,
    /// With those before it, it is too large.
    #[error(
        "with those before it, it is larger than {} MB, which all modules may have together; leave some out",
        WASM_MODULES_BYTES_MAX >> 20
    )]
    TooLargeTogether,
    /// It is something else.
    #[error(
        "the file is not WebAssembly: it does not begin with \\0asm and version 1; give a compiled module \
         (text becomes one with wat2wasm)"
    )]
    NotWasm,
}

/// A module as it was asked for.
struct Asked {
    origin: Origin,
    name: String,
    path: PathBuf,
}

impl Resolver<'_> {
    pub(super) fn wasm_modules(&mut self, tier: EngineTier) -> Vec<WasmModule> {
        if tier == EngineTier::Jitless {
            for setting in [Setting::WasmModule, Setting::WasmConfig] {
                let reason =
                    "the engine tier jitless has no WebAssembly; use baseline, or no modules";
                self.conflict(Setting::EngineTier, setting, reason);
            }
        }
        let mut asked = self.flags();
        asked.extend(self.list());
        let mut seen: HashMap<String, Origin> = HashMap::new();
        let mut modules: Vec<WasmModule> = Vec::new();
        let mut bytes = 0;
        for module in asked {
            let Asked { origin, name, path } = &module;
            let said = format!("{name}={}", path.display());
            let place = seen.len();
            let fault = match seen.get(name) {
                Some(other) => Some(ModuleFault::Twice(other.clone())),
                None if place == WASM_MODULES_MAX => Some(ModuleFault::TooMany),
                None => None,
            };
            seen.entry(name.clone()).or_insert_with(|| origin.clone());
            // All that is wrong with one is told at once.
            let name_fault = check_name(name).err().map(ModuleFault::from);
            let read = read(path).and_then(|module| {
                bytes += module.len();
                if bytes > WASM_MODULES_BYTES_MAX {
                    return Err(ModuleFault::TooLargeTogether);
                }
                Ok(module)
            });
            let (read, file_fault) = match read {
                Ok(read) => (Some(read), None),
                Err(fault) => (None, Some(fault)),
            };
            let faults = [fault, name_fault, file_fault];
            for fault in faults.into_iter().flatten() {
                self.module_fault(origin, &said, fault);
            }
            modules.extend(read.map(|bytes| WasmModule {
                name: module.name,
                place: module.path.display().to_string(),
                bytes: bytes.into(),
            }));
        }
        modules
    }

    fn module_fault(&mut self, origin: &Origin, module: &str, fault: ModuleFault) {
        self.faults.push(Fault::WasmModule {
            origin: origin.clone(),
            module: module.to_owned(),
            fault,
        });
    }

    /// Those of `--wasm-module`.
    fn flags(&mut self) -> Vec<Asked> {
        let Some(said) = self.raw.get(Setting::WasmModule) else {
            return Vec::new();
        };
        let mut asked = Vec::new();
        for text in texts(said).unwrap_or_else(|fault| {
            self.faults.push(fault);
            Vec::new()
        }) {
            match pair(&text) {
                Some((name, path)) => asked.push(Asked {
                    origin: said.origin.clone(),
                    name,
                    path,
                }),
                None => self.module_fault(
                    &said.origin,
                    &text.display().to_string(),
                    ModuleFault::Unnamed,
                ),
            }
        }
        asked
    }

    /// Those of `--wasm-config`.
    fn list(&mut self) -> Vec<Asked> {
        let Some(said) = self.raw.get(Setting::WasmConfig) else {
            return Vec::new();
        };
        let listed = path(said).and_then(|path| {
            wasm_config::read(&path).map_err(|fault| Fault::WasmConfig {
                origin: said.origin.clone(),
                path,
                fault,
            })
        });
        let listed = listed.unwrap_or_else(|fault| {
            self.faults.push(fault);
            Vec::new()
        });
        let asked = listed.into_iter().map(|(name, path)| Asked {
            origin: said.origin.clone(),
            name,
            path: path.into(),
        });
        asked.collect()
    }
}

/// The modules of `--wasm-module`: each flag is one; a variable has commas between them; in the file
/// there is a text or a list of texts.
fn texts(said: &Said) -> Result<Vec<OsString>, Fault> {
    let expected = || malformed(said, "NAME=FILE, or a list of such texts");
    match &said.given {
        Given::Texts(texts) => Ok(texts.clone()),
        Given::Text(text) => Ok(text
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(|text| OsStr::from_bytes(text.trim_ascii()).to_owned())
            .filter(|text| !text.is_empty())
            .collect()),
        Given::Toml(toml::Value::String(text)) => Ok(vec![text.into()]),
        Given::Toml(toml::Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().map(OsString::from).ok_or_else(expected))
            .collect(),
        Given::Toml(_) => Err(expected()),
    }
}

fn pair(text: &OsStr) -> Option<(String, PathBuf)> {
    let bytes = text.as_bytes();
    let (name, path) = bytes.split_at(bytes.iter().position(|byte| *byte == b'=')?);
    let path = OsStr::from_bytes(path.get(1..)?);
    let name = str::from_utf8(name).ok()?.trim();
    (!name.is_empty() && !path.is_empty()).then(|| (name.to_owned(), path.into()))
}

/// The bytes of a file that begins as a module does.
fn read(path: &Path) -> Result<Vec<u8>, ModuleFault> {
    let unreadable = |error: std::io::Error| ModuleFault::Unreadable(error.to_string());
    // A pipe would have to be waited for.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(ModuleFault::NotFile);
    }
    let mut bytes = Vec::new();
    let limit = WASM_MODULE_BYTES_MAX as u64 + 1;
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > WASM_MODULE_BYTES_MAX {
        return Err(ModuleFault::TooLarge);
    }
    if !bytes.starts_with(&WASM_HEADER) {
        return Err(ModuleFault::NotWasm);
    }
    Ok(bytes)
}
