//! What is kept across restarts, deaths and neighbours.

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{
    Executions, Home, PATIENCE, ended, eventually, failure, lines, request, result, run, start,
    submit,
};
use mcp_v8::app::{
    CancelledBy, Check, CheckState, Conflict, End, Error, ExecutionsConfig, FailureKind,
    ListRequest, Retention, State, Status,
};

const ALL: ListRequest = ListRequest {
    status: None,
    limit: 1000,
    cursor: None,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_program_makes_is_private_and_complete_after_a_restart() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let data = home.directory.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let mut views = Vec::new();
    for source in ["out a\nfinish 1", "fail Error: x", "exit 86"] {
        views.push(run(&executions, source).await);
    }
    executions.shut_down().await;
    let names: Vec<_> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["executions.db"], "nothing else is left behind");

    let again = start(home.config()).await;
    for view in views {
        assert_eq!(again.get(view.id).await.unwrap(), view);
        assert_eq!(again.wait(view.id, PATIENCE).await.unwrap(), view);
    }
    again.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_store_goes_at_exit() {
    let home = Home::new();
    let before = temporary_stores();
    let executions = start(ExecutionsConfig {
        state: State::Stateless,
        ..home.config()
    })
    .await;
    assert_eq!(result(&run(&executions, "finish 1").await), "1");
    let made: Vec<_> = temporary_stores()
        .into_iter()
        .filter(|path| !before.contains(path) && path.join("executions.db").exists())
        .collect();
    assert!(!made.is_empty());
    executions.shut_down().await;
    assert!(made.iter().any(|path| !path.exists()));
}

