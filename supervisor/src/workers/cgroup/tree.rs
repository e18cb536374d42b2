//! The groups themselves: directories and files of the kernel.
//!
//! ```text
//! the group that was given
//! ├── supervisor/      this server, and its fork servers
//! └── workers/         weighs little against it
//!     ├── 1/           one worker
//!     └── 2/
//! ```

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::place::{Facts, Place, Reason, SUPERVISOR, WORKERS};
use crate::limits;
use crate::workers::proc;

/// The marks by which systemd, and whoever does as it does, says that a group is given away.
const MARKS: [&CStr; 2] = [c"user.delegate", c"trusted.delegate"];

/// Looks at the group of this process, and at nothing else.
pub(super) fn look() -> Result<Facts, Reason> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|source| Reason::System {
            path: path.into(),
            source,
        })
    };
    if !proc::is_ours() {
        return Err(Reason::OtherProc);
    }
    let own = Place::find(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)?;
    let around = own
        .around()
        .filter(|around| is_marked(&around.directory) || around.is_top());
    let directory = own.directory.clone();
    Ok(facts_of(around.unwrap_or(own), directory))
}

fn facts_of(place: Place, own: PathBuf) -> Facts {
    let directory = &place.directory;
    Facts {
        own,
        kind: fs::read_to_string(directory.join("cgroup.type")).ok(),
        is_marked: is_marked(directory),
        controllers: fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default(),
        others: others_in(directory),
        other_servers: others_in(&directory.join(SUPERVISOR)),
        place,
    }
}

fn is_marked(directory: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(directory.as_os_str().as_bytes()) else {
        return false;
    };
    MARKS.iter().any(|mark| {
        let mut value = [0_u8; 2];
        // SAFETY: two strings that end, and a buffer of the length that is given.
        let length = unsafe {
            libc::getxattr(
                path.as_ptr(),
                mark.as_ptr(),
                value.as_mut_ptr().cast(),
                value.len(),
            )
        };
        length == 1 && value[0] == b'1'
    })
}

/// Processes in a group beside this one.
fn others_in(directory: &Path) -> usize {
    let own = std::process::id().to_string();
    let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    listed.lines().filter(|pid| *pid != own).count()
}

/// A group that this server has divided up.
#[derive(Debug)]
pub(super) struct Tree {
    base: PathBuf,
    /// Where this process was before.
    own: PathBuf,
    controllers: String,
    /// The number of the last leaf.
    last: u64,
}

/// The group of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf(PathBuf);

impl Tree {
    /// Divides up the group of this process, if that is its to do. Groups that a killed server has
    /// left are given back, to be removed.
    pub(super) fn open(facts: &Facts) -> Result<(Self, Vec<Leaf>), Reason> {
        let tree = Self {
            controllers: facts.decide()?,
            base: facts.place.directory.clone(),
            own: facts.own.clone(),
            last: 0,
        };
        match tree.divide() {
            Ok(()) => {
                let left = tree.leaves();
                Ok((tree, left))
            }
            Err(reason) => {
                tree.close();
                Err(reason)
            }
        }
    }

    fn divide(&self) -> Result<(), Reason> {
        let (supervisor, workers) = (self.base.join(SUPERVISOR), self.base.join(WORKERS));
        make(&supervisor)?;
        // The kernel hands controllers on only from a group that holds no process itself.
        let own = std::process::id().to_string();
        say(&supervisor.join("cgroup.procs"), &own)?;
        say(&self.base.join("cgroup.subtree_control"), &self.controllers)?;
        make(&workers)?;
        say(&workers.join("cgroup.subtree_control"), &self.controllers)?;
        // Not there without its controller.
        let weight = limits::WORKERS_CPU_WEIGHT.to_string();
        let _as_well_as_it_goes = write(&workers.join("cpu.weight"), &weight);
        Ok(())
    }

    /// Puts everything back as it was found, as far as it goes.
    pub(super) fn close(self) {
        let base = &self.base;
        let taken_back = self.controllers.replace('+', "-");
        let own = std::process::id().to_string();
        let _may_be_in_use = fs::remove_dir(base.join(WORKERS));
        let _may_be_in_use = write(&base.join("cgroup.subtree_control"), &taken_back);
        let _may_be_in_use = write(&self.own.join("cgroup.procs"), &own);
        let _may_be_in_use = fs::remove_dir(base.join(SUPERVISOR));
    }

    /// One that is divided up already.
    #[cfg(test)]
    pub(super) fn at(base: &Path, own: PathBuf) -> Self {
        Self {
            base: base.to_owned(),
            own,
            controllers: String::new(),
            last: 0,
        }
    }

    /// The directory of what was divided up.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    fn leaves(&self) -> Vec<Leaf> {
        let Ok(entries) = fs::read_dir(self.base.join(WORKERS)) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| Leaf(entry.path()))
            .collect()
    }

    /// Makes a group for one worker, with the limits that hold for all.
    pub(super) fn grow(&mut self) -> io::Result<Leaf> {
        let leaf = loop {
            self.last += 1;
            let path = self.base.join(WORKERS).join(self.last.to_string());
            match fs::create_dir(&path) {
                Ok(()) => break Leaf(path),
                // Of a killed server, and not gone yet.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        match leaf.furnish() {
            Ok(()) => Ok(leaf),
            Err(error) => {
                let _empty = leaf.remove();
                Err(error)
            }
        }
    }

    /// Takes every process out of a leaf, into the server's own group.
    pub(super) fn empty(&self, leaf: &Leaf) {
        let listed = fs::read_to_string(leaf.0.join("cgroup.procs")).unwrap_or_default();
        for pid in listed.lines() {
            let _gone = write(&self.base.join(SUPERVISOR).join("cgroup.procs"), pid);
        }
    }
}

impl Leaf {
    /// One that is there.
    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    fn furnish(&self) -> io::Result<()> {
        let processes = limits::WORKER_GROUP_PROCESSES_MAX.to_string();
        write(&self.0.join("pids.max"), &processes)?;
        write(&self.0.join("memory.oom.group"), "1")?;
        // Not there where the kernel does not count what is swapped out.
        let _as_well_as_it_goes = write(&self.0.join("memory.swap.max"), "0");
        Ok(())
    }

    /// Moves a process into it. What the process holds already stays with the group that it is from.
    pub(super) fn enter(&self, pid: i32) -> io::Result<()> {
        write(&self.0.join("cgroup.procs"), &pid.to_string())
    }

    /// Where its memory is limited.
    pub(super) fn memory_max(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.0.join("memory.max"))
    }

    /// Whether the kernel has killed a process of it for memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.0.join("memory.events")).unwrap_or_default();
        oom_kills(&events) > 0
    }

    /// Removes it. Fails while a process is in it.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Kills whatever is in it.
    pub(super) fn kill(&self) -> io::Result<()> {
        write(&self.0.join("cgroup.kill"), "1")
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// The count of `memory.events` that matters.
fn oom_kills(events: &str) -> u64 {
    let line = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

fn make(directory: &Path) -> Result<(), Reason> {
    match fs::create_dir(directory) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(Reason::System {
            path: directory.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn say(path: &Path, text: &str) -> Result<(), Reason> {
    write(path, text).map_err(|source| Reason::System {
        path: path.to_owned(),
        source,
    })
}

/// One write, as the kernel wants it, to a file that is there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
