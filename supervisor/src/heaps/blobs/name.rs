//! What blobs are called.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::heaps::hex::{self, Hex};
use crate::heaps::id::HeapId;
use crate::tenant::Tenant;

const FOLDER_BYTES: usize = 16;
const SUFFIX: &str = ".heap";

/// The folder of a tenant's heaps. Its name says nothing and is safe in any path, whatever the tenant
/// is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantFolder([u8; FOLDER_BYTES]);

impl TenantFolder {
    /// That of a tenant.
    pub fn of(tenant: &Tenant) -> Self {
        let digest: [u8; 32] = Sha256::digest(tenant.name()).into();
        let mut bytes = [0; FOLDER_BYTES];
        bytes.copy_from_slice(&digest[..FOLDER_BYTES]);
        Self(bytes)
    }

    /// The folder with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The folder with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        hex::read(name).map(Self)
    }
}

/// 32 hexadecimal digits in lower case.
impl fmt::Display for TenantFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// Where a blob is: `<tenant's folder>/<heap>.heap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::heaps) struct BlobName {
    pub(in crate::heaps) folder: TenantFolder,
    pub(in crate::heaps) id: HeapId,
}

impl BlobName {
    pub(in crate::heaps) fn new(tenant: &Tenant, id: HeapId) -> Self {
        let folder = TenantFolder::of(tenant);
        Self { folder, id }
    }

    /// Within its folder.
    pub(super) fn file(&self) -> String {
        format!("{}{SUFFIX}", self.id)
    }

    /// The blob that is called that within its folder.
    pub(super) fn of_file(folder: TenantFolder, file: &str) -> Option<Self> {
        let id = file.strip_suffix(SUFFIX)?.parse().ok()?;
        Some(Self { folder, id })
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_read_back() {
        let id = HeapId::of(b"");
        let folders = ["../..", "a/b", "ü", "local"].map(|name| {
            let tenant: Tenant = name.parse().unwrap();
            let name = BlobName::new(&tenant, id);
            let text = name.to_string();
            let (folder, file) = text.split_once('/').unwrap();
            assert!(folder.len() == 32 && folder.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert_eq!(file, format!("{id}.heap"));
            let folder = TenantFolder::named(folder).unwrap();
            assert_eq!(BlobName::of_file(folder, file), Some(name));
            folder
        });
        assert_ne!(folders[0], folders[1]);
        for stray in [
            "x.heap",
            ".heap",
            &format!("{id}"),
            &format!("{id}.heap.new"),
        ] {
            assert_eq!(BlobName::of_file(folders[0], stray), None);
        }
    }
}
