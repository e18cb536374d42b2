//! A user that nobody else is, namespaces, and an empty root.
//!
//! In this order: root first takes another user *for the time being*, then tries a user namespace as
//! that one, which is what an unprivileged process can do too. Where that is forbidden, root goes
//! back, enters the other namespaces with its privilege, and then gives up its user for good.
//!
//! Users and user namespaces are rehearsed in a child that then ends. Some systems let a process into
//! a user namespace and then refuse it the maps (Ubuntu's AppArmor), and there is no way back from
//! there; some have only one user to give (containers without root, `unshare -r`).

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Gid, Uid, chdir, chroot, fork, pivot_root, setgroups, setresgid, setresuid,
};

use super::SandboxError;
use super::plan::{Namespaces, Plan};
use super::report::{Layer, Report, State};

/// The first of the user numbers that workers take, one for each process number: beyond those that
/// systems and containers give out.
const USER_FIRST: u32 = 0x6d00_0000;

/// The user to take where a container maps no others: nobody.
const USER_FALLBACK: u32 = 65_534;

/// Where an empty file system is put before it becomes the root: the first that exists.
const MOUNT_POINTS: [&str; 3] = ["/proc", "/tmp", "/"];

/// The namespaces beside those for users and processes.
const OTHERS: [(Layer, CloneFlags); 5] = [
    (Layer::MountNamespace, CloneFlags::CLONE_NEWNS),
    (Layer::NetworkNamespace, CloneFlags::CLONE_NEWNET),
    (Layer::IpcNamespace, CloneFlags::CLONE_NEWIPC),
    (Layer::UtsNamespace, CloneFlags::CLONE_NEWUTS),
    (Layer::CgroupNamespace, CloneFlags::CLONE_NEWCGROUP),
];

/// Enters what the plan says and the system allows. What cannot be entered is noted; what went wrong
/// only after it had been rehearsed is an error.
pub(super) fn enter(plan: &Plan, report: &mut Report) -> Result<(), SandboxError> {
    let step = |step| move |source| SandboxError::Step { step, source };
    let user = take_user_if_possible(plan, report)?;
    match plan.namespaces {
        Namespaces::Leave(why) => {
            leave(Layer::UserNamespace, why, report);
            for (layer, _) in OTHERS {
                leave(layer, why, report);
            }
        }
        Namespaces::Own { is_privileged } => match rehearse(enter_user_namespace) {
            Ok(()) => {
                enter_user_namespace().map_err(step("enter a user namespace"))?;
                let detail = "no privilege outside".to_owned();
                report.note(Layer::UserNamespace, State::On(detail));
                enter_others(report);
            }
            Err(error) => {
                report.note(Layer::UserNamespace, State::Off(error.to_string()));
                if is_privileged {
                    if user.is_some() {
                        take_root_back().map_err(step("go back to being root"))?;
                    }
                    enter_others(report);
                } else {
                    for (layer, _) in OTHERS {
                        leave(layer, "it needs a user namespace", report);
                    }
                }
            }
        },
    }
    if let Some(id) = user {
        let user = Uid::from_raw(id);
        setresuid(user, user, user).map_err(step("become a user that nobody else is"))?;
        report.note(Layer::User, State::On(format!("user {id}")));
    }
    Ok(())
}

/// Root becomes another user for the time being, where there is one to become; which one.
fn take_user_if_possible(plan: &Plan, report: &mut Report) -> Result<Option<u32>, SandboxError> {
    if !plan.change_user {
        let why = format!("it stays user {}: only root takes another", Uid::current());
        report.note(Layer::User, State::Off(why));
        return Ok(None);
    }
    if let Err(error) = rehearse(|| take_user().map(drop)) {
        let why = format!("it stays root: there is no other user to take ({error})");
        report.note(Layer::User, State::Off(why));
        return Ok(None);
    }
    let taken = take_user().map_err(|source| SandboxError::Step {
        step: "take a user that nobody else is",
        source,
    })?;
    Ok(Some(taken))
}

/// Does something in a child that ends then, so that this process is as before; what came of it.
fn rehearse(act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    // Where the wish to hear nothing of children was inherited, nobody could wait for one.
    // SAFETY: the default action runs no code of this program.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    // SAFETY: a process with several threads enters no namespace (`Plan`), and taking a user is
    // nothing but system calls; one with a single thread may do anything in the child.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = act().err().map_or(0, |errno| errno as i32);
            // SAFETY: ends the child, which has nothing that is to be dropped.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
                Ok(WaitStatus::Exited(_, errno)) => return Err(Errno::from_raw(errno)),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                // Killed for what it did.
                Ok(_) => return Err(Errno::EPERM),
            }
        },
    }
}

fn leave(layer: Layer, why: &str, report: &mut Report) {
    report.note(layer, State::Off(why.to_owned()));
}

/// Becomes another user, with root as the saved one.
fn take_user() -> Result<u32, Errno> {
    setgroups(&[])?;
    let own = USER_FIRST + nix::unistd::getpid().as_raw().unsigned_abs();
    let group = |id| {
        let group = Gid::from_raw(id);
        setresgid(group, group, group)
    };
    let id = match group(own) {
        Ok(()) => own,
        Err(_) => group(USER_FALLBACK).map(|()| USER_FALLBACK)?,
    };
    let user = Uid::from_raw(id);
    setresuid(user, user, Uid::from_raw(0))?;
    // A change of user makes a process's own files in /proc root's; the maps are to be written.
    nix::sys::prctl::set_dumpable(true)?;
    Ok(id)
}

fn take_root_back() -> Result<(), Errno> {
    nix::unistd::seteuid(Uid::from_raw(0))
}

/// A user namespace in which this user and group, and no others, exist.
fn enter_user_namespace() -> Result<(), Errno> {
    let (user, group) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // Without this, a process without privilege outside may not map a group.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/gid_map", &format!("{group} {group} 1"))?;
    write("/proc/self/uid_map", &format!("{user} {user} 1"))
}

fn write(path: &str, text: &str) -> Result<(), Errno> {
    let written = fs::write(path, text);
    written.map_err(|error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn enter_others(report: &mut Report) {
    for (layer, flag) in OTHERS {
        let mut done = unshare(flag).map(|()| "its own, empty");
        if layer == Layer::MountNamespace {
            done = done.and_then(|_| empty_root());
        }
        report.note(layer, State::of(done));
    }
}

/// Puts an empty root that cannot be written in the place of the file system.
fn empty_root() -> Result<&'static str, Errno> {
    let nothing: Option<&str> = None;
    mount(
        nothing,
        "/",
        nothing,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        nothing,
    )?;
    let place = MOUNT_POINTS
        .into_iter()
        .find(|place| fs::metadata(place).is_ok_and(|found| found.is_dir()))
        .ok_or(Errno::ENOENT)?;
    let attributes = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = Some("mode=555,size=4k,nr_inodes=2");
    mount(Some("none"), place, Some("tmpfs"), attributes, options)?;
    chdir(place)?;
    let how = match pivot_root(".", ".") {
        Ok(()) => {
            // The old root lies above the new one; it goes with everything that is mounted on it.
            umount2(".", MntFlags::MNT_DETACH)?;
            "an empty root, and no other"
        }
        // A root that no mount carries (an initial RAM disk) cannot be exchanged.
        Err(Errno::EINVAL) => {
            chroot(".")?;
            "an empty root, by chroot"
        }
        Err(error) => return Err(error),
    };
    chdir("/")?;
    mount(
        nothing,
        "/",
        nothing,
        attributes | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY,
        nothing,
    )?;
    Ok(how)
}
