//! The thread of a node: it obeys the core.
//!
//! ```text
//! take what has come ─▶ count ticks ─▶ core ─▶ send ─▶ commit to raft.db ─▶ send ─▶ apply ─▶ answer ─▶ show
//! ```
//!
//! What commits is what gives signs of life: a node whose disk stands still is not taken for alive. A full
//! disk ends the core, which is ahead of the disk, and not the node: it begins again from its files when
//! they can be written. After any other failure of a write nobody knows what is on the disk: the thread
//! ends, and the process must.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::board::{Board, Standing};
use super::files::{Files, FilesError};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::times::{Clock, Times};
use crate::limits::{DISK_PAUSE_MAX, DISK_PAUSE_MIN, RAFT_CHECKPOINT_BYTES};
use crate::metrics::{Leads, NodeFigures, SnapshotWork};
use crate::raft::core::{Core, Effect, Event, Failure, Settings, StartError, Stop};
use crate::raft::ids::RaftId;
use crate::raft::log::{Checkpointer, Identity, LogWrite};
use crate::raft::packet::{Body, Packet};
use crate::store::snapshot::Manifest;

/// Why a node's thread cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Its files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// It must not take part with these files.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The thread cannot be started.
    #[error("the thread of the cluster cannot be started: {0}")]
    Thread(std::io::Error),
    /// There is no source of random numbers.
    #[error("no random numbers can be had: {0}")]
    Random(getrandom::Error),
}

impl DriverError {
    fn is_full(&self) -> bool {
        matches!(self, Self::Files(error) if error.is_full())
    }

    fn is_closed(&self) -> bool {
        matches!(self, Self::Files(FilesError::State(error)) if error.is_closed())
    }
}

/// How a node that runs came to its end.
enum End {
    Closed,
    Stopped(Stop),
}

/// What a node keeps of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Applied entries that stay in the log.
    pub entries: u64,
    /// The same, in bytes.
    pub bytes: u64,
}

/// The thread's belongings.
pub(super) struct Driver<O> {
    pub(super) me: Identity,
    pub(super) times: Times,
    pub(super) kept: Kept,
    pub(super) files: Files,
    pub(super) inbox: Inbox,
    pub(super) outbox: O,
    pub(super) board: Arc<Board>,
    pub(super) aside: Aside,
    pub(super) figures: NodeFigures,
}

/// What other threads do for this one at the time.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    checkpoints: Arc<AtomicBool>,
    syncs: Arc<AtomicBool>,
    /// Written to the log since the last checkpoint, in bytes.
    written: u64,
    /// The last entry that the state was asked to make durable.
    synced: u64,
}

impl<O: Outbox> Driver<O> {
    /// A core that goes on where the files end.
    pub(super) fn core(&self) -> Result<Core, DriverError> {
        let mut start = [0; 16];
        getrandom::fill(&mut start).map_err(DriverError::Random)?;
        let mut settings: Settings = self.times.settings(start);
        settings.log_kept_entries = self.kept.entries;
        settings.log_kept_bytes = self.kept.bytes;
        Ok(Core::start(self.files.load(self.me)?, settings)?)
    }

    /// Runs until nobody wants it any more, or it cannot.
    pub(super) fn run(mut self, core: Core) {
        let _guard = AbortOnPanic;
        let mut core = Some(core);
        let mut pause = DISK_PAUSE_MIN;
        loop {
            let ended = match core.take().map_or_else(|| self.begin_again(), Ok) {
                Ok(core) => {
                    pause = DISK_PAUSE_MIN;
                    self.serve(core)
                }
                Err(error) => Err(error),
            };
            let standing = match ended {
                Ok(End::Closed) => Standing::Stopped(None),
                Ok(End::Stopped(why)) => {
                    tracing::error!(%why, "this node takes no part in the cluster any more");
                    Standing::Stopped(Some(why))
                }
                Err(error) if error.is_closed() => Standing::Stopped(None),
                Err(error) if error.is_full() => {
                    tracing::error!(%error, "the disk is full: this node waits for room");
                    if self.wait_for_room(pause) {
                        pause = (pause * 2).min(DISK_PAUSE_MAX);
                        continue;
                    }
                    Standing::Stopped(None)
                }
                Err(error) => {
                    tracing::error!(%error, "this node cannot trust its disk, and ends");
                    Standing::Failed
                }
            };
            self.inbox.close();
            self.figures.leads.set(0);
            self.board.show_standing(standing);
            self.board.fail_all(Failure::Stopped);
            return;
        }
    }

