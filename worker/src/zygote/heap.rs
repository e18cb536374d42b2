//! V8's heap in huge pages.
//!
//! A child of fork(2) gets an entry of its page table for each page that its parent has ever written to, and each is
//! counted, then and when the child ends. A huge page is one entry, until the child writes to it: then it gets
//! entries for its small ones, which are still counted together. (The C library's heap stays as it is: each worker writes
//! all over it.)

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::ops::Range;

use super::huge_pages::{self, BYTES};
use super::smaps::Head;

/// How much of a mapping must be there already, in hundredths: a huge page fills what is not.
const THERE_PERCENT_MIN: u64 = 75;

/// Where huge pages of it could begin. `maps` is this process's `/proc/self/smaps`.
pub(super) fn huge_pages(mut maps: &File) -> io::Result<Vec<usize>> {
    maps.rewind()?;
    let pieces = pieces(BufReader::new(maps))?;
    let pages = pieces.into_iter().filter_map(huge_pages::whole);
    Ok(pages.flat_map(|range| range.step_by(BYTES)).collect())
}

/// The mappings without a name that can be written to and are in memory, all of it or nearly.
fn pieces(maps: impl BufRead) -> io::Result<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut mapping = None;
    for line in maps.lines() {
        let line = line?;
        if let Some(head) = Head::read(&line) {
            let is_data = head.rights == "rw-p" && !head.is_named;
            mapping = is_data.then_some(head.range);
        } else if let Some(there) = line.strip_prefix("Anonymous:") {
            let there = there.split_whitespace().next();
            let there_kib: u64 = there.and_then(|number| number.parse().ok()).unwrap_or(0);
            let is_there = |range: &Range<usize>| {
                let kib = (range.len() >> 10) as u64;
                there_kib * 100 >= kib * THERE_PERCENT_MIN
            };
            found.extend(mapping.take().filter(is_there));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0b21000-55d0c1b00000 r-xp 00121000 00:00 0                          /worker
Rss:                 800 kB
Anonymous:             0 kB
55d0c2a00000-55d0c2a21000 rw-p 00000000 00:00 0                          [heap]
Rss:                 132 kB
Anonymous:           132 kB
7f0000000000-7f0040000000 rw-p 00000000 00:00 0
Rss:                4096 kB
Anonymous:          4096 kB
7f1566c00000-7f15671c0000 rw-p 00000000 00:00 0
Rss:                5280 kB
Anonymous:          5280 kB
7f158b240000-7f158b255000 r--p 00000000 00:00 0
Rss:                  84 kB
Anonymous:            84 kB
";

    #[test]
    fn the_heap_is_what_has_no_name_can_be_written_to_and_is_there() {
        let found = pieces(MAPS.as_bytes()).unwrap();
        let v8s = Range {
            start: 0x7f15_66c0_0000,
            end: 0x7f15_671c_0000,
        };
        assert_eq!(found, [v8s]);
    }
}
