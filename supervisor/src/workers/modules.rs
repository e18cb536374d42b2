//! The WebAssembly modules that an operator preloads, as workers get them: one file in memory for all of
//! them, sealed before anybody else has it.
//!
//! A worker or fork server maps it and closes it before it is confined. Nobody can change it any more, so
//! that a worker cannot reach another one through it.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use mcp_v8_protocol::modules::{Module, encode};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use sha2::{Digest as _, Sha256};

use crate::limits;

/// A module, read.
#[derive(Clone, PartialEq, Eq)]
pub struct WasmModule {
    /// What scripts call it.
    pub name: String,
    /// Where it was found, for people.
    pub place: String,
    /// WebAssembly, as far as anybody knows.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for WasmModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.len();
        write!(f, "{} ({}, {bytes} bytes)", self.name, self.place)
    }
}

/// The file; none where there are no modules. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ModuleFile(Option<Arc<File>>);

impl ModuleFile {
    /// Makes it.
    ///
    /// # Errors
    /// When the system has no memory for it, or it holds more than it may.
    pub fn new(modules: &[WasmModule]) -> io::Result<Self> {
        if modules.is_empty() {
            return Ok(Self::default());
        }
        let listed: Vec<Module<'_>> = modules
            .iter()
            .map(|module| Module {
                name: &module.name,
                digest: Sha256::digest(&module.bytes).into(),
                bytes: &module.bytes,
            })
            .collect();
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"mcp-v8-wasm", flags)?);
        file.write_all(&encode(&listed).map_err(io::Error::other)?)?;
        let seals = SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(Self(Some(Arc::new(file))))
    }

    /// What a worker may have resident of the modules, in bytes, when they are compiled.
    pub(super) fn resident_bytes_max(&self) -> u64 {
        let metadata = self.0.as_ref().and_then(|file| file.metadata().ok());
        metadata.map_or(0, |metadata| limits::WASM_MODULE_COPIES * metadata.len())
    }

    /// Its descriptor.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|file| file.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use mcp_v8_protocol::modules::decode;

    use super::*;

    fn module(name: &str) -> WasmModule {
        WasmModule {
            name: name.to_owned(),
            place: "/a.wasm".to_owned(),
            bytes: b"\0asm".to_vec().into(),
        }
    }

    #[test]
    fn the_file_holds_the_modules_and_nobody_can_change_it() {
        let made = ModuleFile::new(&[module("a"), module("b")]).unwrap();
        let file = File::from(made.descriptor().unwrap().try_clone_to_owned().unwrap());
        let length = file.metadata().unwrap().len();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let names: Vec<&str> = decode(&bytes).unwrap().iter().map(|m| m.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(file.write_all_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err() && file.set_len(length + 1).is_err());
    }

    #[test]
    fn without_modules_there_is_no_file() {
        assert!(ModuleFile::new(&[]).unwrap().descriptor().is_none());
    }
}
