//! The limits of a server that is one of several.

use std::time::Duration;

use super::{PAGE_BYTES_MAX, PHONE_ANSWER_BYTES_MAX, WAIT_MAX};

/// An execution that has not ended after this time is made known to all nodes. Until then its node alone
/// knows of it, so that most executions take one entry of the log and not two.
pub const ANNOUNCE_AGE: Duration = Duration::from_secs(1);
/// How often a node looks for such executions.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(250);
/// Executions of one tenant that are made known at once.
pub const ANNOUNCED_AT_ONCE: usize = 64;
/// A node that its leader has not heard for so long is taken for dead: what it ran has failed.
pub const NODE_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often a leader looks after what dead nodes have left.
pub const STEWARD_INTERVAL: Duration = Duration::from_secs(1);
/// So many executions of a dead node are ended by one change.
pub const ABANDONED_AT_ONCE: usize = 1024;
/// How often a leader has executions forgotten that are kept no longer.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(10);
/// So many times at once it has some forgotten.
pub const EXPIRY_ROUNDS: usize = 64;
/// How often a node makes sure that it can know what its cluster knows.
pub const CERTAINTY_INTERVAL: Duration = Duration::from_secs(2);
/// A node that could not do so for so long accepts nothing.
pub const CERTAINTY_AGE_MAX: Duration = Duration::from_secs(10);
/// A node that has seen no leader for so long does not let clients wait for one.
pub const ELECTION_PATIENCE: Duration = Duration::from_secs(2);
/// How long a client waits until this node knows what its cluster knows.
pub const CATCH_UP_PATIENCE: Duration = Duration::from_secs(5);
/// The pause before a node that has started looks again whether it has caught up.
pub const CATCH_UP_PAUSE: Duration = Duration::from_millis(200);
/// How long a question to another node about an execution may take, beside what it waits for.
pub const QUESTION_PATIENCE: Duration = Duration::from_secs(5);
/// How long one waits there for more output, before it is asked again.
pub const GROWTH_WAIT_MAX: Duration = Duration::from_secs(20);
/// What a question about an execution or its answer takes, in bytes: a result, or a page of output.
pub const QUESTION_BYTES_MAX: usize = PHONE_ANSWER_BYTES_MAX;

const _: () = {
    assert!(PAGE_BYTES_MAX + (64 << 10) < QUESTION_BYTES_MAX as u64);
    assert!(GROWTH_WAIT_MAX.as_secs() < WAIT_MAX.as_secs());
};
