//! Whose process a descriptor is that somebody else has passed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::unistd::Pid;

use super::process::is_shortage;

/// The number that the kernel gives for the process of a pidfd when it is not visible from here.
const UNSEEN: i32 = 0;
/// The same when it is reaped.
const REAPED: i32 = -1;

/// The number of a pidfd's process, which is a child of this one, living or just dead; `None` when it is
/// not, or the descriptor is another one.
///
/// # Errors
/// When there are too few descriptors to find out.
pub(super) fn child_of(parent: i32, pidfd: &OwnedFd) -> io::Result<Option<Pid>> {
    if let Some((pid, its_parent)) = told(pidfd) {
        return Ok((its_parent == parent).then_some(pid));
    }
    looked_up(parent, pidfd)
}

/// A pidfd's process and the number of its parent, by one call. `None` where the kernel is older than Linux
/// 6.13, the process is reaped or not visible from here, and the descriptor another one.
fn told(pidfd: &OwnedFd) -> Option<(Pid, i32)> {
    // SAFETY: plain old data; all zeroes is a value of it.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_PID);
    // SAFETY: the call writes to a local that is as large as its number says; the descriptor is open.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if done != 0 || info.mask & u64::from(libc::PIDFD_INFO_PID) == 0 {
        return None;
    }
    let pid = i32::try_from(info.pid).ok().filter(|pid| *pid != UNSEEN)?;
    let parent = i32::try_from(info.ppid).ok().filter(|pid| *pid != UNSEEN)?;
    Some((Pid::from_raw(pid), parent))
}

/// The same as [`child_of`], by what `/proc` says.
fn looked_up(parent: i32, pidfd: &OwnedFd) -> io::Result<Option<Pid>> {
    let Some(pid) = pid_of(pidfd)? else {
        return Ok(None);
    };
    let is_child = pid == REAPED
        || parent_of(pid)?.is_none_or(|its_parent| its_parent == parent)
        // It may have been reaped just now, and its number be somebody else's.
        || pid_of(pidfd)? == Some(REAPED);
    Ok((pid != UNSEEN && is_child).then(|| Pid::from_raw(pid)))
}

/// The number of a pidfd's process; `None` when the descriptor is another one.
fn pid_of(pidfd: &OwnedFd) -> io::Result<Option<i32>> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(pid.and_then(|pid| pid.trim().parse().ok()))
}

/// The parent of a process; `None` where `/proc` does not show it.
fn parent_of(pid: i32) -> io::Result<Option<i32>> {
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if is_shortage(&error) => return Err(error),
        Err(_) => return Ok(None),
    };
    // pid (name) state parent ...; the name may hold anything.
    let after_name = stat.rsplit_once(')').map(|(_, after_name)| after_name);
    let parent = after_name.and_then(|fields| fields.split_whitespace().nth(1));
    Ok(parent.and_then(|parent| parent.parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::FromRawFd;
    use std::process::{Command, Stdio};

    use super::*;

    fn pidfd(pid: i32) -> OwnedFd {
        // SAFETY: the system call takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(fd).unwrap();
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }

    #[test]
    fn a_child_is_its_parents_whoever_is_asked_and_nobody_elses() {
        let us = std::process::id().cast_signed();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let its = pidfd(pid.as_raw());
        if let Some(told) = told(&its) {
            assert_eq!(told, (pid, us));
        }
        for found in [child_of, looked_up] {
            assert_eq!(found(us, &its).unwrap(), Some(pid));
            assert_eq!(found(pid.as_raw(), &its).unwrap(), None);
            assert_eq!(found(pid.as_raw(), &pidfd(us)).unwrap(), None);
            assert_eq!(
                found(1, &pidfd(us)).unwrap().is_some(),
                nix::unistd::getppid() == Pid::from_raw(1)
            );
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(told(&its), None);
        // Whose it was, nobody knows any more.
        assert_eq!(child_of(us, &its).unwrap(), Some(Pid::from_raw(REAPED)));
    }

    #[test]
    fn what_is_no_pidfd_is_nobodys() {
        let us = std::process::id().cast_signed();
        let other = OwnedFd::from(File::open("/dev/null").unwrap());
        assert_eq!(told(&other), None);
        assert_eq!(child_of(us, &other).unwrap(), None);
    }
}
