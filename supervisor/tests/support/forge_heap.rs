//! Makes hostile heaps that pass every check: what only the holder of the key can do.
//!
//! `forge_heap DIRECTORY KEY_FILE V8_VERSION HEAP_BUILD HEAP COUNT` takes a heap that is kept, changes a
//! few bytes of the snapshot at a time, puts V8's own checksum right, seals it and keeps it. The names of
//! the forged heaps are printed, one a line.

#![allow(
    clippy::unwrap_used,
    reason = "a tool of tests that cannot go on has failed"
)]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use mcp_v8::heaps::{BuildId, HeapPlace, Heaps, HeapsConfig};
use mcp_v8::tenant::Tenant;

/// Where V8 keeps its checksum of a snapshot, in bytes (`src/snapshot/snapshot.cc`).
const CHECKSUM_AT: usize = 8;
/// From where on bytes are summed up.
const SUMMED_FROM: usize = 12;
/// Where the header ends, about: what it says is looked at with every bound.
const HEADER_BYTES: usize = 96;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, key_file, v8, build, heap, count] = arguments.as_slice() else {
        panic!("usage: forge_heap DIRECTORY KEY_FILE V8_VERSION HEAP_BUILD HEAP COUNT");
    };
    let config = HeapsConfig {
        place: HeapPlace::Directory(directory.into()),
        key_file: key_file.into(),
    };
    let build = BuildId::new(v8, build).unwrap();
    let heaps = Heaps::open(config, build).unwrap();
    let tenant = Tenant::local();
    let genuine = heaps.fetch(&tenant, heap.parse().unwrap()).await.unwrap();
    let sum = sum_of(&genuine);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..count.parse().unwrap() {
        let mut forged = genuine.to_vec();
        // Every fourth one lies in the header, where it says what is where.
        let (from, to) = match number % 4 {
            0 => (SUMMED_FROM, HEADER_BYTES),
            _ => (HEADER_BYTES, forged.len()),
        };
        for _ in 0..=number % 3 {
            let at = from + usize::try_from(next(&mut random) % (to - from) as u64).unwrap();
            forged[at] ^= u8::try_from(next(&mut random) % 255).unwrap() + 1;
        }
        let checksum = sum(&forged[SUMMED_FROM..]).to_le_bytes();
        forged[CHECKSUM_AT..SUMMED_FROM].copy_from_slice(&checksum);
        println!("{}", heaps.put(&tenant, forged).await.unwrap().id);
    }
}

type Sum = fn(&[u8]) -> u32;

/// How this V8 sums up a snapshot.
fn sum_of(genuine: &[u8]) -> Sum {
    let told = u32::from_le_bytes(genuine[CHECKSUM_AT..SUMMED_FROM].try_into().unwrap());
    let known: [Sum; 2] = [|bytes| sums(bytes, 65_521), |bytes| sums(bytes, 65_535)];
    let found = known
        .into_iter()
        .find(|sum| sum(&genuine[SUMMED_FROM..]) == told);
    found.expect("V8 sums up in a way that this tool does not know")
}

/// Adler-32 from 0, or Fletcher-32, by the modulus.
fn sums(bytes: &[u8], modulus: u32) -> u32 {
    let (mut first, mut second) = (0, 0);
    for byte in bytes {
        first = (first + u32::from(*byte)) % modulus;
        second = (second + first) % modulus;
    }
    second << 16 | first
}

/// xorshift64: the same heaps in every run.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}
