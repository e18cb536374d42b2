//! Fork servers that break the protocol, and workers of theirs that crash: over scripted programs.

mod support;

use std::time::{Duration, Instant};

use mcp_v8::app::{Executions, ExecutionsConfig, FailureKind, Status, WorkerStart};
use support::{Home, children, eventually, failure, result, run, start};

fn config(home: &Home, name: &str) -> ExecutionsConfig {
    ExecutionsConfig {
        worker_path: home.worker(name),
        worker_start: WorkerStart::Zygote,
        hello_timeout: Duration::from_millis(1500),
        ..home.config()
    }
}

/// The process ids of this process's children, which are fork servers and executed workers.
fn own_children() -> Vec<String> {
    children()
        .iter()
        .filter_map(|stat| stat.split(' ').next().map(str::to_owned))
        .collect()
}

async fn shut_down(executions: Executions) {
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_fork_server_serves() {
    let home = Home::new();
    let executions = start(config(&home, "worker")).await;
    for number in 0..50 {
        let view = run(&executions, &format!("out hello\nfinish {number}")).await;
        assert_eq!(result(&view), number.to_string());
    }
    assert_eq!(own_children().len(), 1);
    shut_down(executions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_fork_server_does_executions_go_on() {
    let home = Home::new();
    for name in [
        "mute",
        "quitter",
        "chatterbox",
        "twice",
        "unhearing",
        "leaver",
        "garbler",
        "refuser",
        "empty-handed",
        "liar",
        "gravedigger",
    ] {
        let begin = Instant::now();
        let executions = start(config(&home, name)).await;
        for number in 0..5 {
            let view = run(&executions, &format!("finish {number}")).await;
            assert_eq!(result(&view), number.to_string(), "{name}");
        }
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(10), "{name}: {took:?}");
        shut_down(executions).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_brings_a_new_generation_and_an_ordinary_death_does_not() {
    let home = Home::new();
    let executions = start(config(&home, "worker")).await;
    for signal in [libc::SIGSYS, libc::SIGSEGV, libc::SIGILL] {
        let before = own_children();
        let view = run(&executions, &format!("signal {signal}")).await;
        assert_eq!(view.status, Status::Failed);
        let kind = failure(&view).0;
        assert_eq!(
            kind,
            if signal == libc::SIGSYS {
                FailureKind::Sandbox
            } else {
                FailureKind::WorkerDied
            }
        );
        eventually("another fork server serves", || {
            let now = own_children();
            now.len() == 1 && now != before
        })
        .await;
        assert_eq!(result(&run(&executions, "finish 1").await), "1");
    }
    let before = own_children();
    for source in ["exit 3", "signal 9", "exit 86", "garbage\nhang", "exit 0"] {
        assert_eq!(run(&executions, source).await.status, Status::Failed);
    }
    assert_eq!(result(&run(&executions, "finish 1").await), "1");
    assert_eq!(own_children(), before);
    shut_down(executions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forked_workers_are_classified_as_executed_ones_are() {
    let home = Home::new();
    let executions = start(config(&home, "worker")).await;
    for (source, kind, words) in [
        ("exit 86", FailureKind::Memory, "heap_memory_max_mb"),
        (
            "stderr oops\nexit 3",
            FailureKind::WorkerDied,
            "last words: oops",
        ),
        ("signal 24", FailureKind::CpuTime, "execution_timeout_secs"),
        ("close\nhang", FailureKind::WorkerDied, "closed its pipe"),
    ] {
        let view = run(&executions, source).await;
        let (found, text) = failure(&view);
        assert_eq!(found, kind, "{source}: {text}");
        assert!(text.contains(words), "{source}: {text}");
    }
    shut_down(executions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_torn_down_leaves_no_fork_server() {
    let home = Home::new();
    let config = config(&home, "worker");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let executions = start(config).await;
            assert_eq!(result(&run(&executions, "finish 1").await), "1");
            assert!(!children().is_empty());
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    })
    .join()
    .expect("no panic");
    eventually("all children are reaped", || children().is_empty()).await;
}
