//! What the rest of a server asks of its node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::board::{Board, Standing, Status};
use super::control::{ClusterControl, NodeStatus};
use super::driver::{Aside, Driver, DriverError, Kept};
use super::files::Files;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::times::Times;
use crate::limits::{
    CERTAINTY_PATIENCE, CHANGE_PAUSE, HAND_OVER_PATIENCE, LOG_KEPT_BYTES, LOG_KEPT_ENTRIES,
};
use crate::metrics::{Answered, ClusterFigures, NodeFigures};
use crate::raft::command::{self, Command, Outcome};
use crate::raft::core::{Event, Failure, ReadId};
use crate::raft::ids::{RaftId, RequestId};
use crate::raft::log::Identity;
use crate::raft::request::{Ask, MemberChange, Refusal, Request};
use crate::store::Replicate;

/// A node's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeOptions {
    /// Who it is.
    pub me: Identity,
    /// How it keeps time.
    pub times: Times,
    /// What it keeps of its log.
    pub kept: Kept,
}

impl NodeOptions {
    /// With the usual bounds of the log.
    pub const fn new(me: Identity, times: Times) -> Self {
        Self {
            me,
            times,
            kept: Kept {
                entries: LOG_KEPT_ENTRIES,
                bytes: LOG_KEPT_BYTES,
            },
        }
    }
}

/// The node of this server. Clones share it.
#[derive(Debug, Clone)]
pub struct Handle {
    inbox: Inbox,
    board: Arc<Board>,
    times: Times,
    reads: Arc<AtomicU64>,
    figures: ClusterFigures,
}

/// A node that runs, until it is told to stop.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Node {
    /// Starts the node whose life has begun on these files. It blocks, and must not be called where tasks
    /// run.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn start(
        files: Files,
        options: NodeOptions,
        inbox: Inbox,
        outbox: impl Outbox,
    ) -> Result<Self, DriverError> {
        let NodeOptions { me, times, kept } = options;
        let begin = files.load(me)?;
        let board = Arc::new(Board::new(Status::before(&begin)));
        let figures = ClusterFigures {
            node: NodeFigures {
                inbox_full: inbox.full(),
                ..NodeFigures::default()
            },
            transport: outbox.figures(),
        };
        let driver = Driver {
            me,
            times,
            kept,
            files,
            inbox: inbox.clone(),
            outbox,
            board: Arc::clone(&board),
            aside: Aside::default(),
            figures: figures.node.clone(),
        };
        let core = driver.core()?;
        board.show(&core);
        let thread = thread::Builder::new()
            .name("mcp-v8-raft".to_owned())
            .spawn(move || driver.run(core))
            .map_err(DriverError::Thread)?;
        let handle = Handle {
            inbox,
            board,
            times,
            reads: Arc::new(AtomicU64::new(0)),
            figures,
        };
        Ok(Self { handle, thread })
    }

    /// What others ask it by.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends the node once it has taken note of what has come, and waits for that. It blocks. Whoever wants
    /// no gap hands the leadership over before.
    pub fn stop(self) {
        self.handle.inbox.close();
        // A thread that has panicked has ended the process.
        let _ = self.thread.join();
    }
}

impl Handle {
    /// Has all nodes make a change. When this returns an outcome, it is made for good, and this node shows it.
    ///
    /// # Errors
    /// [`Failure`]: it was not made, or nobody knows.
    pub async fn propose(&self, command: &Command) -> Result<Outcome, Failure> {
        let bytes = command::encode(command).map_err(|_| Refusal::TooLarge)?;
        self.ask(self.request(Ask::Command(bytes.into()))?).await
    }

