//! The bytes on the wire, checked in. A change here is a change of the protocol: raise
//! `PROTOCOL_VERSION` with it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod frames;

use std::path::Path;

use frames::{FROM_WORKER, TO_WORKER, bytes, from_worker, to_worker};
use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::{FrameReader, Message, encode};

fn check<M: Message + PartialEq + std::fmt::Debug>(messages: &[M], golden: &[(&str, &str)]) {
    assert_eq!(messages.len(), golden.len());
    for (message, (name, hex)) in messages.iter().zip(golden) {
        let frame = encode(message).unwrap();
        assert_eq!(frame, bytes(hex), "{name} is encoded in another way");
        let mut reader = FrameReader::<M>::default();
        reader.push(&frame);
        assert_eq!(reader.next_message().unwrap().as_ref(), Some(message));
        assert!(!reader.is_mid_frame());
    }
}

#[test]
fn the_version_is_the_one_that_these_bytes_belong_to() {
    assert_eq!(PROTOCOL_VERSION, 4);
}

#[test]
fn messages_to_the_worker_have_their_golden_bytes() {
    check(&to_worker(), TO_WORKER);
}

#[test]
fn messages_from_the_worker_have_their_golden_bytes() {
    check(&from_worker(), FROM_WORKER);
}

/// The fuzzer's seeds: a byte that says how the input is to be read, then golden frames. Run with
/// `MCP_V8_WRITE_SEEDS=1` to write them anew.
#[test]
fn the_seeds_of_the_fuzzer_are_the_golden_frames() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/decode");
    let mut seeds = Vec::new();
    for (direction, golden) in [(0_u8, TO_WORKER), (1, FROM_WORKER)] {
        let mut all = vec![direction | 0b0110];
        for (name, hex) in golden {
            let mut seed = vec![direction];
            seed.extend(bytes(hex));
            all.extend(bytes(hex));
            seeds.push(((*name).to_owned(), seed));
        }
        seeds.push((format!("all_{direction}"), all));
    }
    for (name, seed) in seeds {
        let file = folder.join(name);
        if std::env::var_os("MCP_V8_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &seed).unwrap();
        }
        assert_eq!(std::fs::read(&file).unwrap(), seed, "{}", file.display());
    }
}
