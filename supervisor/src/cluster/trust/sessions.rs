//! That no request is taken twice.
//!
//! A connection is one session, and numbers its requests. So one number is remembered for each, however
//! many requests it makes, and whoever sends one of them again, or an older one, is refused. A session is
//! forgotten when the times of all its requests are over: these are refused for their time then.

use std::collections::HashMap;

use crate::limits::{PEER_CLOCK_SKEW_MAX, PEER_SESSIONS_MAX};

pub(in crate::cluster) const SESSION_BYTES: usize = 16;

/// What tells a request from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) struct Nonce {
    /// Random, and new with every connection.
    pub(in crate::cluster) session: [u8; SESSION_BYTES],
    /// More than that of the request before.
    pub(in crate::cluster) number: u64,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) enum Unfit {
    /// It was sent before.
    Again,
    /// No more sessions can be remembered.
    Full,
}

/// The sessions that are remembered.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Sessions {
    last: HashMap<[u8; SESSION_BYTES], Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    number: u64,
    at_secs: u64,
}

impl Sessions {
    /// Takes note of a request that its sender has signed, at this time; `Err` when it must not be taken.
    pub(in crate::cluster) fn take(&mut self, nonce: Nonce, now_secs: u64) -> Result<(), Unfit> {
        let last = Last {
            number: nonce.number,
            at_secs: now_secs,
        };
        if let Some(before) = self.last.get_mut(&nonce.session) {
            if nonce.number <= before.number {
                return Err(Unfit::Again);
            }
            *before = last;
            return Ok(());
        }
        if self.last.len() >= PEER_SESSIONS_MAX {
            self.forget(now_secs);
        }
        if self.last.len() >= PEER_SESSIONS_MAX {
            return Err(Unfit::Full);
        }
        self.last.insert(nonce.session, last);
        Ok(())
    }

    /// A request can be of a time that is ahead of this clock, and is then good for twice the skew.
    fn forget(&mut self, now_secs: u64) {
        let span = 2 * PEER_CLOCK_SKEW_MAX.as_secs();
        self.last.retain(|_, last| last.at_secs + span >= now_secs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(session: u64, number: u64) -> Nonce {
        let mut bytes = [0; SESSION_BYTES];
        bytes[..8].copy_from_slice(&session.to_le_bytes());
        Nonce {
            session: bytes,
            number,
        }
    }

    #[test]
    fn each_request_of_a_session_is_taken_once() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.take(nonce(1, 1), 100), Ok(()));
        assert_eq!(sessions.take(nonce(1, 1), 100), Err(Unfit::Again));
        assert_eq!(sessions.take(nonce(1, 3), 100), Ok(()));
        assert_eq!(sessions.take(nonce(1, 2), 100), Err(Unfit::Again));
        assert_eq!(sessions.take(nonce(2, 1), 100), Ok(()));
    }

    #[test]
    fn a_session_is_forgotten_only_when_its_requests_are_too_old() {
        let mut sessions = Sessions::default();
        let many = PEER_SESSIONS_MAX as u64;
        for session in 0..many {
            assert_eq!(sessions.take(nonce(session, 7), 100), Ok(()));
        }
        let skew = PEER_CLOCK_SKEW_MAX.as_secs();
        // A request of the time 100 + skew was taken at 100, and is taken for its time until then.
        let last = 100 + 2 * skew;
        assert_eq!(sessions.take(nonce(many, 1), last), Err(Unfit::Full));
        assert_eq!(sessions.take(nonce(5, 7), last), Err(Unfit::Again));
        assert_eq!(sessions.take(nonce(5, 8), last), Ok(()));
        assert_eq!(sessions.take(nonce(many, 1), last + 1), Ok(()));
        assert_eq!(sessions.last.len(), 2);
    }
}
