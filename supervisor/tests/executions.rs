//! Executions from submit to end, over a real worker process that is scripted.

use std::time::{Duration, Instant};

use crate::support::{
    Home, PATIENCE, children, descriptors, ended, eventually, failure, lines, request, result, run,
    start, submit,
};
use mcp_v8::app::{
    CancelledBy, Conflict, End, Error, ExecutionId, ExecutionsConfig, FailureKind, ListRequest,
    PageRequest, RunRequest, State, Status,
};
use mcp_v8::limits;

#[tokio::test(flavor = "multi_thread")]
async fn a_script_completes_with_its_value_and_output() {
    let home = Home::new();
    let executions = start(home.config()).await;
    assert_eq!(executions.v8_version(), "0.scripted");
    let view = run(&executions, "out hello\nout \u{e9}\nfinish 42").await;
    assert_eq!(result(&view), "42");
    assert_eq!(view.status, Status::Completed);
    assert!(view.submitted_at <= view.started_at.unwrap());
    assert!(view.started_at <= view.completed_at);
    assert_eq!(view.output_bytes, 9);
    let page = lines(&executions, view.id).await;
    assert_eq!(page.data, "hello\n\u{e9}");
    assert_eq!((page.total_lines, page.total_bytes), (2, 9));
    assert_eq!(page.status, Status::Completed);
    // What was published and what is stored are the same.
    assert_eq!(executions.get(view.id).await.unwrap(), view);
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_readable_while_the_script_runs() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let id = submit(&executions, "out first\npart unfinished\nhang").await;
    let mut page = lines(&executions, id).await;
    for _ in 0..500 {
        if page.total_bytes == 16 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        page = lines(&executions, id).await;
    }
    assert_eq!(page.data, "first\nunfinished");
    assert_eq!(page.status, Status::Running);
    assert_eq!(
        (page.total_lines, page.end_line, page.next_line_offset),
        (2, 2, 2)
    );
    executions.cancel(id).await.unwrap();
    let page = lines(&executions, id).await;
    assert_eq!((page.status, page.next_line_offset), (Status::Cancelled, 3));
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_failure_keeps_the_workers_words() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let view = run(&executions, "fail TypeError: x\nhang").await;
    assert_eq!(failure(&view), (FailureKind::Exception, "TypeError: x"));
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths_are_classified_and_explained() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let cases = [
        (
            "exit 86",
            FailureKind::Memory,
            "heap_memory_max_mb (up to 64)",
        ),
        ("memory heap limit", FailureKind::Memory, "limit of 8 MiB"),
        (
            "stderr # Fatal JavaScript out of memory\nsignal 5",
            FailureKind::Memory,
            "heap_memory_max_mb",
        ),
        ("signal 31", FailureKind::Sandbox, "jail"),
        ("signal 24", FailureKind::CpuTime, "execution_timeout_secs"),
        (
            "stderr oops\nsignal 11",
            FailureKind::WorkerDied,
            "SIGSEGV; its last words: oops",
        ),
        ("signal 9", FailureKind::WorkerDied, "killed from outside"),
        ("exit 0", FailureKind::WorkerDied, "without a result"),
        ("exit 3", FailureKind::WorkerDied, "exited with code 3"),
        ("exit 76", FailureKind::WorkerDied, "from one build"),
        (
            "out before\nexit 70",
            FailureKind::WorkerStart,
            "set itself up",
        ),
        (
            "garbage\nhang",
            FailureKind::WorkerDied,
            "bytes that are no message",
        ),
        (
            "torn\nexit 0",
            FailureKind::WorkerDied,
            "in the middle of a message",
        ),
        (
            "hello\nhang",
            FailureKind::WorkerDied,
            "Hello is not legal while Running",
        ),
        ("close\nhang", FailureKind::WorkerDied, "closed its pipe"),
    ];
    for (source, kind, words) in cases {
        let view = run(&executions, source).await;
        let (found, text) = failure(&view);
        assert_eq!(found, kind, "{source}: {text}");
        assert!(text.contains(words), "{source}: {text}");
    }
    eventually("every worker is reaped", || children().is_empty()).await;
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_said_before_its_death_counts() {
    let home = Home::new();
    let executions = start(home.config()).await;
    for _ in 0..50 {
        let view = run(&executions, "out a\nfinish 1\nexit 0").await;
        assert_eq!(result(&view), "1");
        assert_eq!(view.output_bytes, 2);
    }
    // Also where somebody else still holds the pipe open.
    let begin = Instant::now();
    let view = run(&executions, "grandchild\nout a\nexit 86").await;
    assert_eq!(failure(&view).0, FailureKind::Memory);
    assert!(begin.elapsed() < Duration::from_secs(8));
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_kills_whatever_the_worker_does() {
    let home = Home::new();
    let executions = start(home.config()).await;
    for source in ["hang", "flood 999999999999\nhang"] {
        let begin = Instant::now();
        let id = executions
            .submit(RunRequest {
                execution_timeout_secs: Some(1),
                ..request(source)
            })
            .await
            .unwrap();
        let view = ended(&executions, id).await;
        assert_eq!(view.end, Some(End::TimedOut { after_secs: 1 }));
        let text = view.end.unwrap().error().unwrap();
        assert!(
            text.contains("execution_timeout_secs (up to 300)"),
            "{text}"
        );
        assert!(begin.elapsed() >= Duration::from_secs(1));
        assert!(begin.elapsed() < Duration::from_secs(6));
    }
    eventually("every worker is reaped", || children().is_empty()).await;
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_listen_meets_the_deadline() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        worker_path: home.worker("deaf"),
        ..home.config()
    })
    .await;
    let id = executions
        .submit(RunRequest {
            execution_timeout_secs: Some(1),
            ..request(&"x".repeat(limits::SOURCE_BYTES_MAX))
        })
        .await
        .unwrap();
    assert_eq!(ended(&executions, id).await.status, Status::TimedOut);
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_output_is_cut_and_the_script_goes_on() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let view = run(&executions, "flood 20971520\nfinish done").await;
    assert_eq!(result(&view), "done");
    assert!(view.output_truncated);
    assert_eq!(view.output_bytes, limits::OUTPUT_BYTES_MAX);
    let page = executions
        .output(
            view.id,
            PageRequest::Lines {
                offset: 16_000,
                limit: 10_000,
            },
        )
        .await
        .unwrap();
    assert_eq!(page.end_line, 16_384);
    assert_eq!(page.total_bytes, limits::OUTPUT_BYTES_MAX);
    assert!(!page.has_more);
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_works_in_every_state_and_once() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        max_concurrent: 1,
        ..home.config()
    })
    .await;
    let running = submit(&executions, "out a\nhang").await;
    let queued = submit(&executions, "finish 1").await;
    executions.cancel(queued).await.unwrap();
    let view = executions.get(queued).await.unwrap();
    assert_eq!(
        view.end,
        Some(End::Cancelled {
            by: CancelledBy::Client
        })
    );
    assert_eq!(view.started_at, None);
    executions.cancel(running).await.unwrap();
    eventually("every worker is reaped", || children().is_empty()).await;
    let error = executions.cancel(running).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "execution {running} is not running (status: cancelled); there is nothing to cancel"
        )
    );
    let done = run(&executions, "finish 1").await.id;
    assert_eq!(
        executions.cancel(done).await.unwrap_err(),
        Error::Conflict(Conflict::NotRunning {
            id: done,
            status: Status::Completed
        })
    );
    let unknown = ExecutionId::random();
    assert_eq!(
        executions.cancel(unknown).await.unwrap_err(),
        Error::NotFound { id: unknown }
    );
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_cancel_at_once_one_succeeds() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let id = submit(&executions, "hang").await;
    let (one, other) = tokio::join!(executions.cancel(id), executions.cancel(id));
    assert_eq!(
        [one.is_ok(), other.is_ok()]
            .iter()
            .filter(|ok| **ok)
            .count(),
        1
    );
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_accepts_nothing() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        max_concurrent: 1,
        queue_length_max: 2,
        ..home.config()
    })
    .await;
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(submit(&executions, "hang").await);
    }
    let error = executions.submit(request("finish 1")).await.unwrap_err();
    assert_eq!(
        error,
        Error::Overloaded {
            running: 1,
            queue_length: 2
        }
    );
    let all = ListRequest {
        status: None,
        limit: 10,
        cursor: None,
    };
    assert_eq!(executions.list(all).await.unwrap().executions.len(), 3);
    executions.cancel(accepted[1]).await.unwrap();
    let next = submit(&executions, "finish 2").await;
    executions.cancel(accepted[0]).await.unwrap();
    executions.cancel(accepted[2]).await.unwrap();
    assert_eq!(result(&ended(&executions, next).await), "2");
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_in_the_queue_has_a_limit_of_its_own() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        max_concurrent: 1,
        queue_wait_max: Duration::from_millis(100),
        ..home.config()
    })
    .await;
    let running = submit(&executions, "hang").await;
    let view = run(&executions, "finish 1").await;
    assert_eq!(failure(&view).0, FailureKind::QueueWait);
    assert_eq!(view.started_at, None);
    executions.cancel(running).await.unwrap();
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_runs_out_shows_the_execution_as_it_stands() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let id = submit(&executions, "hang").await;
    let view = executions
        .wait(id, Duration::from_millis(300))
        .await
        .unwrap();
    assert_eq!((view.status, view.end), (Status::Running, None));
    let view = executions.wait(id, Duration::ZERO).await.unwrap();
    assert_eq!(view.status, Status::Running);
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_paged_and_filtered() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let source = if number % 2 == 0 {
            "finish 1"
        } else {
            "fail x"
        };
        ids.push(run(&executions, source).await.id);
    }
    let running = submit(&executions, "hang").await;
    ids.push(running);
    ids.reverse();
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = executions
            .list(ListRequest {
                status: None,
                limit: 3,
                cursor,
            })
            .await
            .unwrap();
        assert!(page.executions.len() <= 3);
        found.extend(page.executions.iter().map(|summary| summary.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ids);
    let failed = executions
        .list(ListRequest {
            status: Some(Status::Failed),
            limit: 1000,
            cursor: None,
        })
        .await
        .unwrap();
    assert_eq!(failed.executions.len(), 3);
    assert_eq!(failed.next_cursor, None);
    for limit in [0, 1001] {
        let error = executions
            .list(ListRequest {
                status: None,
                limit,
                cursor: None,
            })
            .await
            .unwrap_err();
        assert!(error.to_string().contains("allowed: 1 to 1000"), "{error}");
    }
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_are_errors_everywhere() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let id = ExecutionId::random();
    let unknown = Error::NotFound { id };
    assert_eq!(executions.get(id).await.unwrap_err(), unknown);
    assert_eq!(executions.wait(id, PATIENCE).await.unwrap_err(), unknown);
    let request = PageRequest::Bytes {
        offset: 0,
        limit: 1,
    };
    assert_eq!(executions.output(id, request).await.unwrap_err(), unknown);
    assert!("nonsense".parse::<ExecutionId>().is_err());
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gets_its_descriptors_and_two_variables() {
    let home = Home::new();
    // An inherited descriptor that is not closed on exec must not reach a worker.
    // SAFETY: a copy of standard error, which stays open.
    assert!(unsafe { libc::fcntl(2, libc::F_DUPFD, 77) } >= 77);
    let executions = start(home.config()).await;
    let view = run(&executions, "surroundings\nfinish 1").await;
    let page = lines(&executions, view.id).await;
    // The last is the heap window, which a real worker closes before it is confined.
    assert_eq!(page.data, "0 1 2 3 4 5\nLC_ALL=C TZ=UTC");
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_cancels_records_and_leaves_nothing() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        max_concurrent: 2,
        ..home.config()
    })
    .await;
    let done = run(&executions, "out kept\nfinish 1").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(submit(&executions, "out x\nhang").await);
    }
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
    let refused = executions.submit(request("finish 1")).await.unwrap_err();
    assert!(refused.to_string().contains("shutting down"), "{refused}");
    assert!(executions.get(done.id).await.is_err());

    let again = start(home.config()).await;
    assert_eq!(again.get(done.id).await.unwrap(), done);
    assert_eq!(lines(&again, done.id).await.data, "kept");
    for id in ids {
        assert_eq!(
            again.get(id).await.unwrap().end,
            Some(End::Cancelled {
                by: CancelledBy::Shutdown
            })
        );
    }
    again.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_tasks_leave_no_process_and_no_zombie() {
    let home = Home::new();
    let config = home.config();
    // A runtime that is torn down drops its drivers in the middle of everything.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let executions = start(config).await;
            for _ in 0..4 {
                let id = submit(&executions, "out a\nhang").await;
                executions
                    .wait(id, Duration::from_millis(50))
                    .await
                    .unwrap();
            }
            assert!(!children().is_empty());
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    })
    .join()
    .expect("no panic");
    eventually("all children are reaped", || children().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_in_a_row_and_sixty_four_at_once_leak_nothing() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        state: State::Stateless,
        max_concurrent: 64,
        ..home.config()
    })
    .await;
    for _ in 0..200 {
        run(&executions, "finish 1").await;
    }
    let descriptors_before = descriptors();
    let memory_before = resident_kib();
    let mut at_once = Vec::new();
    for _ in 0..64 {
        at_once.push(submit(&executions, "out a\nsleep 200\nfinish 1").await);
    }
    for id in at_once {
        assert_eq!(result(&ended(&executions, id).await), "1");
    }
    // Eight at a time, so that the test takes seconds on two cores.
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let executions = executions.clone();
        tasks.spawn(async move {
            for _ in 0..1250 {
                assert_eq!(result(&run(&executions, "out a\nfinish 1").await), "1");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("every execution completed");
    }
    eventually("every worker is reaped", || children().is_empty()).await;
    eventually("descriptors are closed", || {
        descriptors() <= descriptors_before + 2
    })
    .await;
    let grown = resident_kib().saturating_sub(memory_before);
    assert!(grown < 40 << 10, "memory grew by {grown} KiB");
    executions.shut_down().await;
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}
