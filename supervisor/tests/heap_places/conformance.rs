//! What must hold in every place.

#![allow(clippy::unwrap_used, reason = "these are the parts of a test")]

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use mcp_v8::heaps::{BuildId, Damage, HeapError, HeapId, Heaps, ListedHeap, TenantFolder};
use mcp_v8::tenant::Tenant;

use super::{Place, build, name, noise, snapshot, tenant};

/// All of it.
pub(crate) async fn check(place: &impl Place) {
    what_is_put_is_fetched(place).await;
    what_is_not_there_is_unknown(place).await;
    what_was_changed_is_refused_and_can_be_put_again(place).await;
    what_belongs_elsewhere_is_refused(place).await;
    what_is_listed_is_what_there_is(place).await;
    what_was_put_again_is_not_removed(place).await;
    many_at_once_do_not_disturb_each_other(place).await;
}

async fn what_is_put_is_fetched(place: &impl Place) {
    let (heaps, alice) = (place.heaps(), tenant("alice"));
    for bytes in [
        Vec::new(),
        vec![1],
        snapshot(1, 500_000),
        noise(600_000),
        snapshot(2, 12 << 20),
        noise(6 << 20),
        vec![0; 30 << 20],
    ] {
        let stored = heaps.put(&alice, bytes.clone()).await.unwrap();
        assert_eq!(stored.id, HeapId::of(&bytes));
        assert!(stored.stored_bytes <= bytes.len() as u64 + 500);
        assert_eq!(heaps.put(&alice, bytes.clone()).await.unwrap(), stored);
        for server in [&heaps, &place.heaps()] {
            for _ in 0..2 {
                let fetched = server.fetch(&alice, stored.id).await.unwrap();
                assert_eq!(fetched.id(), stored.id);
                assert!(*fetched == *bytes, "{} bytes", bytes.len());
            }
        }
        let kept = place.read(&name(&alice, stored.id)).await;
        assert_eq!(kept.len() as u64, stored.stored_bytes);
        let size = place.heaps().size(&alice, stored.id).await;
        assert_eq!(size, Ok(Some(stored.stored_bytes)));
    }
}

async fn what_is_not_there_is_unknown(place: &impl Place) {
    let heaps = place.heaps();
    let id = heaps
        .put(&tenant("alice"), b"hers".to_vec())
        .await
        .unwrap()
        .id;
    let never = HeapId::of(b"never put");
    for server in [&heaps, &place.heaps()] {
        for (whose, id) in [("alice", never), ("bob", id), ("Alice", id), ("alice ", id)] {
            let error = server.fetch(&tenant(whose), id).await.unwrap_err();
            assert_eq!(error, HeapError::Unknown { id });
            assert!(error.to_string().contains(&id.to_string()));
        }
    }
}

async fn what_was_changed_is_refused_and_can_be_put_again(place: &impl Place) {
    let alice = tenant("alice");
    let bytes = snapshot(3, 200_000);
    let id = place.heaps().put(&alice, bytes.clone()).await.unwrap().id;
    let name = name(&alice, id);
    let whole = place.read(&name).await;
    let cut = |length: usize| whole[..length].to_vec();
    let mut flipped = whole.clone();
    flipped[whole.len() - 1] ^= 4;
    let longer = [whole.as_slice(), b"x"].concat();
    for (bad, why) in [
        (Vec::new(), Damage::Short),
        (cut(100), Damage::Short),
        (cut(whole.len() / 2), Damage::Short),
        (flipped, Damage::Seal),
        (longer, Damage::Long),
        (vec![b'<'; 2000], Damage::Alien),
    ] {
        place.write(&name, &bad).await;
        let heaps = place.heaps();
        for _ in 0..2 {
            let error = heaps.fetch(&alice, id).await.unwrap_err();
            assert_eq!(error, HeapError::Damaged { id, why });
            assert!(error.to_string().contains(&id.to_string()));
        }
        heaps.put(&alice, bytes.clone()).await.unwrap();
        assert_eq!(place.read(&name).await, whole);
        assert!(*place.heaps().fetch(&alice, id).await.unwrap() == *bytes);
    }
}

