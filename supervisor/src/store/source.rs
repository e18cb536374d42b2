//! The code of executions, as it was submitted.

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::error::StoreError;
use super::record::ExecutionId;
use crate::tenant::Tenant;

/// The code of an execution that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// As it was submitted.
    Kept(String),
    /// The execution is older than the keeping of code, or nothing of it could be written before its
    /// end.
    NotKept,
}

impl Store {
    /// The code of an execution; `None` when this tenant has no such execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn source(
        &self,
        tenant: Tenant,
        id: ExecutionId,
    ) -> Result<Option<Source>, StoreError> {
        self.read(tenant, move |connection, tenant| {
            read(connection, tenant, id)
        })
        .await
    }
}

fn read(
    connection: &Connection,
    tenant: &Tenant,
    id: ExecutionId,
) -> Result<Option<Source>, StoreError> {
    let code = connection
        .prepare_cached(
            "SELECT code FROM executions LEFT JOIN sources ON execution = executions.seq
             WHERE id = ?1 AND tenant = ?2",
        )?
        .query_row(params![id.0.as_bytes(), tenant.name()], |row| {
            row.get::<_, Option<String>>(0)
        })
        .optional()?;
    Ok(code.map(|code| code.map_or(Source::NotKept, Source::Kept)))
}

/// Writes the code of an execution whose row is there.
pub(super) fn write(connection: &Connection, id: ExecutionId, code: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sources (execution, code) SELECT seq, ?2 FROM executions WHERE id = ?1",
        )?
        .execute(params![id.0.as_bytes(), code])?;
    Ok(())
}
