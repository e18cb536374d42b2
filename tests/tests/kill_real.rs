//! Killed from outside, over the real worker in its jail: while it waits, while it runs, and when its
//! number has become another process's.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs;
use std::process::{Child, Command, Stdio};

use e2e::endurance::assert_words;
use e2e::home::Home;
use e2e::processes::{self, Entry};
use e2e::server::{PATIENCE, Server};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Processes that are started in the hope for a number.
const TRIES: usize = 1000;

fn fork_server(server: &Server) -> Option<Entry> {
    let mut children = processes::children(server.pid()).into_iter();
    children.find(|child| child.subcommand == "zygote")
}

/// The workers of the fork server, once there are any.
fn parked(server: &Server) -> Vec<Entry> {
    let mut found = Vec::new();
    let there = processes::within(PATIENCE, || {
        let zygote = fork_server(server);
        found = zygote.map_or(Vec::new(), |zygote| {
            processes::children(Pid::from_raw(zygote.pid))
        });
        !found.is_empty()
    });
    assert!(there, "nobody is parked:\n{}", server.log());
    found
}

/// The worker that runs an endless loop.
fn busy_worker(server: &Server) -> Entry {
    /// More CPU time than it takes to be forked, jailed and parked.
    const TICKS: u64 = 20;
    let own = server.pid().as_raw();
    let mut found = None;
    let there = processes::within(PATIENCE, || {
        let mut beneath = processes::descendants(server.pid()).into_iter();
        found = beneath.find(|one| {
            let is_worker = one.parent != own || one.subcommand == "serve";
            is_worker && processes::ticks(one.pid) > TICKS
        });
        found.is_some()
    });
    assert!(there, "nobody is busy:\n{}", server.log());
    found.expect("it was there")
}

fn end(victim: &Entry) {
    kill(Pid::from_raw(victim.pid), Signal::SIGKILL).expect("it is there");
    let gone = || kill(Pid::from_raw(victim.pid), None).is_err();
    assert!(processes::within(PATIENCE, gone), "{victim:?} stays");
}

#[test]
fn whoever_waits_can_be_killed_and_nothing_is_lost() {
    let home = Home::new();
    let mut server = home.start();
    for round in 0..3 {
        for worker in parked(&server) {
            end(&worker);
        }
        assert_eq!(server.run("20 + 22")["result"], "42", "round {round}");
        let zygote = fork_server(&server).expect("one serves");
        end(&zygote);
        assert_eq!(server.run("20 + 23")["result"], "43", "round {round}");
    }
    parked(&server);
    server.signal(Signal::SIGKILL);
    home.assert_empty();
}

#[test]
fn a_worker_killed_from_outside_is_reported_and_replaced() {
    let home = Home::new();
    for way in ["zygote", "exec"] {
        let mut server = home.start_with(&["--worker-start", way]);
        let id = server.submit("console.log('runs'); for (;;) {}");
        server.until_output(&id, 5);
        end(&busy_worker(&server));
        let seen = server.wait(&id);
        assert_eq!(seen["status"], "failed", "{way}: {seen}");
        let error = seen["error"].as_str().unwrap_or_default();
        assert_words(way, error, &["SIGKILL", "memory"]);
        assert_eq!(server.run("1")["result"], "1");
        server.finish();
    }
    home.assert_empty();
}

/// A process that has got a number that it was to get.
struct Heir(Child);

impl Heir {
    /// Starts processes until one has this number; `None` when the system does not let us choose.
    fn of(pid: i32) -> Option<Self> {
        for _ in 0..TRIES {
            fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
            let mut command = Command::new("sleep");
            command.arg("1000").stdin(Stdio::null());
            let heir = Self(command.spawn().expect("a process"));
            if heir.0.id().cast_signed() == pid {
                return Some(heir);
            }
        }
        None
    }

    fn lives(&self) -> bool {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The server ends workers by descriptors, which stay with the dead; never by numbers.
#[test]
fn whoever_gets_the_number_of_a_dead_worker_is_left_alone() {
    let home = Home::new();
    let mut server = home.start();
    let workers = parked(&server);
    // While the server cannot look, the worker ends, is reaped, and its number is given away.
    server.signal(Signal::SIGSTOP);
    end(&workers[0]);
    let heir = Heir::of(workers[0].pid);
    server.signal(Signal::SIGCONT);
    let Some(heir) = heir else {
        eprintln!("SKIPPED: the numbers of processes cannot be chosen here");
        return;
    };
    // It takes the dead one from the shelf, throws it away, and later ends everything it knows.
    for _ in 0..4 {
        assert_eq!(server.run("20 + 22")["result"], "42");
    }
    server.finish();
    assert!(heir.lives(), "a process of somebody else was ended");
    home.assert_empty();
}
