//! The console output of one execution, on its way to the store.

use crate::limits::{OUTPUT_BYTES_MAX, OUTPUT_CHUNK_BYTES_MAX};
use crate::quota::Meter;
use crate::store::{Chunk, ExecutionId};
use crate::workers::Ear;
use mcp_v8_protocol::limits::CONSOLE_CHUNK_BYTES_MAX;

/// Counts output, cuts it at its limit, and gathers small pieces into larger ones.
#[derive(Debug)]
pub(super) struct Output {
    id: ExecutionId,
    stored_bytes: u64,
    stored_newlines: u64,
    pending: String,
    is_truncated: bool,
    meter: Meter,
}

impl Output {
    pub(super) fn new(id: ExecutionId, meter: Meter) -> Self {
        Self {
            id,
            stored_bytes: 0,
            stored_newlines: 0,
            pending: String::new(),
            is_truncated: false,
            meter,
        }
    }

    /// Whether there is an ear for another console frame.
    pub(super) fn ear(&self) -> Ear {
        if self.pending.len() + CONSOLE_CHUNK_BYTES_MAX <= OUTPUT_CHUNK_BYTES_MAX {
            Ear::Open
        } else {
            Ear::Shut
        }
    }

    /// Takes output. What is beyond the limit is dropped, and so is all that follows: an output
    /// never has a hole.
    pub(super) fn add(&mut self, text: &str) {
        if self.is_truncated {
            return;
        }
        let room = usize::try_from(OUTPUT_BYTES_MAX - self.bytes()).unwrap_or(usize::MAX);
        if text.len() <= room {
            self.pending.push_str(text);
        } else {
            self.is_truncated = true;
            self.pending
                .push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What has to be stored next. What is beyond the tenant's quota is dropped, and so is all that
    /// follows.
    pub(super) fn take(&mut self) -> Option<Chunk> {
        let mut data = std::mem::take(&mut self.pending);
        if data.is_empty() {
            return None;
        }
        let kept = self.meter.output(data.len());
        if kept < data.len() {
            self.is_truncated = true;
            data.truncate(data.floor_char_boundary(kept));
            if data.is_empty() {
                return None;
            }
        }
        let chunk = Chunk {
            id: self.id,
            start_byte: self.stored_bytes,
            newlines_before: self.stored_newlines,
            data,
        };
        self.stored_bytes += chunk.data.len() as u64;
        self.stored_newlines += chunk.data.bytes().filter(|byte| *byte == b'\n').count() as u64;
        Some(chunk)
    }

    /// Bytes kept so far.
    pub(super) fn bytes(&self) -> u64 {
        self.stored_bytes + self.pending.len() as u64
    }

    pub(super) const fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{Quotas, TenantLimits};

    #[test]
    fn chunks_follow_each_other_without_a_hole() {
        let mut output = Output::new(ExecutionId::random(), Meter::without_limits());
        assert!(output.take().is_none());
        output.add("a\nb");
        output.add("\n");
        let first = output.take().unwrap();
        assert_eq!((first.start_byte, first.newlines_before), (0, 0));
        assert_eq!(first.data, "a\nb\n");
        output.add("c");
        let second = output.take().unwrap();
        assert_eq!((second.start_byte, second.newlines_before), (4, 2));
        assert_eq!(output.bytes(), 5);
    }

    #[test]
    fn the_limit_cuts_between_characters_and_for_good() {
        let mut output = Output::new(ExecutionId::random(), Meter::without_limits());
        let piece = "x".repeat(CONSOLE_CHUNK_BYTES_MAX);
        while output.bytes() + (piece.len() as u64) < OUTPUT_BYTES_MAX {
            output.add(&piece);
            output.take();
        }
        output.add(&piece[1..]);
        assert!(!output.is_truncated());
        assert_eq!(output.bytes(), OUTPUT_BYTES_MAX - 1);
        output.add("\u{e9}");
        assert!(output.is_truncated());
        assert_eq!(output.bytes(), OUTPUT_BYTES_MAX - 1);
        output.add("y");
        assert_eq!(output.bytes(), OUTPUT_BYTES_MAX - 1);
    }

    #[test]
    fn the_quota_of_the_tenant_cuts_for_good() {
        let tenant = "one".parse().unwrap();
        let quotas = Quotas::new(TenantLimits {
            output_mb_per_hour: Some(1),
            ..TenantLimits::default()
        });
        let mut output = Output::new(ExecutionId::random(), quotas.meter(&tenant));
        let piece = "x".repeat(CONSOLE_CHUNK_BYTES_MAX);
        let mut kept = 0;
        for _ in 0..=(1 << 20) / piece.len() {
            output.add(&piece);
            kept += output.take().map_or(0, |chunk| chunk.data.len());
        }
        assert_eq!(kept, 1 << 20);
        assert!(output.is_truncated());
        output.add("y");
        assert!(output.take().is_none());
        // Another execution of the tenant has nothing left either.
        let mut next = Output::new(ExecutionId::random(), quotas.meter(&tenant));
        next.add("z");
        assert!(next.take().is_none() && next.is_truncated());
    }
}
