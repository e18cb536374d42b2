//! Workers that are forked, over the real worker program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{
    Executions, PATIENCE, children, descriptors, ended, eventually, failure, is_machine_busy,
    lines, result, run, start, submit,
};
use mcp_v8::app::{
    ExecutionsConfig, FailureKind, SandboxMode, State, Status, Turnover, WorkerStart,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The program of the worker, which is built beside the tests.
fn worker_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let worker = profile.join("mcp-v8-worker");
    assert!(
        worker.exists(),
        "build it first: cargo build -p mcp-v8-worker (looked for {})",
        worker.display()
    );
    worker
}

fn config() -> ExecutionsConfig {
    let mut config = ExecutionsConfig::new(worker_program(), State::Stateless);
    config.max_concurrent = 4;
    config.worker_start = WorkerStart::Zygote;
    // What is tested here must hold on machines without namespaces, too.
    config.jail.sandbox = SandboxMode::BestEffort;
    config
}

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    pid: i32,
    parent: i32,
    is_zombie: bool,
}

fn processes() -> Vec<Seen> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let after_name: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        if let (Some(pid), [state, parent, ..]) = (stat.split(' ').next(), after_name.as_slice()) {
            found.push(Seen {
                pid: pid.parse().unwrap(),
                parent: parent.parse().unwrap(),
                is_zombie: *state == "Z",
            });
        }
    }
    found
}

/// All that descends from a process, nearest first.
fn descendants(of: i32) -> Vec<i32> {
    let all = processes();
    let mut found = vec![of];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            all.iter()
                .filter(|seen| seen.parent == parent)
                .map(|seen| seen.pid),
        );
        at += 1;
    }
    found.split_off(1)
}

fn own_children() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap();
    processes()
        .into_iter()
        .filter(|seen| seen.parent == own)
        .map(|seen| seen.pid)
        .collect()
}

/// The fork server that serves: where it has a process namespace, it is the child of a process that
/// only waits for it.
fn zygotes() -> Vec<i32> {
    let all = processes();
    own_children()
        .into_iter()
        .filter(|child| was_started_as(*child, "zygote"))
        .map(|child| {
            let of_child: Vec<i32> = all
                .iter()
                .filter(|seen| seen.parent == child)
                .map(|seen| seen.pid)
                .collect();
            match of_child.as_slice() {
                [only] if is_outer(child) => *only,
                _ => child,
            }
        })
        .collect()
}

/// Whether the worker's program was started with this subcommand.
fn was_started_as(pid: i32, subcommand: &str) -> bool {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).nth(1) == Some(subcommand.as_bytes())
}

/// Whether its children are in another process namespace than it is.
fn is_outer(pid: i32) -> bool {
    let at = |name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
    at("pid") != at("pid_for_children")
}

fn zygote() -> i32 {
    let found = zygotes();
    assert_eq!(found.len(), 1, "one fork server serves: {found:?}");
    found[0]
}

