//! Heaps that go, those that stay, and those that come from elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::{Home, Left, accepted, ended, eventually, keep, left_behind, request, start};
use jiff::Timestamp;
use mcp_v8::app::{
    Error, GarbageOptions, GarbageReport, HeapChoice, HeapCount, HeapId, HeapRetention, Neighbours,
    Reason, Retention, RunRequest, State, StorePlace, Tenant, View, collect_garbage,
};
use mcp_v8::heaps::{Heaps, ListedHeap, TenantFolder};
use mcp_v8::limits;
use mcp_v8::store::{Keep, Store, UnneededHeap};

const DRY: GarbageOptions = GarbageOptions {
    is_dry_run: true,
    is_sole_database: false,
};
const WET: GarbageOptions = GarbageOptions {
    is_dry_run: false,
    is_sole_database: false,
};
const SOLE: GarbageOptions = GarbageOptions {
    is_dry_run: false,
    is_sole_database: true,
};

/// Longer ago than any retention here.
const LONG: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// A database and a place of heaps, which tests reach into as servers do.
struct Yard {
    home: Home,
    store: Store,
    heaps: Heaps,
}

impl Yard {
    async fn new() -> Self {
        Self::in_home(Home::new()).await
    }

    async fn in_home(home: Home) -> Self {
        let store = open(&home.directory.path().join("data")).await;
        let heaps = home.heaps();
        Self { home, store, heaps }
    }

    fn path(&self, heap: HeapId) -> PathBuf {
        let folder = TenantFolder::of(&Tenant::local());
        self.home
            .directory
            .path()
            .join(format!("heaps/{folder}/{heap}.heap"))
    }

    /// A heap that is stored, and that no row names.
    async fn put(&self, content: &str) -> HeapId {
        let content = content.as_bytes().to_vec();
        self.heaps.put(&Tenant::local(), content).await.unwrap().id
    }

    /// A heap with its row.
    async fn leave(&self, left: Left, content: &str) -> HeapId {
        let heap = self.put(content).await;
        assert_eq!(left.keep.heap, heap);
        left_behind(&self.store, left).await;
        heap
    }

    /// Lets a heap be put and used long ago.
    fn age(&self, heap: HeapId) {
        self.age_content(heap);
        let long_ago = Timestamp::now() - LONG;
        self.database()
            .execute(
                "UPDATE heaps SET last_used_at = ?1 WHERE id = ?2",
                rusqlite::params![long_ago.as_microsecond(), heap.as_bytes()],
            )
            .unwrap();
    }

    fn age_content(&self, heap: HeapId) {
        let file = File::open(self.path(heap)).unwrap();
        file.set_modified(SystemTime::now() - LONG).unwrap();
    }