    /// Has the membership changed.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn change_members(&self, change: MemberChange) -> Result<Outcome, Failure> {
        self.ask(self.request(Ask::Member(change))?).await
    }

    /// A request with a new name. Whoever may have to ask again keeps it: the same request is done once.
    ///
    /// # Errors
    /// [`Failure`] when there are no random numbers.
    pub fn request(&self, ask: Ask) -> Result<Request, Failure> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| Failure::Overloaded)?;
        Ok(Request {
            id: RequestId(id),
            born: self.board.applied(),
            ask,
        })
    }

    /// Sends a request until it has an answer, or the patience ends.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn ask(&self, request: Request) -> Result<Outcome, Failure> {
        let id = request.id;
        let answer = self.board.await_answer(id);
        let _waits = Waits {
            board: &self.board,
            what: Awaited::Answer(id),
        };
        let ticks = self.times.ticks(CERTAINTY_PATIENCE);
        let answer = match self.offer(Event::Propose { request, ticks }) {
            Ok(()) => answer.await.unwrap_or(Err(Failure::Stopped)),
            Err(failure) => Err(failure),
        };
        self.figures.node.changes.of(answered(&answer)).inc();
        answer
    }

    /// Waits until this node shows all that was certain when this was called.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn read_barrier(&self) -> Result<(), Failure> {
        let id = ReadId(self.reads.fetch_add(1, Ordering::Relaxed));
        let ready = self.board.await_read(id);
        let _waits = Waits {
            board: &self.board,
            what: Awaited::Read(id),
        };
        let ticks = self.times.ticks(CERTAINTY_PATIENCE);
        let answer = match self.offer(Event::Read { id, ticks }) {
            Ok(()) => ready.await.unwrap_or(Err(Failure::Stopped)),
            Err(failure) => Err(failure),
        };
        self.figures.node.reads.of(answered(&answer)).inc();
        answer
    }

    /// What this node counts, and what carries its words.
    pub const fn figures(&self) -> &ClusterFigures {
        &self.figures
    }

    /// How this node sees its cluster.
    pub fn status(&self) -> Status {
        self.board.status().clone()
    }

    /// A look at the same, which copies nothing.
    pub fn look<T>(&self, look: impl FnOnce(&Status) -> T) -> T {
        look(&self.board.status())
    }

    /// The same, whenever it changes. It says when the node has ended, and whether the process must.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.board.watch()
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<RaftId> {
        self.board.status().leader
    }

    /// Gives the leadership away if this node has it, and waits for a while until another one does.
    pub async fn hand_over(&self) {
        let me = self.status().id;
        if self.leader() != Some(me) || self.offer(Event::HandOver).is_err() {
            return;
        }
        let mut status = self.board.watch();
        let other_leads = status.wait_for(|now| now.leader.is_some_and(|leader| leader != me));
        let _ = timeout(HAND_OVER_PATIENCE, other_leads).await;
    }

    fn offer(&self, event: Event) -> Result<(), Failure> {
        self.inbox.offer(event).map_err(|_| {
            if matches!(self.board.standing(), Standing::Works | Standing::DiskFull) {
                Failure::Overloaded
            } else {
                Failure::Stopped
            }
        })
    }
}

const fn answered<T>(answer: &Result<T, Failure>) -> Answered {
    match answer {
        Ok(_) => Answered::Done,
        Err(Failure::Refused(_)) => Answered::Refused,
        Err(Failure::Overloaded) => Answered::Overloaded,
        Err(Failure::Unknown) => Answered::Unknown,
        Err(Failure::Stopped) => Answered::Stopped,
    }
}

/// What somebody waits for.
enum Awaited {
    Answer(RequestId),
    Read(ReadId),
}

/// Somebody waits: nothing is left of that when they do not any more.
struct Waits<'a> {
    board: &'a Board,
    what: Awaited,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        match self.what {
            Awaited::Answer(id) => self.board.forget_answer(id),
            Awaited::Read(id) => self.board.forget_read(id),
        }
    }
}

#[async_trait]
impl ClusterControl for Handle {
    fn status(&self) -> NodeStatus {
        let status = self.status();
        NodeStatus {
            role: status.role,
            term: status.term,
            leader: status.leader,
            commit_index: status.committed,
            last_applied: status.applied,
            log_length: status.last.saturating_sub(status.base),
        }
    }

    async fn change(&self, change: MemberChange) -> Result<(), Failure> {
        match self.change_members(change).await? {
            Outcome::Refused => Err(Refusal::Overtaken.into()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Replicate for Handle {
    async fn replicate(&self, command: Command) -> Result<Outcome, Failure> {
        certain(self.propose(&command).await?)
    }

    async fn replicate_within(
        &self,
        command: Command,
        patience: Duration,
    ) -> Result<Outcome, Failure> {
        let until = Instant::now() + patience;
        let bytes = command::encode(&command).map_err(|_| Refusal::TooLarge)?;
        let request = self.request(Ask::Command(bytes.into()))?;
        loop {
            match self.ask(request.clone()).await {
                Err(Failure::Overloaded | Failure::Unknown) if Instant::now() < until => {
                    sleep(CHANGE_PAUSE).await;
                }
                answer => return certain(answer?),
            }
        }
    }
}

/// Of a request that is too old nobody knows whether it was done.
const fn certain(outcome: Outcome) -> Result<Outcome, Failure> {
    match outcome {
        Outcome::Expired => Err(Failure::Unknown),
        outcome => Ok(outcome),
    }
}
