//! Whether a log is what was written: lines one after the other, from the first file to the last.

use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use super::chain::{self, Anchor, Break, ChainKey, Genuine, Link};
use crate::limits::AUDIT_LINE_BYTES_MAX;

/// A check under way: pure, it is given lines.
#[derive(Debug)]
pub(super) struct Check<'a> {
    key: &'a ChainKey,
    anchor: Option<Anchor>,
    last: Option<Link>,
    lines: u64,
    first: Option<Genuine>,
    newest: Option<Genuine>,
}

impl<'a> Check<'a> {
    pub(super) fn new(key: &'a ChainKey, anchor: Option<Anchor>) -> Self {
        Self {
            key,
            anchor,
            last: None,
            lines: 0,
            first: None,
            newest: None,
        }
    }

    /// The same for one that begins anywhere: what stands before is for those who read all of it.
    pub(super) fn within(mut self) -> Self {
        if let Some(anchor) = &mut self.anchor {
            anchor.first_seq = u64::MAX;
        }
        self
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Break> {
        let line = chain::read(self.key, line)?;
        match self.last {
            Some(last) => chain::follows(&line, last)?,
            None => self.begins(&line)?,
        }
        if let Some(anchor) = self.anchor
            && anchor.last.seq == line.link.seq
            && anchor.last.hash != line.link.hash
        {
            return Err(Break::Replaced { seq: line.link.seq });
        }
        self.last = Some(line.link);
        self.lines += 1;
        self.first.get_or_insert_with(|| line.clone());
        self.newest = Some(line);
        Ok(())
    }

    fn begins(&self, line: &Genuine) -> Result<(), Break> {
        let expected = self.anchor.map(|anchor| anchor.first_seq);
        if let Some(expected) = expected
            && line.link.seq > expected
        {
            let found = line.link.seq;
            return Err(Break::Beheaded { expected, found });
        }
        if line.link.seq == 1 {
            return chain::follows(line, Link::GENESIS);
        }
        Ok(())
    }

    /// Whether the anchor says that there was more.
    pub(super) fn end(&self) -> Result<(), Break> {
        let found = self.last.map_or(0, |last| last.seq);
        match self.anchor {
            Some(anchor) if found < anchor.last.seq => Err(Break::Cut {
                expected: anchor.last.seq,
                found,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The last line.
    pub(super) fn last(&self) -> Option<Link> {
        self.last
    }
}

/// A log that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Files that were read.
    pub files: usize,
    /// Their lines.
    pub lines: u64,
    /// The number and the time of the first line; `None` for a log without lines.
    pub first: Option<(u64, String)>,
    /// The same of the last, and its hash.
    pub last: Option<(u64, String, String)>,
    /// Whether an anchor says where the log ends: without one, lines that are cut off there are not
    /// missed.
    pub is_anchored: bool,
    /// Whether a line without an end comes after the last: the server is writing, or was killed.
    pub has_rest: bool,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines in {} files", self.lines, self.files)?;
        if let (Some((first, begun)), Some((last, ended, hash))) = (&self.first, &self.last) {
            write!(
                f,
                ", from line {first} ({begun}) to line {last} ({ended}), whose hash is {hash}"
            )?;
        }
        f.write_str("; the chain is whole")?;
        if !self.is_anchored {
            f.write_str("; there is no anchor: lines that were cut off at its end are not missed")?;
        }
        if self.has_rest {
            f.write_str("; an unfinished line follows: the server is writing, or was killed")?;
        }
        writeln!(f)
    }
}

/// Why a log is not believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It was tampered with.
    #[error("{}, line {line}: {why}", .path.display())]
    Broken {
        /// In which file.
        path: PathBuf,
        /// At which line of it, from 1.
        line: u64,
        /// What.
        why: Break,
    },
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The anchor is there, but nobody with the key has written it.
    #[error(
        "{} is missing, was changed, or was not written with this key: nobody knows where the log ends",
        .path.display()
    )]
    Anchor {
        /// Which file.
        path: PathBuf,
    },
    /// There is nothing to verify.
    #[error("there is no audit log at {}", .path.display())]
    Nothing {
        /// Where.
        path: PathBuf,
    },
}

/// Reads these files, the oldest first, as one log.
pub(super) fn verify(
    key: &ChainKey,
    anchor: Option<Anchor>,
    files: &[PathBuf],
) -> Result<Verified, VerifyError> {
    let mut check = Check::new(key, anchor);
    let mut has_rest = false;
    let mut at = (PathBuf::new(), 0);
    for (index, path) in files.iter().enumerate() {
        let is_last = index + 1 == files.len();
        let (lines, rest) = walk(path, &mut check)?;
        at = (path.clone(), lines);
        if rest > 0 {
            if !is_last {
                return Err(broken(path, lines + 1, Break::Torn));
            }
            has_rest = true;
        }
    }
    check.end().map_err(|why| broken(&at.0, at.1, why))?;
    let place = |line: &Genuine| (line.link.seq, line.time.clone());
    Ok(Verified {
        files: files.len(),
        lines: check.lines,
        first: check.first.as_ref().map(place),
        last: check.newest.as_ref().map(|line| {
            let hash = crate::hex::Hex(&line.link.hash).to_string();
            (line.link.seq, line.time.clone(), hash)
        }),
        is_anchored: anchor.is_some(),
        has_rest,
    })
}

/// Has all lines of a file checked: how many they are, and the bytes of what comes after the last.
pub(super) fn walk(path: &Path, check: &mut Check<'_>) -> Result<(u64, u64), VerifyError> {
    let unreadable = |source| VerifyError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = io::BufReader::new(std::fs::File::open(path).map_err(unreadable)?);
    let (mut lines, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let most = AUDIT_LINE_BYTES_MAX as u64 + 1;
        let length = file.by_ref().take(most).read_until(b'\n', &mut line);
        let length = length.map_err(unreadable)?;
        if length == 0 {
            return Ok((lines, 0));
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            if length as u64 == most {
                return Err(broken(path, lines + 1, Break::Long));
            }
            return Ok((lines, length as u64));
        };
        check
            .line(whole)
            .map_err(|why| broken(path, lines + 1, why))?;
        lines += 1;
    }
}

fn broken(path: &Path, line: u64, why: Break) -> VerifyError {
    VerifyError::Broken {
        path: path.to_owned(),
        line,
        why,
    }
}
