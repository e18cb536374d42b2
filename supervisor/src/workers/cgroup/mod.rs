//! A control group for each worker (cgroup v2), where this server's own group is delegated to it.
//!
//! A layer beside the resource limits, never required: the kernel then counts all memory of an
//! execution, also what the resource limits do not see (page tables, pipes, the runtime's pages that
//! it writes to), kills the worker as a whole when there is too much, and says so.
//!
//! A worker enters when it has said Hello, before it reads a byte of a user; one that waits on the
//! shelf does so while nobody waits for it. Memory that it has by then stays counted where it was
//! taken: its group counts what the execution takes.
//!
//! [`place`] decides, [`tree`] is the files; here is the one thread that works on them, since the kernel
//! may take its time.

mod place;
mod tree;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::tree::{Leaf, Tree};
use crate::limits;

/// How often the thread tries to remove groups whose processes have not quite gone.
const REMOVE_INTERVAL: Duration = Duration::from_millis(10);

/// What is to be known of control groups on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlGroups {
    /// Whether each worker gets one.
    pub are_on: bool,
    /// Where, or why not.
    pub detail: String,
}

/// Looks whether workers would get control groups here. Changes nothing.
pub fn control_groups() -> ControlGroups {
    let looked = tree::look().and_then(|facts| facts.decide().map(|_| facts));
    match looked {
        Ok(facts) => ControlGroups {
            are_on: true,
            detail: format!(
                "one for each worker, below {}",
                facts.place.directory.display()
            ),
        },
        Err(reason) => ControlGroups {
            are_on: false,
            detail: reason.to_string(),
        },
    }
}

enum Order {
    Admit(Candidate),
    Remove(Leaf),
    Close(oneshot::Sender<()>),
}

/// A worker that is to get a group.
struct Candidate {
    pid: i32,
    pidfd: OwnedFd,
    orders: SyncSender<Order>,
    reply: oneshot::Sender<Membership>,
}

impl Candidate {
    /// Whether it has not ended: its number is its own then.
    fn is_alive(&self) -> bool {
        let mut watched = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut watched, PollTimeout::ZERO), Ok(0))
    }
}

/// The place where workers get their groups; or there is none. Clones share it, and with the last of
/// them and of the memberships everything is put back as it was found.
#[derive(Debug, Clone)]
pub(super) struct Groups(Option<SyncSender<Order>>);

impl Groups {
    /// No worker gets one.
    pub(super) const NONE: Self = Self(None);

    /// Divides up the group of this process, if that is its to do, and says in the log what came of
    /// it. To be called before anything is started that would have to move along.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn open() -> io::Result<Self> {
        match tree::look().and_then(|facts| Tree::open(&facts)) {
            Ok((tree, left)) => {
                tracing::info!(
                    "each worker gets a control group below {}",
                    tree.base().display()
                );
                Self::over(tree, left)
            }
            Err(reason) => {
                tracing::info!("workers get no control groups of their own: {reason}");
                Ok(Self::NONE)
            }
        }
    }

    fn over(tree: Tree, left: Vec<Leaf>) -> io::Result<Self> {
        let (orders, ordered) = sync_channel(limits::SPAWN_QUEUE_LENGTH);
        let gardener = Gardener {
            tree,
            withered: left.into_iter().map(Withered::new).collect(),
        };
        thread::Builder::new()
            .name("mcp-v8-cgroups".to_owned())
            .spawn(move || gardener.serve(&ordered))?;
        Ok(Self(Some(orders)))
    }

    /// Gets a group for a worker that has seen nobody's code, without waiting for it.
    pub(super) fn admit(&self, pid: i32, pidfd: &impl AsFd) -> Option<Applicant> {
        let orders = self.0.as_ref()?;
        let pidfd = pidfd.as_fd().try_clone_to_owned().ok()?;
        let (reply, answer) = oneshot::channel();
        let candidate = Candidate {
            pid,
            pidfd,
            orders: orders.clone(),
            reply,
        };
        // Where the queue is full, or the thread gone, this one has to do without.
        orders.try_send(Order::Admit(candidate)).ok()?;
        Some(Applicant(answer))
    }

    /// Removes all groups, and puts back what was found. Waits until the last process has gone, within
    /// limits.
    pub(super) async fn shut_down(&self) {
        let Some(orders) = &self.0 else { return };
        let (reply, answer) = oneshot::channel();
        if orders.try_send(Order::Close(reply)).is_ok() {
            let _closed = timeout(limits::REAP_WAIT_MAX, answer).await;
        }
    }
}

/// A worker that has asked for a group.
#[derive(Debug)]
pub(super) struct Applicant(oneshot::Receiver<Membership>);

impl Applicant {
    /// Waits until the worker is in its group, and limits its memory from here on, in bytes. `None`
    /// when it gets none, or not in time.
    pub(super) async fn member(mut self, memory_bytes_max: u64) -> Option<Membership> {
        let answered = match timeout(limits::GROUP_WAIT_MAX, &mut self.0).await {
            // An error: the thread has said why.
            Ok(answered) => answered.ok(),
            Err(_) => self.last_minute(),
        };
        let mut membership = answered?;
        membership.limit_memory(memory_bytes_max);
        Some(membership)
    }

