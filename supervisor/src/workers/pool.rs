//! Workers that are ready before they are needed.
//!
//! They lie on a shelf, each confined, with its Hello heard and no user's byte seen, each for one
//! execution. Who asks takes one at once, or waits for the next. A keeper ([`super::keeper`]) fills
//! the shelf again.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::appetite::{Appetite, Bounds, Stock};
use super::keeper::Keeper;
use super::launch::Ready;
use super::shop::Shop;
use super::spawn::{Begun, SpawnError};
use super::turnover::Turnover;
use super::vitals::Vitals;
use crate::limits;
use crate::metrics::{PoolFigures, Supply};

/// The pool. Clones share it; the last of them ends it.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    shop: Shop,
    stop: CancellationToken,
    tasks: TaskTracker,
    _end_with_the_last: Arc<DropGuard>,
}

/// What it keeps to.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolConfig {
    /// How many workers are parked.
    pub(super) bounds: Bounds,
    /// How long a worker or fork server may take to say Hello.
    pub(super) hello_timeout: Duration,
    /// When a fork server makes room for the next.
    pub(super) turnover: Turnover,
}

/// What those who ask and the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    shelf: Mutex<Shelf>,
    /// Wakes the keeper.
    pub(super) wake: Notify,
    pub(super) figures: PoolFigures,
    pub(super) vitals: Vitals,
}

/// Ready workers, or those who wait for them; never both.
#[derive(Debug)]
struct Shelf {
    /// The oldest first, which is also the first to go.
    parked: VecDeque<Parked>,
    /// First come, first served.
    waiting: VecDeque<Waiting>,
    appetite: Appetite,
    is_closed: bool,
}

/// Which fork server a worker is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(pub(super) u64);

#[derive(Debug)]
struct Parked {
    ready: Ready,
    generation: Generation,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    since: Instant,
    pub(super) grant: oneshot::Sender<Result<Begun, SpawnError>>,
}

/// A worker that was asked for.
#[derive(Debug)]
pub(super) enum Awaited {
    /// It was there.
    Here(Option<Box<Ready>>),
    /// It will be.
    Coming(oneshot::Receiver<Result<Begun, SpawnError>>),
}

impl Awaited {
    /// Waits for it. Can be dropped and asked again, until it has answered.
    pub(super) async fn given(&mut self) -> Result<Begun, SpawnError> {
        match self {
            Self::Here(ready) => ready
                .take()
                .map(|ready| Begun::Parked(*ready))
                .ok_or(SpawnError::Stopped),
            Self::Coming(answer) => answer.await.map_err(|_| SpawnError::Stopped)?,
        }
    }
}

impl Pool {
    /// Opens it, and begins to fill it.
    pub(super) fn open(shop: Shop, config: PoolConfig, vitals: Vitals) -> Self {
        let shared = Arc::new(Shared {
            shelf: Mutex::new(Shelf {
                parked: VecDeque::new(),
                waiting: VecDeque::new(),
                appetite: Appetite::new(config.bounds),
                is_closed: false,
            }),
            wake: Notify::new(),
            figures: PoolFigures::default(),
            vitals,
        });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let keeper = Keeper::new(Arc::clone(&shared), shop.clone(), tasks.clone(), config);
        tasks.spawn(keeper.run(stop.clone()));
        Self {
            shared,
            shop,
            _end_with_the_last: Arc::new(stop.clone().drop_guard()),
            stop,
            tasks,
        }
    }

    /// What it counts.
    pub(super) fn figures(&self) -> &PoolFigures {
        &self.shared.figures
    }

    pub(super) fn program(&self) -> &Path {
        self.shop.program()
    }

    /// Takes a worker, or a place among those who wait.
    pub(super) fn request(&self) -> Result<Awaited, SpawnError> {
        let (awaited, dead) = self.shared.take()?;
        self.shared.wake.notify_one();
        drop(dead);
        Ok(awaited)
    }

    /// Ends every worker that is parked and every fork server, and waits until they are reaped.
    pub(super) async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        let ended = timeout(limits::SHUT_DOWN_WAIT_MAX, self.tasks.wait()).await;
        if ended.is_err() {
            tracing::error!("a fork server has not ended in time; it ends with this process");
        }
        self.shop.settle().await;
    }
}

impl Shared {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<(Awaited, Vec<Parked>), SpawnError> {
        let mut shelf = self.shelf();
        let taken = shelf.take()?;
        self.show(&shelf);
        drop(shelf);
        let supply = match taken.0 {
            Awaited::Here(_) => Supply::Parked,
            Awaited::Coming(_) => Supply::Awaited,
        };
        self.figures.given.of(supply).inc();
        Ok(taken)
    }

