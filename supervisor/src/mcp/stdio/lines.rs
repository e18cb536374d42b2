//! Lines from a byte stream, each of bounded length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::bytes::BytesMut;

/// Bytes asked of the stream at once.
const READ_BYTES: usize = 64 << 10;

/// A buffer that grew beyond this is given back once it is empty.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, its end included; the last one may have none.
    Whole(BytesMut),
    /// A line beyond the limit. What is left of it is skipped.
    TooLong,
    /// The stream has ended.
    End,
}

/// A stream cut into lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// Bytes at the start of the buffer that hold no line end.
    searched: usize,
    line_bytes_max: usize,
    /// The rest of a line that was too long is still to come.
    skipping: bool,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `line_bytes_max` bytes, the line end not counted.
    pub(super) fn new(reader: R, line_bytes_max: usize) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            searched: 0,
            line_bytes_max,
            skipping: false,
            ended: false,
        }
    }

    /// The next line. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Line> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(line);
            }
            if self.ended {
                return Ok(self.last());
            }
            if self.buffer.is_empty() && self.buffer.capacity() > BUFFER_KEPT_BYTES {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(READ_BYTES);
            self.ended = self.reader.read_buf(&mut self.buffer).await? == 0;
        }
    }

    /// A line that is decided by what has been read.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(position) = unsearched.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(self.searched + position + 1);
                self.searched = 0;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Some(if line.len() > self.line_bytes_max + 1 {
                    Line::TooLong
                } else {
                    Line::Whole(line)
                });
            }
            self.searched = self.buffer.len();
            let too_long = self.buffer.len() > self.line_bytes_max;
            if self.skipping || too_long {
                self.buffer.clear();
                self.searched = 0;
            }
            if too_long && !self.skipping {
                self.skipping = true;
                return Some(Line::TooLong);
            }
            return None;
        }
    }

    /// What the stream ended with, when not with a line end.
    fn last(&mut self) -> Line {
        let rest = self.buffer.split();
        self.searched = 0;
        if rest.is_empty() || self.skipping {
            Line::End
        } else {
            Line::Whole(rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn all(input: &[u8], line_bytes_max: usize, chunk: usize) -> Vec<Option<Vec<u8>>> {
        let (reader, mut writer) = tokio::io::duplex(chunk);
        let input = input.to_vec();
        let writing = tokio::spawn(async move {
            for piece in input.chunks(chunk) {
                writer.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut lines = Lines::new(reader, line_bytes_max);
        let mut seen = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Line::Whole(line) => seen.push(Some(line.to_vec())),
                Line::TooLong => seen.push(None),
                Line::End => break,
            }
        }
        writing.await.unwrap();
        seen
    }

    /// What should come out, from the whole input at once.
    fn model(input: &[u8], line_bytes_max: usize) -> Vec<Option<Vec<u8>>> {
        input
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| {
                let length = line.strip_suffix(b"\n").unwrap_or(line).len();
                (length <= line_bytes_max).then(|| line.to_vec())
            })
            .collect()
    }

    proptest! {
        #[test]
        fn any_input_in_any_pieces_gives_the_same_lines(
            input in prop::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\n')], 0..200),
            line_bytes_max in 1_usize..12,
            chunk in 1_usize..40,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let seen = runtime.block_on(all(&input, line_bytes_max, chunk));
            prop_assert_eq!(seen, model(&input, line_bytes_max));
        }
    }

    #[tokio::test]
    async fn a_dropped_read_loses_nothing() {
        let (reader, mut writer) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader, 100);
        writer.write_all(b"abc").await.unwrap();
        for _ in 0..3 {
            let half = tokio::time::timeout(std::time::Duration::from_millis(5), lines.next());
            assert!(half.await.is_err());
        }
        writer.write_all(b"def\n").await.unwrap();
        assert_eq!(
            lines.next().await.unwrap(),
            Line::Whole(b"abcdef\n".as_slice().into())
        );
    }
}