fn is_alive(pid: i32) -> bool {
    processes()
        .iter()
        .any(|seen| seen.pid == pid && !seen.is_zombie)
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_in_forked_workers() {
    let executions = start(config()).await;
    let view = run(
        &executions,
        "console.log('hello'); const x: number = 41; x + 1",
    )
    .await;
    assert_eq!(result(&view), "42");
    assert_eq!(lines(&executions, view.id).await.data, "hello");
    let view = run(
        &executions,
        "await new Promise((r) => setTimeout(r, 20)); new URL('http://x/y').pathname",
    )
    .await;
    assert_eq!(result(&view), "/y");
    let view = run(&executions, "throw new TypeError('no')").await;
    assert_eq!(failure(&view).0, FailureKind::Exception);
    let view = run(&executions, "globalThis.left = 1; left").await;
    assert_eq!(result(&view), "1");
    let view = run(&executions, "typeof left").await;
    assert_eq!(result(&view), "undefined", "no worker is used twice");
    // One process, and whatever it has forked.
    assert_eq!(own_children().len(), 1);
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_deaths_are_told_by_the_fork_server() {
    let executions = start(config()).await;
    let view = run(
        &executions,
        "const a = []; for (;;) a.push(new Array(1000).fill(1))",
    )
    .await;
    assert_eq!(failure(&view).0, FailureKind::Memory);
    let id = executions
        .submit(mcp_v8::app::RunRequest {
            execution_timeout_secs: Some(1),
            ..support::request("for (;;);")
        })
        .await
        .unwrap();
    assert_eq!(ended(&executions, id).await.status, Status::TimedOut);
    let id = submit(&executions, "for (;;);").await;
    executions.cancel(id).await.unwrap();
    assert_eq!(result(&run(&executions, "1").await), "1");
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_workers_draw_different_random_values() {
    let executions = start(config()).await;
    let source = "[Math.random(), Math.random(), crypto.randomUUID(), \
        Array.from(crypto.getRandomValues(new Uint8Array(16))).join('.'), \
        new Uint8Array((await crypto.subtle.exportKey('raw', await crypto.subtle.generateKey( \
        { name: 'AES-GCM', length: 128 }, true, ['encrypt'])))).join('.')].join(' ')";
    let mut seen = HashSet::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let executions = executions.clone();
        tasks.spawn(async move {
            let mut values = Vec::new();
            for _ in 0..250 {
                values.push(result(&run(&executions, source).await).to_owned());
            }
            values
        });
    }
    let mut workers = 0;
    while let Some(values) = tasks.join_next().await {
        for value in values.unwrap() {
            workers += 1;
            for number in value.split(' ') {
                assert!(seen.insert(number.to_owned()), "{number} was drawn twice");
            }
        }
    }
    assert_eq!((workers, seen.len()), (1000, 5000));
    executions.shut_down().await;
}

/// Keeps four executions at a time going, each of which says whether it had started when it failed.
async fn under_load(executions: &Executions, rounds: usize) -> Vec<mcp_v8::app::View> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let executions = executions.clone();
        tasks.spawn(async move {
            let mut views = Vec::new();
            for _ in 0..rounds {
                let source = "await new Promise((r) => setTimeout(r, 5)); 1";
                let id = submit(&executions, source).await;
                views.push(ended(&executions, id).await);
            }
            views
        });
    }
    let mut views = Vec::new();
    while let Some(more) = tasks.join_next().await {
        views.extend(more.unwrap());
    }
    views
}

/// What had not started was not lost; what had failed with words that say why.
fn nothing_unstarted_is_lost(views: &[mcp_v8::app::View]) {
    let mut lost = 0;
    for view in views {
        if view.status == Status::Failed {
            let (kind, text) = failure(view);
            assert!(view.started_at.is_some(), "it had not started: {text}");
            assert_eq!(kind, FailureKind::WorkerDied, "{text}");
            lost += 1;
        } else {
            assert_eq!(result(view), "1");
        }
    }
    // Four run at once, and the fork server is attacked five times.
    assert!(lost <= 5 * 4, "{lost} of {}", views.len());
}

