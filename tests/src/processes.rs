//! What `/proc` says of processes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

/// The pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A process in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its state: `Z` for a zombie.
    pub state: char,
    /// The first word of its command line; empty for a zombie.
    pub program: String,
    /// The second word: what the program was told to be.
    pub subcommand: String,
}

/// All processes.
pub fn all() -> Vec<Entry> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| read(&entry.path()))
        .collect()
}

fn read(directory: &Path) -> Option<Entry> {
    let pid = directory.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // pid (name) state parent ...; the name may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let command_line = fs::read(directory.join("cmdline")).unwrap_or_default();
    let mut words = command_line.split(|byte| *byte == 0);
    let mut word = || String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    Some(Entry {
        pid,
        parent,
        state,
        program: word(),
        subcommand: word(),
    })
}

/// The children of a process, zombies included.
pub fn children(pid: Pid) -> Vec<Entry> {
    let is_child = |entry: &Entry| entry.parent == pid.as_raw();
    all().into_iter().filter(is_child).collect()
}

/// The children of a process, their children, and so on; zombies included.
pub fn descendants(pid: Pid) -> Vec<Entry> {
    let mut others = all();
    let mut parents = vec![pid.as_raw()];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        let (own, rest) = others.into_iter().partition(|entry| entry.parent == parent);
        let own: Vec<Entry> = own;
        parents.extend(own.iter().map(|entry| entry.pid));
        found.extend(own);
        others = rest;
    }
    found
}

/// Everything that runs a program beneath a directory, whoever its parent is.
pub fn beneath(directory: &Path) -> Vec<Entry> {
    let runs = |entry: &Entry| Path::new(&entry.program).starts_with(directory);
    all().into_iter().filter(runs).collect()
}

/// What one process takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is resident, in bytes.
    pub resident_bytes: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
    /// Children, zombies included.
    pub children: usize,
}

/// What a process takes now.
///
/// # Panics
/// When it does not exist.
pub fn usage(pid: Pid) -> Usage {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .unwrap_or_else(|error| panic!("the process {pid} cannot be looked at: {error}"));
    let field = |name: &str| -> u64 {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("the status of {pid} has no {name}:\n{status}"))
    };
    Usage {
        resident_bytes: field("VmRSS") << 10,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
        threads: field("Threads"),
        children: children(pid).len(),
    }
}

/// How many descriptors of processes a process has open.
pub fn pidfds(pid: Pid) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    // `anon_inode:[pidfd]`, and `pidfd:[number]` since Linux 6.9.
    targets
        .filter(|target| target.to_string_lossy().contains("pidfd"))
        .count()
}

/// CPU time that a process has used, in the kernel's ticks; 0 when it has ended.
pub fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // pid (name) state and ten more fields, then user and system time.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times = after_name.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

/// The memory that a process would free by its end (its proportional share), in bytes.
pub fn proportional_bytes(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// CPU time that a process has used itself, exactly.
///
/// # Panics
/// When it does not exist.
pub fn cpu(pid: Pid) -> Duration {
    let path = format!("/proc/{pid}/schedstat");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let nanoseconds = text.split_whitespace().next().map(str::parse);
    match nanoseconds {
        Some(Ok(nanoseconds)) => Duration::from_nanos(nanoseconds),
        Some(Err(_)) | None => panic!("{path}: {text}"),
    }
}

/// Whether more wants to compute here than there are processors: what then takes long says nothing.
pub fn is_machine_busy() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Option<f64> = load.split_whitespace().next().and_then(|n| n.parse().ok());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    load.is_none_or(|load| load >= f64::from(processors))
}

/// Waits until something holds; whether it did in time.
pub fn within(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
