//! Nodes on this machine that give each other heaps.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::stand_tests::*;
use crate::cluster::{ClusterConfig, Outbox as _, Trust};
use crate::heaps::{
    AwsVariables, BuildId, HeapError, HeapId, HeapPlace, Heaps, HeapsConfig, ListedHeap,
    TenantFolder,
};
use crate::limits::{HEAP_COPY_WAIT_MAX, HEAP_GRACE, HEAP_PIECE_BYTES};
use crate::metrics::FoundIn;
use crate::raft::state::Members;
use crate::tenant::Tenant;

/// A node with heaps, a directory and a key of its own.
pub(super) struct Shop {
    pub(super) stand: Stand,
    pub(super) heaps: Heaps,
    pub(super) home: TempDir,
}

impl Shop {
    pub(super) fn open(config: &ClusterConfig, members: Members, build: BuildId) -> Self {
        let home = tempfile::tempdir().unwrap();
        let heaps = heaps_in(home.path(), build);
        let stand = Stand::open_with(config, members, heaps.keeper());
        heaps.join(Arc::new(stand.endpoint.heap_peers()));
        Self { stand, heaps, home }
    }

    /// The same heaps, with nothing in memory.
    pub(super) fn reopened(&self) -> Heaps {
        let heaps = heaps_in(self.home.path(), build());
        heaps.join(Arc::new(self.stand.endpoint.heap_peers()));
        heaps
    }

    pub(super) fn file(&self, tenant: &Tenant, id: HeapId) -> PathBuf {
        let folder = self.home.path().join("heaps");
        folder.join(format!("{}/{id}.heap", TenantFolder::of(tenant)))
    }

    pub(super) fn has(&self, tenant: &Tenant, id: HeapId) -> bool {
        self.file(tenant, id).exists()
    }

    fn found(&self, place: FoundIn) -> u64 {
        self.heaps.figures().fetched.of(place).get()
    }
}

fn heaps_in(home: &Path, build: BuildId) -> Heaps {
    let config = HeapsConfig {
        place: HeapPlace::Directory(home.join("heaps")),
        key_file: home.join("key"),
    };
    Heaps::open(config, build).unwrap()
}

pub(super) fn build() -> BuildId {
    BuildId::new("15.1.2", "f00d").unwrap()
}

pub(super) fn alice() -> Tenant {
    "alice".parse().unwrap()
}

/// So many bytes that cannot be packed.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    getrandom::fill(&mut noise).unwrap();
    noise
}

pub(super) fn configs(trusts: impl IntoIterator<Item = Trust>) -> Vec<ClusterConfig> {
    let names = ["a", "b", "c", "d"].into_iter();
    let pairs = names.zip(trusts);
    pairs.map(|(name, trust)| config(name, trust)).collect()
}

pub(super) fn all(configs: &[ClusterConfig]) -> Members {
    members(&configs.iter().map(peer).collect::<Vec<_>>())
}

pub(super) fn open(configs: &[ClusterConfig]) -> Vec<Shop> {
    let open = |config| Shop::open(config, all(configs), build());
    configs.iter().map(open).collect()
}

pub(super) async fn put(shop: &Shop, content: &[u8]) -> HeapId {
    shop.heaps.put(&alice(), content.to_vec()).await.unwrap().id
}

async fn what_is_put_is_on_two_and_for_all(trusts: Vec<Trust>) {
    let shops = open(&configs(trusts));
    let large = 3 * HEAP_PIECE_BYTES + 17;
    let contents = [
        vec![1; 300],
        noise(300),
        Vec::new(),
        noise(HEAP_PIECE_BYTES),
        noise(HEAP_PIECE_BYTES + 1),
        noise(large),
        noise(500_000).repeat(12),
    ];
    for (number, content) in contents.iter().enumerate() {
        let maker = &shops[number % shops.len()];
        let id = put(maker, content).await;
        let holders = shops.iter().filter(|shop| shop.has(&alice(), id));
        assert_eq!(holders.count(), 2, "{} bytes", content.len());
        assert!(maker.has(&alice(), id));
        for shop in &shops {
            let fetched = shop.heaps.fetch(&alice(), id).await.unwrap();
            assert!(*fetched == content[..]);
            // It has been kept, sealed with the key of that node.
            assert!(shop.has(&alice(), id));
            let again = shop.reopened().fetch(&alice(), id).await.unwrap();
            assert!(*again == content[..]);
        }
        let bob = "bob".parse().unwrap();
        let stolen = shops[0].heaps.fetch(&bob, id).await;
        assert_eq!(stolen, Err(HeapError::Unknown { id }));
    }
    let sum = |of: fn(&Shop) -> u64| shops.iter().map(of).sum::<u64>();
    let number = contents.len() as u64;
    assert_eq!(sum(|shop| shop.heaps.figures().copied.get()), number);
    assert_eq!(sum(|shop| shop.heaps.figures().taken.get()), number);
    assert_eq!(sum(|shop| shop.found(FoundIn::Peer)), number);
    assert_eq!(sum(|shop| shop.heaps.figures().given.get()), number);
    let given = sum(|shop| shop.heaps.figures().given_bytes.get());
    assert_eq!(
        sum(|shop| shop.heaps.figures().peer_fetched_bytes.get()),
        given
    );
    assert!(given > large as u64);
}