    fn begin_again(&mut self) -> Result<Core, DriverError> {
        let state = self.files.state().clone();
        self.files = Files::open(self.files.directory(), state)?;
        self.aside.written = 0;
        self.core()
    }

    /// Lets some time pass, in which nobody is heard; whether to go on.
    fn wait_for_room(&self, pause: Duration) -> bool {
        self.board.show_standing(Standing::DiskFull);
        self.figures.disk_full.set(1);
        let until = Instant::now() + pause;
        loop {
            // Who asks may have been heard before.
            self.board.fail_all(Failure::Unknown);
            if Instant::now() >= until {
                return true;
            }
            if self.inbox.take(until).is_over {
                return false;
            }
        }
    }

    fn serve(&mut self, mut core: Core) -> Result<End, DriverError> {
        let election_min = self.times.ticks(self.times.election_min);
        let at_once_max = u32::try_from(election_min / 2).unwrap_or(u32::MAX).max(1);
        self.figures.disk_full.set(0);
        let mut clock = Clock::new(self.times.tick(), at_once_max, Instant::now());
        self.outbox.members(core.members());
        let first = core.handle([]);
        if let Some(stop) = self.obey(&mut core, first)? {
            return Ok(End::Stopped(stop));
        }
        loop {
            self.board.show(&core);
            self.count(&core);
            let taken = self.inbox.take(clock.next());
            let (ticks, forgotten) = clock.due(Instant::now());
            if forgotten > 0 {
                self.figures.stood_still.inc();
                tracing::warn!(
                    ticks = forgotten,
                    "this node stood still: its disk or its processor is too slow for the cluster's times"
                );
            }
            let usable = taken.events.into_iter();
            let mut events: Vec<Event> = usable.filter_map(|event| self.look_at(event)).collect();
            events.extend((0..ticks).map(|_| Event::Tick));
            let effects = core.handle(events);
            if let Some(stop) = self.obey(&mut core, effects)? {
                return Ok(End::Stopped(stop));
            }
            self.files.drop_taken();
            self.look_after(&core);
            if taken.is_over {
                return Ok(End::Closed);
            }
        }
    }

