//! Whether a server can do its work: a few checks, each with a name. What exactly is wrong is for the
//! log; whoever asks need not be known.

use std::path::PathBuf;
use std::sync::Mutex;

use nix::sys::statvfs::statvfs;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::executions::Executions;
use super::start::State;
use crate::heaps::HeapPlace;
use crate::limits::{DISK_FREE_BYTES_MIN, DISK_LOOK_INTERVAL, DISK_LOOK_WAIT_MAX};

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is not about to end.
    Accepting,
    /// The database takes writes.
    Store,
    /// What happens can be noted.
    Audit,
    /// The cluster decides, and this node is up with it.
    Cluster,
    /// Workers can be had.
    Workers,
    /// There is room where things are kept.
    Disk,
    /// The policies for requests of scripts are there.
    Policy,
}

impl Check {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Store => "store",
            Self::Audit => "audit",
            Self::Cluster => "cluster",
            Self::Workers => "workers",
            Self::Disk => "disk",
            Self::Policy => "policy",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// All is well.
    Ok,
    /// It works, though not as it should.
    Degraded,
    /// It does not work.
    Failing,
    /// This server has no such thing.
    Off,
}

impl CheckState {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
            Self::Off => "off",
        }
    }
}

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness(pub Vec<(Check, CheckState)>);

impl Readiness {
    /// Whether executions are accepted and can be expected to run.
    pub fn is_ready(&self) -> bool {
        let mut states = self.0.iter();
        states.all(|(_, state)| *state != CheckState::Failing)
    }
}

/// The file systems where things are kept, and what was found last.
#[derive(Debug)]
pub(super) struct Disks {
    paths: Vec<PathBuf>,
    seen: Mutex<Option<(Instant, CheckState)>>,
}

impl Disks {
    /// Those of a server that keeps this.
    pub(super) fn of(state: &State) -> Self {
        let paths = match state {
            State::Stateless => vec![std::env::temp_dir()],
            State::Stateful {
                sessions, heaps, ..
            } => {
                let heaps = match &heaps.place {
                    HeapPlace::Directory(path) => Some(path.clone()),
                    // Copies make room for one another.
                    HeapPlace::S3 { .. } => None,
                };
                [sessions.clone()].into_iter().chain(heaps).collect()
            }
        };
        Self {
            paths,
            seen: Mutex::default(),
        }
    }

    /// Whether there is room. It is looked up now and then: whoever asks often costs no more.
    async fn look(&self) -> CheckState {
        let seen = *self.seen();
        if let Some((at, state)) = seen
            && at.elapsed() < DISK_LOOK_INTERVAL
        {
            return state;
        }
        let paths = self.paths.clone();
        let looking = spawn_blocking(move || paths.iter().all(has_room));
        // A file system that does not answer takes no writes either.
        let state = match timeout(DISK_LOOK_WAIT_MAX, looking).await {
            Ok(Ok(true)) => CheckState::Ok,
            Ok(Ok(false) | Err(_)) | Err(_) => CheckState::Failing,
        };
        *self.seen() = Some((Instant::now(), state));
        state
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<(Instant, CheckState)>> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "these are of other widths on other machines"
)]
fn has_room(path: &PathBuf) -> bool {
    statvfs(path).is_ok_and(|found| {
        let bytes =
            u64::from(found.blocks_available()).saturating_mul(found.fragment_size().into());
        bytes >= DISK_FREE_BYTES_MIN
    })
}

impl Executions {
    /// Whether executions are accepted and can be expected to run.
    pub async fn readiness(&self) -> Readiness {
        let checks = vec![
            (Check::Accepting, self.accepting()),
            (Check::Store, self.storing()),
            (Check::Audit, self.noting()),
            (Check::Cluster, self.deciding_together()),
            (Check::Workers, self.working()),
            (Check::Disk, self.shared.disks.look().await),
            (Check::Policy, self.deciding()),
        ];
        Readiness(checks)
    }

    /// Whether the parts live that this server cannot do without, and that it cannot start again.
    pub fn lives(&self) -> bool {
        self.shared.live().is_closing || self.shared.services.store.lives()
    }

    fn accepting(&self) -> CheckState {
        state_of(!self.shared.live().is_closing)
    }

    fn storing(&self) -> CheckState {
        match self.shared.services.store.trouble() {
            None => CheckState::Ok,
            Some(error) => {
                tracing::debug!(%error, "not ready");
                CheckState::Failing
            }
        }
    }

    fn noting(&self) -> CheckState {
        let audit = &self.shared.services.audit;
        match audit.ready() {
            Ok(()) if !audit.is_on() => CheckState::Off,
            Ok(()) => CheckState::Ok,
            Err(error) => {
                tracing::debug!(%error, "not ready");
                CheckState::Failing
            }
        }
    }

    fn working(&self) -> CheckState {
        let spawner = &self.shared.services.spawner;
        if spawner.vitals().are_bad() {
            return CheckState::Failing;
        }
        match spawner.figures() {
            // Workers are executed meanwhile, which is slower.
            Some(pool) if pool.is_serving.get() == 0 => CheckState::Degraded,
            Some(_) | None => CheckState::Ok,
        }
    }

    fn deciding_together(&self) -> CheckState {
        let nodes = self.shared.nodes();
        nodes.map_or(CheckState::Off, |nodes| nodes.check())
    }

    /// Policies that do not load refuse the start, and later leave those from before: where there are
    /// some, they decide.
    fn deciding(&self) -> CheckState {
        match self.shared.services.broker {
            Some(_) => CheckState::Ok,
            None => CheckState::Off,
        }
    }
}

fn state_of(is_well: bool) -> CheckState {
    if is_well {
        CheckState::Ok
    } else {
        CheckState::Failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_that_fails_is_enough_and_one_that_is_degraded_is_not() {
        let with = |state| {
            Readiness(vec![
                (Check::Store, CheckState::Ok),
                (Check::Policy, CheckState::Off),
                (Check::Workers, state),
            ])
        };
        assert!(with(CheckState::Ok).is_ready());
        assert!(with(CheckState::Degraded).is_ready());
        assert!(!with(CheckState::Failing).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_gone_has_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let disks = Disks {
            paths: vec![directory.path().join("gone")],
            seen: Mutex::default(),
        };
        assert_eq!(disks.look().await, CheckState::Failing);
        std::fs::create_dir(directory.path().join("gone")).unwrap();
        assert_eq!(disks.look().await, CheckState::Failing, "seen just now");
        tokio::time::advance(DISK_LOOK_INTERVAL).await;
        assert_eq!(disks.look().await, CheckState::Ok);
    }
}
