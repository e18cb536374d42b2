//! What is kept, where, and what excludes what.

use super::*;
use crate::app::{
    AwsVariables, CachePlace, HeapPlace, HeapRetention, HeapsConfig, State, StorePlace,
};

fn state(arguments: &[&str], variables: &[(&str, &str)]) -> State {
    config(arguments, variables).executions.state
}

/// State in these places, with the default retention.
fn kept(sessions: &str, place: HeapPlace, key_file: &str) -> State {
    State::Stateful {
        sessions: sessions.into(),
        heaps: HeapsConfig {
            place,
            key_file: key_file.into(),
        },
        retention: HeapRetention::default(),
    }
}

fn s3(cache: Option<(&str, u64)>) -> HeapPlace {
    HeapPlace::S3 {
        bucket: "heaps".to_owned(),
        variables: AwsVariables::of_process(),
        cache: cache.map(|(directory, mb)| CachePlace {
            directory: directory.into(),
            bytes_max: mb << 20,
        }),
    }
}

#[test]
fn heaps_are_kept_in_a_directory_when_nobody_says_otherwise() {
    assert_eq!(
        state(&[], &[]),
        kept(
            "/tmp/mcp-v8-sessions",
            HeapPlace::Directory("/tmp/mcp-v8-heaps".into()),
            "/tmp/mcp-v8-heaps/heap.key"
        )
    );
    let State::Stateful { retention, .. } =
        state(&["--heap-retention-hours=2", "--heap-retention-mb=3"], &[])
    else {
        panic!("stateless");
    };
    assert_eq!(retention.age_max, std::time::Duration::from_secs(7200));
    assert_eq!(retention.bytes_max, 3 << 20);
}

#[test]
fn the_key_lies_beside_the_heaps_or_with_the_sessions() {
    let directory = || HeapPlace::Directory("/h".into());
    assert_eq!(
        state(&["--directory-path=/h", "--session-db-path=/s"], &[]),
        kept("/s", directory(), "/h/heap.key")
    );
    assert_eq!(
        state(&["--s3-bucket=heaps", "--session-db-path=/s"], &[]),
        kept("/s", s3(None), "/s/heap.key")
    );
    assert_eq!(
        state(
            &["--s3-bucket=heaps", "--session-db-path=/s"],
            &[("MCP_V8_HEAP_KEY_FILE", "/k"), ("MCP_V8_CACHE_DIR", "/c")]
        ),
        kept("/s", s3(Some(("/c", 4096))), "/k")
    );
    assert_eq!(
        state(
            &["--s3-bucket=heaps", "--cache-dir=/c", "--cache-max-mb=7"],
            &[]
        ),
        kept(
            "/tmp/mcp-v8-sessions",
            s3(Some(("/c", 7))),
            "/tmp/mcp-v8-sessions/heap.key"
        )
    );
}

#[test]
fn stateless_excludes_everything_about_state_wherever_it_was_said() {
    let file = file("session-db-path = \"/x\"\nheap-retention-mb = 5\n");
    let path = file.path().to_str().unwrap();
    let text = faults(
        &[
            "--stateless",
            "--directory-path=/h",
            "--heap-key-file=/k",
            "--config",
            path,
        ],
        &[
            ("MCP_V8_S3_BUCKET", "b"),
            ("MCP_V8_CACHE_DIR", "/c"),
            ("MCP_V8_CACHE_MAX_MB", "1"),
            ("MCP_V8_HEAP_RETENTION_HOURS", "1"),
        ],
    );
    for other in [
        "--directory-path",
        "--heap-key-file",
        "MCP_V8_S3_BUCKET (environment)",
        "MCP_V8_CACHE_DIR (environment)",
        "MCP_V8_CACHE_MAX_MB (environment)",
        "MCP_V8_HEAP_RETENTION_HOURS (environment)",
        &format!("session-db-path in {path}"),
        &format!("heap-retention-mb in {path}"),
    ] {
        let said = format!(
            "--stateless and {other} exclude each other: a stateless server keeps no heaps and no \
             sessions; give one of them"
        );
        assert!(text.contains(&said), "{said:?} is not in:\n{text}");
    }
    assert_eq!(text.matches("\n  - ").count(), 8, "{text}");

    assert_eq!(state(&["--stateless"], &[]), State::Stateless);
    let variables = [("MCP_V8_STATELESS", "1")];
    assert_eq!(state(&[], &variables), State::Stateless);
    let overridden = state(&["--stateless=false", "--session-db-path=/x"], &variables);
    assert_eq!(overridden.store(), StorePlace::Directory("/x".into()));
}

