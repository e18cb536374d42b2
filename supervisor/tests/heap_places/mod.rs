//! Places for heaps, and what must hold in each.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod conformance;

use std::fs;
use std::path::{Path, PathBuf};

use mcp_v8::heaps::{BuildId, HeapId, HeapPlace, Heaps, HeapsConfig, TenantFolder};
use mcp_v8::tenant::Tenant;
use tempfile::TempDir;

/// A place, which a test can also reach behind the back of the program.
pub(crate) trait Place {
    fn config(&self) -> HeapsConfig;
    /// What lies under a name.
    async fn read(&self, name: &str) -> Vec<u8>;
    /// Puts something under a name.
    async fn write(&self, name: &str, blob: &[u8]);

    /// A server that was just started.
    fn heaps(&self) -> Heaps {
        Heaps::open(self.config(), build()).expect("the place is sound")
    }
}

pub(crate) struct DirectoryPlace(TempDir);

impl DirectoryPlace {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("heaps")
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Place for DirectoryPlace {
    fn config(&self) -> HeapsConfig {
        config(&self.path())
    }

    async fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path_of(name)).expect("it is there")
    }

    async fn write(&self, name: &str, blob: &[u8]) {
        let path = self.path_of(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("our own directory");
        fs::write(path, blob).expect("our own directory");
    }
}

pub(crate) fn config(directory: &Path) -> HeapsConfig {
    HeapsConfig {
        place: HeapPlace::Directory(directory.to_owned()),
        key_file: directory.join("heap.key"),
    }
}

pub(crate) fn build() -> BuildId {
    BuildId::new("15.1.2", "0123456789abcdef").expect("printable")
}

pub(crate) fn tenant(name: &str) -> Tenant {
    name.parse().expect("printable")
}

/// What a heap's blob is called.
pub(crate) fn name(tenant: &Tenant, id: HeapId) -> String {
    format!("{}/{id}.heap", TenantFolder::of(tenant))
}

/// A snapshot that shrinks about as real ones do.
pub(crate) fn snapshot(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes().into_iter().take(2).chain([0; 6])
    });
    words.flatten().take(length).collect()
}

/// A snapshot that does not shrink.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the kernel's");
    bytes
}
