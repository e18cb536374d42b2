use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::heaps::HeapId;
use crate::tenant::Tenant;

struct Places {
    origin: TempDir,
    shelf: TempDir,
}

impl Places {
    fn new() -> Self {
        Self {
            origin: tempfile::tempdir().unwrap(),
            shelf: tempfile::tempdir().unwrap(),
        }
    }

    fn open(&self, bytes_max: u64) -> Cached<Directory> {
        let origin = Directory::open(self.origin.path()).unwrap();
        Cached::open(origin, self.shelf.path(), bytes_max).unwrap()
    }

    fn shelved(&self, number: u8) -> PathBuf {
        self.shelf.path().join(name(number).to_string())
    }

    /// Which of these are at hand.
    fn at_hand(&self, numbers: std::ops::Range<u8>) -> Vec<u8> {
        numbers
            .filter(|number| self.shelved(*number).exists())
            .collect()
    }

    fn used(&self, number: u8, secs_ago: u64) {
        let file = File::open(self.shelved(number)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(secs_ago);
        file.set_modified(then).unwrap();
    }
}

fn name(number: u8) -> BlobName {
    BlobName::new(&Tenant::local(), HeapId::of(&[number]))
}

fn blob(number: u8) -> Bytes {
    Bytes::from(vec![number; 100])
}

#[tokio::test]
async fn what_is_put_or_fetched_is_at_hand_and_in_its_place() {
    let places = Places::new();
    let cached = places.open(1000);
    cached.put(name(1), blob(1)).await.unwrap();
    let origin = Directory::open(places.origin.path()).unwrap();
    assert_eq!(origin.get(name(1)).await.unwrap(), Some(blob(1)));
    origin.put(name(2), blob(2)).await.unwrap();
    assert_eq!(cached.get(name(2)).await.unwrap(), Some(blob(2)));
    assert_eq!(places.at_hand(1..3), [1, 2]);
    // From now on the other place is not needed, not even after a restart.
    for number in [1, 2] {
        assert!(
            origin
                .delete(name(number), SystemTime::now())
                .await
                .unwrap()
        );
        assert_eq!(cached.get(name(number)).await.unwrap(), Some(blob(number)));
        let again = places.open(1000);
        assert_eq!(again.get(name(number)).await.unwrap(), Some(blob(number)));
    }
    assert_eq!(cached.get(name(3)).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_not_used_longest_makes_room() {
    let places = Places::new();
    let cached = places.open(1000);
    for number in 0..10 {
        cached.put(name(number), blob(number)).await.unwrap();
        places.used(number, 1000 - u64::from(number));
    }
    assert_eq!(places.at_hand(0..10).len(), 10);
    assert_eq!(cached.get(name(0)).await.unwrap(), Some(blob(0)));
    // Also by a server that has just been started.
    let again = places.open(1000);
    again.put(name(10), blob(10)).await.unwrap();
    let left = places.at_hand(0..11);
    assert!(
        left.contains(&0) && left.contains(&10) && !left.contains(&1),
        "{left:?}"
    );
    assert!(
        left.len() >= 8,
        "no more than an eighth beyond need: {left:?}"
    );
    // What was pushed out is still in its place.
    assert_eq!(cached.get(name(1)).await.unwrap(), Some(blob(1)));
}

#[tokio::test]
async fn the_directory_never_holds_more_than_it_may() {
    let places = Places::new();
    let servers = [places.open(1000), places.open(1000)];
    for number in 0..100 {
        servers[0].put(name(number), blob(number)).await.unwrap();
        let count = places.at_hand(0..100).len();
        assert!(count <= 10, "{count} after {number}");
    }
    // Two that do not know of each other may hold a part more, for a while.
    for number in 100..200 {
        let server = &servers[usize::from(number % 2)];
        server.put(name(number), blob(number)).await.unwrap();
        let count = places.at_hand(0..200).len();
        assert!(count <= 12, "{count} after {number}");
    }
    let whole = Bytes::from(vec![0; 1001]);
    servers[0].put(name(200), whole.clone()).await.unwrap();
    assert_eq!(
        places.at_hand(200..201),
        [0; 0],
        "it would push out everything"
    );
    assert_eq!(servers[0].get(name(200)).await.unwrap(), Some(whole));
}

#[tokio::test]
async fn what_is_doubted_is_fetched_again() {
    let places = Places::new();
    let cached = places.open(1000);
    cached.put(name(1), blob(1)).await.unwrap();
    fs::write(places.shelved(1), "damaged").unwrap();
    assert_eq!(cached.get(name(1)).await.unwrap().unwrap(), "damaged");
    assert!(cached.doubt(name(1)).await);
    assert_eq!(cached.get(name(1)).await.unwrap(), Some(blob(1)));
    assert_eq!(fs::read(places.shelved(1)).unwrap(), blob(1));
    assert!(cached.doubt(name(2)).await);
}

#[tokio::test]
async fn a_cache_that_fails_is_no_matter() {
    let places = Places::new();
    let cached = places.open(1000);
    cached.put(name(1), blob(1)).await.unwrap();
    // A file stands where the tenant's folder was.
    let folder = places.shelved(1).parent().unwrap().to_owned();
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    assert_eq!(cached.get(name(1)).await.unwrap(), Some(blob(1)));
    cached.put(name(2), blob(2)).await.unwrap();
    assert_eq!(cached.get(name(2)).await.unwrap(), Some(blob(2)));
    assert!(cached.delete(name(2), SystemTime::now()).await.unwrap());
    assert_eq!(cached.get(name(2)).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_kept_is_not_at_hand() {
    let places = Places::new();
    let cached = places.open(1000);
    // The other place is full, or out of reach.
    fs::remove_dir_all(places.origin.path()).unwrap();
    fs::write(places.origin.path(), "").unwrap();
    assert!(cached.put(name(1), blob(1)).await.is_err());
    assert_eq!(places.at_hand(1..2), [0; 0]);
    fs::remove_file(places.origin.path()).unwrap();
    fs::create_dir(places.origin.path()).unwrap();
}

#[tokio::test]
async fn a_deleted_blob_is_not_at_hand_either() {
    let places = Places::new();
    let cached = places.open(1000);
    cached.put(name(1), blob(1)).await.unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(10);
    assert!(!cached.delete(name(1), long_ago).await.unwrap());
    assert_eq!(places.at_hand(1..2), [1]);
    assert!(cached.delete(name(1), SystemTime::now()).await.unwrap());
    assert_eq!(places.at_hand(1..2), [0; 0]);
    assert_eq!(cached.get(name(1)).await.unwrap(), None);
}
