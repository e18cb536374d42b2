//! The program's code in huge pages, for the workers of a busy fork server.
//!
//! A child of fork(2) inherits no page table of a file's pages. Each worker faults the code that it runs in
//! again, 64 KiB at a time, and gives up some two thousand entries of its page table when it ends: a fifth
//! of what a short script takes. So the code is copied once into a sealed file in memory, whose pages the
//! kernel puts together to huge ones (2 MiB), and that file takes the place of the program's. It is mapped
//! as that was, private and not writable: whoever makes it writable writes to a copy of their own.
//!
//! It takes time, and as much memory as there is code, therefore a fork server does it once it is busy
//! ([`FORKS_BEFORE`]), a huge page after each further fork: where memory lies in small pieces, the kernel
//! tidies it for some ten milliseconds to make one. A kernel that makes none when it is asked to
//! (`MADV_COLLAPSE`, Linux 6.1, 4 KiB pages) leaves all as it is, only slower.
//!
//! <https://man7.org/linux/man-pages/man2/madvise.2.html>

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};

use nix::errno::Errno;

use super::inherit::head;

/// What a fork server has forked before its code is moved. One that forks little, and is replaced when it
/// is old, would spend more on the move than its workers save.
pub const FORKS_BEFORE: u64 = 64;
/// What the code's file is called in `/proc/PID/maps`.
const FILE_NAME: &std::ffi::CStr = c"mcp-v8-code";
/// Bytes of a huge page, where a page has 4 KiB. Other kernels refuse to put so few together.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// What has become of a fork server's code.
#[derive(Debug)]
pub struct Code(Stage);

#[derive(Debug)]
enum Stage {
    /// Where the kernel put it; so many were forked.
    InPlace(u64),
    /// There is a copy, of which a part is in huge pages.
    Moving(Relocation),
    /// In huge pages, or where it was for good.
    Settled,
}

/// A copy of the code, on its way.
#[derive(Debug)]
struct Relocation {
    /// What it is a copy of.
    code: Range<usize>,
    view: View,
    /// How many bytes of it are in huge pages.
    done: usize,
}

/// That of a fork server that has forked nothing.
impl Default for Code {
    fn default() -> Self {
        Self(Stage::InPlace(0))
    }
}

impl Code {
    /// One more worker is forked. `maps` is this process's `/proc/self/smaps`.
    ///
    /// # Safety
    /// This process has one thread.
    pub unsafe fn forked(&mut self, maps: &File) {
        self.0 = match std::mem::replace(&mut self.0, Stage::Settled) {
            Stage::InPlace(forks) if forks + 1 < FORKS_BEFORE => Stage::InPlace(forks + 1),
            Stage::InPlace(_) => Relocation::new(maps).map_or(Stage::Settled, Stage::Moving),
            // SAFETY: as the caller says.
            Stage::Moving(copy) => unsafe { copy.go_on() }.unwrap_or(Stage::Settled),
            Stage::Settled => Stage::Settled,
        };
    }
}

impl Relocation {
    fn new(mut maps: &File) -> io::Result<Self> {
        let here = (sealed as *const ()).addr();
        maps.rewind()?;
        let code = code_around(here, BufReader::new(maps))?;
        let code = code
            .and_then(whole_pages)
            .ok_or(io::ErrorKind::Unsupported)?;
        let start = std::ptr::with_exposed_provenance::<u8>(code.start);
        // SAFETY: the range is mapped and readable, and nobody writes to it.
        let bytes = unsafe { std::slice::from_raw_parts(start, code.len()) };
        let file = sealed(bytes)?;
        Ok(Self {
            view: View::new(file, code.len())?,
            code,
            done: 0,
        })
    }

    /// Has the kernel make the next huge page, or puts the copy in its place when all are made.
    ///
    /// # Safety
    /// This process has one thread.
    unsafe fn go_on(mut self) -> io::Result<Stage> {
        if self.done < self.code.len() {
            let made = self.view.collapse(self.done);
            // One that is missing costs no more than before. Without the first there will be none.
            if self.done == 0 {
                made?;
            }
            self.done += HUGE_PAGE_BYTES;
            return Ok(Stage::Moving(self));
        }
        let place = Place::At(std::ptr::with_exposed_provenance_mut(self.code.start));
        // SAFETY: equal bytes take the place of those that are there, in one step; this code waits for it
        // in the C library, which is elsewhere, and no other thread runs.
        unsafe { map(place, self.code.len(), &self.view.file) }?;
        Ok(Stage::Settled)
    }
}

/// The mapping of code that an address is in.
fn code_around(address: usize, maps: impl BufRead) -> io::Result<Option<Range<usize>>> {
    for line in maps.lines() {
        let line = line?;
        if let Some(range) = head(&line).filter(|range| range.contains(&address)) {
            let is_code = line.split_whitespace().nth(1) == Some("r-xp");
            return Ok(is_code.then_some(range));
        }
    }
    Ok(None)
}

