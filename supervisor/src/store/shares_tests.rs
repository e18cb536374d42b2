use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::*;

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
