//! One fork server, and the task that owns the conversation with it.
//!
//! The handle asks for forks; when the last clone is dropped the fork server is retired: it forks no
//! more, and ends once the last of its workers has ended. One that breaks the protocol is killed at
//! once, and its workers with it. One that does not answer in time is replaced at once as well, but
//! only killed once nobody waits for its workers: the machine may just be slow.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mcp_v8_protocol::zygote::{Ending, Exited, Fork, FromZygote, ToZygote};
use nix::errno::Errno;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::control::{Control, ControlError, Heard};
use super::exit::{Exit, ExitStatus};
use super::launch::{LaunchError, check_version};
use super::process::{BYTES_PER_KIB, Child, Complaint, Origin, Process, Told, Waited, is_shortage};
use super::shop::{Shop, WorkerEnds};
use super::spawn::SpawnError;
use super::usage::Used;
use crate::limits;

/// How often a fork server that is only waited for is looked at.
const LAST_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Why there is no fork server.
#[derive(Debug, thiserror::Error)]
pub(super) enum ZygoteError {
    /// No process was started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It said nothing.
    #[error("the fork server said nothing for {after_ms} ms")]
    Silent {
        /// How long.
        after_ms: u128,
    },
    /// It ended.
    #[error("the fork server ended: {0}")]
    Died(Exit),
    /// It is of another version.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It said something else than Hello.
    #[error("the fork server was killed: {0}")]
    Broke(#[from] ControlError),
}

/// Why a fork server made no worker.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForkError {
    /// It makes none any more; another one will.
    #[error("the fork server is gone")]
    Retired,
    /// The system has no process or memory left.
    #[error("the system refused a fork: {0}")]
    Refused(Errno),
}

/// How a fork server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It forks.
    Serving,
    /// One of its workers died as by an exploit that went wrong: the next try must meet another
    /// memory layout.
    Suspect {
        /// The signal.
        signal: i32,
    },
    /// So many of its workers crashed with an excuse that the excuse is worth no more.
    Worn,
    /// It does not answer.
    Hung,
    /// It has ended, or was ended.
    Gone,
}

/// A fork server that serves.
#[derive(Debug, Clone)]
pub(super) struct Zygote {
    orders: mpsc::Sender<Order>,
    health: watch::Receiver<Health>,
}

/// A fork that somebody wants.
#[derive(Debug)]
struct Order {
    ends: WorkerEnds,
    reply: oneshot::Sender<Result<Child, ForkError>>,
}

impl Zygote {
    /// Starts one and waits for its Hello. The task that owns it is one of `tasks`.
    pub(super) async fn start(
        shop: Shop,
        tasks: TaskTracker,
        hello_timeout: Duration,
    ) -> Result<Self, ZygoteError> {
        let system = |error| ZygoteError::Spawn(shop.system_error(error));
        let started = shop.zygote().await?;
        let mut control = Control::new(started.control).map_err(system)?;
        let process =
            Process::new(started.child, started.stderr, Origin::Executed).map_err(system)?;
        let heard = timeout(hello_timeout, control.receive()).await;
        let why = match heard {
            Ok(Ok(Some(Heard {
                message: FromZygote::Hello(hello),
                ..
            }))) => match check_version(&hello, shop.program()) {
                Ok(()) => return Ok(Self::of(control, process, &tasks)),
                Err(error) => ZygoteError::Launch(error),
            },
            // The ledger lets nothing but Hello through.
            Ok(Ok(_)) => return Err(ZygoteError::Died(process.reap(limits::EXIT_GRACE).await)),
            Ok(Err(error)) => ZygoteError::Broke(error),
            Err(_) => ZygoteError::Silent {
                after_ms: hello_timeout.as_millis(),
            },
        };
        process.kill();
        process.reap(limits::EXIT_GRACE).await;
        Err(why)
    }

    fn of(control: Control, process: Process, tasks: &TaskTracker) -> Self {
        let (orders, ordered) = mpsc::channel(limits::SPAWN_QUEUE_LENGTH);
        let (health, seen) = watch::channel(Health::Serving);
        let (complaints, complained) = mpsc::channel(limits::COMPLAINTS_MAX);
        let owner = Owner {
            control,
            process,
            orders: ordered,
            asked: VecDeque::new(),
            living: BTreeMap::new(),
            health,
            is_hung: false,
            idle_since: None,
            excused_crashes: 0,
            complaints,
            complained,
        };
        tasks.spawn(owner.run());
        Self {
            orders,
            health: seen,
        }
    }

    /// How it is.
    pub(super) fn health(&self) -> Health {
        // Without an owner there is no process.
        let has_owner = self.health.has_changed().is_ok();
        match *self.health.borrow() {
            Health::Serving if !has_owner => Health::Gone,
            health => health,
        }
    }