async fn attack(how: Signal) {
    let executions = start(config()).await;
    let load = tokio::spawn({
        let executions = executions.clone();
        async move { under_load(&executions, 60).await }
    });
    let mut attacked = Vec::new();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if let Some(zygote) = zygotes().last() {
            let _gone = kill(Pid::from_raw(*zygote), how);
            attacked.push(*zygote);
        }
    }
    let views = load.await.unwrap();
    nothing_unstarted_is_lost(&views);
    // A fork server serves again, and it is not one that is just about to die.
    eventually(
        "another fork server is left",
        || matches!(own_children()[..], [left] if !attacked.contains(&left)),
    )
    .await;
    assert_eq!(result(&run(&executions, "2").await), "2");
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_server_that_is_killed_under_load_loses_nothing_that_had_not_started() {
    attack(Signal::SIGKILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_server_that_is_stopped_under_load_loses_nothing_that_had_not_started() {
    attack(Signal::SIGSTOP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_server_that_is_asked_to_end_under_load_loses_nothing_that_had_not_started() {
    attack(Signal::SIGTERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_fork_server_is_replaced_in_well_under_a_second() {
    let executions = start(config()).await;
    assert_eq!(result(&run(&executions, "1").await), "1");
    let stopped = zygote();
    let running = submit(
        &executions,
        "console.log('runs'); await new Promise((r) => setTimeout(r, 1500)); 'kept'",
    )
    .await;
    eventually_runs(&executions, running).await;
    signal(stopped, Signal::SIGSTOP);
    // The parked ones are used up, then the silence is noticed. Nobody waits until one gives up on fork
    // servers: another one serves before.
    for number in 0..8 {
        let begin = Instant::now();
        let view = run(&executions, &number.to_string()).await;
        assert_eq!(result(&view), number.to_string());
        let took = begin.elapsed();
        assert!(took < mcp_v8::limits::POOL_WAIT_MAX, "{number}: {took:?}");
    }
    // What ran in its workers is not lost.
    assert_eq!(result(&ended(&executions, running).await), "kept");
    eventually("the stopped one is gone", || {
        !processes().iter().any(|seen| seen.pid == stopped)
    })
    .await;
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

/// Nobody asks it for anything, so nobody notices before the end that it will never say a word again.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_fork_server_does_not_hold_up_the_end() {
    let executions = start(config()).await;
    assert_eq!(result(&run(&executions, "1").await), "1");
    eventually("a worker is parked", || !descendants(zygote()).is_empty()).await;
    signal(zygote(), Signal::SIGSTOP);
    let begin = Instant::now();
    let ended = tokio::time::timeout(PATIENCE, executions.shut_down()).await;
    assert!(ended.is_ok(), "it has not ended after {PATIENCE:?}");
    let took = begin.elapsed();
    assert!(took < mcp_v8::limits::SHUT_DOWN_WAIT_MAX, "{took:?}");
    assert_eq!(children(), Vec::<String>::new());
}

/// Its last workers die while it cannot tell of them, and another one has taken over already.
#[tokio::test(flavor = "multi_thread")]
async fn a_retired_fork_server_that_is_stopped_does_not_stay() {
    let executions = start(ExecutionsConfig {
        // On a busy machine it takes a while until the old one has retired.
        execution_timeout_default_secs: mcp_v8::limits::EXECUTION_TIMEOUT_SECS_MAX,
        turnover: Turnover {
            forks_max: 4,
            ..Turnover::default()
        },
        ..config()
    })
    .await;
    let old = zygote();
    let running = submit(&executions, "for (;;);").await;
    eventually("another one serves beside it", || {
        let all = zygotes();
        all.len() == 2 && all.contains(&old)
    })
    .await;
    signal(old, Signal::SIGSTOP);
    executions.cancel(running).await.unwrap();
    eventually("the stopped one is gone", || {
        !processes().iter().any(|seen| seen.pid == old)
    })
    .await;
    assert_eq!(result(&run(&executions, "1").await), "1");
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

/// A word that comes late is still heard, and nothing is taken for something else meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_server_that_is_slow_to_tell_of_a_death_is_heard() {
    let executions = start(config()).await;
    assert_eq!(result(&run(&executions, "1").await), "1");
    let slow = zygote();
    let id = submit(&executions, "console.log('runs'); for (;;);").await;
    eventually_runs(&executions, id).await;
    let worker = busiest(slow);
    signal(slow, Signal::SIGSTOP);
    signal(worker, Signal::SIGKILL);
    tokio::time::sleep(3 * mcp_v8::limits::ZYGOTE_ANSWER_WAIT_MAX).await;
    signal(slow, Signal::SIGCONT);
    let view = ended(&executions, id).await;
    let (kind, text) = failure(&view);
    assert_eq!(kind, FailureKind::WorkerDied, "{text}");
    assert!(text.contains("SIGKILL"), "{text}");
    assert_eq!(result(&run(&executions, "2").await), "2");
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

/// Waits until an execution has said something.
async fn eventually_runs(executions: &Executions, id: mcp_v8::app::ExecutionId) {
    let until = Instant::now() + PATIENCE;
    while lines(executions, id).await.data.is_empty() {
        assert!(Instant::now() < until, "it does not run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The worker of a fork server that has used the most CPU time.
fn busiest(zygote: i32) -> i32 {
    let ticks = |pid: &i32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        // utime is the 14th field of all, and the 12th behind the name.
        let field = after_name.split_whitespace().nth(11);
        field.and_then(|field| field.parse().ok()).unwrap_or(0)
    };
    std::thread::sleep(Duration::from_millis(500));
    descendants(zygote).into_iter().max_by_key(ticks).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_worker_that_dies_is_replaced() {
    let executions = start(config()).await;
    assert_eq!(result(&run(&executions, "1").await), "1");
    for _ in 0..5 {
        eventually(
            "one serves, with a worker parked",
            || matches!(zygotes()[..], [only] if !descendants(only).is_empty()),
        )
        .await;
        let zygote = zygote();
        let parked = descendants(zygote);
        for worker in &parked {
            signal(*worker, Signal::SIGKILL);
        }
        eventually("they are gone", || {
            parked.iter().all(|worker| !is_alive(*worker))
        })
        .await;
        assert_eq!(result(&run(&executions, "2").await), "2");
    }
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_comes_by_count() {
    let executions = start(config()).await;
    // An ordinary death changes nothing.
    let before = zygote();
    let view = run(
        &executions,
        "const a = []; for (;;) a.push(new Array(1000).fill(1))",
    )
    .await;
    assert_eq!(view.status, Status::Failed);
    assert_eq!(zygote(), before);
    // So many forks, and it is replaced, and the old one ends.
    let forks = usize::try_from(mcp_v8::limits::ZYGOTE_FORKS_MAX).unwrap();
    let views = {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let executions = executions.clone();
            tasks.spawn(async move {
                for _ in 0..forks / 4 + 10 {
                    assert_eq!(result(&run(&executions, "1").await), "1");
                }
            });
        }
        tasks.join_all().await.len()
    };
    assert_eq!(views, 4);
    eventually("another fork server serves", || {
        let now = zygotes();
        now.len() == 1 && now[0] != before
    })
    .await;
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

/// A size in `/proc/PID/smaps`, in KiB: the first of that name.
fn kib<'a>(mut lines: impl Iterator<Item = &'a str>, name: &str) -> Option<u64> {
    let size = lines.find_map(|line| line.strip_prefix(name))?;
    size.split_whitespace().next()?.parse().ok()
}

/// What `/proc/PID/smaps` says of a part of a program that was moved: its first line, and how much of it is in
/// huge pages, in KiB.
fn moved(pid: i32, part: &str) -> Option<(String, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut lines = maps.lines().skip_while(|line| !line.contains(part));
    let first = lines.next()?.to_owned();
    Some((first, kib(lines, "ShmemPmdMapped:")?))
}

/// Whether the kernel puts pages together when it is asked to.
fn has_huge_pages() -> bool {
    let length = 4 << 20;
    // SAFETY: a new mapping of this test.
    unsafe {
        let (rights, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        let mapped = libc::mmap(std::ptr::null_mut(), length, rights, kind, -1, 0);
        assert_ne!(mapped, libc::MAP_FAILED);
        // There has to be something to put together.
        libc::memset(mapped, 1, length);
        let page = mapped.map_addr(|at| at.next_multiple_of(2 << 20));
        let done = libc::madvise(page, 2 << 20, libc::MADV_COLLAPSE) == 0;
        libc::munmap(mapped, length);
        done
    }
}

const CODE: &str = "/memfd:mcp-v8-code";
const CONSTANTS: &str = "/memfd:mcp-v8-constants";

/// How much of a process's data is in huge pages, in KiB.
fn huge_data(pid: i32) -> u64 {
    let all = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    kib(all.lines(), "AnonHugePages:").unwrap()
}

/// By then a busy fork server has moved what it moves: some 64 before it begins, and one for each huge page.
const FORKS_UNTIL_MOVED: usize = 64 + 60;

/// Whether heap, code and constants of a new fork server are in huge pages once it has forked enough.
async fn is_moved() -> bool {
    let executions = start(config()).await;
    assert_eq!(result(&run(&executions, "6 * 7").await), "42");
    for part in [CODE, CONSTANTS] {
        let found = moved(zygote(), part);
        assert_eq!(found, None, "one that forks little stays as it is");
    }
    let heap_before = huge_data(zygote());
    for _ in 0..FORKS_UNTIL_MOVED {
        assert_eq!(result(&run(&executions, "6 * 7").await), "42");
    }
    let heap = huge_data(zygote());
    let parts = [(CODE, " r-xp "), (CONSTANTS, " r--p ")];
    let parts = parts.map(|(part, rights)| (moved(zygote(), part), rights));
    // The workers after it run all that there is to run.
    let script = "await Promise.resolve([1, 2].map(n => n * 2).join())";
    assert_eq!(result(&run(&executions, script).await), "2,4");
    executions.shut_down().await;
    heap > heap_before
        && parts.into_iter().all(|(found, rights)| {
            found.is_some_and(|(first, huge_kib)| {
                assert!(first.contains(rights), "private, and not writable: {first}");
                huge_kib > 0
            })
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_fork_server_has_heap_code_and_constants_in_huge_pages() {
    // Now and then the kernel has no room: another test has its memory in small pieces.
    for _ in 0..5 {
        if !has_huge_pages() {
            eprintln!("SKIPPED: this kernel puts no pages together (MADV_COLLAPSE, Linux 6.1)");
            return;
        }
        if is_moved().await {
            return;
        }
    }
    panic!("they were never moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_meets_an_empty_pool() {
    let executions = start(ExecutionsConfig {
        max_concurrent: 100,
        ..config()
    })
    .await;
    let begin = Instant::now();
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(submit(&executions, "1 + 1").await);
    }
    for id in ids {
        assert_eq!(result(&ended(&executions, id).await), "2");
    }
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    // The pool has grown, goes on for a moment, and shrinks again.
    let mut most = 0;
    eventually("the pool shrinks", || {
        let parked = descendants(zygote()).len();
        most = most.max(parked);
        most > 4 && 2 * parked <= most
    })
    .await;
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_executions_leak_nothing() {
    let executions = start(config()).await;
    for _ in 0..100 {
        run(&executions, "1").await;
    }
    let descriptors_before = descriptors();
    let memory_before = resident_kib();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let executions = executions.clone();
        tasks.spawn(async move {
            for number in 0..1250 {
                let view = run(&executions, &format!("console.log(1); {number}")).await;
                assert_eq!(result(&view), number.to_string());
            }
        });
    }
    tasks.join_all().await;
    eventually("descriptors are closed", || {
        descriptors() <= descriptors_before + 40
    })
    .await;
    eventually("one fork server and few workers are left", || {
        own_children().len() == 1 && descendants(zygotes()[0]).len() <= 12
    })
    .await;
    let zombies = processes().into_iter().filter(|seen| seen.is_zombie);
    let own = descendants(i32::try_from(std::process::id()).unwrap());
    assert_eq!(zombies.filter(|seen| own.contains(&seen.pid)).count(), 0);
    let grown = resident_kib().saturating_sub(memory_before);
    assert!(grown < 40 << 10, "memory grew by {grown} KiB");
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fork_server_workers_are_executed() {
    let home = support::Home::new();
    // It serves, but does not fork.
    let script = home.directory.path().join("worker");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = serve ] && exec {} \"$@\"\nexit 70\n",
        worker_program().display()
    );
    std::fs::write(&script, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let executions = start(ExecutionsConfig {
        worker_path: script,
        ..config()
    })
    .await;
    for _ in 0..5 {
        assert_eq!(result(&run(&executions, "1").await), "1");
    }
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_killed_leaves_neither_fork_server_nor_workers() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_mcp-v8"))
        .args([
            "--stateless",
            "--worker-start",
            "zygote",
            "--sandbox",
            "best-effort",
        ])
        .args(["--max-concurrent-executions", "4", "--worker-path"])
        .arg(worker_program())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    eventually("it has a fork server and a parked worker", || {
        descendants(pid).len() >= 2
    })
    .await;
    let left = descendants(pid);
    child.kill().unwrap();
    child.wait().unwrap();
    let begin = Instant::now();
    eventually("they are gone with it", || {
        !processes()
            .iter()
            .any(|seen| left.contains(&seen.pid) && !seen.is_zombie)
    })
    .await;
    let took = begin.elapsed();
    let is_prompt = took < Duration::from_secs(1) || is_machine_busy();
    assert!(is_prompt, "{left:?} lived on for {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_worker_is_executed_as_well() {
    let executions = start(ExecutionsConfig {
        worker_start: WorkerStart::Exec,
        ..config()
    })
    .await;
    assert_eq!(
        result(&run(&executions, "const x: number = 2; x + 1").await),
        "3"
    );
    eventually("it is reaped", || own_children().is_empty()).await;
    executions.shut_down().await;
}