#[tokio::test]
async fn a_heap_is_on_two_nodes_and_can_be_used_on_all() {
    what_is_put_is_on_two_and_for_all(vec![Trust::Nobody; 3]).await;
}

#[tokio::test]
async fn a_heap_is_on_two_nodes_and_can_be_used_on_all_with_a_secret() {
    let home = tempfile::tempdir().unwrap();
    let secret = secret_file(home.path(), SECRET);
    what_is_put_is_on_two_and_for_all(vec![secret; 3]).await;
}

#[tokio::test]
async fn a_heap_is_on_two_nodes_and_can_be_used_on_all_with_certificates() {
    let authority = Authority::new();
    let trusts = ["a", "b", "c"].map(|name| authority.sign(name));
    what_is_put_is_on_two_and_for_all(trusts.to_vec()).await;
}

#[tokio::test]
async fn a_cluster_of_one_needs_no_copy() {
    let shops = open(&configs([Trust::Nobody]));
    let id = put(&shops[0], b"alone").await;
    assert!(shops[0].has(&alice(), id));
    assert_eq!(shops[0].heaps.figures().copied.get(), 0);
    let unknown = HeapId::of(b"unknown");
    let missing = shops[0].heaps.fetch(&alice(), unknown).await;
    assert_eq!(missing, Err(HeapError::Unknown { id: unknown }));
}

#[tokio::test]
async fn heaps_that_all_nodes_see_are_not_copied() {
    let home = tempfile::tempdir().unwrap();
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ];
    let config = HeapsConfig {
        place: HeapPlace::S3 {
            bucket: "heaps".to_owned(),
            variables: AwsVariables::from_iter(variables),
            cache: None,
        },
        key_file: home.path().join("key"),
    };
    let heaps = Heaps::open(config, build()).unwrap();
    assert!(heaps.keeper().is_none());
}

#[tokio::test]
async fn what_many_want_at_once_is_fetched_once() {
    let shops = open(&configs(vec![Trust::Nobody; 3]));
    let content = noise(2 * HEAP_PIECE_BYTES);
    let id = put(&shops[0], &content).await;
    let other = shops.iter().find(|shop| !shop.has(&alice(), id)).unwrap();
    let mut fetching = JoinSet::new();
    for _ in 0..12 {
        let heaps = other.heaps.clone();
        fetching.spawn(async move { heaps.fetch(&alice(), id).await.unwrap() });
    }
    let fetched = fetching.join_all().await;
    assert!(fetched.iter().all(|one| **one == content[..]));
    assert_eq!(other.found(FoundIn::Peer), 1);
}

#[tokio::test]
async fn a_heap_that_is_put_again_is_copied_once_in_a_while() {
    let shops = open(&configs(vec![Trust::Nobody; 2]));
    for _ in 0..3 {
        put(&shops[0], b"the same").await;
    }
    assert_eq!(shops[0].heaps.figures().copied.get(), 1);
    assert_eq!(shops[1].heaps.figures().taken.get(), 1);
    // A large one that is there need not be brought, whoever puts it.
    let content = noise(2 * HEAP_PIECE_BYTES);
    let id = put(&shops[0], &content).await;
    let before = shops[0].file(&alice(), id).metadata().unwrap();
    assert_eq!(put(&shops[1], &content).await, id);
    assert_eq!(shops[0].heaps.figures().taken.get(), 0);
    let after = shops[0].file(&alice(), id).metadata().unwrap();
    assert!(after.modified().unwrap() > before.modified().unwrap());
    // Whoever has taken one and is gone has it no longer.
    let mut shops = shops;
    let me = shops[0].stand.endpoint.me().clone();
    let alone = members(std::slice::from_ref(&me));
    shops[0].stand.transport.members(&alone);
    put(&shops[0], b"the same").await;
    assert_eq!(shops[0].heaps.figures().copied.get(), 2);
}

#[tokio::test]
async fn a_copy_is_young_where_it_is() {
    let shops = open(&configs(vec![Trust::Nobody; 2]));
    let id = put(&shops[0], b"its row is not written yet").await;
    let mut listing = shops[1].heaps.list();
    let listed = listing.next().await.unwrap().unwrap();
    assert_eq!(listed.id, id);
    assert!(listed.put_at.elapsed().unwrap() < Duration::from_secs(60));
    let old = ListedHeap {
        put_at: SystemTime::now() - HEAP_GRACE,
        ..listed
    };
    assert!(!shops[1].heaps.delete(&old).await.unwrap());
    // One that was doomed there is young again when it is put again elsewhere.
    let file = fs::File::open(shops[1].file(&alice(), id)).unwrap();
    file.set_modified(SystemTime::now() - 2 * HEAP_GRACE)
        .unwrap();
    let again = shops[0].reopened();
    again
        .put(&alice(), b"its row is not written yet".to_vec())
        .await
        .unwrap();
    assert!(!shops[1].heaps.delete(&old).await.unwrap());
}

