//! V8 asks the kernel to leave its mappings out of children. Here that is undone.
//!
//! `/proc/self/smaps` shows such mappings by the flag `dc`: V8's heap, and what it reserves. Without this a
//! child dies at its first use of the heap.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::ops::Range;

use nix::errno::Errno;

use super::smaps::Head;
use super::{Result, Step};

/// Lets children inherit every mapping of this process. `maps` is its `/proc/self/smaps`.
///
/// # Errors
/// [`super::ZygoteError`] when that cannot be read, or the kernel refuses.
pub fn everything(mut maps: &File) -> Result<()> {
    maps.rewind()?;
    for range in left_out(BufReader::new(maps))? {
        let length = range.end - range.start;
        let address = std::ptr::without_provenance_mut(range.start);
        // SAFETY: changes what a child inherits of a mapping of this process, and nothing else.
        Errno::result(unsafe { libc::madvise(address, length, libc::MADV_DOFORK) })
            .step("let workers inherit V8's memory")?;
    }
    Ok(())
}

/// The mappings that children would not get.
fn left_out(maps: impl BufRead) -> std::io::Result<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut range = None;
    for line in maps.lines() {
        let line = line?;
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let is_left_out = flags.split_whitespace().any(|flag| flag == "dc");
            found.extend(range.take().filter(|_| is_left_out));
        } else if let Some(head) = Head::read(&line) {
            range = Some(head.range);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000040000 rw-p 00000000 00:00 0
Size:                256 kB
VmFlags: rd wr mr mw me dc nr
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
VmFlags: ex
";

    #[test]
    fn mappings_that_children_would_miss_are_found() {
        let found = left_out(MAPS.as_bytes()).unwrap();
        let range = Range {
            start: 0x7f00_0000_0000,
            end: 0x7f00_0004_0000,
        };
        assert_eq!(found, [range]);
    }

    #[test]
    fn nothing_is_left_out_afterwards() {
        let length = 1 << 16;
        // SAFETY: a new private mapping of this test.
        let mapping = unsafe {
            let (read_write, private) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            libc::mmap(std::ptr::null_mut(), length, read_write, private, -1, 0)
        };
        assert_ne!(mapping, libc::MAP_FAILED);
        // SAFETY: the mapping is this test's.
        let done = unsafe { libc::madvise(mapping, length, libc::MADV_DONTFORK) };
        assert_eq!(done, 0);
        let maps = File::open("/proc/self/smaps").unwrap();
        let address = mapping.addr();
        let has_it = |maps: &File| {
            let mut maps = maps;
            maps.rewind().unwrap();
            let found = left_out(BufReader::new(maps)).unwrap();
            found
                .iter()
                .any(|range| (range.start..range.end).contains(&address))
        };
        assert!(has_it(&maps));
        everything(&maps).unwrap();
        assert!(!has_it(&maps));
        // SAFETY: the mapping is this test's.
        unsafe { libc::munmap(mapping, length) };
    }
}
