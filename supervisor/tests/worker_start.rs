//! Workers that do not start, or not as they should: at the start of the server, and later.

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::support::{Home, children, eventually, failure, result, run, start, submit};
use mcp_v8::app::{Executions, ExecutionsConfig, FailureKind};

async fn refusal(home: &Home, worker: &Path) -> String {
    refusal_within(home, worker, mcp_v8::limits::HELLO_TIMEOUT).await
}

async fn refusal_within(home: &Home, worker: &Path, hello_timeout: Duration) -> String {
    let config = ExecutionsConfig {
        worker_path: worker.to_owned(),
        hello_timeout,
        ..home.config()
    };
    let error = Executions::start(config)
        .await
        .expect_err("this worker is of no use");
    assert_eq!(children(), Vec::<String>::new());
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_to_start_with_a_worker_that_is_no_program() {
    let home = Home::new();
    let at = |name: &str| home.directory.path().join(name);
    let missing = refusal(&home, &at("nowhere/mcp-v8-worker")).await;
    assert!(
        missing.contains("there is no worker program at"),
        "{missing}"
    );
    assert!(missing.contains("--worker-path"), "{missing}");

    fs::write(at("plain"), "not a program").unwrap();
    let refused = refusal(&home, &at("plain")).await;
    assert!(refused.contains("cannot be executed"), "{refused}");
    assert!(refused.contains("chmod +x"), "{refused}");
    let refused = refusal(&home, home.directory.path()).await;
    assert!(refused.contains("cannot be executed"), "{refused}");

    fs::set_permissions(at("plain"), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = refusal(&home, &at("plain")).await;
    assert!(
        refused.contains("not a program for this machine"),
        "{refused}"
    );

    fs::write(at("script"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(at("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = refusal(&home, &at("script")).await;
    assert!(
        refused.contains("not a program for this machine"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_to_start_with_a_worker_that_misbehaves() {
    let home = Home::new();
    let cases = [
        ("garbage", "is not a worker"),
        ("huge", "is not a worker"),
        ("early", "Console is not legal while Booting"),
        ("torn", "in the middle of a message"),
        (
            "dies",
            "exited with code 70; its last words: no user namespaces here",
        ),
        ("old", "is of version 0.0.1"),
        ("closes", "it closed its pipe, but went on"),
        (
            "loose",
            "says that it is not confined (no system call filter)",
        ),
    ];
    for (name, words) in cases {
        let text = refusal(&home, &home.worker(name)).await;
        assert!(text.contains(words), "{name}: {text}");
    }
    let timeout = Duration::from_millis(300);
    let silent = refusal_within(&home, &home.worker("silent"), timeout).await;
    assert!(silent.contains("said nothing for 300 ms"), "{silent}");
    let other = refusal(&home, Path::new("/bin/true")).await;
    assert!(other.contains("ended before it was ready"), "{other}");
    let old = refusal(&home, &home.worker("old")).await;
    assert!(old.contains("from one build"), "{old}");
    assert!(
        old.contains(&home.worker("old").display().to_string()),
        "{old}"
    );
}

/// The program is replaced under a running server, as an update does.
#[tokio::test(flavor = "multi_thread")]
async fn executions_fail_clearly_when_the_worker_goes_bad_later() {
    let home = Home::new();
    let program = home.directory.path().join("current");
    let replace_by = |name: &str| {
        let _ = fs::remove_file(&program);
        std::os::unix::fs::symlink(home.worker(name), &program).unwrap();
    };
    replace_by("worker");
    let good = fs::read_link(home.worker("worker")).unwrap();
    let executions = start(ExecutionsConfig {
        worker_path: program.clone(),
        hello_timeout: Duration::from_secs(3),
        ..home.config()
    })
    .await;
    assert_eq!(result(&run(&executions, "finish 1").await), "1");
    fs::remove_file(&program).unwrap();
    let view = run(&executions, "finish 1").await;
    let (kind, text) = failure(&view);
    assert_eq!(kind, FailureKind::WorkerStart);
    assert!(text.contains("there is no worker program at"), "{text}");
    assert_eq!(view.started_at, None);

    // A worker is named by how it is started, so each misbehaviour needs a program of its own.
    for (name, words) in [("silent", "said nothing"), ("dies", "exited with code 70")] {
        let script = format!("#!/bin/sh\nexec -a {name} {} serve\n", good.display());
        let script = script.replace("#!/bin/sh", "#!/bin/bash");
        let _ = fs::remove_file(&program);
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let view = run(&executions, "finish 1").await;
        let (kind, text) = failure(&view);
        assert_eq!(kind, FailureKind::WorkerStart, "{name}: {text}");
        assert!(text.contains(words), "{name}: {text}");
    }
    // And it can be cancelled while nothing is heard of it.
    fs::write(
        &program,
        format!("#!/bin/bash\nexec -a silent {} serve\n", good.display()),
    )
    .unwrap();
    let id = submit(&executions, "finish 1").await;
    executions.cancel(id).await.unwrap();
    let _ = fs::remove_file(&program);
    replace_by("worker");
    assert_eq!(result(&run(&executions, "finish 2").await), "2");
    eventually("every worker is reaped", || children().is_empty()).await;
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaves_after_hello_is_explained() {
    let home = Home::new();
    let executions = start(ExecutionsConfig {
        worker_path: home.worker("quits"),
        ..home.config()
    })
    .await;
    for _ in 0..20 {
        let view = run(&executions, &"x".repeat(300_000)).await;
        let (kind, text) = failure(&view);
        assert_eq!(kind, FailureKind::WorkerStart, "{text}");
        assert!(text.contains("nothing of it ran"), "{text}");
        assert!(text.contains("exited with code 0"), "{text}");
        assert_eq!(view.started_at, None);
    }
    executions.shut_down().await;
}

fn starts(home: &Home, name: &str) -> usize {
    let path = home.directory.path().join(name).with_extension("starts");
    fs::read(path).map_or(0, |lines| lines.len())
}

/// Of 50,000 idle lines a pipe holds a part only.
fn script(idle_lines: usize) -> String {
    format!("{}finish 1", "sleep 0\n".repeat(idle_lines))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_nobody_has_read_is_given_to_another_worker() {
    for idle_lines in [0, 50_000] {
        let home = Home::new();
        let executions = start(ExecutionsConfig {
            worker_path: home.worker("fickle"),
            ..home.config()
        })
        .await;
        assert_eq!(starts(&home, "fickle"), 1, "the probe");
        let view = run(&executions, &script(idle_lines)).await;
        assert_eq!(result(&view), "1");
        assert_eq!(starts(&home, "fickle"), 4);
        // It started when it was given to the worker that ran it.
        assert!(view.submitted_at < view.started_at.unwrap());
        assert_eq!(executions.get(view.id).await.unwrap(), view);
        executions.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_which_a_byte_was_read_is_not() {
    for idle_lines in [0, 50_000] {
        let home = Home::new();
        let executions = start(ExecutionsConfig {
            worker_path: home.worker("nibbler"),
            ..home.config()
        })
        .await;
        let view = run(&executions, &script(idle_lines)).await;
        let (kind, text) = failure(&view);
        assert_eq!(kind, FailureKind::WorkerDied);
        assert!(text.contains("without a result"), "{text}");
        assert!(view.started_at.is_some(), "for all we know");
        assert_eq!(starts(&home, "nibbler"), 2, "the probe, and one");
        executions.shut_down().await;
    }
}

fn set_open_files_max(count: u64) {
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: 4096,
    };
    // SAFETY: the pointer is to a local that outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

/// Whatever step of a start the system refuses, it is said, nothing leaks, and the next one works.
#[tokio::test(flavor = "multi_thread")]
async fn a_system_without_descriptors_fails_executions_clearly() {
    let home = Home::new();
    let executions = start(home.config()).await;
    assert_eq!(result(&run(&executions, "finish 1").await), "1");
    let open = support::descriptors() as u64;
    let mut refused = 0;
    for spare in 0..20 {
        set_open_files_max(open + spare);
        let view = run(&executions, "finish 1").await;
        if view.started_at.is_none() {
            let (kind, text) = failure(&view);
            assert_eq!(kind, FailureKind::WorkerStart, "{text}");
            assert!(text.contains("refused to start the worker"), "{text}");
            refused += 1;
        }
        set_open_files_max(1024);
        eventually("every worker is reaped", || children().is_empty()).await;
    }
    assert!((1..20).contains(&refused), "{refused} of 20");
    assert!(support::descriptors() as u64 <= open + 2);
    assert_eq!(result(&run(&executions, "finish 2").await), "2");
    executions.shut_down().await;
}
