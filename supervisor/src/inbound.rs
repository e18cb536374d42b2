//! What all that listens shares: sockets, and answers.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::net::{TcpListener, TcpSocket};

use crate::limits::HTTP_PIECE_BYTES;

/// Listens at an address. So many connections may wait to be accepted; the kernel may have a smaller bound.
pub(crate) fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A server that was just ended leaves its port to the next one.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// A body that holds something until it has gone. It goes in pieces, so that what is held is held while
/// the client takes its time.
#[derive(Debug)]
pub(crate) struct Held<B, T> {
    body: B,
    rest: Bytes,
    _held: T,
}

impl<B, T> Held<B, T> {
    /// This body, with what it holds.
    pub(crate) const fn new(body: B, held: T) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            _held: held,
        }
    }

    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        self.rest = data.split_off(data.len().min(HTTP_PIECE_BYTES));
        Frame::data(data)
    }
}

impl<B: Body<Data = Bytes> + Unpin, T: Unpin> Body for Held<B, T> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece(rest))));
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => self.piece(data),
                Err(trailers) => trailers,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_long_answer_goes_in_pieces_and_holds_its_part_until_the_last() {
        let part = Arc::new(());
        let long = vec![b'x'; 3 * HTTP_PIECE_BYTES + 1];
        let mut body = Held::new(Full::from(long.clone()), Arc::clone(&part));
        let mut taken = Vec::new();
        while let Some(frame) = body.frame().await {
            let left = (long.len() - taken.len()) as u64;
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= HTTP_PIECE_BYTES);
            taken.extend_from_slice(&data);
            assert_eq!(body.size_hint().exact(), Some(left - data.len() as u64));
            assert_eq!(body.is_end_stream(), taken.len() == long.len());
            assert_eq!(Arc::strong_count(&part), 2);
        }
        assert_eq!(taken, long);
        drop(body);
        assert_eq!(Arc::strong_count(&part), 1);
    }
}
