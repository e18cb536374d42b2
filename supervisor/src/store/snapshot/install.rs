//! A snapshot takes the place of the shared state.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::make::position;
use super::tables::{COPIED, execution_columns};
use super::{Manifest, SnapshotError};
use crate::raft::state::{Members, State as _};
use crate::store::doomed;
use crate::store::durable::Durably;
use crate::store::replica::Replica;

/// Makes what is shared that of a snapshot that was verified; its members. It is durable when this returns,
/// and nothing has changed when it fails.
pub(in crate::store) fn install(
    connection: &mut Connection,
    path: &Path,
    manifest: &Manifest,
) -> Result<Members, SnapshotError> {
    connection.execute("ATTACH ?1 AS snapshot", [path.to_string_lossy()])?;
    let installed = replace(connection, manifest);
    let detached = connection.execute_batch("DETACH snapshot");
    let members = installed?;
    detached?;
    Ok(members)
}

fn replace(connection: &mut Connection, manifest: &Manifest) -> Result<Members, SnapshotError> {
    let mut durably = Durably::begin(connection)?;
    let transaction = durably
        .connection()
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (at, conf) = position(&transaction, "snapshot")?;
    if at != manifest.at {
        return Err(SnapshotError::Other { what: "position" });
    }
    for (name, columns) in COPIED {
        transaction.execute_batch(&format!(
            "DELETE FROM main.{name};
             INSERT INTO main.{name} ({columns}) SELECT {columns} FROM snapshot.{name};"
        ))?;
    }
    replace_executions(&transaction)?;
    let mut replica = Replica::new(&transaction);
    replica.set_applied(at, Some(&conf))?;
    let members = replica.members()?;
    doomed::revive_known(&transaction)?;
    transaction.commit()?;
    Ok(members)
}

/// What is no more shared goes with its code and output. What is keeps its number, by which those are
/// found.
fn replace_executions(connection: &Connection) -> Result<(), SnapshotError> {
    connection.execute_batch(concat!(
        "CREATE TEMP TABLE gone AS SELECT seq FROM main.executions
             WHERE is_shared AND id NOT IN (SELECT id FROM snapshot.executions);
         DELETE FROM main.output WHERE execution IN (SELECT seq FROM temp.gone);
         DELETE FROM main.sources WHERE execution IN (SELECT seq FROM temp.gone);
         DELETE FROM main.executions WHERE seq IN (SELECT seq FROM temp.gone);
         DROP TABLE temp.gone;
         INSERT INTO main.executions (",
        execution_columns!(),
        ", is_shared, kept_bytes) SELECT ",
        execution_columns!(),
        ", 1, source_bytes + told_output_bytes + coalesce(octet_length(result), 0)
             + coalesce(octet_length(preview), 0) + coalesce(octet_length(error), 0)
             + coalesce(octet_length(heap_error), 0)
         FROM snapshot.executions WHERE TRUE ORDER BY seq
         ON CONFLICT (id) DO UPDATE SET
             owner = excluded.owner, status = excluded.status,
             submitted_at = excluded.submitted_at, started_at = excluded.started_at,
             completed_at = excluded.completed_at,
             heap_memory_max_mb = excluded.heap_memory_max_mb,
             execution_timeout_secs = excluded.execution_timeout_secs,
             output_truncated = excluded.output_truncated,
             told_output_bytes = excluded.told_output_bytes,
             failure_kind = excluded.failure_kind, cancelled_by = excluded.cancelled_by,
             timed_out_after_secs = excluded.timed_out_after_secs,
             text_truncated = excluded.text_truncated, tenant = excluded.tenant,
             session = excluded.session, input_heap = excluded.input_heap,
             output_heap = excluded.output_heap, source_bytes = excluded.source_bytes,
             cpu_ms = excluded.cpu_ms, peak_memory_bytes = excluded.peak_memory_bytes,
             preview = excluded.preview, error = excluded.error,
             heap_error = excluded.heap_error, result = excluded.result,
             kept_bytes = excluded.kept_bytes - excluded.told_output_bytes
                 + max(output_bytes, excluded.told_output_bytes),
             is_shared = 1;",
    ))?;
    Ok(())
}