#[tokio::test]
async fn a_node_that_is_down_keeps_nobody_from_putting_and_fetching() {
    let configs = configs(vec![Trust::Nobody; 3]);
    let mut shops = open(&configs);
    let c = shops.pop().unwrap();
    c.stand.close().await;
    let began = Instant::now();
    for number in 0..20_u8 {
        let id = put(&shops[0], &[number; 100]).await;
        assert!(shops[1].has(&alice(), id));
        shops[1].heaps.fetch(&alice(), id).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    // It may have what nobody else has.
    let id = HeapId::of(b"missing");
    let error = shops[0].heaps.fetch(&alice(), id).await.unwrap_err();
    let HeapError::Unavailable { why, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(!why.contains("node c"), "who it is stays in the log: {why}");
    // There is no second place while the last one is down, and there is when it is back.
    let b = shops.pop().unwrap();
    b.stand.close().await;
    let heaps = shops[0].heaps.clone();
    let waits = tokio::spawn(async move { heaps.put(&alice(), b"waits".to_vec()).await });
    sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished());
    let c = Shop::open(&configs[2], all(&configs), build());
    let id = waits.await.unwrap().unwrap().id;
    assert!(c.has(&alice(), id));
}

#[tokio::test]
async fn a_heap_that_no_second_node_takes_is_not_kept() {
    let mut shops = open(&configs(vec![Trust::Nobody; 2]));
    // Its place is gone: a file is there.
    let place = shops[1].home.path().join("heaps");
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "").unwrap();
    let began = Instant::now();
    let error = shops[0].heaps.put(&alice(), vec![1]).await.unwrap_err();
    let HeapError::NotCopied { why, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(!why.contains("node b"), "who it is stays in the log: {why}");
    assert!(began.elapsed() < HEAP_COPY_WAIT_MAX / 2);
    assert!(error.to_string().contains("second node"), "{error}");
    assert_eq!(shops[0].heaps.figures().failures.get(), 1);
    let b = shops.pop().unwrap();
    b.stand.close().await;
    let error = shops[0].heaps.put(&alice(), vec![2]).await.unwrap_err();
    assert!(matches!(error, HeapError::NotCopied { .. }), "{error:?}");
    assert!(began.elapsed() > HEAP_COPY_WAIT_MAX);
}

#[tokio::test]
async fn what_is_damaged_or_gone_here_comes_from_where_it_is_sound() {
    let shops = open(&configs(vec![Trust::Nobody; 2]));
    let (gone, damaged) = (
        put(&shops[0], b"gone").await,
        put(&shops[0], b"damaged").await,
    );
    fs::remove_file(shops[0].file(&alice(), gone)).unwrap();
    fs::write(shops[0].file(&alice(), damaged), "damaged").unwrap();
    let heaps = shops[0].reopened();
    assert_eq!(*heaps.fetch(&alice(), gone).await.unwrap(), *b"gone");
    assert_eq!(*heaps.fetch(&alice(), damaged).await.unwrap(), *b"damaged");
    for id in [gone, damaged] {
        assert!(shops[0].reopened().fetch(&alice(), id).await.is_ok());
    }
    // Where it is damaged everywhere, it is said to be.
    for shop in &shops {
        fs::write(shop.file(&alice(), damaged), "damaged").unwrap();
    }
    let error = shops[0].reopened().fetch(&alice(), damaged).await;
    assert!(matches!(error, Err(HeapError::Damaged { .. })), "{error:?}");
    // What is damaged there is not taken for a copy.
    let heaps = shops[0].reopened();
    heaps.put(&alice(), b"damaged".to_vec()).await.unwrap();
    let heaps = shops[1].reopened();
    assert!(heaps.fetch(&alice(), damaged).await.is_ok());
}

#[tokio::test]
async fn while_nodes_have_other_builds_each_keeps_what_the_others_make() {
    let configs = configs(vec![Trust::Nobody; 3]);
    let newer = BuildId::new("15.1.3", "f00d").unwrap();
    let shop = |at: usize, build| Shop::open(&configs[at], all(&configs), build);
    let shops = [
        shop(0, build()),
        shop(1, newer.clone()),
        shop(2, newer.clone()),
    ];
    let id = put(&shops[0], b"made by the old build").await;
    // It is on one of the others, which cannot load it.
    for other in &shops[1..] {
        let error = other.heaps.fetch(&alice(), id).await.unwrap_err();
        let HeapError::Incompatible { found, wanted, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*found, build().to_string());
        assert_eq!(*wanted, newer.to_string());
    }
    // The one that made it can have it back.
    fs::remove_file(shops[0].file(&alice(), id)).unwrap();
    let fetched = shops[0].reopened().fetch(&alice(), id).await.unwrap();
    assert_eq!(*fetched, *b"made by the old build");
}