#[test]
fn places_of_heaps_exclude_each_other_and_a_cache_needs_a_bucket() {
    let text = faults(
        &["--s3-bucket=b", "--cache-max-mb=5"],
        &[("MCP_V8_DIRECTORY_PATH", "/h")],
    );
    for part in [
        "--s3-bucket and MCP_V8_DIRECTORY_PATH (environment) exclude each other: heaps are kept in \
         one place; give one of them",
        "--cache-max-mb needs --cache-dir: it bounds what is held there",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(text.matches("\n  - ").count(), 2, "{text}");
    let text = faults(&["--cache-max-mb=0"], &[("MCP_V8_CACHE_DIR", "/c")]);
    for part in [
        "--cache-max-mb: 0 is out of range; allowed: 1 to 1048576 MB",
        "MCP_V8_CACHE_DIR (environment) needs --s3-bucket: it holds copies of heaps in a bucket",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(text.matches("\n  - ").count(), 2, "{text}");
}

#[test]
fn a_bucket_has_a_name_that_can_stand_in_an_address() {
    for good in ["heaps", "a.b-c_D9", &"x".repeat(255)] {
        state(&["--s3-bucket", good], &[]);
    }
    for bad in ["a/b", "..", "s3://b", "b c", "ü", &"x".repeat(256)] {
        let text = faults(&["--s3-bucket", bad], &[]);
        let said = format!("--s3-bucket: \"{bad}\" is not the name of a bucket");
        assert!(text.contains(&said), "{text}");
        assert_eq!(text.matches("\n  - ").count(), 1, "{text}");
    }
}

#[test]
fn the_summary_says_where_everything_is() {
    for (arguments, said) in [
        (
            &["--directory-path=/h", "--session-db-path=/s"][..],
            "executions and sessions are kept in /s, heaps in /h (those that nothing needs for 168 \
             hours after their last use, 4096 MB of them);",
        ),
        (
            &["--s3-bucket=b", "--session-db-path=/s"],
            "kept in /s, heaps in the S3 bucket b (those",
        ),
        (
            &["--s3-bucket=b", "--cache-dir=/c", "--cache-max-mb=9"],
            "heaps in the S3 bucket b (with copies of up to 9 MB in /c) (those",
        ),
        (&["--stateless"], "heaps not at all (stateless);"),
    ] {
        let summary = config(arguments, &[]).summary();
        assert!(summary.contains(said), "{summary}");
    }
}

#[test]
fn a_default_that_belongs_to_somebody_else_is_left_alone() {
    let with = |arguments: &[&str], owner| {
        let machine = Machine { owner, ..machine() };
        let arguments = std::iter::once("mcp-v8").chain(arguments.iter().copied());
        match load(arguments.map(OsString::from), [], &machine) {
            Ok(Command::Serve(config)) => Ok(*config),
            Ok(other) => panic!("{other:?}"),
            Err(faults) => Err(faults.to_string()),
        }
    };
    let found = with(&[], |path| {
        let name = path.to_str().unwrap();
        ["sessions", "heaps"]
            .iter()
            .any(|end| name.ends_with(end))
            .then_some(7)
    });
    let found = found.unwrap();
    let place = HeapPlace::Directory("/tmp/mcp-v8-heaps-1000".into());
    assert_eq!(
        found.executions.state,
        kept(
            "/tmp/mcp-v8-sessions-1000",
            place,
            "/tmp/mcp-v8-heaps-1000/heap.key"
        )
    );
    let notes: Vec<String> = found.notes.iter().map(Note::to_string).collect();
    assert_eq!(
        notes,
        [
            "/tmp/mcp-v8-sessions belongs to another user (id 7): executions are kept in \
             /tmp/mcp-v8-sessions-1000",
            "/tmp/mcp-v8-heaps belongs to another user (id 7): heaps are kept in \
             /tmp/mcp-v8-heaps-1000",
        ]
    );
    assert!(with(&[], |_| Some(1000)).unwrap().notes.is_empty());
    let faults = with(&[], |_| Some(7)).unwrap_err();
    for part in [
        "mcp-v8-sessions-1000 belongs to another user (id 7); give a directory of your own with \
         --session-db-path, or use --stateless",
        "mcp-v8-heaps-1000 belongs to another user (id 7); give a directory of your own with \
         --directory-path, or use --stateless",
    ] {
        assert!(faults.contains(part), "{part:?} is not in:\n{faults}");
    }
    // What is not used is not looked at.
    let elsewhere = ["--s3-bucket=heaps", "--session-db-path=/s"];
    assert!(with(&elsewhere, |_| Some(7)).unwrap().notes.is_empty());
    assert!(
        with(&["--stateless"], |_| Some(7))
            .unwrap()
            .notes
            .is_empty()
    );
}
