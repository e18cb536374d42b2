//! The server as process 1, as in a container without an init.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::eventually;

fn worker_program() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps");
    let worker = profile.join("mcp-v8-worker");
    assert!(
        worker.exists(),
        "build it first: cargo build -p mcp-v8-worker"
    );
    worker
}

/// Starts the server as the first process of a namespace, with a `/proc` that shows it.
fn start_as_process_one() -> io::Result<Child> {
    let start = || {
        // SAFETY: a flag; it is about the children of this thread, which ends with this function.
        if unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-v8"));
        command
            .args(["--stateless", "--sandbox", "best-effort", "--worker-path"])
            .arg(worker_program())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: two system calls between fork and exec, with strings that end.
        unsafe { command.pre_exec(mount_proc) };
        command.spawn()
    };
    std::thread::spawn(start).join().expect("no panic")
}

fn mount_proc() -> io::Result<()> {
    let nothing = std::ptr::null();
    // SAFETY: strings that end, or none.
    let results = unsafe {
        [
            libc::mount(
                nothing,
                c"/".as_ptr(),
                nothing,
                libc::MS_REC | libc::MS_PRIVATE,
                nothing.cast(),
            ),
            libc::mount(
                c"proc".as_ptr(),
                c"/proc".as_ptr(),
                c"proc".as_ptr(),
                0,
                nothing.cast(),
            ),
        ]
    };
    if results == [0, 0] {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Id and state of the children of a process.
fn children_of(parent: u32) -> Vec<(i32, char)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((pid, _)) = stat.split_once(' ') else {
            continue;
        };
        let mut after_name = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .skip(1);
        let state = after_name.next().and_then(|state| state.chars().next());
        if after_name.next() == Some(&parent.to_string())
            && let (Ok(pid), Some(state)) = (pid.parse(), state)
        {
            found.push((pid, state));
        }
    }
    found
}

fn is_zombie((_, state): &(i32, char)) -> bool {
    *state == 'Z'
}

/// Whether a process has its filters: a worker that is parked. (A fork server has other children while it
/// starts.)
fn is_shut_in(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| status.lines().any(|line| line == "Seccomp:\t2"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_unburied_when_fork_servers_die() {
    let mut server = match start_as_process_one() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("SKIPPED: no process namespace can be made here ({error})");
            return;
        }
    };
    let own = server.id();
    let fork_servers = || -> Vec<i32> {
        let alive = children_of(own)
            .into_iter()
            .filter(|child| !is_zombie(child));
        alive.map(|(pid, _)| pid).collect()
    };
    let has_worker = || {
        let children = fork_servers();
        let mut children = children
            .iter()
            .flat_map(|pid| children_of(pid.unsigned_abs()));
        children.any(|(pid, _)| is_shut_in(pid))
    };
    for _ in 0..3 {
        eventually("a worker is parked", has_worker).await;
        let killed = fork_servers();
        let workers: Vec<i32> = killed
            .iter()
            .flat_map(|pid| children_of(pid.unsigned_abs()))
            .map(|(pid, _)| pid)
            .collect();
        for pid in &killed {
            // SAFETY: numbers only.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
        eventually("its workers are dead and buried", || {
            let left = workers
                .iter()
                .filter(|pid| Path::new(&format!("/proc/{pid}")).exists());
            left.count() == 0
        })
        .await;
    }
    eventually("there is no zombie", || {
        !children_of(own).iter().any(is_zombie)
    })
    .await;
    assert!(server.try_wait().expect("our own child").is_none());
    server.kill().expect("our own child");
    server.wait().expect("our own child");
}
