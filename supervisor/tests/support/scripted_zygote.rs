//! A fork server for tests: it forks scripted workers, and misbehaves as the name it is started by
//! says.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use mcp_v8_protocol::codec::{decode_payload, encode_payload};
use mcp_v8_protocol::message::FromWorker;
use mcp_v8_protocol::zygote::{Ending, Exited, Fork, Forked, FromZygote, Refused, ToZygote, Usage};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

const CONTROL: RawFd = 3;

/// In which process [`serve`] returned.
pub(crate) enum Turn {
    /// The fork server: it is over.
    Over,
    /// A worker, with its pipes on descriptors 3 and 4.
    Worker,
}

pub(crate) fn serve(name: &str, hello: FromWorker) -> Turn {
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let FromWorker::Hello(hello) = hello else {
        return Turn::Over;
    };
    match name {
        "mute" => super::forever(),
        "quitter" => return Turn::Over,
        "chatterbox" => raw(&[0x2a; 600], &[]),
        _ => say(&FromZygote::Hello(hello.clone()), &[]),
    }
    if name == "twice" {
        say(&FromZygote::Hello(hello), &[]);
    }
    let mut workers: Vec<(i32, u64)> = Vec::new();
    loop {
        report_the_dead(&mut workers);
        let Some((worker, fds)) = hear() else {
            return Turn::Over;
        };
        match name {
            "unhearing" => super::forever(),
            "leaver" => return Turn::Over,
            "garbler" => raw(&[0x2a; 16], &[]),
            "refuser" => {
                let errno = libc::EAGAIN;
                say(&FromZygote::Refused(Refused { worker, errno }), &[]);
            }
            "empty-handed" => say(&FromZygote::Forked(Forked { worker }), &[]),
            "liar" => say(
                &FromZygote::Forked(Forked { worker }),
                &[libc::STDIN_FILENO],
            ),
            "gravedigger" => say(&exited(worker + 1, 0), &[]),
            _ => {
                // SAFETY: this process has one thread.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    become_worker(&fds);
                    // Closed by now.
                    std::mem::forget(fds);
                    return Turn::Worker;
                }
                workers.push((pid, worker));
                // SAFETY: integers only.
                let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
                let pidfd = RawFd::try_from(pidfd).expect("a descriptor");
                say(&FromZygote::Forked(Forked { worker }), &[pidfd]);
                // SAFETY: the descriptor was just opened here.
                drop(unsafe { OwnedFd::from_raw_fd(pidfd) });
            }
        }
    }
}

fn become_worker(fds: &[OwnedFd]) {
    for (fd, place) in fds.iter().zip([3, 4, 2, 5]) {
        // SAFETY: what is at these numbers is not needed in a worker.
        unsafe { libc::dup2(fd.as_raw_fd(), place) };
    }
    // SAFETY: integers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::syscall(libc::SYS_close_range, 3 + fds.len() - 1, u32::MAX, 0);
    }
}

/// Waits for the next request; looks after the dead meanwhile, by waking up now and then.
fn hear() -> Option<(u64, Vec<OwnedFd>)> {
    let mut packet = [0; 1024];
    let mut ancillary = nix::cmsg_space!([RawFd; 8]);
    let mut pieces = [IoSliceMut::new(&mut packet)];
    let flags = MsgFlags::empty();
    let got = recvmsg::<()>(CONTROL, &mut pieces, Some(&mut ancillary), flags).ok()?;
    let fds = got
        .cmsgs()
        .expect("few descriptors")
        .filter_map(|message| match message {
            ControlMessageOwned::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        // Away from the places that they will take.
        // SAFETY: integers only; the copies are owned here and nowhere else.
        .map(|fd| unsafe {
            let copy = libc::fcntl(fd, libc::F_DUPFD, 20);
            libc::close(fd);
            OwnedFd::from_raw_fd(copy)
        })
        .collect();
    let length = got.bytes;
    if length == 0 {
        return None;
    }
    let ToZygote::Fork(Fork { worker }) = decode_payload(&packet[..length]).expect("a message");
    Some((worker, fds))
}

fn report_the_dead(workers: &mut Vec<(i32, u64)>) {
    loop {
        let mut watched = libc::pollfd {
            fd: CONTROL,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry, which outlives the call.
        let is_asked = unsafe { libc::poll(&raw mut watched, 1, 2) } > 0;
        workers.retain(|(pid, worker)| {
            let mut status = 0;
            // SAFETY: the pointer is to a local.
            if unsafe { libc::waitpid(*pid, &raw mut status, libc::WNOHANG) } != *pid {
                return true;
            }
            say(&exited(*worker, status), &[]);
            false
        });
        if is_asked {
            return;
        }
    }
}

fn exited(worker: u64, status: i32) -> FromZygote {
    let small = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    FromZygote::Exited(Exited {
        worker,
        ending: if libc::WIFSIGNALED(status) {
            Ending::Signal(small(libc::WTERMSIG(status)))
        } else {
            Ending::Code(small(libc::WEXITSTATUS(status)))
        },
        usage: Usage::default(),
    })
}

fn say(message: &FromZygote, fds: &[RawFd]) {
    let payload = encode_payload(message).expect("messages of this program are within limits");
    raw(&payload, fds);
}

fn raw(bytes: &[u8], fds: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(fds)];
    let ancillary = if fds.is_empty() {
        &rights[..0]
    } else {
        &rights
    };
    // The supervisor may have hung up already: that is its right.
    let flags = MsgFlags::MSG_NOSIGNAL;
    let _ = sendmsg::<()>(CONTROL, &[IoSlice::new(bytes)], ancillary, flags, None);
}