    /// Waits until it is not well.
    pub(super) async fn ailing(&mut self) {
        let ailing = self.health.wait_for(|health| *health != Health::Serving);
        let _owner_has_gone = ailing.await.is_err();
    }

    /// Has a worker made. When the future is dropped, so is the worker.
    pub(super) async fn fork(&self, ends: WorkerEnds) -> Result<Child, ForkError> {
        let (reply, answer) = oneshot::channel();
        let order = Order { ends, reply };
        self.orders
            .send(order)
            .await
            .map_err(|_| ForkError::Retired)?;
        answer.await.map_err(|_| ForkError::Retired)?
    }
}

/// A fork that was asked for.
#[derive(Debug)]
struct Asked {
    since: Instant,
    /// Gone when the answer comes too late for anybody.
    reply: Option<oneshot::Sender<Result<Child, ForkError>>>,
}

/// How the conversation ended.
enum End {
    /// Nobody needs it any more.
    Retired,
    /// It went away by itself.
    Gone,
    /// It has to be killed.
    Broke(ControlError),
    /// It did not answer, and nobody waits for its workers any more.
    Hung,
}

/// The task's own.
#[derive(Debug)]
struct Owner {
    control: Control,
    process: Process,
    orders: mpsc::Receiver<Order>,
    asked: VecDeque<Asked>,
    /// Who wants to hear of the end of which worker.
    living: BTreeMap<u64, oneshot::Sender<Waited>>,
    /// What was wrong first stays: it decides what comes next.
    health: watch::Sender<Health>,
    /// Whether it has not answered in time, whatever else is wrong.
    is_hung: bool,
    /// Since when nobody needs it, and it only has to tell of the ends of workers.
    idle_since: Option<Instant>,
    excused_crashes: u32,
    complaints: mpsc::Sender<Complaint>,
    complained: mpsc::Receiver<Complaint>,
}

impl Owner {
    async fn run(mut self) {
        let end = self.serve().await;
        self.orders.close();
        self.turn(Health::Gone);
        let Self {
            control, process, ..
        } = self;
        let pid = process.id();
        match &end {
            End::Retired => {}
            End::Gone => tracing::warn!(pid, "a fork server ended by itself"),
            End::Broke(error) => tracing::error!(pid, %error, "a fork server was killed"),
            End::Hung => tracing::warn!(pid, "a fork server that hung was killed"),
        }
        if matches!(end, End::Broke(_) | End::Hung) {
            process.kill();
        }
        // It ends when nobody talks to it any more.
        drop(control);
        let exit = process.reap(limits::EXIT_GRACE).await;
        if matches!(end, End::Gone) {
            tracing::warn!(pid, %exit, "how the fork server ended");
        }
    }