    /// What the core hears. A snapshot whose content is not here is not heard of: its leader will send it
    /// again. One that was made takes the place of older ones.
    fn look_at(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::SnapshotFailed => {
                self.figures.snapshots.of(SnapshotWork::Failed).inc();
                Some(event)
            }
            Event::SnapshotMade { ref manifest, .. } => {
                let made = Manifest::from_bytes(manifest).ok();
                let here = made.filter(|made| self.files.snapshot(made).is_some());
                let Some(made) = here else {
                    // It was made before the node began again.
                    self.figures.snapshots.of(SnapshotWork::Failed).inc();
                    return Some(Event::SnapshotFailed);
                };
                self.figures.snapshots.of(SnapshotWork::Made).inc();
                self.files.keep_snapshot(&made);
                Some(event)
            }
            Event::Packet(ref packet) => match snapshot_of(packet) {
                None => Some(event),
                Some(Ok(manifest)) => {
                    let is_usable = is_placed(packet, &manifest) && self.files.take(&manifest);
                    is_usable.then_some(event)
                }
                Some(Err(())) => None,
            },
            _ => Some(event),
        }
    }

    /// Does what the core wants done, in order, and what it wants then; why the node stops, if it does.
    fn obey(&mut self, core: &mut Core, effects: Vec<Effect>) -> Result<Option<Stop>, DriverError> {
        let mut effects = VecDeque::from(effects);
        let mut stop = None;
        while let Some(effect) = effects.pop_front() {
            if let Effect::Stop(why) = effect {
                stop = Some(why);
                continue;
            }
            if let Some(event) = self.perform(effect)? {
                let changes_members = matches!(
                    event,
                    Event::Persisted(Some(_))
                        | Event::Applied {
                            members: Some(_),
                            ..
                        }
                );
                effects.extend(core.handle([event]));
                if changes_members {
                    // Whoever is answered sees it.
                    self.board.show(core);
                }
            }
        }
        Ok(stop)
    }

    /// Does one thing; what has come of it, for the core.
    fn perform(&mut self, effect: Effect) -> Result<Option<Event>, DriverError> {
        match effect {
            Effect::Send(packet) => self.outbox.send(packet),
            Effect::SendSnapshot(packet) => return Ok(self.send_snapshot(packet)),
            Effect::Persist(write) => {
                self.aside.written += weight(&write);
                let began = Instant::now();
                let members = self.files.persist(&write)?;
                if let Some(members) = &members {
                    self.figures.snapshots.of(SnapshotWork::Installed).inc();
                    self.outbox.members(members);
                }
                if members.is_none() {
                    self.figures.log_commit.time(began.elapsed());
                }
                return Ok(Some(Event::Persisted(members)));
            }
            Effect::Apply { items, is_durable } => {
                let began = Instant::now();
                let applied = self
                    .files
                    .state()
                    .apply(items, is_durable)
                    .map_err(FilesError::from)?;
                self.figures.apply.time(began.elapsed());
                if let Some(members) = &applied.members {
                    self.outbox.members(members);
                }
                return Ok(Some(Event::Applied {
                    answers: applied.answers,
                    members: applied.members,
                }));
            }
            Effect::MakeSnapshot => self.make_snapshot(),
            Effect::Answer(id, answer) => self.board.answer(id, answer),
            Effect::ReadReady(id, answer) => self.board.read_ready(id, answer),
            Effect::Leader { leader, term } => {
                self.figures.leader_changes.of(self.sees(leader)).inc();
                let leader = leader.map(|id| id.to_string());
                tracing::info!(?leader, term, "the cluster's leader has changed");
            }
            Effect::TurnAway(to, why) => self.outbox.turn_away(to, why),
            // Told where it is done.
            Effect::Stop(_) => {}
        }
        Ok(None)
    }

    fn sees(&self, leader: Option<RaftId>) -> Leads {
        match leader {
            Some(leader) if leader == self.me.id => Leads::Me,
            Some(_) => Leads::Other,
            None => Leads::Nobody,
        }
    }

    /// Shows to those who watch many nodes how this one stands.
    fn count(&self, core: &Core) {
        let (figures, log) = (&self.figures, core.log());
        let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        figures.leads.set(i64::from(core.is_leader()));
        figures.term.set(shown(core.term()));
        figures.committed.set(shown(core.committed()));
        figures.applied.set(shown(core.applied()));
        let entries = core.last().index.saturating_sub(log.base().index);
        figures.log_entries.set(shown(entries));
        figures.log_bytes.set(shown(log.bytes()));
    }

    fn send_snapshot(&mut self, packet: Packet) -> Option<Event> {
        let manifest = snapshot_of(&packet).and_then(Result::ok);
        let path = manifest.and_then(|manifest| self.files.snapshot(&manifest));
        let Some(path) = path else {
            return Some(Event::SnapshotSent {
                to: packet.to,
                is_there: false,
            });
        };
        self.outbox.send_snapshot(packet, path);
        None
    }

    fn make_snapshot(&self) {
        let (state, directory) = (self.files.state().clone(), self.files.snapshots());
        let inbox = self.inbox.clone();
        let make = move || {
            let event = match state.make_snapshot(&directory) {
                Ok(made) => Event::SnapshotMade {
                    at: made.manifest.at,
                    conf: made.conf,
                    manifest: made.manifest.to_bytes().into(),
                },
                Err(error) => {
                    tracing::warn!(%error, "no snapshot could be made");
                    Event::SnapshotFailed
                }
            };
            // A node that has stopped needs none.
            let _ = inbox.offer(event);
        };
        if spawn("mcp-v8-snapshot", make).is_err() {
            let _ = self.inbox.offer(Event::SnapshotFailed);
        }
    }

    /// Has others do what must not keep this thread from giving signs of life.
    fn look_after(&mut self, core: &Core) {
        if self.aside.written >= RAFT_CHECKPOINT_BYTES && begin(&self.aside.checkpoints) {
            self.aside.written = 0;
            let (path, done) = (self.files.raft_db(), Arc::clone(&self.aside.checkpoints));
            let checkpoint = move || {
                let run = Checkpointer::open(&path).and_then(|one| one.run());
                if let Err(error) = run {
                    tracing::warn!(%error, "the log could not be moved into its file");
                }
                done.store(false, Ordering::Release);
            };
            if spawn("mcp-v8-checkpoint", checkpoint).is_err() {
                self.aside.checkpoints.store(false, Ordering::Release);
            }
        }
        let applied = core.applied();
        let is_long = applied.saturating_sub(self.aside.synced) >= self.kept.entries.max(4) / 4;
        let is_large = core.log().bytes() >= self.kept.bytes && applied > self.aside.synced;
        if (is_long || is_large) && begin(&self.aside.syncs) {
            self.aside.synced = applied;
            self.sync();
        }
    }

    fn sync(&self) {
        let (state, inbox) = (self.files.state().clone(), self.inbox.clone());
        let done = Arc::clone(&self.aside.syncs);
        let sync = move || {
            match state.sync() {
                Ok(durable) => {
                    let _ = inbox.offer(Event::StateDurable(durable));
                }
                Err(error) if error.is_closed() => {}
                Err(error) => tracing::warn!(%error, "the state could not be made durable"),
            }
            done.store(false, Ordering::Release);
        };
        if spawn("mcp-v8-sync", sync).is_err() {
            self.aside.syncs.store(false, Ordering::Release);
        }
    }
}

