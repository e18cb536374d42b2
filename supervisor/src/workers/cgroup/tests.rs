//! Over real control groups, where this machine lets a test make some.

use std::fs;
use std::os::fd::FromRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::place::Place;
use super::*;

/// A group of a test's own, removed at its end.
struct Plot(PathBuf);

impl Plot {
    /// `None`, loudly, where there is no cgroup v2 to be written to.
    fn make() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let mountinfo = read("/proc/self/mountinfo");
        let root = Place::find("0::/\n", &mountinfo).ok()?.directory;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mcp-v8-test-{}-{number}", std::process::id());
        let made = fs::create_dir(root.join(&name));
        made.ok().map(|()| Self(root.join(name)))
    }

    fn leaf(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir(&path).expect("a group of our own");
        path
    }
}

impl Drop for Plot {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..200 {
            let groups = fs::read_dir(&self.0).into_iter().flatten().flatten();
            for group in groups.filter(|entry| entry.path().is_dir()) {
                let _ = fs::remove_dir(group.path());
            }
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(REMOVE_INTERVAL);
        }
        panic!("the test has left {}", self.0.display());
    }
}

fn plot() -> Option<Plot> {
    let plot = Plot::make();
    if plot.is_none() {
        skipped();
    }
    plot
}

fn skipped() {
    eprintln!("SKIPPED: no cgroup v2 hierarchy can be written to here");
}

fn sleeper() -> (Child, OwnedFd) {
    let child = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep can be executed");
    // SAFETY: the system call takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = i32::try_from(fd).expect("a descriptor");
    assert!(fd >= 0);
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    (child, unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Where this process is, and stays.
fn own_group() -> PathBuf {
    let read = |path| fs::read_to_string(path).expect("proc");
    let own = Place::find(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    own.expect("there is version 2").directory
}

fn processes(group: &Path) -> Vec<String> {
    let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_group_is_entered_killed_and_removed() {
    let Some(plot) = plot() else { return };
    let leaf = Leaf::at(plot.leaf("one"));
    let (mut child, _pidfd) = sleeper();
    let pid = i32::try_from(child.id()).expect("a process id");
    leaf.enter(pid).expect("it lives");
    assert_eq!(processes(leaf.path()), [pid.to_string()]);
    let withered = Withered::new(leaf.clone());
    // It is killed, since it is not empty.
    assert!(withered.stays());
    let status = child.wait().expect("our own child");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(libc::SIGKILL)
    );
    assert!(!withered.stays());
    assert!(!leaf.path().exists());
    assert!(!withered.stays(), "what is gone is gone");
    assert!(leaf.enter(pid).is_err());
}

/// The whole of it, but for the controllers, which this machine may not have.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_a_group_for_as_long_as_it_lives() {
    let Some(plot) = plot() else { return };
    let workers = plot.leaf(place::WORKERS);
    plot.leaf(place::SUPERVISOR);
    let left = plot.0.join(place::WORKERS).join("1");
    fs::create_dir(&left).expect("a group of our own");
    let tree = Tree::at(&plot.0, own_group());
    let left = vec![Leaf::at(left)];
    let groups = Groups::over(tree, left).expect("a thread");
    let (mut child, pidfd) = sleeper();
    let pid = i32::try_from(child.id()).expect("a process id");
    let applicant = groups.admit(pid, &pidfd).expect("there is room");
    let member = applicant.member(1 << 20).await;
    let leaves = || {
        let found = fs::read_dir(&workers).into_iter().flatten().flatten();
        found.filter(|entry| entry.path().is_dir()).count()
    };
    match member {
        // Where the controllers are there.
        Some(member) => {
            assert!(!member.was_out_of_memory());
            assert_eq!(leaves(), 1);
            child.kill().expect("our own child");
            drop(member);
        }
        None => assert_eq!(leaves(), 0, "what could not be furnished is not left"),
    }
    let _dead_already = child.kill();
    child.wait().expect("our own child");
    // One that has died gets none.
    let applicant = groups.admit(pid, &pidfd).expect("there is room");
    assert!(applicant.member(1 << 20).await.is_none());
    groups.shut_down().await;
    assert_eq!(leaves(), 0);
    assert!(!workers.exists());
    if let Some(late) = groups.admit(pid, &pidfd) {
        assert!(late.member(1 << 20).await.is_none(), "it is closed");
    }
}

/// Somebody who was asked for a group so late that nobody waits for it.
fn late(pid: i32, pidfd: OwnedFd) -> (Candidate, Receiver<Order>) {
    let (orders, ordered) = sync_channel(4);
    let (reply, _given_up) = oneshot::channel();
    let candidate = Candidate {
        pid,
        pidfd,
        orders,
        reply,
    };
    (candidate, ordered)
}

/// Between the look and the answer there is time to give up.
#[test]
fn a_worker_that_is_not_waited_for_leaves_its_group_alive() {
    let Some(plot) = plot() else { return };
    plot.leaf(place::WORKERS);
    let supervisor = plot.leaf(place::SUPERVISOR);
    let leaf = Leaf::at(plot.leaf("one"));
    let mut gardener = Gardener {
        tree: Tree::at(&plot.0, own_group()),
        withered: Vec::new(),
    };
    let (mut child, pidfd) = sleeper();
    let pid = i32::try_from(child.id()).expect("a process id");
    let (candidate, ordered) = late(pid, pidfd);
    leaf.enter(pid).expect("it lives");
    let memory_max = tempfile::tempfile().expect("a temporary file");
    gardener.hand_over(leaf.clone(), memory_max, candidate);
    assert!(ordered.try_recv().is_err(), "it is removed here");
    assert_eq!(processes(&supervisor), [pid.to_string()]);
    gardener.weed();
    assert_eq!(gardener.withered.len(), 0);
    assert!(!leaf.path().exists());
    assert_eq!(child.try_wait().expect("our own child"), None, "it lives");
    child.kill().expect("our own child");
    child.wait().expect("our own child");
}

/// An answer that comes at the last moment is not thrown away: the worker would be.
#[tokio::test]
async fn an_answer_at_the_last_moment_counts() {
    let (reply, answer) = oneshot::channel();
    let (orders, ordered) = sync_channel(4);
    let membership = Membership {
        leaf: Some(Leaf::at(PathBuf::from("/nowhere"))),
        memory_max: tempfile::tempfile().expect("a temporary file"),
        orders,
    };
    reply.send(membership).expect("it is waited for");
    let kept = Applicant(answer).last_minute();
    assert!(kept.is_some());
    assert!(ordered.try_recv().is_err(), "it is not removed");
}

#[test]
fn what_is_looked_at_is_left_as_it_is() {
    let before = fs::read_to_string("/proc/self/cgroup").expect("proc");
    let found = control_groups();
    assert!(!found.detail.is_empty());
    assert_eq!(
        fs::read_to_string("/proc/self/cgroup").expect("proc"),
        before
    );
}