    fn show(&self, shelf: &Shelf) {
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        self.figures.parked.set(length(shelf.parked.len()));
        self.figures.waiting.set(length(shelf.waiting.len()));
    }

    /// What is there and who waits. `coming` are being made, for `generation`.
    pub(super) fn missing(&self, coming: usize, generation: Generation) -> usize {
        let shelf = self.shelf();
        let is_new = |parked: &&Parked| parked.generation == generation;
        shelf.appetite.missing(Stock {
            parked: shelf.parked.iter().filter(is_new).count(),
            coming,
            waiting: shelf.waiting.len(),
        })
    }

    /// Gives a worker to the first who waits, or puts it on the shelf.
    pub(super) fn put(&self, ready: Ready, generation: Generation) {
        let mut shelf = self.shelf();
        let dropped = shelf.put(Parked { ready, generation });
        self.show(&shelf);
        drop(shelf);
        drop(dropped);
    }

    /// Throws out the dead, the spare, and, when one is named, all workers up to that generation.
    pub(super) fn sweep(&self, passed: Duration, condemned: Option<Generation>) {
        let mut shelf = self.shelf();
        let dropped = shelf.sweep(passed, condemned);
        self.show(&shelf);
        drop(shelf);
        drop(dropped);
    }

    /// Takes those out who have waited for so long at least.
    pub(super) fn impatient(&self, patience: Duration) -> Vec<Waiting> {
        let mut shelf = self.shelf();
        shelf.forget_the_gone();
        let late = |waiting: &Waiting| waiting.since.elapsed() >= patience;
        let count = shelf.waiting.iter().take_while(|w| late(w)).count();
        shelf.waiting.drain(..count).collect()
    }

    /// Lets nobody in any more, and throws everything out.
    pub(super) fn close(&self) {
        let mut shelf = self.shelf();
        shelf.is_closed = true;
        let dropped = (
            std::mem::take(&mut shelf.parked),
            std::mem::take(&mut shelf.waiting),
        );
        drop(shelf);
        drop(dropped);
    }
}

impl Shelf {
    fn take(&mut self) -> Result<(Awaited, Vec<Parked>), SpawnError> {
        if self.is_closed {
            return Err(SpawnError::Stopped);
        }
        let mut dead = Vec::new();
        while let Some(parked) = self.parked.pop_front() {
            if parked.ready.is_alive() {
                self.appetite.on_taken(self.parked.len());
                return Ok((Awaited::Here(Some(Box::new(parked.ready))), dead));
            }
            dead.push(parked);
        }
        self.appetite.on_missed();
        let (grant, granted) = oneshot::channel();
        self.waiting.push_back(Waiting {
            since: Instant::now(),
            grant,
        });
        Ok((Awaited::Coming(granted), dead))
    }

    /// What is left over is for the caller to drop, outside the lock.
    fn put(&mut self, parked: Parked) -> Vec<Parked> {
        self.forget_the_gone();
        let Parked { ready, generation } = parked;
        let mut left = Some(ready);
        while let Some(ready) = left.take() {
            let Some(waiting) = self.waiting.pop_front() else {
                self.parked.push_back(Parked { ready, generation });
                break;
            };
            if let Err(Ok(Begun::Parked(ready))) = waiting.grant.send(Ok(Begun::Parked(ready))) {
                left = Some(ready);
            }
        }
        // Workers of an older fork server make room for those of the new one.
        self.trim(|oldest| oldest.generation < generation)
    }

    fn sweep(&mut self, passed: Duration, condemned: Option<Generation>) -> Vec<Parked> {
        self.forget_the_gone();
        let all = std::mem::take(&mut self.parked);
        let may_stay = |parked: &Parked| {
            parked.ready.is_alive() && condemned.is_none_or(|last| parked.generation > last)
        };
        let (kept, mut dropped): (Vec<_>, Vec<_>) = all.into_iter().partition(may_stay);
        self.parked = kept.into();
        self.appetite.on_time(passed, self.parked.len());
        dropped.extend(self.trim(|_| true));
        dropped
    }

    /// Takes out what is spare, the oldest first.
    fn trim(&mut self, may_go: impl Fn(&Parked) -> bool) -> Vec<Parked> {
        let mut dropped = Vec::new();
        while self.appetite.spare(self.parked.len()) > 0
            && let Some(oldest) = self.parked.pop_front_if(|oldest| may_go(oldest))
        {
            dropped.push(oldest);
        }
        dropped
    }

    fn forget_the_gone(&mut self) {
        self.waiting.retain(|waiting| !waiting.grant.is_closed());
    }
}

const _: () = assert!(limits::PARKED_WORKERS_MIN > 0);
