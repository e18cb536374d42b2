//! Whether a file is the snapshot that was announced.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::make::position;
use super::tables::TABLES;
use super::{Manifest, SNAPSHOT_FORMAT, SnapshotError};
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::raft::log::ConfState;

/// What a file is, to the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

pub(super) fn seal(path: &Path) -> Result<Seal, SnapshotError> {
    let file = File::open(path)?;
    let mut reader = file.take(SNAPSHOT_BYTES_MAX + 1);
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(piece.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    if bytes > SNAPSHOT_BYTES_MAX {
        return Err(SnapshotError::TooLarge);
    }
    Ok(Seal {
        bytes,
        sha256: hash.finalize().into(),
    })
}

/// Whether this file is the snapshot that this manifest names, whole and of this version; the configuration
/// in it. It reads the file twice.
///
/// # Errors
/// [`SnapshotError`]: it must not be installed.
pub fn verify(path: &Path, manifest: &Manifest) -> Result<ConfState, SnapshotError> {
    let seal = seal(path)?;
    if (seal.bytes, seal.sha256) != (manifest.bytes, manifest.sha256) {
        return Err(SnapshotError::Other { what: "content" });
    }
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")?;
    check(&connection, manifest)
}

fn check(connection: &Connection, manifest: &Manifest) -> Result<ConfState, SnapshotError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found != i64::from(SNAPSHOT_FORMAT) {
        return Err(SnapshotError::Format { found });
    }
    let expected = Connection::open_in_memory()?;
    for (name, definition) in TABLES {
        expected.execute_batch(&format!("CREATE TABLE {name} {definition}"))?;
    }
    // No view and no trigger: nothing in it may act.
    if schema(connection)? != schema(&expected)? {
        return Err(SnapshotError::Other { what: "schema" });
    }
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(SnapshotError::Damaged(sound));
    }
    let (at, conf) = position(connection, "main")?;
    if at != manifest.at {
        return Err(SnapshotError::Other { what: "position" });
    }
    Ok(conf)
}

fn schema(connection: &Connection) -> Result<Vec<(String, Option<String>)>, SnapshotError> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
