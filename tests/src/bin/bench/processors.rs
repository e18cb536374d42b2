//! The processors that server and client have to themselves.
//!
//! A client on the processors of the server takes from it what it needs to ask, so that more requests look
//! like a slower server.

use nix::Result;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The thread that calls; what it starts is where it is.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// The processors of this process in two parts. This thread is the client until it is dropped.
pub(crate) struct Apart {
    all: CpuSet,
    /// How many the server has.
    pub(crate) servers: usize,
}

impl Apart {
    /// Runs `start` on all processors but one, and from then on this thread on that one. `None` where there
    /// is only one: then they share it.
    pub(crate) fn with<T>(start: impl FnOnce() -> T) -> Result<(Option<Self>, T)> {
        let all = sched_getaffinity(THIS_THREAD)?;
        let mut there = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu) == Ok(true));
        let Some(client) = there.next() else {
            return Ok((None, start()));
        };
        let servers = there.count();
        if servers == 0 {
            return Ok((None, start()));
        }
        let mut rest = all;
        rest.unset(client)?;
        sched_setaffinity(THIS_THREAD, &rest)?;
        let started = start();
        let mut own = CpuSet::new();
        own.set(client)?;
        sched_setaffinity(THIS_THREAD, &own)?;
        Ok((Some(Self { all, servers }), started))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // What is measured next only has less than it could have.
        let _ = sched_setaffinity(THIS_THREAD, &self.all);
    }
}
