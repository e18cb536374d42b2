//! Any bytes, cut in any way, are messages or an error; never a panic, and what is read encodes to
//! the very bytes that it was read from.
//!
//! The first byte says how to read the rest: bit 0 the direction, the other bits the piece length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_v8_protocol::codec::{FrameReader, Message, encode};
use mcp_v8_protocol::message::{FromWorker, ToWorker};

fuzz_target!(|input: &[u8]| {
    let Some((how, stream)) = input.split_first() else {
        return;
    };
    let piece_bytes = match usize::from(how >> 1) {
        0 => stream.len().max(1),
        bytes => bytes,
    };
    if how & 1 == 0 {
        read::<ToWorker>(stream, piece_bytes);
    } else {
        read::<FromWorker>(stream, piece_bytes);
    }
});

fn read<M: Message>(stream: &[u8], piece_bytes: usize) {
    let mut reader = FrameReader::<M>::default();
    let mut read = 0;
    for piece in stream.chunks(piece_bytes) {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => {
                    let frame = encode(&message).expect("a message that was read can be written");
                    assert_eq!(stream[read..read + frame.len()], frame);
                    read += frame.len();
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_message().err(), Some(error));
                    return;
                }
            }
        }
    }
}