    /// Asks for no more, unless the answer is there by now: a membership that is dropped takes the
    /// worker with it.
    fn last_minute(&mut self) -> Option<Membership> {
        self.0.close();
        let membership = self.0.try_recv().ok();
        if membership.is_none() {
            tracing::warn!("a worker got no control group in time, and does without");
        }
        membership
    }
}

/// A worker's place in a group of its own. When this is dropped the group goes, and whoever is still
/// in it is killed.
#[derive(Debug)]
pub(super) struct Membership {
    leaf: Option<Leaf>,
    memory_max: File,
    orders: SyncSender<Order>,
}

impl Membership {
    fn limit_memory(&mut self, bytes: u64) {
        if let Err(error) = self.memory_max.write_all(bytes.to_string().as_bytes()) {
            tracing::warn!(%error, "the memory of a worker's control group could not be limited");
        }
    }

    /// Whether the kernel has killed it because of that limit.
    pub(super) fn was_out_of_memory(&self) -> bool {
        self.leaf.as_ref().is_some_and(Leaf::was_out_of_memory)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(leaf) = self.leaf.take() {
            // What finds no room stays, empty, until the next server on this group removes it.
            let _ = self.orders.try_send(Order::Remove(leaf));
        }
    }
}

/// What the thread works with.
struct Gardener {
    tree: Tree,
    withered: Vec<Withered>,
}

/// A group that nobody needs any more.
struct Withered {
    leaf: Leaf,
    since: Instant,
}

impl Withered {
    fn new(leaf: Leaf) -> Self {
        Self {
            leaf,
            since: Instant::now(),
        }
    }

    /// Whether it is still to be removed after this try.
    fn stays(&self) -> bool {
        let Err(error) = self.leaf.remove() else {
            return false;
        };
        // Whoever was in it was killed before, and is about to go. This is the last broom.
        let _needs_a_newer_kernel = self.leaf.kill();
        let is_given_up = self.since.elapsed() >= limits::REAP_WAIT_MAX;
        if is_given_up {
            let group = self.leaf.path().display();
            tracing::warn!(%group, %error, "the control group of a worker could not be removed");
        }
        !is_given_up
    }
}

impl Gardener {
    fn serve(mut self, orders: &Receiver<Order>) {
        let asked = loop {
            self.weed();
            let order = if self.withered.is_empty() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(REMOVE_INTERVAL)
            };
            match order {
                Ok(Order::Admit(candidate)) => self.admit(candidate),
                Ok(Order::Remove(leaf)) => self.withered.push(Withered::new(leaf)),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Close(reply)) => break Some(reply),
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        // Each is given up at some time.
        while !self.withered.is_empty() {
            thread::sleep(REMOVE_INTERVAL);
            self.weed();
        }
        self.tree.close();
        if let Some(reply) = asked {
            let _nobody_waits = reply.send(());
        }
    }

    fn weed(&mut self) {
        self.withered.retain(Withered::stays);
    }

    fn admit(&mut self, candidate: Candidate) {
        // Nobody waits any more: it does without, and may have begun with its script.
        if candidate.reply.is_closed() {
            return;
        }
        let leaf = match self.tree.grow() {
            Ok(leaf) => leaf,
            Err(error) => {
                tracing::warn!(%error, "a worker's control group could not be made");
                return;
            }
        };
        match self.settle(&leaf, &candidate) {
            Ok(memory_max) => self.hand_over(leaf, memory_max, candidate),
            Err(error) => {
                // A worker that has just died is no news.
                if candidate.is_alive() {
                    tracing::warn!(%error, "a worker could not enter its control group");
                }
                self.withered.push(Withered::new(leaf));
            }
        }
    }

    /// Gives a worker its group, if it is still waited for. If not the worker has to leave it again:
    /// it goes on without, and whoever is in a group that is removed is killed.
    fn hand_over(&mut self, leaf: Leaf, memory_max: File, candidate: Candidate) {
        let membership = Membership {
            leaf: Some(leaf),
            memory_max,
            orders: candidate.orders,
        };
        let Err(mut unwanted) = candidate.reply.send(membership) else {
            return;
        };
        if let Some(leaf) = unwanted.leaf.take() {
            self.tree.empty(&leaf);
            self.withered.push(Withered::new(leaf));
        }
    }

    /// Puts a worker into its group. The kernel takes a number where a worker is meant: that it still
    /// was the worker's is seen by the worker living on.
    fn settle(&self, leaf: &Leaf, candidate: &Candidate) -> io::Result<File> {
        let gone = || io::Error::from(nix::errno::Errno::ESRCH);
        if !candidate.is_alive() {
            return Err(gone());
        }
        let memory_max = leaf.memory_max()?;
        leaf.enter(candidate.pid)?;
        if !candidate.is_alive() {
            self.tree.empty(leaf);
            return Err(gone());
        }
        Ok(memory_max)
    }
}

#[cfg(test)]
mod tests;
