//! Making a snapshot.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::tables::{COPIED, TABLES, execution_columns};
use super::verify::{Seal, seal};
use super::{Made, Manifest, SNAPSHOT_FORMAT, SnapshotError};
use crate::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOT_PAGE_BYTES, STORE_BUSY_TIMEOUT};
use crate::raft::log::{ConfState, Position};
use crate::store::read::count;
use crate::store::replica::read_conf;

/// Makes a snapshot of a database's shared state, in this directory. It takes long, and disturbs nobody:
/// others read and write meanwhile.
///
/// # Errors
/// [`SnapshotError`]: there is none, and nothing is left of it.
pub fn make(database: &Path, directory: &Path) -> Result<Made, SnapshotError> {
    // Private, and gone unless it gets its name.
    let file = NamedTempFile::new_in(directory)?;
    let (at, conf) = copy(database, file.path())?;
    file.as_file().sync_all()?;
    let Seal { bytes, sha256 } = seal(file.path())?;
    let manifest = Manifest { at, bytes, sha256 };
    let path = directory.join(manifest.file_name());
    file.persist(&path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()?;
    Ok(Made {
        manifest,
        conf,
        path,
    })
}

fn copy(database: &Path, to: &Path) -> Result<(Position, ConfState), SnapshotError> {
    let connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(STORE_BUSY_TIMEOUT)?;
    connection.execute("ATTACH ?1 AS snapshot", [to.to_string_lossy()])?;
    let pages = SNAPSHOT_BYTES_MAX / u64::from(SNAPSHOT_PAGE_BYTES);
    // What is not finished is thrown away: it needs no journal.
    connection.execute_batch(&format!(
        "PRAGMA temp_store = MEMORY;
         PRAGMA snapshot.page_size = {SNAPSHOT_PAGE_BYTES};
         PRAGMA snapshot.journal_mode = OFF;
         PRAGMA snapshot.synchronous = OFF;
         PRAGMA snapshot.max_page_count = {pages};
         BEGIN;"
    ))?;
    for (name, definition) in TABLES {
        connection.execute_batch(&format!("CREATE TABLE snapshot.{name} {definition}"))?;
    }
    connection.execute_batch(
        "INSERT INTO snapshot.applied (idx, term, conf) SELECT idx, term, conf FROM main.applied",
    )?;
    for (name, columns) in COPIED {
        connection.execute_batch(&format!(
            "INSERT INTO snapshot.{name} ({columns}) SELECT {columns} FROM main.{name}"
        ))?;
    }
    connection.execute_batch(concat!(
        "INSERT INTO snapshot.executions (",
        execution_columns!(),
        ") SELECT ",
        execution_columns!(),
        " FROM main.executions WHERE is_shared ORDER BY seq"
    ))?;
    connection.execute_batch(&format!(
        "PRAGMA snapshot.user_version = {SNAPSHOT_FORMAT}; COMMIT;"
    ))?;
    let found = position(&connection, "snapshot")?;
    connection.execute_batch("DETACH snapshot")?;
    Ok(found)
}

/// The position and the configuration that a database says to hold.
pub(super) fn position(
    connection: &Connection,
    schema: &str,
) -> Result<(Position, ConfState), SnapshotError> {
    let mut statement =
        connection.prepare(&format!("SELECT idx, term, conf FROM {schema}.applied"))?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or_else(without_position)?;
    let at = Position {
        index: count(row, 0)?,
        term: count(row, 1)?,
    };
    let conf: Vec<u8> = row.get(2)?;
    if rows.next()?.is_some() {
        return Err(without_position());
    }
    Ok((at, read_conf(&conf)?))
}

fn without_position() -> SnapshotError {
    SnapshotError::Damaged("it has not one position".to_owned())
}