/// Whether something that is done once at a time may begin.
fn begin(is_under_way: &AtomicBool) -> bool {
    !is_under_way.swap(true, Ordering::AcqRel)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    if let Err(error) = &spawned {
        tracing::warn!(%error, name, "a thread could not be started");
    }
    spawned.map(drop)
}

/// The manifest of the snapshot that a packet announces; none when it announces none.
fn snapshot_of(packet: &Packet) -> Option<Result<Manifest, ()>> {
    let Body::Raft(message) = &packet.body else {
        return None;
    };
    let snapshot = message.get_snapshot();
    if snapshot.get_metadata().index == 0 {
        return None;
    }
    Some(Manifest::from_bytes(&snapshot.data).map_err(|_| ()))
}

/// Whether a packet says of its snapshot what the manifest says.
fn is_placed(packet: &Packet, manifest: &Manifest) -> bool {
    let Body::Raft(message) = &packet.body else {
        return false;
    };
    let metadata = message.get_snapshot().get_metadata();
    (metadata.index, metadata.term) == (manifest.at.index, manifest.at.term)
}

/// What a write takes on the disk, about.
fn weight(write: &LogWrite) -> u64 {
    let entries = write.entries.iter();
    let bytes: usize = entries
        .map(|entry| entry.data.len() + entry.context.len() + 64)
        .sum();
    bytes as u64 + 256
}

/// A core that has panicked may have said what it should not have, and says no more.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the thread of the cluster has panicked: this process ends");
            std::process::abort();
        }
    }
}
