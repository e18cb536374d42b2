//! Any bytes on the port of a cluster are packets or an error; never a panic, and what is read can be
//! written, and is the same when it is read again.
//!
//! An input is the body of a request of a node: packets, each behind its length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_v8::cluster::batch;
use mcp_v8::raft::codec;

fuzz_target!(|input: &[u8]| {
    let Ok(packets) = batch::decode(input) else {
        return;
    };
    for packet in packets {
        let bytes = codec::encode(&packet).expect("a packet that was read can be written");
        assert_eq!(codec::decode(&bytes), Ok(packet));
    }
});
