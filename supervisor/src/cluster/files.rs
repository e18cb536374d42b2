//! The files of a node: `raft.db`, snapshots, and the session database, which is the state.
//!
//! What rests on what, when a snapshot takes the place of both log and state:
//!
//! ```text
//! 1 the file has arrived in `snapshots/`, verified    before the node hears of it
//! 2 it has a name of the node's own                   a rename, durable before anything points to it
//! 3 raft.db: the log begins behind it, and a marker   one durable transaction
//! 4 the state is that of the snapshot                 one durable transaction of the session database
//! 5 raft.db: no marker                                only now the node says anything that rests on it
//! ```
//!
//! A node that dies behind 3 finds the marker when it begins again, and does 4 and 5: doing 4 twice is
//! doing it once. One that dies behind 4 finds the state where the marker points, and does 5.
//!
//! And when a node goes on alone, as a new cluster:
//!
//! ```text
//! 1 raft.db: a marker with the new cluster            from here on nothing else happens to these files
//! 2 the state holds all of the log                    one durable transaction
//! 3 the state is that of a cluster of one             one durable transaction
//! 4 raft.db: another cluster, no entries              one durable transaction
//! ```
//!
//! What arrives is the shelf's (`snapshot/shelf.rs`), which may remove it to make room. From step 2 on
//! a file is the node's: its thread alone removes files of such a name, and none that a marker points to.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::snapshot::shelf;
use crate::raft::core::{Begin, Unreadable, beyond};
use crate::raft::ids::{ClusterId, RaftId};
use crate::raft::log::{
    ConfState, Identity, LogDbError, LogError, LogWrite, Position, RaftDb, StoredLog,
};
use crate::raft::state::{Item, Members};
use crate::store::snapshot::{self, Manifest, SNAPSHOT_SUFFIX, SnapshotError};
use crate::store::{Replication, ReplicationError, SharedState};

/// The name of the log.
pub const RAFT_DB_NAME: &str = "raft.db";
/// The name of the directory with snapshots.
pub const SNAPSHOTS_NAME: &str = "snapshots";

/// Why the files of a node cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogDbError),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] ReplicationError),
    /// A snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A directory cannot be used.
    #[error("{}: {source}", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state was in a cluster, and its log is gone.
    #[error(
        "the state in this directory belongs to a cluster, and its log ({RAFT_DB_NAME}) is missing; \
         start this node with an empty data directory, so that it joins as a new one"
    )]
    LogMissing,
    /// The log does not fit the state.
    #[error(transparent)]
    Misfit(#[from] LogError),
    /// The log cannot be read to its end.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// There is nothing of a cluster here, or not as one of its members.
    #[error(
        "the state in this directory is not that of a member of a cluster: there is nothing to go on with"
    )]
    NoMember,
    /// The node would lose what it has.
    #[error(
        "this directory holds sessions or executions, which joining a cluster would replace; use an \
         empty one"
    )]
    NotEmpty,
}

impl FilesError {
    /// Whether the disk is full: it may have room again later.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Log(error) => error.is_full(),
            Self::State(error) => error.is_full(),
            Self::Directory { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::Snapshot(_)
            | Self::LogMissing
            | Self::Misfit(_)
            | Self::Unreadable(_)
            | Self::NoMember
            | Self::NotEmpty => false,
        }
    }
}

/// How a node's life begins on an empty disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Beginning {
    /// It is one of the first members, who all begin with this configuration.
    First {
        /// All of them.
        members: Members,
        /// Who votes.
        conf: ConfState,
    },
    /// It comes later, and gets everything from a leader.
    Later,
}

/// The files of a node, which the thread of the node has for itself.
#[derive(Debug)]
pub struct Files {
    raft: RaftDb,
    directory: PathBuf,
    state: Replication,
    /// Snapshots that have arrived, while the thread of the node looks whether it needs them.
    taken: Vec<PathBuf>,
}

