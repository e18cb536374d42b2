//! Huge pages (2 MiB) for the workers of a busy fork server: first for V8's heap, then for its code and its constants.
//!
//! They take time and memory, therefore a fork server has them made once it is busy ([`FORKS_BEFORE`]), one after
//! each further fork: where memory lies in small pieces, the kernel tidies it for some ten milliseconds to make one.
//! A kernel that makes none when it is asked to (`MADV_COLLAPSE`, Linux 6.1, 4 KiB pages) leaves all as it is, only
//! slower.
//!
//! <https://man7.org/linux/man-pages/man2/madvise.2.html>

use std::fs::File;
use std::io;
use std::ops::Range;

use nix::errno::Errno;

use super::heap;
use super::program::{Part, Relocation};

/// What a fork server has forked before it has any made. One that forks little, and is replaced when it is old, would
/// spend more on them than its workers save.
pub const FORKS_BEFORE: u64 = 64;
/// Bytes of a huge page, where a page has 4 KiB. Other kernels refuse to put so few together.
pub(super) const BYTES: usize = 2 << 20;

/// What a fork server has in huge pages.
#[derive(Debug)]
pub struct HugePages(Stage);

#[derive(Debug)]
enum Stage {
    /// Nothing; so many were forked.
    Waiting(u64),
    /// Some of the heap; these are left.
    Heap(Vec<usize>),
    /// The heap, and some of the program.
    Program(Relocation),
    /// All that can be.
    Settled,
}

/// Those of a fork server that has forked nothing.
impl Default for HugePages {
    fn default() -> Self {
        Self(Stage::Waiting(0))
    }
}

impl HugePages {
    /// One more worker is forked. `maps` is this process's `/proc/self/smaps`.
    ///
    /// # Safety
    /// This process has one thread.
    pub unsafe fn forked(&mut self, maps: &File) {
        self.0 = match std::mem::replace(&mut self.0, Stage::Settled) {
            Stage::Waiting(forks) if forks + 1 < FORKS_BEFORE => Stage::Waiting(forks + 1),
            Stage::Waiting(_) => Stage::Heap(heap::huge_pages(maps).unwrap_or_default()),
            Stage::Heap(mut left) => match left.pop() {
                Some(page) => {
                    // One that is missing costs no more than before.
                    let _made = collapse(std::ptr::with_exposed_provenance_mut(page));
                    Stage::Heap(left)
                }
                None => Stage::moving(Some(Part::Code), maps),
            },
            Stage::Program(copy) => {
                let part = copy.part;
                // SAFETY: as the caller says.
                match unsafe { copy.go_on() } {
                    Ok(Some(copy)) => Stage::Program(copy),
                    Ok(None) | Err(_) => Stage::moving(part.next(), maps),
                }
            }
            Stage::Settled => Stage::Settled,
        };
    }
}

impl Stage {
    /// What cannot be moved stays where it is.
    fn moving(first: Option<Part>, maps: &File) -> Self {
        let parts = std::iter::successors(first, |part| part.next());
        let mut copies = parts.filter_map(|part| Relocation::new(part, maps).ok());
        copies.next().map_or(Self::Settled, Self::Program)
    }
}

/// The part of a range that fills huge pages.
pub(super) fn whole(range: Range<usize>) -> Option<Range<usize>> {
    let start = range.start.checked_next_multiple_of(BYTES)?;
    let end = range.end - range.end % BYTES;
    (start < end).then_some(start..end)
}

/// Has the kernel put the pages together that begin here, to a huge one.
pub(super) fn collapse(start: *mut u8) -> io::Result<()> {
    // SAFETY: whatever is mapped there keeps its bytes.
    Errno::result(unsafe { libc::madvise(start.cast(), BYTES, libc::MADV_COLLAPSE) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fills_huge_pages_is_whole() {
        assert_eq!(whole(BYTES + 1..4 * BYTES - 1), Some(2 * BYTES..3 * BYTES));
        assert_eq!(whole(BYTES..3 * BYTES), Some(BYTES..3 * BYTES));
        assert_eq!(whole(BYTES + 1..3 * BYTES - 1), None);
        assert_eq!(whole(usize::MAX - 1..usize::MAX), None);
    }
}
