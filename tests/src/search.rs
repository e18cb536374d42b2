//! Looks for a text in whatever a server leaves behind, also in heaps, which are packed.

use std::fs;
use std::path::{Path, PathBuf};

/// How a stored heap begins (`supervisor/src/heaps/envelope.rs`).
const HEAP_MAGIC: &[u8] = b"\x89MCPV8H\n";
/// Where its header says how long the snapshot is.
const SNAPSHOT_BYTES_AT: usize = 50;
/// Where its header says whether the snapshot is packed.
const COMPRESSION_AT: usize = 66;
/// The same of one that is.
const ZSTD: u8 = 1;
/// Texts of the header, each behind a byte with its length.
const TEXTS: usize = 4;
/// The seal behind them.
const MAC_BYTES: usize = 32;

/// Whether a text is there, in bytes as they stand or in V8's two bytes a character.
pub fn has(bytes: &[u8], text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    has_bytes(bytes, text.as_bytes()) || has_bytes(bytes, &wide)
}

/// Whether these bytes are there.
pub fn has_bytes(bytes: &[u8], wanted: &[u8]) -> bool {
    // SAFETY: both pointers are to as many bytes as are said.
    let found = unsafe {
        libc::memmem(
            bytes.as_ptr().cast(),
            bytes.len(),
            wanted.as_ptr().cast(),
            wanted.len(),
        )
    };
    !found.is_null()
}

/// The snapshot in the file of a heap; `None` of any other file.
///
/// # Panics
/// When the heap is not what its header says: then this page is older than heaps are.
pub fn snapshot(file: &[u8]) -> Option<Vec<u8>> {
    if !file.starts_with(HEAP_MAGIC) {
        return None;
    }
    let length = file[SNAPSHOT_BYTES_AT..][..8]
        .try_into()
        .map(u64::from_le_bytes);
    let length = usize::try_from(length.expect("eight bytes")).expect("it fits into memory");
    let mut payload = &file[COMPRESSION_AT + 1..];
    for _ in 0..TEXTS {
        payload = &payload[1 + usize::from(payload[0])..];
    }
    payload = &payload[MAC_BYTES..];
    let snapshot = match file[COMPRESSION_AT] {
        ZSTD => zstd::bulk::decompress(payload, length).expect("it is packed by zstd"),
        _ => payload.to_vec(),
    };
    assert_eq!(snapshot.len(), length, "the header of heaps has changed");
    Some(snapshot)
}

/// Whether the file of a heap is packed.
pub fn is_packed(file: &[u8]) -> bool {
    file.starts_with(HEAP_MAGIC) && file[COMPRESSION_AT] == ZSTD
}

/// Every file beneath a directory in which a text is, as it stands or unpacked.
///
/// # Panics
/// When the directory cannot be read.
pub fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = files(directory);
    found.retain(|path| {
        // One that is gone by now holds nothing.
        let file = fs::read(path).unwrap_or_default();
        has(&file, text) || snapshot(&file).is_some_and(|heap| has(&heap, text))
    });
    found
}

/// Every file beneath a directory.
///
/// # Panics
/// When the directory cannot be read.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}