    async fn serve(&mut self) -> End {
        let mut is_wanted = true;
        loop {
            if let Some(end) = self.end(is_wanted) {
                return end;
            }
            let is_serving = !self.is_hung;
            let has_room = is_serving && self.control.ledger().has_room();
            let overdue = self.asked.front().filter(|_| is_serving);
            let overdue = overdue.map(|asked| asked.since + limits::ZYGOTE_ANSWER_WAIT_MAX);
            let is_drained = !is_wanted || !is_serving;
            tokio::select! {
                biased;
                heard = self.control.receive() => match heard {
                    Ok(Some(heard)) => if let Err(error) = self.hear(heard) {
                        return End::Broke(error);
                    },
                    Ok(None) => return End::Gone,
                    Err(error) => return End::Broke(error),
                },
                () = self.process.exited() => return self.last_words(),
                order = self.orders.recv(), if is_wanted && has_room => match order {
                    Some(order) => if let Err(error) = self.ask(order) {
                        return End::Broke(error);
                    },
                    None => is_wanted = false,
                },
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                    self.hang();
                }
                Some(complaint) = self.complained.recv() => self.weigh(complaint),
                () = tokio::time::sleep(LAST_LOOK_INTERVAL), if is_drained => {}
            }
        }
    }

    /// Whether it is not needed any more, or of no use.
    fn end(&mut self, is_wanted: bool) -> Option<End> {
        if is_wanted && !self.is_hung {
            return None;
        }
        let is_awaited = self.living.values().any(|exit| !exit.is_closed());
        if self.is_hung {
            return (!is_awaited).then_some(End::Hung);
        }
        if is_awaited || !self.asked.is_empty() {
            self.idle_since = None;
            return None;
        }
        if self.living.is_empty() {
            return Some(End::Retired);
        }
        // Its last workers are dropped, and so killed. One that is stopped will never tell.
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        (since.elapsed() >= limits::ZYGOTE_ANSWER_WAIT_MAX).then_some(End::Hung)
    }

    /// What it said before it ended.
    fn last_words(&mut self) -> End {
        loop {
            match self.control.try_receive() {
                Ok(Some(heard)) => {
                    if let Err(error) = self.hear(heard) {
                        return End::Broke(error);
                    }
                }
                Ok(None) => return End::Gone,
                Err(error) => return End::Broke(error),
            }
        }
    }

    fn ask(&mut self, order: Order) -> Result<(), ControlError> {
        let Order { ends, reply } = order;
        if reply.is_closed() {
            return Ok(());
        }
        let worker = self.control.ledger().next_worker();
        let mut fds = [&ends.input, &ends.output, &ends.stderr]
            .map(AsRawFd::as_raw_fd)
            .to_vec();
        fds.extend(ends.window.as_ref().map(AsRawFd::as_raw_fd));
        self.control.say(&ToZygote::Fork(Fork { worker }), &fds)?;
        self.asked.push_back(Asked {
            since: Instant::now(),
            reply: Some(reply),
        });
        Ok(())
    }

    fn hear(&mut self, heard: Heard) -> Result<(), ControlError> {
        let Heard { message, mut fds } = heard;
        match message {
            // The ledger lets no second one through.
            FromZygote::Hello(_) => {}
            FromZygote::Forked(forked) => match fds.pop() {
                Some(pidfd) => match self.introduce(forked.worker, pidfd) {
                    // The pidfd took the last place, and nobody could look at it.
                    Err(error) if is_shortage(&error) => self.refuse(Errno::EMFILE),
                    introduced => introduced?,
                },
                // Its pipes are closed by whoever asked, and so it ends.
                None => self.refuse(Errno::EMFILE),
            },
            FromZygote::Refused(refused) => self.refuse(Errno::from_raw(refused.errno)),
            FromZygote::Exited(exited) => self.bury(exited),
        }
        Ok(())
    }

    fn refuse(&mut self, errno: Errno) {
        if let Some(reply) = self.asked.pop_front().and_then(|asked| asked.reply) {
            let _nobody_waits = reply.send(Err(ForkError::Refused(errno)));
        }
    }

    fn introduce(&mut self, worker: u64, pidfd: OwnedFd) -> io::Result<()> {
        let (exit, told) = oneshot::channel();
        let told = Told {
            exit: told,
            complaints: self.complaints.clone(),
        };
        let child = Child::of_zygote(pidfd, self.process.id(), told)?;
        self.living.insert(worker, exit);
        if let Some(reply) = self.asked.pop_front().and_then(|asked| asked.reply) {
            // Who no longer waits gets nothing: the worker is dropped and killed.
            let _nobody_waits = reply.send(Ok(child));
        }
        Ok(())
    }

    fn bury(&mut self, exited: Exited) {
        let status = match exited.ending {
            Ending::Code(code) => ExitStatus::Code(i32::from(code)),
            Ending::Signal(signal) => ExitStatus::Signal(i32::from(signal)),
        };
        if let Some(exit) = self.living.remove(&exited.worker) {
            let cpu = exited.usage.user_us.saturating_add(exited.usage.system_us);
            let used = Some(Used {
                cpu: Duration::from_micros(cpu),
                peak_bytes: exited.usage.resident_kib_max.saturating_mul(BYTES_PER_KIB),
            });
            let _nobody_asks = exit.send(Waited { status, used });
        }
        if let ExitStatus::Signal(signal) = status
            && matches!(
                signal,
                libc::SIGSYS | libc::SIGSEGV | libc::SIGILL | libc::SIGBUS
            )
        {
            self.ail(Health::Suspect { signal });
        }
    }

    /// What those say who have seen the end of a worker.
    fn weigh(&mut self, complaint: Complaint) {
        match complaint {
            Complaint::Silence => self.hang(),
            Complaint::Abort(abort) if !abort.is_excused => self.ail(Health::Suspect {
                signal: abort.signal,
            }),
            Complaint::Abort(_) => {
                self.excused_crashes += 1;
                if self.excused_crashes >= limits::EXCUSED_CRASHES_MAX {
                    self.ail(Health::Worn);
                }
            }
        }
    }

    /// It does not answer: who waits for a fork is told to ask another one.
    fn hang(&mut self) {
        self.is_hung = true;
        self.ail(Health::Hung);
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            drop(order);
        }
        for asked in &mut self.asked {
            asked.reply = None;
        }
    }

    fn ail(&self, health: Health) {
        if self.turn(health) {
            tracing::warn!(
                pid = self.process.id(),
                ?health,
                "a fork server is replaced"
            );
        }
    }

    /// Says that it is not well, unless that is known.
    fn turn(&self, health: Health) -> bool {
        self.health.send_if_modified(|now| {
            let was_well = *now == Health::Serving;
            if was_well {
                *now = health;
            }
            was_well
        })
    }
}