impl Files {
    /// Opens the files, finishes what was begun with them, and removes snapshots, which nobody knows of any
    /// more. It blocks, and must not be called where tasks run.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn open(directory: &Path, state: Replication) -> Result<Self, FilesError> {
        let snapshots = directory.join(SNAPSHOTS_NAME);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&snapshots);
        made.map_err(|source| FilesError::Directory {
            path: snapshots,
            source,
        })?;
        let mut files = Self {
            raft: RaftDb::open(&directory.join(RAFT_DB_NAME))?,
            directory: directory.to_owned(),
            state,
            taken: Vec::new(),
        };
        files.finish_install()?;
        files.finish_founding()?;
        files.remove_snapshots(|_| true);
        Ok(files)
    }

    /// Who these files belong to; `None` when nobody has begun on them.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn identity(&self) -> Result<Option<Identity>, FilesError> {
        let identity = self.raft.identity()?;
        let is_founded = is_founded(&self.state.look()?);
        if identity.is_none() && is_founded {
            return Err(FilesError::LogMissing);
        }
        // The log comes first: without its state nothing was ever said by this identity.
        Ok(identity.filter(|_| is_founded))
    }

    /// Begins a node's life. What a single node has by now, its cluster begins with.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn begin(&mut self, me: Identity, beginning: Beginning) -> Result<(), FilesError> {
        let found = self.state.look()?;
        let (log, state) = match beginning {
            Beginning::First { members, conf } => {
                let applied = Position {
                    term: Position::FIRST.term,
                    index: found.applied.index,
                };
                let mut log = StoredLog::first();
                log.base = applied;
                log.hard.commit = applied.index;
                let state = SharedState {
                    applied,
                    conf,
                    members,
                };
                (log, state)
            }
            Beginning::Later if found.applied == Position::FIRST => {
                let state = SharedState {
                    applied: Position::default(),
                    conf: ConfState::default(),
                    members: Members::default(),
                };
                (StoredLog::default(), state)
            }
            Beginning::Later => return Err(FilesError::NotEmpty),
        };
        self.raft.forget_beginning()?;
        self.raft.begin(me, &log)?;
        self.state.found(state)?;
        Ok(())
    }

    /// Goes on where the files end; who this is.
    ///
    /// # Errors
    /// [`FilesError`], also when nobody has begun here.
    pub fn resume(&mut self) -> Result<Identity, FilesError> {
        self.raft.forget_founding()?;
        self.identity()?.ok_or(FilesError::NoMember)
    }

    /// Goes on there as the only member of a new cluster, because the others are lost for good; who this is
    /// in it. All of the log counts as certain.
    ///
    /// It is done once, until the node was told to [`Files::resume`]: a switch that is left where it is
    /// parts nobody from those who have joined since.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn resume_alone(&mut self) -> Result<Identity, FilesError> {
        let me = self.identity()?.ok_or(FilesError::NoMember)?;
        if self.raft.founding()?.is_some() {
            tracing::warn!(
                "this node went on alone when it was told so before, and does not again; take away \
                 --force-new-cluster"
            );
            return Ok(me);
        }
        let state = self.state.look()?;
        if state.members.get(me.id).is_none() {
            return Err(FilesError::NoMember);
        }
        // Whatever would fail must do so before there is no way back.
        self.rest(state.applied)?;
        let mut cluster = [0; 16];
        getrandom::fill(&mut cluster).map_err(LogDbError::Random)?;
        self.raft.begin_founding(ClusterId(cluster))?;
        self.finish_founding()?;
        self.identity()?.ok_or(FilesError::NoMember)
    }

    fn finish_founding(&mut self) -> Result<(), FilesError> {
        if self
            .raft
            .founding()?
            .is_none_or(|founding| founding.is_done)
        {
            return Ok(());
        }
        let me = self.raft.identity()?.ok_or(FilesError::NoMember)?;
        let (log, rest) = self.rest(self.state.look()?.applied)?;
        if !rest.is_empty() {
            self.state.apply(rest, true)?;
        }
        let SharedState {
            applied, members, ..
        } = self.state.look()?;
        let mut conf = ConfState::default();
        conf.set_voters(vec![me.id.get()]);
        let members = alone(members, me.id);
        self.state.found(SharedState {
            applied,
            conf,
            members,
        })?;
        self.raft.end_founding(&log.ended(applied))?;
        Ok(())
    }

    /// The log, and what it holds beyond the state.
    fn rest(&self, applied: Position) -> Result<(StoredLog, Vec<Item>), FilesError> {
        let log = self.raft.load()?.reconcile(applied.index)?;
        let rest = beyond(&log, applied.index)?;
        Ok((log, rest))
    }

    /// What the node begins with.
    pub(super) fn load(&self, me: Identity) -> Result<Begin, FilesError> {
        let SharedState {
            applied,
            conf,
            members,
        } = self.state.look()?;
        Ok(Begin {
            me,
            log: self.raft.load()?,
            applied,
            conf,
            members,
        })
    }

    /// The state.
    pub(super) const fn state(&self) -> &Replication {
        &self.state
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the log is.
    pub(super) fn raft_db(&self) -> PathBuf {
        self.directory.join(RAFT_DB_NAME)
    }

    /// Where snapshots are.
    pub(super) fn snapshots(&self) -> PathBuf {
        self.directory.join(SNAPSHOTS_NAME)
    }

    /// The file of a snapshot that is here, as its manifest says; the manifest itself was checked against
    /// its content before.
    pub(super) fn snapshot(&self, manifest: &Manifest) -> Option<PathBuf> {
        let path = self.snapshots().join(manifest.file_name());
        let is_here = fs::metadata(&path).is_ok_and(|about| about.len() == manifest.bytes);
        is_here.then_some(path)
    }

    /// Makes a change of the log durable; with a snapshot, of the state too: its members.
    pub(super) fn persist(&mut self, write: &LogWrite) -> Result<Option<Members>, FilesError> {
        let Some(install) = &write.install else {
            self.raft.write(write)?;
            return Ok(None);
        };
        let manifest = Manifest::from_bytes(&install.manifest)?;
        self.sync_snapshots()?;
        self.raft.write(write)?;
        Ok(Some(self.install(manifest)?))
    }

    fn sync_snapshots(&self) -> Result<(), FilesError> {
        let path = self.snapshots();
        let synced = File::open(&path).and_then(|directory| directory.sync_all());
        synced.map_err(|source| FilesError::Directory { path, source })
    }

    fn install(&mut self, manifest: Manifest) -> Result<Members, FilesError> {
        let path = self.snapshots().join(manifest.file_name());
        let members = self.state.install(path, manifest)?;
        self.raft.snapshot_installed()?;
        Ok(members)
    }

    fn finish_install(&mut self) -> Result<(), FilesError> {
        let Some(pending) = self.raft.pending_snapshot()? else {
            return Ok(());
        };
        let manifest = Manifest::from_bytes(&pending)?;
        if self.state.look()?.applied == manifest.at {
            self.raft.snapshot_installed()?;
            return Ok(());
        }
        snapshot::verify(&self.snapshots().join(manifest.file_name()), &manifest)?;
        self.install(manifest)?;
        Ok(())
    }

    /// Makes a snapshot that has arrived the node's own; whether it is here.
    pub(super) fn take(&mut self, manifest: &Manifest) -> bool {
        let own = self.snapshots().join(manifest.file_name());
        let arrived = self.snapshots().join(shelf::arrived_name(manifest));
        // What cannot be renamed is not here, or was taken before.
        if fs::rename(arrived, &own).is_ok() {
            self.taken.push(own);
        }
        self.snapshot(manifest).is_some()
    }

    /// Removes what was taken: by now it is installed, or was not needed.
    pub(super) fn drop_taken(&mut self) {
        for path in self.taken.drain(..) {
            remove(&path);
        }
    }

    /// Removes all snapshots but this one, which was made last.
    pub(super) fn keep_snapshot(&self, manifest: &Manifest) {
        let kept = manifest.file_name();
        self.remove_snapshots(|name| name != kept);
    }

    /// Removes snapshots with the node's names. No marker points to one of them.
    fn remove_snapshots(&self, is_old: impl Fn(&str) -> bool) {
        let Ok(entries) = fs::read_dir(self.snapshots()) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let is_own = |name: &&str| name.ends_with(SNAPSHOT_SUFFIX) && is_old(name);
            if name.to_str().filter(is_own).is_some() && !self.taken.contains(&path) {
                remove(&path);
            }
        }
    }
}

