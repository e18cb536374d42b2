//! What holds a connection of HTTP/1.1 to the exchange that it carries, so that it ends with it.
//!
//! Nobody waits for a connection whose exchange was given up. It would still write what it was handed, to a
//! server that may take a few bytes at a time for as long as it likes, and keep its place meanwhile.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;
use http::{Extensions, Request};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};

/// How a connection is told that its exchange is over. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Leash(Arc<State>);

#[derive(Default)]
struct State {
    /// Which exchange holds it, counted from 1, or [`CUT`]. The next one may hold it before the last has said
    /// that it wants nothing more: all of its answer is there by then.
    turn: AtomicU64,
    is_blocked: AtomicBool,
    connection: AtomicWaker,
}

/// The turn of nobody any more.
const CUT: u64 = u64::MAX;

impl Leash {
    /// Fails once it is cut. Asked by the connection, which is woken then.
    pub(super) fn hold(&self, context: &Context<'_>) -> io::Result<()> {
        self.0.connection.register(context.waker());
        match self.0.turn.load(Ordering::Acquire) {
            CUT => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => Ok(()),
        }
    }

    /// Whether the server takes nothing of what is to be written.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.0.is_blocked.store(is_blocked, Ordering::Release);
    }

    fn is_blocked(&self) -> bool {
        self.0.is_blocked.load(Ordering::Acquire)
    }

    /// The turn of the exchange that holds it from now on.
    fn take(&self) -> u64 {
        let next = |turn| (turn != CUT).then(|| turn + 1);
        let turn = &self.0.turn;
        let before = turn.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        before.map_or(CUT, |before| before + 1)
    }

    /// Cuts it, unless another holds it by now.
    fn cut(&self, mine: u64) {
        let turn = &self.0.turn;
        let cut = turn.compare_exchange(mine, CUT, Ordering::AcqRel, Ordering::Acquire);
        if cut.is_ok() {
            self.0.connection.wake();
        }
    }
}

impl fmt::Debug for Leash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leash")
    }
}

/// The exchange's end. Dropping it cuts the connection off, unless others share it, or have it by now.
#[derive(Debug)]
pub(super) struct Hand {
    captured: CaptureConnection,
    held: Option<(Leash, u64)>,
}

impl Hand {
    /// Will hold whatever connection this request goes over.
    pub(super) fn on<B>(request: &mut Request<B>) -> Self {
        Self {
            captured: capture_connection(request),
            held: None,
        }
    }

    /// Waits for the answer to its request, and takes hold of the connection as soon as there is one.
    pub(super) async fn lead<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        poll_fn(|context| {
            let polled = answer.as_mut().poll(context);
            self.take_hold();
            polled
        })
        .await
    }

    fn take_hold(&mut self) {
        let Some(leash) = leash_of(&self.captured) else {
            return;
        };
        // A request is sent over another connection where a kept one had ended.
        let is_other = |(held, _): &(Leash, u64)| !Arc::ptr_eq(&held.0, &leash.0);
        if self.held.as_ref().is_none_or(is_other) {
            let turn = leash.take();
            self.held = Some((leash, turn));
        }
    }

    /// The exchange has all that it wants: the connection may carry another, unless it still has something to
    /// write that the server does not take.
    pub(super) fn let_go(mut self) {
        if let Some((leash, turn)) = self.held.take()
            && leash.is_blocked()
        {
            leash.cut(turn);
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        if let Some((leash, turn)) = self.held.take() {
            leash.cut(turn);
        }
    }
}

/// That of a connection of one exchange at a time.
fn leash_of(captured: &CaptureConnection) -> Option<Leash> {
    let metadata = captured.connection_metadata();
    let connected = metadata.as_ref().filter(|it| !it.is_negotiated_h2())?;
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.remove::<Leash>()
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    #[test]
    fn who_holds_it_cuts_it_and_nobody_who_held_it_before() {
        let context = Context::from_waker(noop_waker_ref());
        let leash = Leash::default();
        let (first, second) = (leash.take(), leash.take());
        leash.cut(first);
        assert!(leash.hold(&context).is_ok());
        leash.cut(second);
        assert!(leash.hold(&context).is_err());
        let late = leash.take();
        leash.cut(late);
        assert!(leash.hold(&context).is_err(), "what is cut stays so");
    }
}
