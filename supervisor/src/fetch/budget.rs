//! How many bytes one execution may still send and receive.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bounds::Bounds;
use super::failure::Failure;

/// What one execution has used; shared by its exchanges.
#[derive(Debug)]
pub(super) struct Budget {
    /// Requests, each hop of a redirect too.
    hops: Meter,
    request: Meter,
    /// As they come.
    received: Meter,
    /// As they are handed on.
    decoded: Meter,
}

#[derive(Debug)]
struct Meter {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let meter = |max| Meter {
            used: AtomicU64::new(0),
            max,
        };
        Self {
            hops: meter(u64::from(bounds.requests)),
            request: meter(bounds.request_bytes),
            received: meter(bounds.response_bytes),
            decoded: meter(bounds.response_bytes),
        }
    }

    /// One more request to a server.
    pub(super) fn ask(&self) -> Result<(), Failure> {
        let is_within = self.hops.count(1);
        is_within.map_err(|most| Failure::Requests(u32::try_from(most).unwrap_or(u32::MAX)))
    }

    pub(super) fn send(&self, bytes: usize) -> Result<(), Failure> {
        self.request.count(bytes).map_err(Failure::RequestBytes)
    }

    pub(super) fn receive(&self, bytes: usize) -> Result<(), Failure> {
        self.received.count(bytes).map_err(Failure::ResponseBytes)
    }

    pub(super) fn decode(&self, bytes: usize) -> Result<(), Failure> {
        self.decoded.count(bytes).map_err(Failure::ResponseBytes)
    }
}

impl Meter {
    /// The limit, if it is passed. Once it is, it stays so.
    fn count(&self, bytes: usize) -> Result<(), u64> {
        let before = self.used.fetch_add(bytes as u64, Ordering::Relaxed);
        if before.saturating_add(bytes as u64) > self.max {
            return Err(self.max);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_is_had_and_the_next_is_not() {
        let meter = Meter {
            used: AtomicU64::new(0),
            max: 10,
        };
        assert_eq!(meter.count(9), Ok(()));
        assert_eq!(meter.count(1), Ok(()));
        assert_eq!(meter.count(0), Ok(()));
        assert_eq!(meter.count(1), Err(10));
        assert_eq!(meter.count(0), Err(10));
    }
}