#[cfg(test)]
impl Files {
    /// Leaves so many pages for the log, while this connection to it is open.
    pub(super) fn bound_log(&self, pages: u32) {
        let connection = self.raft.connection_for_tests();
        connection
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
    }

    /// Has commits of the log be less durable than they must be, while this connection to it is open.
    pub(super) fn loosen_log(&self, level: &str) {
        let connection = self.raft.connection_for_tests();
        connection
            .pragma_update(None, "synchronous", level)
            .unwrap();
    }
}

fn remove(snapshot: &Path) {
    if let Err(error) = fs::remove_file(snapshot) {
        tracing::warn!(%error, "an old snapshot could not be removed");
    }
}

/// The members when all but one are lost for good.
fn alone(members: Members, me: RaftId) -> Members {
    let Members {
        present,
        mut removed,
    } = members;
    let (mut present, lost): (Vec<_>, Vec<_>) =
        present.into_iter().partition(|member| member.id == me);
    for member in &mut present {
        member.is_learner_for_good = false;
    }
    removed.extend(lost.into_iter().map(|member| member.id));
    Members { present, removed }
}

/// Whether a state belongs to a cluster, or waits for what one has.
fn is_founded(state: &SharedState) -> bool {
    state.applied == Position::default() || !state.conf.get_voters().is_empty()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
