//! The task that keeps the shelf full: it starts fork servers, has them fork, replaces them, and
//! finds another way when there is none.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::jail::SandboxMode;
use super::launch::{LaunchError, Ready};
use super::pool::{Generation, PoolConfig, Shared, Waiting};
use super::process::Origin;
use super::shop::{Shop, ends};
use super::spawn::{Begun, SpawnError};
use super::turnover::Turnover;
use super::zygote::{ForkError, Health, Zygote, ZygoteError};
use crate::limits;
use crate::metrics::Replacement;

/// Why a worker was not parked.
#[derive(Debug, thiserror::Error)]
enum ParkError {
    #[error(transparent)]
    System(#[from] SpawnError),
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error("a worker was forked, but {0}")]
    Launch(#[from] LaunchError),
    #[error("a worker was forked, but said nothing for {after_ms} ms")]
    Silent { after_ms: u128 },
}

/// A fork server that serves, and since when.
#[derive(Debug)]
struct Serving {
    zygote: Zygote,
    generation: Generation,
    since: Instant,
    forks: u64,
    /// Whether a worker of it was ever ready.
    is_proven: bool,
    /// Workers in a row that came to nothing.
    failures: u32,
}

impl Serving {
    /// Whether it has served long enough.
    fn is_old(&self, turnover: Turnover) -> bool {
        let is_used = self.forks > 0;
        self.forks >= turnover.forks_max || (is_used && self.since.elapsed() >= turnover.age_max)
    }
}

/// Where workers come from while no fork server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuge {
    /// They are executed.
    Execution,
    /// From nowhere: the only wall here is that of namespaces, and one of them only workers of a fork
    /// server have. An executed worker would refuse to run.
    Nowhere,
}

impl Refuge {
    /// As the worker of a fork server shows.
    fn seen_from(ready: &Ready, sandbox: SandboxMode) -> Self {
        let confinement = ready.confinement();
        let is_by_namespaces = confinement.is_walled() && !confinement.landlock;
        match sandbox {
            SandboxMode::Required if is_by_namespaces => Self::Nowhere,
            SandboxMode::Required | SandboxMode::BestEffort => Self::Execution,
        }
    }
}

