//! Fork servers that break the protocol, and workers of theirs that crash: over scripted programs.

use std::time::{Duration, Instant};

use crate::support::{
    Executions, Home, children, eventually, failure, grandchildren, own_children, result, run,
    start,
};
use mcp_v8::app::{ExecutionsConfig, FailureKind, Status, Turnover, WorkerStart};

fn config(home: &Home, name: &str) -> ExecutionsConfig {
    ExecutionsConfig {
        worker_path: home.worker(name),
        worker_start: WorkerStart::Zygote,
        hello_timeout: Duration::from_millis(1500),
        ..home.config()
    }
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
    let mut config = config(&home, "worker");
    config.turnover.suspicion_pause = Duration::ZERO;
    let executions = start(config).await;
    let crashes = [
        libc::SIGSYS,
        libc::SIGSEGV,
        libc::SIGILL,
        libc::SIGABRT,
        libc::SIGTRAP,
    ];
    for signal in crashes {
        let before = own_children();
        let source = format!("stderr # Check failed: false.\nsignal {signal}");
        let view = run(&executions, &source).await;
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
    for source in [
        "exit 3",
        "signal 9",
        "exit 86",
        "garbage\nhang",
        "exit 0",
        "stderr Fatal JavaScript out of memory\nsignal 5",
        "stderr memory allocation of 8 bytes failed\nsignal 6",
    ] {
        assert_eq!(run(&executions, source).await.status, Status::Failed);
    }
    assert_eq!(result(&run(&executions, "finish 1").await), "1");
    assert_eq!(own_children(), before);
    shut_down(executions).await;
}

/// Whoever makes workers crash gets one look at each memory layout, and costs the others one fork
/// server in a while.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_that_follow_one_another_bring_one_new_fork_server() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        turnover: Turnover {
            // Longer than the test.
            suspicion_pause: Duration::from_secs(600),
            ..Turnover::default()
        },
        ..config(&home, "worker")
    })
    .await;
    let crash = format!("signal {}", libc::SIGSEGV);
    let before = own_children();
    assert_eq!(run(&executions, &crash).await.status, Status::Failed);
    eventually("another fork server serves", || {
        let now = own_children();
        now.len() == 1 && now != before
    })
    .await;
    // In a worker of it.
    eventually("a worker is parked", || !grandchildren().is_empty()).await;
    assert_eq!(run(&executions, &crash).await.status, Status::Failed);
    eventually("it is gone, with its workers", || own_children().is_empty()).await;
    for number in 0..10 {
        let view = run(&executions, &format!("finish {number}")).await;
        assert_eq!(result(&view), number.to_string());
        assert_eq!(run(&executions, &crash).await.status, Status::Failed);
        // Each was executed for it, and is gone.
        eventually("nothing is left", || children().is_empty()).await;
    }
    shut_down(executions).await;
}

/// The excuse of a crash is taken at its word, but not for ever at one memory layout. Nobody waits for
/// the next fork server then.
#[tokio::test(flavor = "multi_thread")]
async fn many_crashes_with_the_excuse_of_memory_bring_a_new_fork_server() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        turnover: Turnover {
            // Longer than the test: a death that counts as suspicious would be seen.
            suspicion_pause: Duration::from_secs(600),
            ..Turnover::default()
        },
        ..config(&home, "worker")
    })
    .await;
    let crash = format!("stderr out of memory\nsignal {}", libc::SIGTRAP);
    for _ in 0..3 {
        let before = own_children();
        assert_eq!(before.len(), 1);
        for number in 1..=mcp_v8::limits::EXCUSED_CRASHES_MAX {
            assert_eq!(own_children(), before, "before crash {number}");
            eventually("a worker is parked", || !grandchildren().is_empty()).await;
            let view = run(&executions, &crash).await;
            assert_eq!(failure(&view).0, FailureKind::Memory);
        }
        eventually("another fork server serves", || {
            let now = own_children();
            now.len() == 1 && now != before
        })
        .await;
        assert_eq!(result(&run(&executions, "finish 1").await), "1");
    }
    shut_down(executions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_comes_by_age() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        turnover: Turnover {
            age_max: Duration::from_millis(300),
            ..Turnover::default()
        },
        ..config(&home, "worker")
    })
    .await;
    for _ in 0..3 {
        assert_eq!(result(&run(&executions, "finish 1").await), "1");
        let before = own_children();
        eventually("another fork server serves alone", || {
            let now = own_children();
            now.len() == 1 && now != before
        })
        .await;
    }
    shut_down(executions).await;
}

/// The program is replaced by one that serves no more, as by an update that went wrong, when the next
/// fork server is due.
#[tokio::test(flavor = "multi_thread")]
async fn a_next_fork_server_that_does_not_start_is_not_tried_for_ever() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        turnover: Turnover {
            forks_max: 20,
            ..Turnover::default()
        },
        ..config(&home, "worker")
    })
    .await;
    let before = own_children();
    let starts = home.directory.path().join("starts");
    let broken = home.directory.path().join("broken");
    let text = format!("#!/bin/sh\necho >> {}\nexit 70\n", starts.display());
    std::fs::write(&broken, text).expect("a file of our own");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&broken, mode).expect("a file of our own");
    std::fs::rename(&broken, home.worker("worker")).expect("a file of our own");
    let tried = || std::fs::read(&starts).unwrap_or_default().len();
    while tried() == 0 {
        assert_eq!(result(&run(&executions, "finish 1").await), "1");
    }
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1500) {
        assert_eq!(result(&run(&executions, "finish 2").await), "2");
    }
    let tried = tried();
    // The pauses double: 0.2, 0.4, 0.8 s.
    let mut allowed = 2;
    let (mut pause, mut passed) = (mcp_v8::limits::ZYGOTE_RETRY_PAUSE, Duration::ZERO);
    while passed + pause <= begin.elapsed() {
        passed += pause;
        pause *= 2;
        allowed += 1;
    }
    assert!(tried <= allowed, "{tried} starts, of {allowed}");
    // The old one serves on.
    assert!(own_children().contains(&before[0]));
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
