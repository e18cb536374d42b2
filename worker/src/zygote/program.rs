//! The program's code, and its constants, in huge pages for the workers of a busy fork server.
//!
//! A child of fork(2) inherits no page table of a file's pages. Each worker faults what it runs, and reads, in
//! again, 64 KiB at a time, and gives up some two thousand entries of its page table when it ends: a fifth
//! of what a short script takes. So it is copied once into a sealed file in memory, whose pages the
//! kernel puts together to huge ones (2 MiB), and that file takes the place of the program's. It is mapped
//! as that was, private and not writable: whoever makes it writable writes to a copy of their own.
//!
//! It takes as much memory as there is code, and as there are constants.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};

use nix::errno::Errno;

use super::huge_pages;
use super::smaps::Head;

/// What is copied: the mapping of the program that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Code,
    Constants,
}

impl Part {
    /// What its file is called in `/proc/PID/maps`.
    const fn file_name(self) -> &'static CStr {
        match self {
            Self::Code => c"mcp-v8-code",
            Self::Constants => c"mcp-v8-constants",
        }
    }

    /// What may be done with it, as `/proc/PID/maps` has it.
    const fn shown_rights(self) -> &'static str {
        match self {
            Self::Code => "r-xp",
            Self::Constants => "r--p",
        }
    }

    /// The same, for mmap(2).
    const fn rights(self) -> libc::c_int {
        match self {
            Self::Code => libc::PROT_READ | libc::PROT_EXEC,
            Self::Constants => libc::PROT_READ,
        }
    }

    /// What is copied after it.
    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Code => Some(Self::Constants),
            Self::Constants => None,
        }
    }

    /// An address in it.
    fn address(self) -> usize {
        match self {
            Self::Code => (sealed as *const ()).addr(),
            Self::Constants => self.file_name().as_ptr().addr(),
        }
    }
}

/// A copy of a part, on its way.
#[derive(Debug)]
pub(super) struct Relocation {
    pub(super) part: Part,
    /// What it is a copy of.
    range: Range<usize>,
    view: View,
    /// How many bytes of it are in huge pages.
    done: usize,
}

impl Relocation {
    /// `maps` is this process's `/proc/self/smaps`.
    pub(super) fn new(part: Part, mut maps: &File) -> io::Result<Self> {
        maps.rewind()?;
        let range = mapping_of(part, part.address(), BufReader::new(maps))?;
        let range = range
            .and_then(huge_pages::whole)
            .ok_or(io::ErrorKind::Unsupported)?;
        let start = std::ptr::with_exposed_provenance::<u8>(range.start);
        // SAFETY: the range is mapped and readable, and nobody writes to it.
        let bytes = unsafe { std::slice::from_raw_parts(start, range.len()) };
        let file = sealed(part.file_name(), bytes)?;
        Ok(Self {
            part,
            view: View::new(file, part, range.len())?,
            range,
            done: 0,
        })
    }

    /// Has the kernel make the next huge page, or puts the copy in its place when all are made; `None`
    /// afterwards.
    ///
    /// # Safety
    /// This process has one thread.
    pub(super) unsafe fn go_on(mut self) -> io::Result<Option<Self>> {
        if self.done < self.range.len() {
            let made = huge_pages::collapse(self.view.start.wrapping_add(self.done));
            // One that is missing costs no more than before. Without the first there will be none.
            if self.done == 0 {
                made?;
            }
            self.done += huge_pages::BYTES;
            return Ok(Some(self));
        }
        let place = Place::At(std::ptr::with_exposed_provenance_mut(self.range.start));
        // SAFETY: equal bytes take the place of those that are there, in one step; this code waits for it
        // in the C library, which is elsewhere, and no other thread runs.
        unsafe { map(place, self.range.len(), self.part, &self.view.file) }?;
        Ok(None)
    }
}

/// The mapping of a part that an address is in.
fn mapping_of(part: Part, address: usize, maps: impl BufRead) -> io::Result<Option<Range<usize>>> {
    for line in maps.lines() {
        let line = line?;
        if let Some(head) = Head::read(&line).filter(|head| head.range.contains(&address)) {
            let is_part = head.rights == part.shown_rights();
            return Ok(is_part.then_some(head.range));
        }
    }
    Ok(None)
}

/// A file in memory with these bytes, which nobody can change.
fn sealed(name: &CStr, bytes: &[u8]) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name ends with a zero.
    let fd = Errno::result(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
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
    fn new(file: File, part: Part, length: usize) -> io::Result<Self> {
        let reserved_bytes = length + huge_pages::BYTES;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let reserved = unsafe { map(Place::Anywhere, reserved_bytes, part, &file) }?;
        let view = Self {
            start: reserved.map_addr(|at| at.next_multiple_of(huge_pages::BYTES)),
            file,
            reserved,
            reserved_bytes,
        };
        // SAFETY: within what was reserved for it.
        unsafe { map(Place::At(view.start), length, part, &view.file) }?;
        Ok(view)
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

/// Maps the file of a part from its begin.
///
/// # Safety
/// What is at the place is this code's to replace.
unsafe fn map(place: Place, length: usize, part: Part, file: &File) -> io::Result<*mut u8> {
    let (address, fixed) = match place {
        Place::Anywhere => (std::ptr::null_mut(), 0),
        Place::At(address) => (address, libc::MAP_FIXED),
    };
    let rights = part.rights();
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

    fn found(part: Part, address: usize) -> Option<Range<usize>> {
        mapping_of(part, address, MAPS.as_bytes()).unwrap()
    }

    #[test]
    fn a_part_is_found_by_an_address_in_it() {
        let constants = 0x55d0_c0a0_0000..0x55d0_c0b2_1000;
        let code = 0x55d0_c0b2_1000..0x55d0_c1b0_0000;
        for (part, range) in [(Part::Constants, constants), (Part::Code, code)] {
            assert_eq!(found(part, range.start), Some(range.clone()));
            assert_eq!(found(part, range.end - 1), Some(range));
        }
    }

    #[test]
    fn what_has_other_rights_is_another_part() {
        for address in [0x55d0_c0a0_0000, 0x7f00_0000_1000, 0x1000] {
            assert_eq!(found(Part::Code, address), None, "{address:x}");
        }
        assert_eq!(found(Part::Constants, 0x55d0_c0b2_1000), None);
    }

    #[test]
    fn a_sealed_file_has_the_bytes_and_keeps_them() {
        use std::os::unix::fs::FileExt;
        let bytes = vec![7; 10_000];
        let file = sealed(c"test", &bytes).unwrap();
        let mut read = vec![0; bytes.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, bytes);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
    }
}
