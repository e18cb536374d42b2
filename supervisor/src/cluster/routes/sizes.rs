//! How much may be said at each path. Both ends obey it.

use super::{ASK, HEAPS, PACKETS, SNAPSHOT_FINISH, SNAPSHOT_OFFER, SNAPSHOT_PIECE};
use crate::limits::{
    BATCH_BYTES_MAX, HEAP_WORD_BYTES_MAX, PEER_ANSWER_BYTES_MAX, PEER_JSON_BYTES_MAX,
    PHONE_ANSWER_BYTES_MAX, PHONE_QUESTION_BYTES_MAX, SNAPSHOT_MANIFEST_BYTES_MAX,
    SNAPSHOT_PIECE_BYTES,
};

/// Before the bytes of a piece: what it is a piece of, and where it begins.
const PIECE_HEAD_BYTES: usize = 40;

/// The longest body of a request.
pub(in crate::cluster) fn body_bytes_max(path: &str) -> usize {
    match path {
        PACKETS => BATCH_BYTES_MAX,
        SNAPSHOT_PIECE => SNAPSHOT_PIECE_BYTES + PIECE_HEAD_BYTES,
        SNAPSHOT_OFFER | SNAPSHOT_FINISH => 2 * SNAPSHOT_MANIFEST_BYTES_MAX,
        ASK => PHONE_QUESTION_BYTES_MAX,
        HEAPS => HEAP_WORD_BYTES_MAX,
        _ => PEER_JSON_BYTES_MAX,
    }
}

/// The longest body of an answer.
pub(in crate::cluster) fn answer_bytes_max(path: &str) -> usize {
    match path {
        ASK => PHONE_ANSWER_BYTES_MAX,
        HEAPS => HEAP_WORD_BYTES_MAX,
        _ => PEER_ANSWER_BYTES_MAX,
    }
}