fn temporary_stores() -> Vec<std::path::PathBuf> {
    fs::read_dir(std::env::temp_dir())
        .expect("it can be read")
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("mcp-v8-stateless-")
        })
        .map(|entry| entry.path())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_directory_leave_each_other_alone() {
    let home = Home::new();
    let one = start(home.config()).await;
    let running = submit(&one, "out a\nhang").await;
    while one.get(running).await.unwrap().status != Status::Running {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A neighbour sees what is written, which is all that was before a list.
    assert_eq!(one.list(ALL).await.unwrap().executions.len(), 1);
    let two = start(home.config()).await;
    eventually_running(&two, running).await;
    assert_eq!(
        two.cancel(running).await.unwrap_err(),
        Error::Conflict(Conflict::RunsElsewhere { id: running })
    );
    assert_eq!(two.list(ALL).await.unwrap().executions.len(), 1);
    let done = run(&two, "finish 2").await;
    assert_eq!(one.get(done.id).await.unwrap(), done);
    // Who waits for a neighbour's execution sees its end.
    let waiting = {
        let two = two.clone();
        tokio::spawn(async move { ended(&two, running).await })
    };
    one.cancel(running).await.unwrap();
    assert_eq!(waiting.await.unwrap().status, Status::Cancelled);
    two.shut_down().await;
    let view = run(&one, "finish 3").await;
    assert_eq!(result(&view), "3");
    one.shut_down().await;
}

async fn eventually_running(executions: &Executions, id: mcp_v8::app::ExecutionId) {
    let begin = Instant::now();
    while executions.get(id).await.expect("it can be read").status != Status::Running {
        assert!(begin.elapsed() < PATIENCE, "it never runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const CHILD_HOME: &str = "MCP_V8_TEST_CHILD_HOME";

/// Not a test by itself: the server that the next test kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_server() {
    let Some(home) = std::env::var_os(CHILD_HOME) else {
        return;
    };
    let home = Path::new(&home);
    let executions = start(ExecutionsConfig {
        max_concurrent: 2,
        ..ExecutionsConfig::new(home.join("worker"), support::stateful(home))
    })
    .await;
    let done = run(&executions, "out kept\nfinish 1").await.id;
    let mut ids = vec![done.to_string()];
    for _ in 0..20 {
        ids.push(submit(&executions, "out lost\nhang").await.to_string());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    fs::write(home.join("ids.new"), ids.join("\n")).unwrap();
    fs::rename(home.join("ids.new"), home.join("ids")).unwrap();
    tokio::time::sleep(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_accepted_execution_and_leaves_no_worker() {
    let home = Home::new();
    let worker = home.worker("worker");
    let ids = home.directory.path().join("ids");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "persistence::child_server"])
        .env(CHILD_HOME, home.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the child has submitted", || ids.exists()).await;
    assert!(!processes_of(&worker).is_empty());
    server.kill().unwrap();
    server.wait().unwrap();
    eventually("its workers are gone", || processes_of(&worker).is_empty()).await;

    let executions = start(home.config()).await;
    let ids = fs::read_to_string(&ids).unwrap();
    let ids: Vec<_> = ids.lines().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.len(), 21);
    assert_eq!(result(&executions.get(ids[0]).await.unwrap()), "1");
    assert_eq!(lines(&executions, ids[0]).await.data, "kept");
    for id in &ids[1..] {
        let view = executions.get(*id).await.unwrap();
        let (kind, text) = failure(&view);
        assert_eq!(kind, FailureKind::Server);
        assert!(text.contains("the server restarted"), "{text}");
        assert!(view.completed_at.is_some());
    }
    executions.shut_down().await;
    let left: Vec<_> = fs::read_dir(home.directory.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["executions.db"]);
}

fn processes_of(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    fs::read_dir("/proc")
        .expect("it can be read")
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|line| line.starts_with(&program))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_executions_expire_with_their_code_and_output() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let mut ids = Vec::new();
    for number in 0..150 {
        ids.push(
            run(&executions, &format!("out x\nfinish {number}"))
                .await
                .id,
        );
    }
    executions.shut_down().await;

    // By count; it is removed in steps, while the server already serves.
    let by_count = start(ExecutionsConfig {
        retention: Retention {
            count_max: 10,
            ..Retention::default()
        },
        ..home.config()
    })
    .await;
    expire(&by_count, 10).await;
    assert!(by_count.get(ids[139]).await.is_err());
    assert_eq!(result(&by_count.get(ids[140]).await.unwrap()), "140");
    by_count.shut_down().await;
    assert_eq!((rows(&home, "output"), rows(&home, "sources")), (10, 10));

    // By size: "x\n", a three-digit result and its preview are 8 bytes each, and their code is 16.
    let by_size = start(ExecutionsConfig {
        retention: Retention {
            bytes_max: 3 * (8 + 16),
            ..Retention::default()
        },
        ..home.config()
    })
    .await;
    expire(&by_size, 3).await;
    by_size.shut_down().await;
    assert_eq!(rows(&home, "executions"), 3);

    // By age.
    let by_age = start(ExecutionsConfig {
        retention: Retention {
            age_max: Duration::ZERO,
            ..Retention::default()
        },
        ..home.config()
    })
    .await;
    expire(&by_age, 0).await;
    by_age.shut_down().await;
    for table in ["executions", "output", "sources"] {
        assert_eq!(rows(&home, table), 0, "{table}");
    }
}

async fn expire(executions: &Executions, left: usize) {
    let begin = Instant::now();
    while executions
        .list(ALL)
        .await
        .expect("it can be read")
        .executions
        .len()
        > left
    {
        assert!(begin.elapsed() < PATIENCE, "they never expire");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn rows(home: &Home, table: &str) -> i64 {
    let database = home.directory.path().join("data/executions.db");
    rusqlite::Connection::open(database)
        .expect("it can be read")
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .expect("it can be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_hold_a_store_is_refused_with_its_path() {
    let home = Home::new();
    let file = home.directory.path().join("file");
    fs::write(&file, "x").unwrap();
    for place in [file.clone(), file.join("below")] {
        let error = mcp_v8::app::Executions::start(ExecutionsConfig {
            state: support::stateful_at(place.clone(), home.directory.path()),
            ..home.config()
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(error.contains(&place.display().to_string()), "{error}");
    }
    let data = home.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("executions.db"), "this is not a database at all").unwrap();
    let error = mcp_v8::app::Executions::start(home.config())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot be opened"), "{error}");
}

/// The disk refuses writes for a while: nothing is shown that is not recorded, and nothing new is
/// accepted until it is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_write_is_reported_and_recovers() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let id = submit(&executions, "sleep 300\nfinish 1").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let database = home.directory.path().join("data/executions.db");
    let other = rusqlite::Connection::open(database).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER broken BEFORE UPDATE ON executions
             BEGIN SELECT raise(ABORT, 'the disk is on fire'); END;",
        )
        .unwrap();
    let view = ended(&executions, id).await;
    let (kind, text) = failure(&view);
    assert_eq!(kind, FailureKind::Server);
    assert!(text.contains("the disk is on fire"), "{text}");
    let refused = executions.submit(request("finish 2")).await.unwrap_err();
    assert!(
        refused.to_string().contains("cannot be recorded"),
        "{refused}"
    );
    let unready = executions.whole.readiness().await;
    assert!(!unready.is_ready());
    assert!(
        unready.0.contains(&(Check::Store, CheckState::Failing)),
        "{unready:?}"
    );
    let figures = executions.whole.figures().store;
    assert_eq!(figures.trouble.get(), 1);
    assert!(figures.given_up.get() >= 1);
    // The same story later, when only the store is left to tell it.
    let later = executions.get(id).await.unwrap();
    assert_eq!(failure(&later).0, FailureKind::Server);
    other.execute_batch("DROP TRIGGER broken").unwrap();
    let begin = Instant::now();
    let next = loop {
        match executions.submit(request("finish 3")).await {
            Ok(id) => break id,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(result(&ended(&executions, next).await), "3");
    assert!(executions.whole.readiness().await.is_ready());
    assert_eq!(figures.trouble.get(), 0);
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_leaves_nothing_half_done() {
    let home = Home::new();
    let executions = start(home.config()).await;
    for turns in 0..40 {
        // Polled a few times, then dropped.
        let mut submit = Box::pin(executions.submit(request("finish 1")));
        for _ in 0..turns % 4 {
            let polled = tokio::time::timeout(Duration::ZERO, &mut submit).await;
            if polled.is_ok() {
                break;
            }
        }
    }
    let begin = Instant::now();
    loop {
        let found = executions.list(ALL).await.unwrap().executions;
        if found.iter().all(|one| one.status == Status::Completed) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "something is left: {found:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_by_shutdown_says_so_after_the_restart() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let id = submit(&executions, "hang").await;
    executions.shut_down().await;
    let again = start(home.config()).await;
    let end = again.get(id).await.unwrap().end.unwrap();
    assert_eq!(
        end,
        End::Cancelled {
            by: CancelledBy::Shutdown
        }
    );
    assert!(end.error().unwrap().contains("shut down"));
    again.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_slows_the_worker_and_piles_up_nothing() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let other =
        rusqlite::Connection::open(home.directory.path().join("data/executions.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let id = submit(&executions, "flood 16777216\nfinish 1").await;
    let doomed = submit(&executions, "hang").await;
    eventually_running(&executions, doomed).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let view = executions.get(id).await.unwrap();
    assert_eq!(view.status, Status::Running, "it waits for the disk");
    assert!(view.output_bytes < 14 << 20, "{} bytes", view.output_bytes);
    // A cancel kills at once, though the end is seen only when it is written, and the dead worker is
    // reaped after that.
    let cancelled = {
        let executions = executions.clone();
        tokio::spawn(async move { executions.cancel(doomed).await })
    };
    let is_alive = |stat: &String| !stat.contains(") Z ");
    support::eventually("it is dead", || {
        support::children()
            .iter()
            .filter(|stat| is_alive(stat))
            .count()
            == 1
    })
    .await;
    assert!(!cancelled.is_finished());
    other.execute_batch("COMMIT").unwrap();
    cancelled.await.unwrap().unwrap();
    let view = ended(&executions, id).await;
    assert_eq!(result(&view), "1");
    assert_eq!(view.output_bytes, 16 << 20);
    assert_eq!(lines(&executions, id).await.total_lines, 16 << 10);
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_dropped_leaves_nothing_unfinished() {
    let home = Home::new();
    let config = home.config();
    let id = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let id = runtime.block_on(async {
            let executions = start(config).await;
            let id = submit(&executions, "hang").await;
            eventually_running(&executions, id).await;
            id
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        id
    })
    .join()
    .unwrap();
    let again = start(home.config()).await;
    let view = ended(&again, id).await;
    assert_eq!(failure(&view).0, FailureKind::Server);
    again.shut_down().await;
}
