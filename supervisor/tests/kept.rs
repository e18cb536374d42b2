//! What the store keeps beside executions: heaps, sessions and tags, and what becomes of those that
//! nothing needs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Home, Left, PATIENCE, accepted, completed, ended, keep, left_behind, request, start, stateful,
};
use jiff::Timestamp;
use mcp_v8::app::{
    End, ExecutionId, HeapChoice, HeapEnd, HeapId, HeapRetention, PageRequest, Retention,
    RunRequest, Source, Status, StorePlace, Tenant, View,
};
use mcp_v8::store::{EntryRange, Store, UnneededHeap};

const ALL_ENTRIES: EntryRange = EntryRange {
    from_index: 0,
    limit: 10_000,
    with_code: true,
};

/// Keeps nothing that is not needed.
const NOTHING: HeapRetention = HeapRetention {
    age_max: Duration::MAX,
    bytes_max: 0,
};

/// Long after everything that happens here.
fn far_ahead() -> Timestamp {
    Timestamp::MAX
}

async fn open(directory: &Path) -> Store {
    let place = StorePlace::Directory(directory.to_owned());
    // Old rows are as good as new ones.
    let retention = Retention {
        age_max: Duration::MAX,
        ..Retention::default()
    };
    tokio::task::spawn_blocking(move || Store::open(place, retention))
        .await
        .unwrap()
        .unwrap()
}

fn id(content: &str) -> HeapId {
    HeapId::of(content.as_bytes())
}

async fn heaps_of(store: &Store, session: &str) -> Vec<HeapId> {
    let page = store
        .session_entries(Tenant::local(), session.parse().unwrap(), ALL_ENTRIES)
        .await
        .unwrap();
    let entries = page.map(|page| page.entries).unwrap_or_default();
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry.index, place as u64, "indexes are dense");
    }
    entries.iter().map(|entry| entry.output_heap).collect()
}

async fn unneeded(store: &Store) -> Vec<UnneededHeap> {
    store
        .unneeded_heaps(NOTHING, far_ahead(), 1000)
        .await
        .unwrap()
}

async fn unneeded_ids(store: &Store) -> Vec<HeapId> {
    unneeded(store).await.iter().map(|one| one.heap).collect()
}

