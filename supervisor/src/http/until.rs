//! Bodies that end before their time.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

/// This body, and no more of it once `over` is.
pub(super) fn until(body: Body, over: impl Future<Output = ()> + Send + 'static) -> Body {
    Body::new(Until {
        body: Some(body),
        over: Box::pin(over),
    })
}

struct Until {
    /// `None` once it has ended.
    body: Option<Body>,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            // Also where there is always more: it is looked at between two pieces.
            if frame.is_none() || self.over.as_mut().poll(context).is_ready() {
                self.body = None;
            }
            return Poll::Ready(frame);
        }
        if self.over.as_mut().poll(context).is_ready() {
            // Whoever makes it stops.
            self.body = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // It may end at any time.
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_it_is_over_and_not_before() {
        let ticks = || stream::repeat(()).then(|()| sleep(Duration::from_secs(1)));
        let pieces = ticks().map(|()| Ok::<_, Infallible>(Bytes::from_static(b"x")));
        let body = until(
            Body::from_stream(pieces),
            sleep(Duration::from_millis(3500)),
        );
        assert_eq!(body.collect().await.unwrap().to_bytes(), "xxx");
        let endless = stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"x")));
        let body = until(Body::from_stream(endless), std::future::ready(()));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
        let short = until(Body::from("abc"), std::future::pending());
        assert_eq!(short.collect().await.unwrap().to_bytes(), "abc");
    }
}
