//! What the supervisor and a fork server say to each other.
//!
//! A fork server (zygote) is a process that holds a whole runtime and forks a worker on request. The
//! two share one `SOCK_SEQPACKET` socket: one packet is one message, without a length before it, and
//! descriptors travel with the packet that names them ([`ToZygote::descriptors`],
//! [`FromZygote::descriptors`]).
//!
//! ```text
//!             ┌──────────── to the zygote ───────────┐
//! supervisor ─┤ Fork* + {in, out, error[, window]}   ├─▶ zygote
//!            ◀┤ Hello (Forked + pidfd│Refused│Exited)*│
//!             └─────────── from the zygote ──────────┘
//! ```
//!
//! The zygote reads no byte of a user and no byte of a worker. It is still watched: both ends keep a
//! [`Ledger`], and the first message that does not fit ends the zygote, and with it its workers.

use std::collections::{BTreeSet, VecDeque};

use bincode::{Decode, Encode};

use crate::message::Hello;
use crate::mode::Mode;

/// The largest packet in either direction, in bytes.
pub const ZYGOTE_PACKET_BYTES_MAX: usize = 512;

/// Forks that may be asked for and not yet answered.
pub const FORKS_ASKED_MAX: usize = 16;

/// Workers of one zygote that live at once, those asked for included.
pub const WORKERS_LIVING_MAX: usize = 8192;

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ToZygote {
    /// Make a worker.
    Fork(Fork),
}

/// One worker, wanted. The descriptors of its pipes come along: from the supervisor, to the
/// supervisor, standard error, and, where heaps are kept, the heap window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Fork {
    /// Its number: 0 for a zygote's first worker, then one more each time. Numbers, unlike process
    /// ids, are never used twice.
    pub worker: u64,
}

/// What a zygote says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FromZygote {
    /// The first message: the runtime is made.
    Hello(Hello),
    /// The worker exists. Its pidfd comes along.
    Forked(Forked),
    /// The worker could not be made.
    Refused(Refused),
    /// The worker has ended, and is reaped.
    Exited(Exited),
}

/// A worker was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Forked {
    /// Its number.
    pub worker: u64,
}

/// A worker was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Refused {
    /// Its number.
    pub worker: u64,
    /// What the system said, as an `errno`.
    pub errno: i32,
}

/// A worker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Exited {
    /// Its number.
    pub worker: u64,
    /// How.
    pub ending: Ending,
    /// What it used.
    pub usage: Usage,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Ending {
    /// It exited with this code.
    Code(u8),
    /// This signal ended it.
    Signal(u8),
}

/// What a process used, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Usage {
    /// CPU time outside the kernel, in microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, in microseconds.
    pub system_us: u64,
    /// The most memory that was resident at once, in KiB.
    pub resident_kib_max: u64,
}

impl ToZygote {
    /// How many descriptors come with it.
    pub const fn descriptors(&self, mode: Mode) -> usize {
        let Self::Fork(_) = self;
        match mode {
            Mode::Stateless => 3,
            Mode::Stateful => 4,
        }
    }

    /// The name of the message, for errors and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fork(_) => "Fork",
        }
    }
}

impl FromZygote {
    /// How many descriptors come with it.
    pub const fn descriptors(&self) -> usize {
        match self {
            Self::Forked(_) => 1,
            Self::Hello(_) | Self::Refused(_) | Self::Exited(_) => 0,
        }
    }

    /// The name of the message, for errors and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Forked(_) => "Forked",
            Self::Refused(_) => "Refused",
            Self::Exited(_) => "Exited",
        }
    }
}

/// A message that does not fit what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It came before Hello, or Hello came twice.
    #[error("{message} is not legal {when} Hello")]
    Order {
        /// The name of the message.
        message: &'static str,
        /// `before` or `after`.
        when: &'static str,
    },
    /// It is about another worker than the one whose turn it is.
    #[error("{message} is about worker {worker}, whose turn it is not")]
    Turn {
        /// The name of the message.
        message: &'static str,
        /// The worker that it is about.
        worker: u64,
    },
    /// More than [`FORKS_ASKED_MAX`] or [`WORKERS_LIVING_MAX`].
    #[error("Fork is one too many: {asked} are asked for and {living} live")]
    TooMany {
        /// Forks that are not answered.
        asked: usize,
        /// Workers that have not ended.
        living: usize,
    },
}

/// What was asked for, what was answered and who lives: which message fits now.
///
/// Forks are answered in the order in which they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    has_hello: bool,
    next: u64,
    asked: VecDeque<u64>,
    living: BTreeSet<u64>,
}

impl Ledger {
    /// The number of the next worker.
    pub const fn next_worker(&self) -> u64 {
        self.next
    }

    /// Forks that are not answered.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Workers that have not ended.
    pub fn living(&self) -> usize {
        self.living.len()
    }

    /// Whether one more fork may be asked for.
    pub fn has_room(&self) -> bool {
        self.has_hello
            && self.asked.len() < FORKS_ASKED_MAX
            && self.asked.len() + self.living.len() < WORKERS_LIVING_MAX
    }

    /// Enters what is said to the zygote.
    ///
    /// # Errors
    /// [`Misfit`]; nothing is entered, and the conversation is over.
    pub fn on_to_zygote(&mut self, message: &ToZygote) -> Result<(), Misfit> {
        let ToZygote::Fork(Fork { worker }) = *message;
        if !self.has_hello {
            return Err(Misfit::Order {
                message: message.name(),
                when: "before",
            });
        }
        if worker != self.next {
            return Err(Misfit::Turn {
                message: message.name(),
                worker,
            });
        }
        if !self.has_room() {
            return Err(Misfit::TooMany {
                asked: self.asked.len(),
                living: self.living.len(),
            });
        }
        self.next += 1;
        self.asked.push_back(worker);
        Ok(())
    }

    /// Enters what the zygote says.
    ///
    /// # Errors
    /// [`Misfit`]; nothing is entered, and the conversation is over.
    pub fn on_from_zygote(&mut self, message: &FromZygote) -> Result<(), Misfit> {
        let is_hello = matches!(message, FromZygote::Hello(_));
        if is_hello == self.has_hello {
            return Err(Misfit::Order {
                message: message.name(),
                when: if is_hello { "after" } else { "before" },
            });
        }
        let turn = |worker| Misfit::Turn {
            message: message.name(),
            worker,
        };
        match *message {
            FromZygote::Hello(_) => self.has_hello = true,
            FromZygote::Forked(Forked { worker }) => {
                self.answer(worker).ok_or(turn(worker))?;
                self.living.insert(worker);
            }
            FromZygote::Refused(Refused { worker, .. }) => {
                self.answer(worker).ok_or(turn(worker))?;
            }
            FromZygote::Exited(Exited { worker, .. }) => {
                if !self.living.remove(&worker) {
                    return Err(turn(worker));
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, worker: u64) -> Option<u64> {
        self.asked.pop_front_if(|front| *front == worker)
    }
}