async fn accept(store: &Store, view: View) {
    store
        .reserve(&view.tenant)
        .await
        .unwrap()
        .accept(view, Arc::default());
    store.flush(&Tenant::local()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_and_all_that_is_kept_of_it_are_one_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let other = rusqlite::Connection::open(directory.path().join("executions.db")).unwrap();
    for table in ["heaps", "session_entries", "heap_tags", "executions"] {
        other
            .execute_batch(&format!(
                "CREATE TRIGGER broken BEFORE INSERT ON {table}
                 BEGIN SELECT raise(ABORT, 'the disk is on fire'); END;"
            ))
            .unwrap();
        let Left { keep } = keep("one").in_session("s").tagged(&[("a", "b")]);
        let view = completed(accepted(), HeapEnd::Kept(keep.heap));
        let error = store.end(view.clone(), Some(keep)).await.unwrap_err();
        assert!(error.to_string().contains("on fire"), "{error}");
        assert!(
            store.get(Tenant::local(), view.id).await.unwrap().is_none(),
            "{table}"
        );
        let local = Tenant::local;
        assert!(!store.has_heap(local(), id("one")).await.unwrap());
        let sessions = store.sessions(local(), 10, None).await.unwrap();
        assert!(sessions.found.is_empty(), "{table}");
        other.execute_batch("DROP TRIGGER broken").unwrap();
    }
    let done = left_behind(&store, keep("one").in_session("s").tagged(&[("a", "b")])).await;
    let view = store
        .get(Tenant::local(), done)
        .await
        .unwrap()
        .unwrap()
        .view;
    assert!(
        matches!(&view.end, Some(End::Completed { heap: HeapEnd::Kept(heap), .. }) if *heap == id("one"))
    );
    assert_eq!(heaps_of(&store, "s").await, [id("one")]);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_execution_that_has_ended_otherwise_nothing_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let view = accepted();
    let lost = View {
        status: Status::TimedOut,
        completed_at: Some(support::now()),
        end: Some(End::TimedOut { after_secs: 1 }),
        ..view.clone()
    };
    store.end(lost.clone(), None).await.unwrap();
    let Left { keep } = keep("late").in_session("s").tagged(&[("a", "b")]);
    let late = completed(view, HeapEnd::Kept(keep.heap));
    store.end(late, Some(keep)).await.unwrap();
    assert_eq!(
        store
            .get(Tenant::local(), lost.id)
            .await
            .unwrap()
            .unwrap()
            .view,
        lost
    );
    assert!(!store.has_heap(Tenant::local(), id("late")).await.unwrap());
    assert!(heaps_of(&store, "s").await.is_empty());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_heap_made_again_keeps_its_tags_unless_it_is_given_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tags = async || store.heap_tags(Tenant::local(), id("one")).await.unwrap();
    left_behind(&store, keep("one").tagged(&[("a", "1"), ("b", "2")])).await;
    left_behind(&store, keep("one")).await;
    assert_eq!(tags().await.unwrap().len(), 2);
    left_behind(&store, keep("one").tagged(&[("c", "3")])).await;
    assert_eq!(
        tags().await.unwrap().iter().collect::<Vec<_>>(),
        [("c", "3")]
    );
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_write_one_session_without_gaps() {
    const EACH: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (open(directory.path()).await, open(directory.path()).await);
    let mut writing = tokio::task::JoinSet::new();
    for (server, store) in [one.clone(), two.clone()].into_iter().enumerate() {
        for number in 0..EACH {
            let store = store.clone();
            writing.spawn(async move {
                let left = keep(&format!("{server} {number}")).in_session("shared");
                left_behind(&store, left.made_by(&number.to_string())).await;
            });
        }
    }
    writing.join_all().await;
    let mut heaps = heaps_of(&one, "shared").await;
    assert_eq!(heaps.len(), 2 * EACH);
    assert_eq!(heaps, heaps_of(&two, "shared").await);
    let local = Tenant::local;
    let latest = two.latest_heap(local(), "shared".parse().unwrap()).await;
    assert_eq!(latest.unwrap().as_ref(), heaps.last());
    heaps.sort_unstable();
    heaps.dedup();
    assert_eq!(heaps.len(), 2 * EACH, "each is there once");
    let sessions = two.sessions(local(), 10, None).await.unwrap().found;
    assert_eq!(sessions.len(), 1);
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_is_kept_while_anything_of_any_server_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (open(directory.path()).await, open(directory.path()).await);
    for left in [
        keep("input"),
        keep("output").in_session("s").from("input"),
        keep("tagged").tagged(&[("a", "b")]),
        keep("running"),
        keep("old"),
        keep("new").from("old"),
    ] {
        left_behind(&one, left).await;
    }
    // Accepted by one server, seen by the other.
    let waiting = View {
        input_heap: Some(id("running")),
        ..accepted()
    };
    accept(&one, waiting.clone()).await;
    assert_eq!(unneeded_ids(&two).await, [id("old"), id("new")]);
    two.delete_tags(Tenant::local(), id("tagged"), None)
        .await
        .unwrap();
    let end = End::TimedOut { after_secs: 1 };
    let over = View {
        status: end.status(),
        completed_at: Some(support::now()),
        end: Some(end),
        ..waiting
    };
    one.end(over, None).await.unwrap();
    // The oldest use first: to run from a heap and to change its tags are uses.
    let found = unneeded_ids(&two).await;
    assert_eq!(found, [id("old"), id("new"), id("running"), id("tagged")]);
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_that_is_used_after_it_was_found_unneeded_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let local = Tenant::local;
    for name in ["used", "tagged", "listed", "needed", "gone"] {
        left_behind(&store, keep(name)).await;
    }
    let found = unneeded(&store).await;
    assert_eq!(found.len(), 5);
    assert!(store.touch_heap(local(), id("used")).await.unwrap());
    let tags = keep("").tagged(&[("a", "b")]).keep.tags;
    assert!(store.set_tags(local(), id("tagged"), tags).await.unwrap());
    left_behind(&store, keep("listed").in_session("s")).await;
    accept(
        &store,
        View {
            input_heap: Some(id("needed")),
            ..accepted()
        },
    )
    .await;
    let mut forgotten = Vec::new();
    for heap in found {
        if store.forget_heap(heap.clone()).await.unwrap() {
            forgotten.push(heap.heap);
            assert!(!store.forget_heap(heap).await.unwrap(), "only once");
        }
    }
    assert_eq!(forgotten, [id("gone")]);
    assert!(!store.has_heap(local(), id("gone")).await.unwrap());
    assert!(!store.touch_heap(local(), id("gone")).await.unwrap());
    let tags = keep("").tagged(&[("a", "b")]).keep.tags;
    assert!(!store.set_tags(local(), id("gone"), tags).await.unwrap());
    assert!(
        store
            .heap_tags(local(), id("gone"))
            .await
            .unwrap()
            .is_none()
    );
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unneeded_heaps_expire_by_age_and_by_size() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let begin = support::now();
    for name in ["a", "b", "c", "d"] {
        left_behind(&store, keep(name)).await;
    }
    left_behind(&store, keep("needed").tagged(&[("k", "v")])).await;
    let expired = async |age_max, bytes_max, now, limit| {
        let retention = HeapRetention { age_max, bytes_max };
        let found = store.unneeded_heaps(retention, now, limit).await.unwrap();
        found.iter().map(|one| one.heap).collect::<Vec<_>>()
    };
    let grace = mcp_v8::limits::HEAP_GRACE;
    assert!(
        expired(Duration::ZERO, 0, support::now(), 9)
            .await
            .is_empty()
    );
    assert!(
        expired(Duration::ZERO, 0, begin + grace, 9)
            .await
            .is_empty()
    );
    let now = support::now() + grace;
    let hour = Duration::from_secs(3600);
    let soon = now.checked_add(hour).unwrap();
    assert!(
        expired(hour + 2 * grace, u64::MAX, soon, 9)
            .await
            .is_empty()
    );
    assert_eq!(expired(hour / 2, u64::MAX, soon, 9).await.len(), 4);
    assert_eq!(
        expired(hour / 2, u64::MAX, soon, 3).await,
        ["a", "b", "c"].map(id)
    );
    // Each takes 1000 bytes; what is needed does not count.
    assert_eq!(expired(hour, 2500, now, 9).await, ["a", "b"].map(id));
    assert_eq!(expired(hour, 2000, now, 9).await, ["a", "b"].map(id));
    assert!(expired(hour, 4000, now, 9).await.is_empty());
    let first = store
        .unneeded_heaps(NOTHING, now, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (first.stored_bytes, &first.tenant),
        (1000, &Tenant::local())
    );
    assert!(first.created_at >= begin && first.last_used_at >= first.created_at);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_long_code_is_cut_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let code = "x".repeat(1 << 20);
    for number in 0..10 {
        let left = keep(&number.to_string()).in_session("s").made_by(&code);
        left_behind(&store, left).await;
    }
    let page = async |range| {
        store
            .session_entries(Tenant::local(), "s".parse().unwrap(), range)
            .await
            .unwrap()
            .unwrap()
    };
    let mut lengths = Vec::new();
    let mut next = Some(0);
    while let Some(from_index) = next {
        let found = page(EntryRange {
            from_index,
            ..ALL_ENTRIES
        })
        .await;
        lengths.push(found.entries.len());
        next = found.next_index;
    }
    assert_eq!(lengths, [4, 4, 2]);
    let all = page(EntryRange {
        with_code: false,
        ..ALL_ENTRIES
    })
    .await;
    assert_eq!((all.entries.len(), all.next_index), (10, None));
    assert!(all.entries.iter().all(|entry| entry.code.is_none()));
    let past = page(EntryRange {
        from_index: 10,
        ..ALL_ENTRIES
    })
    .await;
    assert!(past.entries.is_empty() && past.next_index.is_none());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_first_version_is_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("executions.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch(include_str!("snapshots/database-1.sql"))
        .unwrap();
    let (store, neighbour) = (open(directory.path()).await, open(directory.path()).await);
    let get = async |number: u8| {
        let id: ExecutionId = format!("00000000-0000-4000-8000-{number:012}")
            .parse()
            .unwrap();
        (
            id,
            store.get(Tenant::local(), id).await.unwrap().unwrap().view,
        )
    };
    let (first, view) = get(1).await;
    assert_eq!(view.tenant, Tenant::local());
    assert_eq!((&view.input_heap, &view.session), (&None, &None));
    assert_eq!(
        view.end,
        Some(End::Completed {
            result: "42".to_owned(),
            result_truncated: false,
            preview: "42".to_owned(),
            heap: HeapEnd::NotKept,
        })
    );
    let lines = PageRequest::Lines {
        offset: 1,
        limit: 10,
    };
    let output = store
        .output(Tenant::local(), first, lines)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.data, "hello");
    for (number, status) in [
        (2, Status::Failed),
        (3, Status::Cancelled),
        (4, Status::TimedOut),
        // Its server is gone.
        (5, Status::Failed),
    ] {
        assert_eq!(get(number).await.1.status, status);
    }
    let source = store.source(Tenant::local(), first).await.unwrap();
    assert_eq!(source, Some(Source::NotKept));
    left_behind(&store, keep("one").in_session("s").tagged(&[("a", "b")])).await;
    assert_eq!(heaps_of(&neighbour, "s").await, [id("one")]);
    let listed = store.list(Tenant::local(), None, 10, None).await.unwrap();
    assert_eq!(listed.len(), 6);
    store.close().await.unwrap();
    neighbour.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_execution_was_given_is_the_same_after_a_restart() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let place = home.directory.path().join("data");
    let store = open(&place).await;
    let put = home.heaps().put(&Tenant::local(), b"one".to_vec()).await;
    assert_eq!(put.unwrap().id, id("one"));
    left_behind(&store, keep("one").in_session("s")).await;
    let from = async |heap| {
        let id = executions
            .submit(RunRequest {
                heap: Some(heap),
                session: Some("s".parse().unwrap()),
                ..request("finish 1")
            })
            .await
            .unwrap();
        ended(&executions, id).await
    };
    let views = [
        from(HeapChoice::Latest).await,
        from(HeapChoice::Id(id("one"))).await,
    ];
    store.close().await.unwrap();
    executions.shut_down().await;
    let again = start(home.config()).await;
    for view in views {
        assert_eq!(view.input_heap, Some(id("one")));
        assert_eq!(again.wait(view.id, PATIENCE).await.unwrap(), view);
    }
    assert_eq!(
        stateful(home.directory.path()).store(),
        StorePlace::Directory(place)
    );
    again.shut_down().await;
}
