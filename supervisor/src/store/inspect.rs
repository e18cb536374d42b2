//! A look at a database, which changes nothing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::place::DATABASE_NAME;
use super::replica::Replica;
use super::schema;
use crate::limits;

/// A database that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseFound {
    /// Its format.
    pub format: usize,
    /// The newest that this program knows, and brings it up to.
    pub newest: usize,
    /// Whether it is that of a node of a cluster, whose log says what is in it.
    pub is_of_node: bool,
}

/// Looks at the database in this directory; `None` where there is none. It blocks.
///
/// # Errors
/// [`OpenError`] when no server could use it.
pub fn inspect(directory: &Path) -> Result<Option<DatabaseFound>, OpenError> {
    let path = directory.join(DATABASE_NAME);
    // An empty one is what a server leaves that was killed at its very start.
    if std::fs::metadata(&path).map_or(0, |about| about.len()) == 0 {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(limits::STORE_BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA query_only = TRUE")?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let newest = schema::NEWEST;
    let format = usize::try_from(found)
        .ok()
        .filter(|format| *format <= newest)
        .ok_or(OpenError::Newer { found, newest })?;
    // Older ones are of a time before clusters.
    let is_of_node = format == newest
        && Replica::new(&connection)
            .is_in_cluster()
            .map_err(OpenError::Sweep)?;
    Ok(Some(DatabaseFound {
        format,
        newest,
        is_of_node,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_database_or_too_new_is_told_and_none_is_made() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(inspect(place.path()).unwrap(), None);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        let path = place.path().join(DATABASE_NAME);
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE t (x); PRAGMA user_version = 1")
            .unwrap();
        let found = inspect(place.path()).unwrap().unwrap();
        assert_eq!((found.format, found.newest), (1, schema::NEWEST));
        connection
            .execute_batch("PRAGMA user_version = 99")
            .unwrap();
        let newer = inspect(place.path()).unwrap_err();
        assert!(newer.to_string().contains("newer version"), "{newer}");
        drop(connection);
        std::fs::write(&path, "not a database, though it is long enough to be one").unwrap();
        assert!(inspect(place.path()).is_err());
    }
}
