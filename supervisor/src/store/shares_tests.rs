use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::raft::core::Failure;

const PATIENCE: Duration = Duration::from_secs(30);

async fn store() -> Store {
    let opened =
        tokio::task::spawn_blocking(|| Store::open(StorePlace::Temporary, Retention::default()));
    let store = opened.await.unwrap().unwrap();
    store.share(Sharing::Tenants);
    store
}

fn tenants() -> [Tenant; 2] {
    ["flood", "quiet"].map(|name| name.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_all_the_time_leaves_connections_to_others() {
    let store = store().await;
    let [flood, quiet] = tenants();
    let look = |tenant: &Tenant| store.get(tenant.clone(), ExecutionId::random());
    let mut reading = Vec::new();
    while let Some(turn) = store.readers.turns.turn(&flood).now_or_never() {
        reading.push(turn.unwrap());
    }
    assert_eq!(reading.len(), limits::STORE_READERS / 2);
    let mut more = Box::pin(look(&flood));
    assert!((&mut more).now_or_never().is_none(), "it waits");
    let found = timeout(PATIENCE, look(&quiet)).await.unwrap();
    assert_eq!(found.unwrap(), None);
    let own = timeout(PATIENCE, store.database_id()).await.unwrap();
    assert!(own.is_ok());
    drop(reading);
    assert_eq!(timeout(PATIENCE, more).await.unwrap().unwrap(), None);
    store.close().await.unwrap();
    assert!(matches!(look(&quiet).await, Err(StoreError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_all_the_time_leaves_places_in_the_queue_to_others() {
    let store = store().await;
    let [flood, quiet] = tenants();
    let mut places = Vec::new();
    while let Some(place) = store.reserve(&flood).now_or_never() {
        places.push(place.unwrap());
    }
    assert_eq!(places.len(), limits::WRITER_QUEUE_LENGTH / 2);
    let mut more = Box::pin(store.flush(&flood));
    assert!((&mut more).now_or_never().is_none(), "it waits");
    timeout(PATIENCE, store.flush(&quiet))
        .await
        .unwrap()
        .unwrap();
    drop(places);
    timeout(PATIENCE, more).await.unwrap().unwrap();
    store.close().await.unwrap();
}

/// A cluster that makes a change for each permit that it gets.
#[derive(Debug)]
struct Slow {
    permits: Semaphore,
    asked: std::sync::atomic::AtomicUsize,
    outcome: Outcome,
}

impl Slow {
    fn new(outcome: Outcome) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(0),
            asked: 0.into(),
            outcome,
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Replicate for Slow {
    async fn replicate(&self, _: Command) -> Result<Outcome, Failure> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        Ok(self.outcome)
    }

    async fn replicate_within(&self, command: Command, _: Duration) -> Result<Outcome, Failure> {
        self.replicate(command).await
    }
}

async fn node() -> (Store, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let at = StorePlace::Directory(place.path().to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        Store::open_in_cluster(at, Retention::default(), RaftId::from_u64(7).unwrap())
    });
    let store = opened.await.unwrap().unwrap();
    store.share(Sharing::Tenants);
    (store, place)
}

fn retag(bytes: usize) -> Command {
    Command::Retag(Box::new(crate::raft::command::Retag {
        tenant: "any".to_owned(),
        heap: [1; 32],
        change: crate::raft::command::TagChange::Replace(vec![("k".to_owned(), "x".repeat(bytes))]),
        at_us: 1,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_all_the_time_leaves_the_node_to_others() {
    let (store, _place) = node().await;
    let slow = Slow::new(Outcome::Done);
    store.replicate_by(Arc::clone(&slow) as Arc<dyn Replicate>);
    let [flood, quiet] = tenants();
    let mut under_way = Vec::new();
    for _ in 0..limits::CHANGE_UNITS {
        let mut change = Box::pin(store.change(&flood, retag(1)));
        assert!((&mut change).now_or_never().is_none());
        under_way.push(change);
    }
    // The rest waits here, and not where all wait.
    assert_eq!(slow.asked(), limits::CHANGE_UNITS / 2);
    let mut large = Box::pin(store.change(&quiet, retag(1 << 20)));
    assert!((&mut large).now_or_never().is_none());
    let mut own = Box::pin(store.change_own(retag(1)));
    assert!((&mut own).now_or_never().is_none());
    assert_eq!(slow.asked(), limits::CHANGE_UNITS / 2 + 2);
    // Each that is done lets another one of the flood ask.
    slow.permits.add_permits(limits::CHANGE_UNITS + 2);
    for change in under_way.into_iter().chain([large]) {
        let changed = timeout(PATIENCE, change).await.unwrap();
        assert_eq!(changed.unwrap(), Outcome::Done);
    }
    timeout(PATIENCE, own).await.unwrap().unwrap();
    store.close().await.unwrap();
    let closed = store.change(&quiet, retag(1)).await;
    assert!(matches!(closed, Err(StoreError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_is_no_change() {
    let (store, _place) = node().await;
    let slow = Slow::new(Outcome::Done);
    store.replicate_by(Arc::clone(&slow) as Arc<dyn Replicate>);
    let [flood, _] = tenants();
    let mut turns = Vec::new();
    while let Ok(turn) = store.changes.enter(&flood) {
        turns.push(turn);
    }
    let refused = store.change(&flood, retag(1)).await;
    let is_overload = matches!(refused, Err(StoreError::Cluster(Failure::Overloaded)));
    assert!(is_overload, "{refused:?}");
    assert_eq!(slow.asked(), 0);
    drop(turns);
    slow.permits.add_permits(1);
    store.change(&flood, retag(1)).await.unwrap();
}

#[tokio::test]
async fn an_end_that_others_have_recorded_is_not_this_one() {
    let (store, _place) = node().await;
    let slow = Slow::new(Outcome::AlreadyEnded);
    slow.permits.add_permits(1);
    store.replicate_by(slow);
    let [tenant, _] = tenants();
    let told = store.record_end(&tenant, retag(1)).await;
    assert!(matches!(told, Err(StoreError::EndedByOthers)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_does_not_wait_long_for_a_cluster_that_decides_nothing() {
    let (store, _place) = node().await;
    store.replicate_by(Slow::new(Outcome::Done));
    let [tenant, _] = tenants();
    let mut end = Box::pin(store.record_end(&tenant, retag(1)));
    let long = limits::END_PATIENCE_IN_HURRY * 3;
    assert!(timeout(long, &mut end).await.is_err());
    store.hurry();
    let told = timeout(long, end).await.unwrap();
    let is_unknown = matches!(told, Err(StoreError::Cluster(Failure::Unknown)));
    assert!(is_unknown, "{told:?}");
}
