//! What tenants have used, out of what is stored.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Store;
use super::error::StoreError;
use super::read::{count, parsed};
use crate::tenant::Tenant;

/// What the executions of a tenant used that ended in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastUse {
    /// The tenant.
    pub tenant: Tenant,
    /// How long before the look that minute ended.
    pub ago: Duration,
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// Output, in bytes.
    pub output_bytes: u64,
}

const MICROS_PER_MINUTE: i64 = 60_000_000;

impl Store {
    /// What executions used that ended so lately, whichever server on this database ran them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn past_use(&self, within: Duration) -> Result<Vec<PastUse>, StoreError> {
        let now = Timestamp::now();
        self.read_own(move |connection| past_use(connection, now, within))
            .await
    }

    /// What the heaps of a tenant take where they are stored, in bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heap_bytes(&self, tenant: Tenant) -> Result<u64, StoreError> {
        self.read(tenant, move |connection, tenant| {
            heap_bytes(connection, tenant)
        })
        .await
    }
}

fn past_use(
    connection: &Connection,
    now: Timestamp,
    within: Duration,
) -> Result<Vec<PastUse>, StoreError> {
    let now = now.as_microsecond();
    let since = now.saturating_sub(i64::try_from(within.as_micros()).unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(
        "SELECT tenant, (?1 - completed_at) / ?3, sum(coalesce(cpu_ms, 0)),
             sum(max(output_bytes, told_output_bytes))
         FROM executions
         WHERE completed_at > ?2 AND completed_at <= ?1
         GROUP BY 1, 2",
    )?;
    let mut rows = statement.query(params![now, since, MICROS_PER_MINUTE])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(PastUse {
            tenant: parsed(row, 0, "name of a tenant")?,
            ago: Duration::from_secs(60 * count(row, 1)?),
            cpu_ms: count(row, 2)?,
            output_bytes: count(row, 3)?,
        });
    }
    Ok(found)
}

fn heap_bytes(connection: &Connection, tenant: &Tenant) -> Result<u64, StoreError> {
    let bytes: Option<i64> = connection
        .prepare_cached("SELECT stored_bytes FROM heap_totals WHERE tenant = ?1")?
        .query_row([tenant.name()], |row| row.get(0))
        .optional()?;
    Ok(bytes.map_or(0, i64::unsigned_abs))
}

#[cfg(test)]
mod tests {
    use super::super::schema::migrate;
    use super::*;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection
    }

    #[test]
    fn the_total_of_heaps_follows_every_change() {
        let connection = database();
        let tenant: Tenant = "one".parse().unwrap();
        let add = |id: u8, bytes: i64| {
            connection
                .execute(
                    "INSERT INTO heaps (tenant, id, stored_bytes, created_at, last_used_at)
                     VALUES ('one', ?1, ?2, 0, 0)
                     ON CONFLICT (tenant, id) DO UPDATE SET stored_bytes = ?2",
                    params![[id; 32], bytes],
                )
                .unwrap();
        };
        let total = || heap_bytes(&connection, &tenant).unwrap();
        assert_eq!(total(), 0);
        add(1, 100);
        add(2, 50);
        assert_eq!(total(), 150);
        // Another version of the same heap takes the place of the first.
        add(1, 10);
        assert_eq!(total(), 60);
        connection
            .execute("DELETE FROM heaps WHERE id = ?1", [[2_u8; 32]])
            .unwrap();
        assert_eq!(total(), 10);
        connection.execute("DELETE FROM heaps", []).unwrap();
        assert_eq!(total(), 0);
        let left: i64 = connection
            .query_row("SELECT count(*) FROM heap_totals", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
        assert_eq!(heap_bytes(&connection, &Tenant::local()).unwrap(), 0);
    }

    #[test]
    fn past_use_is_by_tenant_and_minute() {
        let connection = database();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let end = |id: u8, tenant: &str, secs_ago: i64, cpu_ms: Option<i64>| {
            let at = now.as_microsecond() - secs_ago * 1_000_000;
            connection
                .execute(
                    "INSERT INTO executions (id, owner, status, submitted_at, completed_at,
                         heap_memory_max_mb, execution_timeout_secs, output_bytes, tenant, cpu_ms)
                     VALUES (?1, 1, 'completed', ?2, ?2, 8, 30, 7, ?3, ?4)",
                    params![[id; 16], at, tenant, cpu_ms],
                )
                .unwrap();
        };
        end(1, "one", 10, Some(100));
        end(2, "one", 20, Some(11));
        end(3, "one", 90, Some(5));
        end(4, "two", 10, None);
        end(5, "one", 4000, Some(1000));
        let found = past_use(&connection, now, Duration::from_secs(3600)).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|used| {
                (
                    used.tenant.name(),
                    used.ago.as_secs(),
                    used.cpu_ms,
                    used.output_bytes,
                )
            })
            .collect();
        assert_eq!(
            found,
            [("one", 0, 111, 14), ("one", 60, 5, 7), ("two", 0, 0, 7)]
        );
    }
}