/// The part of it that fills huge pages.
fn whole_pages(code: Range<usize>) -> Option<Range<usize>> {
    let start = code.start.checked_next_multiple_of(HUGE_PAGE_BYTES)?;
    let end = code.end - code.end % HUGE_PAGE_BYTES;
    (start < end).then_some(start..end)
}

/// A file in memory with these bytes, which nobody can change.
fn sealed(bytes: &[u8]) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name ends with a zero.
    let fd = Errno::result(unsafe { libc::memfd_create(FILE_NAME.as_ptr(), flags) })?;
    // SAFETY: the descriptor is new, and nobody else's.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: forbids changes of a file.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file)
}

/// A mapping of a file that begins where a huge page may.
#[derive(Debug)]
struct View {
    file: File,
    start: *mut u8,
    reserved: *mut u8,
    reserved_bytes: usize,
}

impl View {
    fn new(file: File, length: usize) -> io::Result<Self> {
        let reserved_bytes = length + HUGE_PAGE_BYTES;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let reserved = unsafe { map(Place::Anywhere, reserved_bytes, &file) }?;
        let view = Self {
            start: reserved.map_addr(|at| at.next_multiple_of(HUGE_PAGE_BYTES)),
            file,
            reserved,
            reserved_bytes,
        };
        // SAFETY: within what was reserved for it.
        unsafe { map(Place::At(view.start), length, &view.file) }?;
        Ok(view)
    }

    /// Has the kernel put the pages together that begin here, to a huge one.
    fn collapse(&self, at: usize) -> io::Result<()> {
        let page = self.start.wrapping_add(at).cast();
        // SAFETY: the page is within the mapping, and its bytes stay what they are.
        Errno::result(unsafe { libc::madvise(page, HUGE_PAGE_BYTES, libc::MADV_COLLAPSE) })?;
        Ok(())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: all of it was reserved for this, and nothing points to it any more.
        let _stays_otherwise = unsafe { libc::munmap(self.reserved.cast(), self.reserved_bytes) };
    }
}

/// Where a mapping shall be.
enum Place {
    Anywhere,
    /// Here, instead of what is there.
    At(*mut u8),
}

/// Maps a file of code from its begin.
///
/// # Safety
/// What is at the place is this code's to replace.
unsafe fn map(place: Place, length: usize, file: &File) -> io::Result<*mut u8> {
    let (address, fixed) = match place {
        Place::Anywhere => (std::ptr::null_mut(), 0),
        Place::At(address) => (address, libc::MAP_FIXED),
    };
    let rights = libc::PROT_READ | libc::PROT_EXEC;
    let kind = libc::MAP_PRIVATE | fixed;
    // SAFETY: the caller answers for the place; a file's mapping outlives its descriptor.
    let mapped = unsafe { libc::mmap(address.cast(), length, rights, kind, file.as_raw_fd(), 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(mapped.cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0a00000-55d0c0b21000 r--p 00000000 00:00 0                          /worker
Size:               1156 kB
55d0c0b21000-55d0c1b00000 r-xp 00121000 00:00 0                          /worker
Size:              16252 kB
7f0000000000-7f0000040000 rw-p 00000000 00:00 0
";

    fn code(address: usize) -> Option<Range<usize>> {
        code_around(address, MAPS.as_bytes()).unwrap()
    }

    #[test]
    fn code_is_found_by_an_address_in_it() {
        let found = 0x55d0_c0b2_1000..0x55d0_c1b0_0000;
        assert_eq!(code(found.start), Some(found.clone()));
        assert_eq!(code(found.end - 1), Some(found));
    }

    #[test]
    fn data_is_no_code() {
        for address in [0x55d0_c0a0_0000, 0x7f00_0000_1000, 0x1000] {
            assert_eq!(code(address), None, "{address:x}");
        }
    }

    #[test]
    fn only_what_fills_huge_pages_is_moved() {
        let page = HUGE_PAGE_BYTES;
        assert_eq!(
            whole_pages(page + 1..4 * page - 1),
            Some(2 * page..3 * page)
        );
        assert_eq!(whole_pages(page..3 * page), Some(page..3 * page));
        assert_eq!(whole_pages(page + 1..3 * page - 1), None);
        assert_eq!(whole_pages(usize::MAX - 1..usize::MAX), None);
    }

    #[test]
    fn a_sealed_file_has_the_bytes_and_keeps_them() {
        use std::os::unix::fs::FileExt;
        let bytes = vec![7; 10_000];
        let file = sealed(&bytes).unwrap();
        let mut read = vec![0; bytes.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, bytes);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
    }
}
