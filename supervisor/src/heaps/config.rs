//! Where heaps are kept, and what proves that they are ours.

use std::path::PathBuf;

/// Where heaps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapPlace {
    /// In this directory, which is made when missing (0700).
    Directory(PathBuf),
    /// In an S3 bucket.
    S3 {
        /// Its name.
        bucket: String,
        /// A local copy of what was used last.
        cache: Option<CachePlace>,
    },
}

/// A local copy of what was used last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlace {
    /// Where. It is made when missing (0700).
    pub directory: PathBuf,
    /// How much it may hold, in bytes.
    pub bytes_max: u64,
}

/// How heaps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapsConfig {
    /// Where.
    pub place: HeapPlace,
    /// The file with the key that heaps are sealed with. It is made (0600) when it is missing.
    pub key_file: PathBuf,
}
