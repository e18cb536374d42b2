//! The memory that a stored heap can take before it is believed, measured. The envelope is written here
//! once more, from its description, so that it can lie.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod heap_places;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use heap_places::{DirectoryPlace, Place, build, name, snapshot, tenant};
use hmac::{Hmac, KeyInit as _, Mac as _};
use mcp_v8::heaps::{Damage, HeapError, HeapId};
use mcp_v8::limits::HEAP_BYTES_MAX;
use sha2::{Digest as _, Sha256};

/// Counts the bytes that this process holds, and the most that it ever held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

fn sub(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters are plain numbers
// that need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        sub(layout.size());
        // SAFETY: the pointer came from `System` through `alloc` or `realloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Old and new may exist side by side for a moment.
        add(bytes);
        sub(layout.size());
        // SAFETY: as above; the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What the runtime, paths and errors take.
const ROOM: usize = 256 << 10;

/// An envelope for alice that says what its caller wants, sealed with the key of this place.
fn sealed(place: &DirectoryPlace, id: HeapId, snapshot_bytes: u64, payload: &[u8]) -> Vec<u8> {
    let digits = fs::read_to_string(place.config().key_file).unwrap();
    let key: HeapId = digits.trim().parse().unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let key_name = mac
        .clone()
        .chain_update("mcp-v8 name of a key")
        .finalize()
        .into_bytes();
    let build = build();
    let mut blob = b"\x89MCPV8H\n\x01\x00".to_vec();
    blob.extend(&key_name[..8]);
    blob.extend(id.as_bytes());
    blob.extend(snapshot_bytes.to_le_bytes());
    blob.extend((payload.len() as u64).to_le_bytes());
    blob.push(1);
    for text in [
        "alice",
        build.v8(),
        build.fingerprint(),
        build.architecture(),
    ] {
        blob.push(text.len().try_into().unwrap());
        blob.extend(text.as_bytes());
    }
    let mac = mac
        .chain_update("mcp-v8 seal of a heap")
        .chain_update(&blob)
        .chain_update(Sha256::digest(payload));
    blob.extend(mac.finalize().into_bytes());
    blob.extend(payload);
    blob
}

/// All in one test: others beside it would be counted too.
#[tokio::test]
async fn a_stored_heap_takes_no_more_memory_than_it_has_bytes_before_it_is_believed() {
    let place = DirectoryPlace::new();
    let alice = tenant("alice");
    let bytes = snapshot(1, 1 << 20);
    place.heaps().put(&alice, bytes.clone()).await.unwrap();

    let bomb = zstd::bulk::compress(&vec![0; 128 << 20], 19).unwrap();
    assert!(bomb.len() < 20_000);
    let good = zstd::bulk::compress(&bytes, 1).unwrap();
    let id = HeapId::of(&bytes);
    let whole = sealed(&place, id, bytes.len() as u64, &good);
    let mut unsealed = whole.clone();
    unsealed[50..58].copy_from_slice(&u64::MAX.to_le_bytes());
    let damaged = |why| HeapError::Damaged { id, why };
    let too_large = |bytes| HeapError::TooLarge { id, bytes };
    let beyond = HEAP_BYTES_MAX as u64 + 1;
    for (blob, expected, unpacked) in [
        (unsealed, damaged(Damage::Seal), 0),
        (sealed(&place, id, u64::MAX, &bomb), too_large(u64::MAX), 0),
        (sealed(&place, id, beyond, &bomb), too_large(beyond), 0),
        (sealed(&place, id, 0, &bomb), damaged(Damage::Unpacking), 0),
        (
            sealed(&place, id, 1 << 20, &bomb),
            damaged(Damage::Unpacking),
            1 << 20,
        ),
        (
            sealed(&place, id, 128 << 20, &good),
            damaged(Damage::Unpacking),
            1 << 20,
        ),
        (
            b"\x89MCPV8H\n\x01\x00".repeat(10_000),
            damaged(Damage::Header),
            0,
        ),
    ] {
        place.write(&name(&alice, id), &blob).await;
        let heaps = place.heaps();
        let held = HELD.load(Ordering::Relaxed);
        PEAK.store(held, Ordering::Relaxed);
        let error = heaps.fetch(&alice, id).await.unwrap_err();
        let taken = PEAK.load(Ordering::Relaxed) - held;
        assert_eq!(error, expected);
        let allowed = blob.len() + unpacked + ROOM;
        assert!(
            taken <= allowed,
            "{error}: {taken} bytes, {allowed} allowed"
        );
    }
    // And what this test writes is what the program writes.
    place.write(&name(&alice, id), &whole).await;
    assert!(*place.heaps().fetch(&alice, id).await.unwrap() == *bytes);
    place.heaps().put(&alice, bytes).await.unwrap();
    assert_eq!(place.read(&name(&alice, id)).await, whole);
}