    fn database(&self) -> rusqlite::Connection {
        let path = self.home.directory.path().join("data/executions.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    fn doomed(&self) -> i64 {
        self.database()
            .query_row("SELECT count(*) FROM doomed_heaps", [], |row| row.get(0))
            .unwrap()
    }

    async fn collect(&self, options: GarbageOptions) -> GarbageReport {
        collect(&self.home.state(), options).await
    }

    async fn has_row(&self, heap: HeapId) -> bool {
        self.store.has_heap(Tenant::local(), heap).await.unwrap()
    }

    fn has_content(&self, heap: HeapId) -> bool {
        self.path(heap).exists()
    }

    async fn is_whole(&self, heap: HeapId) -> bool {
        let (row, content) = (self.has_row(heap).await, self.has_content(heap));
        assert_eq!(row, content, "{heap}");
        row
    }
}

async fn open(directory: &Path) -> Store {
    let place = StorePlace::Directory(directory.to_owned());
    let opened = tokio::task::spawn_blocking(|| Store::open(place, Retention::default()));
    opened.await.unwrap().unwrap()
}

async fn collect(state: &State, options: GarbageOptions) -> GarbageReport {
    collect_garbage(state, Retention::default(), options)
        .await
        .unwrap()
}

/// What went, by heap.
fn went(report: &GarbageReport) -> Vec<(HeapId, Reason)> {
    let collected = report.collected.iter();
    collected.map(|one| (one.heap, one.reason)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_needs_goes_and_what_is_needed_stays() {
    let yard = Yard::new().await;
    let tagged = yard
        .leave(keep("tagged").tagged(&[("a", "b")]), "tagged")
        .await;
    let listed = yard.leave(keep("listed").in_session("s"), "listed").await;
    let running = yard.leave(keep("running"), "running").await;
    let young = yard.leave(keep("young"), "young").await;
    let old = yard.leave(keep("old"), "old").await;
    let view = View {
        input_heap: Some(running),
        ..accepted()
    };
    let room = yard.store.reserve(&view.tenant).await.unwrap();
    room.accept(view, Arc::default());
    yard.store.flush(&Tenant::local()).await.unwrap();
    for heap in [tagged, listed, running, old] {
        yard.age(heap);
    }
    let shown = yard.collect(DRY).await;
    assert_eq!(went(&shown), [(old, Reason::Age)]);
    let one = &shown.collected[0];
    assert_eq!(one.tenant, Some(Tenant::local()));
    assert!(
        Timestamp::now()
            .duration_since(one.last_used_at.unwrap())
            .unsigned_abs()
            >= LONG
    );
    assert!(yard.is_whole(old).await, "nothing has happened yet");
    let counts = [
        shown.census.all,
        shown.census.by_tags,
        shown.census.by_sessions,
        shown.census.by_executions,
        shown.census.unneeded,
    ];
    let heaps = counts.map(|count: HeapCount| count.heaps);
    assert_eq!(heaps, [5, 1, 1, 1, 2]);

    assert_eq!(went(&yard.collect(WET).await), [(old, Reason::Age)]);
    assert!(!yard.is_whole(old).await);
    for heap in [tagged, listed, running, young] {
        assert!(yard.is_whole(heap).await);
    }
    assert_eq!(went(&yard.collect(WET).await), []);
    assert_eq!(yard.doomed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_used_last_stay_within_the_size_and_none_goes_within_the_grace() {
    let yard = Yard::new().await;
    let State::Stateful {
        sessions, heaps, ..
    } = yard.home.state()
    else {
        panic!("it keeps state");
    };
    let state = State::Stateful {
        sessions,
        heaps,
        retention: HeapRetention {
            age_max: Duration::ZERO,
            bytes_max: 0,
        },
    };
    let young = yard.leave(keep("young"), "young").await;
    let orphan = yard.put("an orphan").await;
    assert_eq!(went(&collect(&state, WET).await), []);
    assert!(yard.is_whole(young).await && yard.has_content(orphan));
    // Used long ago and put again just now, by an execution that has not ended yet.
    let again = yard.leave(keep("again"), "again").await;
    yard.age(again);
    yard.put("again").await;
    assert_eq!(went(&collect(&state, WET).await), []);
    assert!(yard.has_content(again) && !yard.has_row(again).await);
    left_behind(&yard.store, keep("again")).await;
    assert!(yard.is_whole(again).await);
    assert_eq!(yard.doomed(), 0, "its row has saved it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_doomed_when_a_server_was_killed_goes_later() {
    let yard = Yard::new().await;
    for content in ["content left", "nothing left", "put again"] {
        let heap = yard.leave(keep(content), content).await;
        yard.age(heap);
    }
    let later = Timestamp::now();
    let found = yard
        .store
        .unneeded_heaps(HeapRetention::default(), later, 9);
    for heap in found.await.unwrap() {
        assert!(yard.store.forget_heap(heap).await.unwrap());
    }
    let id = |content: &str| HeapId::of(content.as_bytes());
    fs::remove_file(yard.path(id("nothing left"))).unwrap();
    // Another server puts it, and is killed too.
    yard.put("put again").await;
    let mut gone = went(&yard.collect(WET).await);
    let mut expected = ["content left", "nothing left"].map(|one| (id(one), Reason::Interrupted));
    gone.sort_unstable();
    expected.sort_unstable();
    assert_eq!(gone, expected);
    assert!(yard.has_content(id("put again")));
    yard.age_content(id("put again"));
    let gone = went(&yard.collect(WET).await);
    assert_eq!(gone, [(id("put again"), Reason::Interrupted)]);
    assert_eq!(yard.doomed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_go_when_they_are_old_and_nobody_else_can_need_them() {
    let yard = Yard::new().await;
    let bob: Tenant = "bob".parse().unwrap();
    let (old, young) = (yard.put("old").await, yard.put("young").await);
    let bobs = yard.heaps.put(&bob, b"old".to_vec()).await.unwrap().id;
    let folder = TenantFolder::of(&bob);
    let bobs = yard
        .path(bobs)
        .parent()
        .unwrap()
        .with_file_name(format!("{folder}/{bobs}.heap"));
    let file = File::open(&bobs).unwrap();
    file.set_modified(SystemTime::now() - LONG).unwrap();
    yard.age_content(old);

    // Another database on the same heaps.
    let elsewhere = support::stateful_at(
        yard.home.directory.path().join("elsewhere"),
        yard.home.directory.path(),
    );
    let mut config = yard.home.config();
    config.state = elsewhere.clone();
    start(config).await.shut_down().await;
    for options in [DRY, WET] {
        let report = yard.collect(options).await;
        assert_eq!(went(&report), []);
        let Neighbours::Some(others) = &report.neighbours else {
            panic!("{:?}", report.neighbours);
        };
        assert_eq!(others.len(), 1);
        assert!(others[0].about.contains("elsewhere"), "{others:?}");
    }
    let shown = yard
        .collect(GarbageOptions {
            is_dry_run: true,
            ..SOLE
        })
        .await;
    assert_eq!(shown.collected.len(), 2);
    assert_ne!(yard.collect(DRY).await.neighbours, Neighbours::Nobody);
    let mut gone = went(&yard.collect(SOLE).await);
    gone.dedup();
    assert_eq!(gone, [(old, Reason::Orphan)], "of both tenants");
    assert!(yard.has_content(young) && !yard.has_content(old) && !bobs.exists());
    assert_eq!(yard.collect(WET).await.neighbours, Neighbours::Nobody);
    assert_eq!(yard.doomed(), 0);
}

/// All orders in which actors can take their steps, of which each has so many.
fn interleavings(steps: &[usize]) -> Vec<Vec<usize>> {
    if steps.iter().all(|left| *left == 0) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for actor in 0..steps.len() {
        if steps[actor] > 0 {
            let mut rest = steps.to_vec();
            rest[actor] -= 1;
            for mut order in interleavings(&rest) {
                order.insert(0, actor);
                all.push(order);
            }
        }
    }
    all
}

/// A collector that has found an old heap.
struct Slow<'a> {
    yard: &'a Yard,
    store: &'a Store,
    heaps: &'a Heaps,
    found: UnneededHeap,
    step: usize,
    goes_on: bool,
}

impl Slow<'_> {
    async fn step(&mut self) {
        self.step += 1;
        if !self.goes_on {
            return;
        }
        let doomed = self.found.doomed();
        match self.step {
            1 => self.goes_on = self.store.forget_heap(self.found.clone()).await.unwrap(),
            2 => {
                let old = ListedHeap {
                    id: doomed.heap,
                    folder: doomed.folder,
                    stored_bytes: doomed.stored_bytes,
                    put_at: SystemTime::now() - limits::HEAP_GRACE,
                };
                self.goes_on = self.heaps.delete(&old).await.unwrap();
            }
            _ => self.store.bury_heap(doomed).await.unwrap(),
        }
    }

    async fn check(&self) {
        let heap = self.found.heap;
        if self.yard.has_row(heap).await {
            assert!(self.yard.has_content(heap), "a row names what is gone");
        }
    }
}

async fn old_heap(yard: &Yard, content: &str) -> UnneededHeap {
    let heap = yard.leave(keep(content), content).await;
    yard.age(heap);
    let found = yard
        .store
        .unneeded_heaps(HeapRetention::default(), Timestamp::now(), 1000);
    let mut found = found.await.unwrap();
    found.retain(|one| one.heap == heap);
    found.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_that_is_made_again_while_two_servers_remove_it_stays() {
    let yard = Yard::new().await;
    let other = Yard {
        store: open(&yard.home.directory.path().join("data")).await,
        heaps: yard.home.heaps(),
        home: Home::new(),
    };
    for (number, order) in interleavings(&[2, 3, 2]).into_iter().enumerate() {
        let content = format!("heap {number}");
        let found = old_heap(&yard, &content).await;
        let (heap, stored_bytes) = (found.heap, found.stored_bytes);
        let slow = |store, heaps, step| Slow {
            yard: &yard,
            store,
            heaps,
            found: found.clone(),
            step,
            goes_on: true,
        };
        let mut first = slow(&yard.store, &yard.heaps, 0);
        // The other has found it doomed: it does not forget, and may come late.
        let mut second = slow(&other.store, &other.heaps, 1);
        let mut is_put = false;
        for actor in &order {
            match actor {
                0 if !is_put => {
                    is_put = true;
                    yard.put(&content).await;
                }
                0 => {
                    let Left { keep } = keep(&content);
                    let again = Left {
                        keep: Keep {
                            stored_bytes,
                            ..keep
                        },
                    };
                    left_behind(&other.store, again).await;
                }
                1 => first.step().await,
                // It is doomed, so the first has forgotten it.
                _ if first.step == 0 => {}
                _ => second.step().await,
            }
            first.check().await;
        }
        assert!(yard.is_whole(heap).await, "{order:?}");
        yard.heaps.fetch(&Tenant::local(), heap).await.unwrap();
        assert_eq!(yard.doomed(), 0, "{order:?}");
        yard.database().execute("DELETE FROM heaps", []).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_that_is_used_while_it_is_removed_is_there_or_refused() {
    let yard = Yard::new().await;
    let local = Tenant::local;
    for (number, order) in interleavings(&[4, 3]).into_iter().enumerate() {
        let content = format!("heap {number}");
        let found = old_heap(&yard, &content).await;
        let heap = found.heap;
        let mut collector = Slow {
            yard: &yard,
            store: &yard.store,
            heaps: &yard.heaps,
            found,
            step: 0,
            goes_on: true,
        };
        // The steps of a submit, as in `app/input.rs`.
        let (mut step, mut answer) = (0, None);
        let at = Timestamp::now();
        for actor in &order {
            if *actor == 1 {
                collector.step().await;
                continue;
            }
            step += 1;
            if answer.is_some() {
                continue;
            }
            match step {
                1 if yard.store.touch_heap(local(), heap).await.unwrap() => answer = Some(true),
                1 => {}
                2 if yard.heaps.size(&local(), heap).await.unwrap().is_none() => {
                    answer = Some(false);
                }
                2 => {}
                3 if !yard.store.adopt_heap(local(), heap, 9, at).await.unwrap() => {
                    answer = Some(false);
                }
                3 => {}
                _ => {
                    let is_there = yard.heaps.size(&local(), heap).await.unwrap().is_some();
                    answer = Some(is_there);
                }
            }
        }
        if answer == Some(true) {
            assert!(yard.is_whole(heap).await, "{order:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_uses_a_heap_that_another_database_has_left() {
    let yard = Yard::new().await;
    let (stored, doomed) = (yard.put("stored").await, yard.put("doomed").await);
    let found = old_heap(&yard, "doomed").await;
    assert!(yard.store.forget_heap(found).await.unwrap());
    let executions = start(yard.home.config()).await;
    let from = |heap| RunRequest {
        heap: Some(HeapChoice::Id(heap)),
        ..request("finish 1")
    };
    let never = HeapId::of(b"never put");
    for heap in [never, doomed] {
        let error = executions.submit(from(heap)).await.unwrap_err();
        assert_eq!(error, Error::UnknownHeap { heap });
        assert!(!yard.has_row(heap).await);
    }
    assert!(!yard.has_row(stored).await);
    let id = executions.submit(from(stored)).await.unwrap();
    assert!(yard.is_whole(stored).await);
    assert_eq!(ended(&executions, id).await.input_heap, Some(stored));
    let tags = keep("").tagged(&[("a", "b")]).keep.tags;
    executions.set_heap_tags(stored, tags).await.unwrap();
    // What is damaged is refused, and not written down.
    let damaged = yard.put("damaged").await;
    fs::write(yard.path(damaged), "damaged").unwrap();
    let error = executions.submit(from(damaged)).await.unwrap_err();
    assert!(matches!(error, Error::Heap(_)), "{error}");
    assert!(!yard.has_row(damaged).await);
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_keeps_a_heap_from_the_moment_of_its_submit() {
    let yard = Yard::new().await;
    let old = yard.leave(keep("old"), "old").await;
    yard.age(old);
    let found = old_heap(&yard, "old").await;
    let executions = start(yard.home.config()).await;
    let id = executions
        .submit(RunRequest {
            heap: Some(HeapChoice::Id(old)),
            ..request("finish 1")
        })
        .await
        .unwrap();
    assert!(!yard.store.forget_heap(found).await.unwrap());
    ended(&executions, id).await;
    executions.shut_down().await;
    assert_eq!(went(&yard.collect(WET).await), []);
    assert!(yard.is_whole(old).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_collect_by_themselves_and_after_a_lost_database_only_when_told() {
    let yard = Yard::new().await;
    let old = yard.leave(keep("old"), "old").await;
    yard.age(old);
    let (orphan, kept) = (yard.put("orphan").await, yard.put("kept").await);
    yard.age_content(orphan);
    let servers = [
        start(yard.home.config()).await,
        start(yard.home.config()).await,
    ];
    eventually("the old one and the orphan go", || {
        !yard.has_content(old) && !yard.has_content(orphan)
    })
    .await;
    assert!(yard.has_content(kept));
    for server in servers {
        server.shut_down().await;
    }
    yard.store.close().await.unwrap();
    fs::remove_dir_all(yard.home.directory.path().join("data")).unwrap();
    yard.age_content(kept);
    let Yard { home, .. } = yard;
    let yard = Yard::in_home(home).await;
    let executions = start(yard.home.config()).await;
    let report = yard.collect(WET).await;
    assert!(matches!(report.neighbours, Neighbours::Some(_)));
    assert!(yard.has_content(kept));
    let id = executions.submit(RunRequest {
        heap: Some(HeapChoice::Id(kept)),
        ..request("finish 1")
    });
    ended(&executions, id.await.unwrap()).await;
    assert!(yard.is_whole(kept).await, "it is known again");
    executions.shut_down().await;
}

fn gc(state: &Home, arguments: &[&str]) -> Output {
    let path = |name| state.directory.path().join(name);
    Command::new(env!("CARGO_BIN_EXE_mcp-v8"))
        .arg("gc")
        .args(arguments)
        .arg("--directory-path")
        .arg(path("heaps"))
        .arg("--session-db-path")
        .arg(path("data"))
        .env_clear()
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_first_and_then_removes_beside_a_server() {
    let yard = Yard::new().await;
    let executions = start(yard.home.config()).await;
    let old = yard.leave(keep("old"), "old").await;
    let tagged = yard
        .leave(keep("tagged").tagged(&[("a", "b")]), "tagged")
        .await;
    for heap in [old, tagged] {
        yard.age(heap);
    }
    let says = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = gc(&yard.home, arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}{errors}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in:\n{text}{errors}");
        }
    };
    let row = format!("{old}  local ");
    let more = "100000";
    let longer = ["--dry-run", "--heap-retention-hours", "9000"];
    says(&longer, 0, &["0 heaps (0 B) would go."]);
    let words = [
        &row,
        "8 days  by age",
        "1 heap (1000 B) would go: 1 by age.",
    ];
    says(&["--dry-run"], 0, &words);
    assert!(yard.is_whole(old).await);
    says(&[], 0, &[&row, "went: 1 by age.", "1 heap (1000 B) stay."]);
    assert!(!yard.is_whole(old).await && yard.is_whole(tagged).await);
    says(&[], 0, &["0 heaps (0 B) went."]);
    let output = gc(&yard.home, &["--heap-retention-hours", more]);
    assert_eq!(output.status.code(), Some(2));

    let nowhere = Home::new();
    let output = gc(&nowhere, &["--dry-run"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("there is no session database in"),
        "{errors}"
    );
    assert!(output.stdout.is_empty() && !nowhere.directory.path().join("heaps").exists());
    executions.shut_down().await;

    let mut config = yard.home.config();
    let elsewhere = yard.home.directory.path().join("elsewhere");
    config.state = support::stateful_at(elsewhere, yard.home.directory.path());
    start(config).await.shut_down().await;
    let words = [
        "Nothing goes: other session databases",
        "elsewhere on ",
        "--sole-database",
    ];
    says(&[], 1, &words);
    says(&["--sole-database"], 0, &["0 heaps (0 B) went."]);
}
