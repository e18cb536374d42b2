//! Pages of the list of executions: what they hold, in which order, and what they cost.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rusqlite::StatementStatus;

use super::*;
use crate::raft::command::Execution;
use crate::store::replica::tests::node;
use crate::store::replica::{Replica, accept_here};
use crate::store::schema;

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    connection
}

fn tenant() -> Tenant {
    "one".parse().unwrap()
}

fn execution(id: u8, submitted_us: i64) -> Execution {
    Execution {
        id: [id; 16],
        tenant: "one".to_owned(),
        owner: node(0),
        session: None,
        input_heap: None,
        submitted_us,
        source_bytes: 1,
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
        started_us: None,
        output_bytes: 0,
        output_truncated: false,
        usage: None,
        end: None,
    }
}

/// A database with these, in this order, whoever told of them.
fn database_with(executions: &[Execution], shared: impl Fn(usize) -> bool) -> Connection {
    let connection = database();
    for (number, execution) in executions.iter().enumerate() {
        if shared(number) {
            crate::store::replica::begin(&connection, execution).unwrap();
        } else {
            accept_here(&connection, execution).unwrap();
        }
    }
    connection
}

/// All pages, each begun where the one before ended on any of these databases.
fn pages(databases: &[&Connection], limit: u32) -> Vec<Vec<ExecutionId>> {
    let mut pages = Vec::new();
    let mut after = None;
    for connection in databases.iter().cycle() {
        let page = list(connection, &tenant(), None, limit, after).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(ExecutionPosition::of(last));
        pages.push(page.iter().map(|summary| summary.id).collect());
    }
    pages
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nodes hear of executions in their own order; some were accepted at the same time.
    #[test]
    fn databases_with_the_same_rows_give_the_same_pages(
        times in prop::collection::vec(-3..3_i64, 0..40),
        order in prop::collection::vec(any::<u64>(), 40),
        limit in 1..9_u32,
    ) {
        let mut executions: Vec<Execution> = (0..).zip(&times).map(|(id, at)| execution(id, *at)).collect();
        let one = database_with(&executions, |_| true);
        executions.sort_by_key(|execution| order[usize::from(execution.id[0])]);
        let other = database_with(&executions, |number| number % 3 > 0);
        let found = pages(&[&one], limit);
        prop_assert_eq!(&found, &pages(&[&other], limit));
        prop_assert_eq!(&found, &pages(&[&one, &other], limit), "a cursor means the same on both");
        executions.sort_by_key(|execution| std::cmp::Reverse((execution.submitted_us, execution.id)));
        let expected = executions.iter().map(|execution| ExecutionId::from_key(execution.id));
        prop_assert_eq!(found.concat(), expected.collect::<Vec<_>>());
    }

    /// Whoever reads page after page sees each that was there when it began, once.
    #[test]
    fn what_is_added_meanwhile_moves_nothing(
        before in prop::collection::vec(0..5_i64, 1..30),
        added in prop::collection::vec(0..9_i64, 30),
        limit in 1..5_u32,
    ) {
        let mut executions: Vec<Execution> = (0..).zip(&before).map(|(id, at)| execution(id, *at)).collect();
        let connection = database_with(&executions, |_| true);
        let mut seen = Vec::new();
        let mut after = None;
        let mut added = (100..).zip(&added);
        loop {
            let page = list(&connection, &tenant(), None, limit, after).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(ExecutionPosition::of(last));
            seen.extend(page.iter().map(|summary| summary.id));
            if let Some((id, at)) = added.next() {
                crate::store::replica::begin(&connection, &execution(id, *at)).unwrap();
            }
        }
        let all = seen.len();
        executions.retain(|execution| !seen.contains(&ExecutionId::from_key(execution.id)));
        prop_assert_eq!(executions, []);
        seen.sort_by_key(ToString::to_string);
        seen.dedup();
        prop_assert_eq!(seen.len(), all);
    }
}

#[test]
fn places_at_the_ends_of_time_are_places() {
    let executions: Vec<Execution> = [i64::MIN, i64::MAX, 0]
        .into_iter()
        .zip(0..)
        .map(|(at, id)| execution(id, at))
        .collect();
    let connection = database_with(&executions, |_| true);
    let from = |submitted_us, id: u8| {
        let place = ExecutionPosition {
            submitted_us,
            id: ExecutionId::from_key([id; 16]),
        };
        list(&connection, &tenant(), None, 9, Some(place))
    };
    assert_eq!(from(i64::MIN, 0).unwrap(), []);
    // A time that no clock shows is not shown as another one.
    assert!(from(1, 9).is_err_and(|error| matches!(error, StoreError::Corrupt { .. })));
}

