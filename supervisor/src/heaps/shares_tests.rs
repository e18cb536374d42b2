use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn whose_heaps_take_their_time_leaves_hands_to_others() {
    let home = tempfile::tempdir().unwrap();
    let config = HeapsConfig {
        place: HeapPlace::Directory(home.path().join("heaps")),
        key_file: home.path().join("key"),
    };
    let heaps = Heaps::open(config, BuildId::new("v8", "heaps").unwrap()).unwrap();
    heaps.share(Sharing::Tenants);
    let [flood, quiet]: [Tenant; 2] = ["flood", "quiet"].map(|name| name.parse().unwrap());
    let mut hands = Vec::new();
    while let Some(hand) = heaps.0.hands.turn(&flood).now_or_never() {
        hands.push(hand.unwrap());
    }
    assert_eq!(hands.len(), limits::HEAPS_IN_HAND_MAX / 2);
    let mut more = Box::pin(heaps.put(&flood, b"x".to_vec()));
    assert!((&mut more).now_or_never().is_none(), "it waits");
    let put = timeout(PATIENCE, heaps.put(&quiet, b"y".to_vec())).await;
    let id = put.unwrap().unwrap().id;
    // One that is not at hand any more.
    heaps.0.recent.forget(BlobName::new(&quiet, id));
    let fetched = timeout(PATIENCE, heaps.fetch(&quiet, id)).await.unwrap();
    assert_eq!(fetched.unwrap().id(), id);
    drop(hands);
    assert!(timeout(PATIENCE, more).await.unwrap().is_ok());
}