/// The task's own.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    shop: Shop,
    /// The tasks that are waited for at the end.
    tasks: TaskTracker,
    hello_timeout: Duration,
    turnover: Turnover,
    refuge: Refuge,
    serving: Option<Serving>,
    /// At most one: the next fork server.
    starting: JoinSet<Result<Zygote, ZygoteError>>,
    /// Workers that are being made, and by which fork server.
    parking: JoinSet<(Generation, Result<Ready, ParkError>)>,
    /// Workers that are executed for those who could not wait.
    executing: JoinSet<()>,
    next: Generation,
    /// The last fork server whose workers nobody may get any more.
    condemned: Option<Generation>,
    /// Fork servers in a row that came to nothing.
    failures: u32,
    retry_at: Instant,
    /// When a suspicious death may bring a new fork server again.
    pardon_at: Instant,
    swept_at: Instant,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        shop: Shop,
        tasks: TaskTracker,
        config: PoolConfig,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            shop,
            tasks,
            hello_timeout: config.hello_timeout,
            turnover: config.turnover,
            refuge: Refuge::Execution,
            serving: None,
            starting: JoinSet::new(),
            parking: JoinSet::new(),
            executing: JoinSet::new(),
            next: Generation(0),
            condemned: None,
            failures: 0,
            retry_at: now,
            pardon_at: now,
            swept_at: now,
        }
    }

    /// Works until it is stopped; then nothing is parked and no fork server is kept.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        loop {
            self.arrange();
            tokio::select! {
                () = stop.cancelled() => break,
                () = shared.wake.notified() => {}
                Some(started) = self.starting.join_next() => match started {
                    Ok(Ok(zygote)) => self.succeed(zygote),
                    Ok(Err(error)) => self.fail(&error),
                    Err(_panicked) => self.fail(&SpawnError::Stopped),
                },
                Some(parked) = self.parking.join_next() => if let Ok((generation, parked)) = parked {
                    self.on_parked(generation, parked);
                },
                Some(_) = self.executing.join_next() => {}
                () = ailing(&mut self.serving) => self.replace(),
                () = sleep_until(self.swept_at + limits::POOL_TICK) => {
                    self.shared.sweep(self.swept_at.elapsed(), None);
                    self.swept_at = Instant::now();
                }
            }
        }
        self.shared.close();
        // What is being made is dropped, killed and reaped by whoever makes it.
        self.parking.shutdown().await;
        self.executing.shutdown().await;
        self.starting.shutdown().await;
    }

    /// Does what there is to do now.
    fn arrange(&mut self) {
        let serving = self.serving.as_ref();
        let is_wanted = serving.is_none_or(|serving| serving.is_old(self.turnover));
        let may_start = self.starting.is_empty() && Instant::now() >= self.retry_at;
        if is_wanted && may_start {
            let (shop, tasks) = (self.shop.clone(), self.tasks.clone());
            self.starting
                .spawn(Zygote::start(shop, tasks, self.hello_timeout));
        }
        self.order_forks();
        for waiting in self.shared.impatient(self.patience()) {
            self.execute_for(waiting);
        }
    }

    /// How long an execution waits before a worker is executed for it.
    fn patience(&self) -> Duration {
        let is_coming = self.failures == 0 && !self.starting.is_empty();
        match (&self.serving, self.refuge) {
            (Some(_), _) => limits::POOL_WAIT_MAX,
            // The rest of its time is for the attempt, which says why it fails.
            (None, Refuge::Nowhere) => self.hello_timeout / 2,
            (None, Refuge::Execution) if is_coming => limits::ZYGOTE_WAIT_MAX,
            // Without a fork server in sight nobody has to wait for one.
            (None, Refuge::Execution) => Duration::ZERO,
        }
    }

    fn order_forks(&mut self) {
        let Some(serving) = &mut self.serving else {
            return;
        };
        let coming = self.parking.len();
        let room = limits::FORKS_AT_ONCE_MAX.saturating_sub(coming);
        let missing = self.shared.missing(coming, serving.generation).min(room);
        for _ in 0..missing {
            serving.forks += 1;
            self.shared.figures.forks.inc();
            let (zygote, generation) = (serving.zygote.clone(), serving.generation);
            let (shop, hello_timeout) = (self.shop.clone(), self.hello_timeout);
            let origin = Origin::Forked {
                generation: generation.0,
            };
            self.parking.spawn(async move {
                (generation, park(zygote, origin, shop, hello_timeout).await)
            });
        }
    }

    fn succeed(&mut self, zygote: Zygote) {
        let generation = self.next;
        self.next = Generation(generation.0 + 1);
        tracing::debug!(generation = generation.0, "a fork server serves");
        let figures = &self.shared.figures;
        if self.serving.is_some() {
            figures.replaced.of(Replacement::Age).inc();
        }
        figures.is_serving.set(1);
        figures
            .generation
            .set(i64::try_from(generation.0).unwrap_or(i64::MAX));
        // The one before forks no more, and ends with the last of its workers.
        self.serving = Some(Serving {
            zygote,
            generation,
            since: Instant::now(),
            forks: 0,
            is_proven: false,
            failures: 0,
        });
    }

    fn fail(&mut self, error: &dyn std::error::Error) {
        let pause = limits::ZYGOTE_RETRY_PAUSE
            .saturating_mul(1 << self.failures.min(10))
            .min(limits::ZYGOTE_RETRY_PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.shared.figures.start_failures.inc();
        self.shared.vitals.ill();
        self.retry_at = self.retry_at.max(Instant::now() + pause);
        let meanwhile = match (&self.serving, self.refuge) {
            (Some(_), _) => "the one before forks on, and another one is tried later",
            (None, Refuge::Execution) => "workers are executed one by one until one serves again",
            (None, Refuge::Nowhere) => {
                "no worker can be started until one serves again: executed ones would have neither \
                 Landlock nor a process namespace"
            }
        };
        tracing::warn!(%error, "there is no new fork server; {meanwhile}");
    }

    /// The fork server is not well. One that never made a worker counts as one that did not start:
    /// the next would fare no better, and is not tried at once.
    fn replace(&mut self) {
        let Some(serving) = &self.serving else { return };
        let (is_proven, health) = (serving.is_proven, serving.zygote.health());
        self.give_up();
        if let Health::Suspect { .. } = health {
            self.beware();
        }
        if !is_proven {
            self.fail(&ForkError::Retired);
        }
    }

    /// After a suspicious death. What has died may have been a guess of the memory layout, and with
    /// many guesses at one layout it is found out, piece by piece. So there is one guess for each: its
    /// fork server and its parked workers are gone already. But there are deaths of that kind that a
    /// script can have without any exploit, so the next fork server has to wait for its turn; workers
    /// that are executed meanwhile have a layout each.
    fn beware(&mut self) {
        let pause = match self.refuge {
            Refuge::Execution => self.turnover.suspicion_pause,
            // There would be no workers for anybody.
            Refuge::Nowhere => Duration::ZERO,
        };
        let now = Instant::now();
        let start_at = self.pardon_at.max(now);
        self.retry_at = self.retry_at.max(start_at);
        self.pardon_at = start_at + pause;
        let wait_ms = (start_at - now).as_millis();
        if wait_ms > 0 {
            tracing::warn!(
                wait_ms,
                "suspicious deaths follow one another: workers are executed one by one for a while"
            );
        }
    }

    /// The fork server is not to be used any more: workers that it has made for nobody yet neither.
    fn give_up(&mut self) {
        if let Some(serving) = self.serving.take() {
            let health = serving.zygote.health();
            let figures = &self.shared.figures;
            figures.is_serving.set(0);
            figures.replaced.of(replacement(health)).inc();
            tracing::debug!(
                generation = serving.generation.0,
                ?health,
                "a fork server is given up"
            );
            self.condemned = Some(serving.generation);
            self.shared.sweep(Duration::ZERO, self.condemned);
        }
    }

    fn on_parked(&mut self, generation: Generation, parked: Result<Ready, ParkError>) {
        if self.condemned.is_some_and(|last| generation <= last) {
            return;
        }
        let serving = self.serving.as_mut();
        let serving = serving.filter(|serving| serving.generation == generation);
        match (parked, serving) {
            (Ok(ready), serving) => {
                self.shared.vitals.well();
                self.refuge = Refuge::seen_from(&ready, self.shop.jail().sandbox);
                if let Some(serving) = serving {
                    serving.failures = 0;
                    // Only once: those that come to nothing later are its successors.
                    if !serving.is_proven {
                        serving.is_proven = true;
                        self.failures = 0;
                    }
                }
                self.shared.put(ready, generation);
            }
            // Another one is asked.
            (Err(ParkError::Fork(ForkError::Retired)), _) | (Err(_), None) => {}
            (Err(error), Some(serving)) => {
                serving.failures += 1;
                self.shared.figures.park_failures.inc();
                self.shared.vitals.ill();
                tracing::warn!(%error, "a worker could not be parked");
                if serving.failures >= limits::ZYGOTE_FAILURES_MAX {
                    self.give_up();
                    self.fail(&error);
                }
            }
        }
    }

    /// Has a worker executed, as if there were no fork servers.
    fn execute_for(&mut self, waiting: Waiting) {
        let shop = self.shop.clone();
        self.shared.figures.executed.inc();
        self.executing.spawn(async move {
            let begun = match shop.worker() {
                Ok(mut executing) => executing.started().await.map(Begun::Fresh),
                Err(error) => Err(error),
            };
            // Who no longer waits gets nothing: the worker is dropped, killed and reaped.
            let _nobody_waits = waiting.grant.send(begun);
        });
    }
}