async fn what_belongs_elsewhere_is_refused(place: &impl Place) {
    let (alice, bob) = (tenant("alice"), tenant("bob"));
    let bytes = snapshot(4, 50_000);
    let heaps = place.heaps();
    let id = heaps.put(&alice, bytes.clone()).await.unwrap().id;
    let whole = place.read(&name(&alice, id)).await;
    place.write(&name(&bob, id), &whole).await;
    for server in [&heaps, &place.heaps()] {
        let error = server.fetch(&bob, id).await.unwrap_err();
        assert_eq!(error, HeapError::Foreign { id });
    }
    heaps.put(&bob, bytes.clone()).await.unwrap();
    assert!(*place.heaps().fetch(&bob, id).await.unwrap() == *bytes);
    assert_eq!(
        place.read(&name(&alice, id)).await,
        whole,
        "each has its own"
    );

    let other = HeapId::of(b"other");
    place.write(&name(&alice, other), &whole).await;
    let why = Damage::Misnamed;
    let error = place.heaps().fetch(&alice, other).await.unwrap_err();
    assert_eq!(error, HeapError::Damaged { id: other, why });

    let newer = BuildId::new("15.1.3", "0123456789abcdef").unwrap();
    let upgraded = Heaps::open(place.config(), newer.clone()).unwrap();
    assert_eq!(
        upgraded.fetch(&alice, id).await.unwrap_err(),
        HeapError::Incompatible {
            id,
            found: build().to_string(),
            wanted: newer.to_string(),
        }
    );

    let mut config = place.config();
    let keys = tempfile::tempdir().unwrap();
    config.key_file = keys.path().join("heap.key");
    let stranger = Heaps::open(config, build()).unwrap();
    let why = Damage::OtherKey;
    let error = stranger.fetch(&alice, id).await.unwrap_err();
    assert_eq!(error, HeapError::Damaged { id, why });
}

async fn all(heaps: &Heaps) -> HashMap<(TenantFolder, HeapId), ListedHeap> {
    let mut listing = heaps.list();
    let mut all = HashMap::new();
    while let Some(heap) = listing.next().await.unwrap() {
        assert!(all.insert((heap.folder, heap.id), heap).is_none());
    }
    assert_eq!(listing.next().await, Ok(None));
    all
}

async fn what_is_listed_is_what_there_is(place: &impl Place) {
    let heaps = place.heaps();
    let before = all(&heaps).await;
    let began = SystemTime::now();
    let mut put = Vec::new();
    for whose in ["carol", "dave"] {
        for number in 0..3 {
            let whose = tenant(whose);
            let stored = heaps.put(&whose, snapshot(number, 3000)).await.unwrap();
            put.push((TenantFolder::of(&whose), stored));
        }
    }
    let after = all(&place.heaps()).await;
    assert_eq!(after.len(), before.len() + put.len());
    let second = Duration::from_secs(1);
    for (folder, stored) in put {
        let heap = after[&(folder, stored.id)];
        assert_eq!(heap.stored_bytes, stored.stored_bytes);
        // S3 counts in seconds.
        assert!(heap.put_at >= began - second && heap.put_at <= SystemTime::now() + second);
        assert_eq!(heaps.delete(&heap).await, Ok(true));
        assert_eq!(heaps.delete(&heap).await, Ok(true), "it is gone already");
    }
    assert_eq!(all(&heaps).await, before);
    let gone = heaps
        .fetch(&tenant("carol"), HeapId::of(&snapshot(0, 3000)))
        .await;
    assert!(
        matches!(gone, Err(HeapError::Unknown { .. })),
        "also from memory"
    );
    heaps.sweep().await.unwrap();
    assert_eq!(all(&heaps).await, before);
    // A listing may be given up.
    drop(heaps.list());
    let mut listing = heaps.list();
    assert!(listing.next().await.unwrap().is_some());
}

async fn what_was_put_again_is_not_removed(place: &impl Place) {
    let (heaps, erin) = (place.heaps(), tenant("erin"));
    let stored = heaps.put(&erin, b"used again".to_vec()).await.unwrap();
    let seen = all(&heaps).await[&(TenantFolder::of(&erin), stored.id)];
    tokio::time::sleep(Duration::from_millis(1100)).await;
    place
        .heaps()
        .put(&erin, b"used again".to_vec())
        .await
        .unwrap();
    assert_eq!(heaps.delete(&seen).await, Ok(false));
    assert!(place.heaps().fetch(&erin, stored.id).await.is_ok());
    let seen = all(&heaps).await[&(TenantFolder::of(&erin), stored.id)];
    assert_eq!(heaps.delete(&seen).await, Ok(true));
    let error = place.heaps().fetch(&erin, stored.id).await.unwrap_err();
    assert_eq!(error, HeapError::Unknown { id: stored.id });
    assert_eq!(heaps.size(&erin, stored.id).await, Ok(None));
}

async fn many_at_once_do_not_disturb_each_other(place: &impl Place) {
    let servers = [place.heaps(), place.heaps()];
    let mut tasks = Vec::new();
    for number in 0..60_u64 {
        let heaps = servers[usize::from(number % 2 == 0)].clone();
        tasks.push(tokio::spawn(async move {
            // Each is put by several, at once.
            let bytes = snapshot(number / 4, 40_000);
            let whose: Tenant = tenant(["frank", "grace"][usize::from(number % 8 < 4)]);
            let id = heaps.put(&whose, bytes.clone()).await.unwrap().id;
            assert!(*heaps.fetch(&whose, id).await.unwrap() == *bytes);
            (whose, bytes)
        }));
    }
    let afterwards = place.heaps();
    for task in tasks {
        let (whose, bytes) = task.await.unwrap();
        let fetched = afterwards.fetch(&whose, HeapId::of(&bytes)).await.unwrap();
        assert!(*fetched == *bytes);
    }
}
