//! `/proc/PID/smaps`: for each mapping a first line, then lines that say more of it.
//!
//! <https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html>

use std::ops::Range;

/// A mapping's first line, `start-end perms offset device inode path`.
pub(super) struct Head<'a> {
    pub(super) range: Range<usize>,
    /// What may be done with it, `rwxp`.
    pub(super) rights: &'a str,
    /// Whether it is of a file, or has a name.
    pub(super) is_named: bool,
}

impl<'a> Head<'a> {
    /// `None` of the lines that say more.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        Some(Self {
            range: Range {
                start: usize::from_str_radix(start, 16).ok()?,
                end: usize::from_str_radix(end, 16).ok()?,
            },
            rights: words.next()?,
            is_named: words.nth(3).is_some(),
        })
    }
}