/// Why a fork server in this state is given up.
fn replacement(health: Health) -> Replacement {
    match health {
        Health::Serving => Replacement::Barren,
        Health::Suspect { .. } => Replacement::Suspect,
        Health::Worn => Replacement::Worn,
        Health::Hung => Replacement::Hung,
        Health::Gone => Replacement::Ended,
    }
}

/// Waits until the fork server is not well; for ever where there is none.
async fn ailing(serving: &mut Option<Serving>) {
    match serving {
        Some(serving) if serving.zygote.health() == Health::Serving => {
            serving.zygote.ailing().await;
        }
        Some(_) => {}
        None => std::future::pending().await,
    }
}

/// Has one worker made, and hears its Hello.
async fn park(
    zygote: Zygote,
    origin: Origin,
    shop: Shop,
    hello_timeout: Duration,
) -> Result<Ready, ParkError> {
    let system = |error| ParkError::System(shop.system_error(error));
    let (ours, theirs) = ends(shop.mode()).map_err(system)?;
    let child = zygote.fork(theirs).await?;
    // The fork server may be retired while one of its workers gets ready.
    drop(zygote);
    let mut spawned = shop.equip(child, ours, origin).map_err(system)?;
    let heard = tokio::time::timeout(hello_timeout, spawned.hello()).await;
    let why = match heard {
        Ok(Ok(hello)) => return Ok(spawned.into_ready(hello)),
        Ok(Err(error)) => ParkError::Launch(error),
        Err(_) => ParkError::Silent {
            after_ms: hello_timeout.as_millis(),
        },
    };
    let process = spawned.into_process();
    if !matches!(why, ParkError::Launch(LaunchError::Gone)) {
        process.kill();
    }
    let exit = process.reap(limits::EXIT_GRACE).await;
    tracing::warn!(%exit, "a forked worker did not become ready");
    Err(why)
}