/// Executions of two tenants, by turns.
fn fill(connection: &Connection, executions: u32) {
    connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO executions (id, owner, status, submitted_at, completed_at,
                 heap_memory_max_mb, execution_timeout_secs, tenant, result)
             SELECT randomblob(16), 1, 'completed', i * 1000, i * 1000 + 5, 8, 30,
                 iif(i % 2, 'one', 'two'), hex(randomblob(100)) FROM n",
            [executions],
        )
        .unwrap();
}

/// What a page costs, in steps of SQLite's machine.
fn cost(connection: &Connection, after: ExecutionPosition) -> i32 {
    let mut statement = connection.prepare(LIST).unwrap();
    let mut rows = statement
        .query(params![
            "one",
            after.submitted_us,
            after.id.0.as_bytes(),
            None::<&str>,
            100
        ])
        .unwrap();
    let mut found = 0;
    while rows.next().unwrap().is_some() {
        found += 1;
    }
    drop(rows);
    assert_eq!(found, 100);
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn a_page_costs_the_same_wherever_it_is_and_however_many_there_are() {
    const MANY: u32 = 100_000;
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate_to(&mut connection, schema::NEWEST - 1).unwrap();
    fill(&connection, MANY);
    let began = Instant::now();
    schema::migrate(&mut connection).unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "the new index took {took:?}");

    let plan = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {LIST}"))
        .unwrap()
        .query_map(params!["one", 0, [0_u8; 16], None::<&str>, 100], |row| {
            row.get::<_, String>(3)
        })
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap()
        .join("; ");
    let expected =
        "SEARCH executions USING INDEX executions_by_age (tenant=? AND (submitted_at,id)<(?,?))";
    assert_eq!(plan, expected, "no sorting, and no look at others");

    let few = database();
    fill(&few, 400);
    let least = cost(&few, ExecutionPosition::NEWEST);
    for submitted_us in [i64::MAX, i64::from(MANY) * 500, 300_000] {
        let after = ExecutionPosition {
            submitted_us,
            ..ExecutionPosition::NEWEST
        };
        let steps = cost(&connection, after);
        assert!(
            (least - 10..=least + 10).contains(&steps),
            "{steps} steps, and {least} where there are few"
        );
    }
}

#[test]
fn sessions_and_heaps_are_numbered_alike_wherever_the_log_is_applied() {
    // Each node has rows of its own beside; only what the log says counts.
    let (one, other) = (database(), database());
    accept_here(&other, &execution(77, 5)).unwrap();
    for number in 0..20_u8 {
        let heap = [number % 7; 32];
        let mut ended = execution(number, i64::from(number));
        ended.session = Some(format!("s{}", number % 5));
        ended.end = Some((
            i64::from(number),
            crate::raft::command::Ended::Completed {
                result: String::new(),
                result_truncated: false,
                preview: String::new(),
                heap: Ok(Some(heap)),
            },
        ));
        let kept = crate::raft::command::Kept {
            heap,
            stored_bytes: 1,
            code: String::new(),
            tags: vec![("k".to_owned(), "v".to_owned())],
        };
        let end = crate::raft::command::Command::End(Box::new(ended), Some(Box::new(kept)));
        for connection in [&one, &other] {
            Replica::new(connection).perform(&end).unwrap();
        }
    }
    let numbers = |connection: &Connection| {
        let mut rows = connection
            .prepare(
                "SELECT seq, name FROM sessions UNION ALL SELECT seq, hex(id) FROM heaps
                 UNION ALL SELECT seq, position FROM session_entries",
            )
            .unwrap();
        let rows = rows.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, rusqlite::types::Value>(1)?,
            ))
        });
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&one), numbers(&other));
    assert_eq!(numbers(&one).len(), 5 + 7 + 20);
}

#[tokio::test]
async fn servers_on_one_database_hide_places_by_one_key() {
    use crate::store::{Retention, Store, StorePlace};
    let place = tempfile::tempdir().unwrap();
    let open = || {
        let place = StorePlace::Directory(place.path().to_owned());
        Store::open(place, Retention::default()).unwrap()
    };
    let (one, other) = (open(), open());
    let key = one.cursor_key().await.unwrap();
    assert_eq!(other.cursor_key().await.unwrap(), key);
    one.close().await.unwrap();
    other.close().await.unwrap();
    assert_eq!(open().cursor_key().await.unwrap(), key);
    let elsewhere = Store::open(StorePlace::Temporary, Retention::default()).unwrap();
    assert_ne!(elsewhere.cursor_key().await.unwrap(), key);
}
