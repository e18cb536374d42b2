use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::limits::{AUDIT_QUEUE_LENGTH, AUDIT_QUEUE_RESERVE};

/// A log of its own.
struct Log {
    directory: TempDir,
    config: AuditConfig,
}

impl Log {
    fn new(file_bytes_max: u64, files_max: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = AuditConfig {
            path: directory.path().join("new/audit.log"),
            key_file: directory.path().join("audit.key"),
            file_bytes_max,
            files_max,
        };
        Self { directory, config }
    }

    fn open(&self) -> Audit {
        Audit::open(&self.config).unwrap()
    }

    fn verify(&self) -> Result<Verified, NotVerified> {
        verify(&self.config.path, &self.config.key_file, &[])
    }

    fn path(&self, number: u64) -> PathBuf {
        files::aside(&self.config.path, number)
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(&self.config.path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn ended(number: u64) -> Event {
    Event::ExecutionEnded {
        tenant: "one".to_owned(),
        execution: number.to_string(),
        status: "completed",
        error_kind: None,
        output_heap: None,
        usage: EndUsage::default(),
    }
}

fn refused(reason: &'static str) -> Event {
    Event::ExecutionRefused {
        actor: Actor {
            tenant: "one".to_owned(),
            token: None,
            transport: None,
        },
        code_sha256: None,
        reason,
    }
}

const MB: u64 = 1 << 20;

#[tokio::test]
async fn events_are_lines_from_start_to_stop_in_a_private_file() {
    let log = Log::new(MB, 2);
    let audit = log.open();
    audit.place().unwrap().note(ended(7));
    audit.close().await;
    let lines = log.lines();
    let events: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        ["server_started", "execution_ended", "server_stopped"]
    );
    assert_eq!(lines[1]["execution"], "7");
    assert_eq!(lines[1]["output_bytes"], 0);
    for path in [
        &log.config.path,
        &files::anchor_path(&log.config.path),
        &log.config.key_file,
    ] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let verified = log.verify().unwrap();
    assert_eq!((verified.files, verified.lines), (1, 3));
    assert!(
        verified.to_string().contains("the chain is whole"),
        "{verified}"
    );
}

#[tokio::test]
async fn the_chain_goes_on_over_restarts_and_files_and_the_oldest_go() {
    let log = Log::new(2_000, 3);
    for start in 0..4 {
        let audit = log.open();
        for number in 0..30 {
            audit
                .place_in_time()
                .await
                .unwrap()
                .note(ended(100 * start + number));
            // One line a batch, so that files are put aside often.
            while audit.0.as_ref().unwrap().sender.capacity() < AUDIT_QUEUE_LENGTH {
                tokio::task::yield_now().await;
            }
        }
        audit.close().await;
        let verified = log.verify().unwrap();
        assert_eq!(verified.last.unwrap().0, 32 * (start + 1));
    }
    assert_eq!(files::all(&log.config.path).unwrap(), [3, 2, 1, 0]);
    let verified = log.verify().unwrap();
    assert!(verified.first.unwrap().0 > 1, "the oldest are gone");
    // The oldest that is kept must be there.
    fs::remove_file(log.path(3)).unwrap();
    let error = log.verify().unwrap_err().to_string();
    assert!(error.contains("the log begins with line"), "{error}");
    // One in between, too.
    fs::remove_file(log.path(1)).unwrap();
    assert!(log.verify().is_err());
}

#[tokio::test]
async fn a_server_goes_on_after_it_was_killed_in_the_middle_of_a_line() {
    let log = Log::new(MB, 2);
    log.open().close().await;
    let mut text = fs::read(&log.config.path).unwrap();
    text.extend(b"{\"seq\":3,\"prev\":\"00");
    fs::write(&log.config.path, &text).unwrap();
    let verified = log.verify().unwrap();
    assert!(verified.has_rest, "{verified}");
    log.open().close().await;
    assert_eq!(log.lines()[2]["torn_bytes"], 19);
    assert!(!log.verify().unwrap().has_rest);
}

#[tokio::test]
async fn a_log_that_was_tampered_with_is_not_gone_on_with() {
    type Tamper = fn(&Log);
    let tampers: [(&str, Tamper); 6] = [
        ("cut", |log| {
            let text = fs::read_to_string(&log.config.path).unwrap();
            let first = text.lines().next().unwrap();
            fs::write(&log.config.path, format!("{first}\n")).unwrap();
        }),
        ("edited", |log| {
            let text = fs::read_to_string(&log.config.path).unwrap();
            fs::write(
                &log.config.path,
                text.replace("server_stopped", "server_slipped"),
            )
            .unwrap();
        }),
        ("emptied", |log| fs::write(&log.config.path, "").unwrap()),
        ("gone", |log| fs::remove_file(&log.config.path).unwrap()),
        ("without its anchor", |log| {
            fs::remove_file(files::anchor_path(&log.config.path)).unwrap();
        }),
        ("with another key", |log| {
            fs::remove_file(&log.config.key_file).unwrap()
        }),
    ];
    for (what, tamper) in tampers {
        let log = Log::new(MB, 2);
        log.open().close().await;
        tamper(&log);
        let error = Audit::open(&log.config).unwrap_err();
        assert!(matches!(error, AuditError::Tampered(_)), "{what}: {error}");
        assert!(log.verify().is_err(), "{what}");
    }
}

#[tokio::test]
async fn two_servers_do_not_write_one_log() {
    let log = Log::new(MB, 2);
    let audit = log.open();
    let error = Audit::open(&log.config).unwrap_err();
    assert!(matches!(error, AuditError::Taken { .. }), "{error}");
    audit.close().await;
    drop(audit);
}

#[tokio::test]
async fn files_that_were_carried_away_are_verified_as_they_are_named() {
    let log = Log::new(MB, 2);
    log.open().close().await;
    let copy = log.directory.path().join("copy.log");
    fs::copy(&log.config.path, &copy).unwrap();
    let verify = || {
        verify(
            &log.config.path,
            &log.config.key_file,
            std::slice::from_ref(&copy),
        )
    };
    let verified = verify().unwrap();
    assert!(!verified.is_anchored && verified.to_string().contains("no anchor"));
    let text = fs::read_to_string(&copy).unwrap();
    fs::write(&copy, text.replace("mcp", "mcq").replace("pid", "pit")).unwrap();
    let error = verify().unwrap_err().to_string();
    assert!(error.contains("copy.log, line 1: "), "{error}");
}

#[tokio::test]
async fn what_comes_too_often_is_told_with_its_number() {
    let log = Log::new(MB, 2);
    let audit = log.open();
    for _ in 0..50 {
        audit.note(refused("overloaded"));
    }
    audit.note(refused("stateless"));
    audit.close().await;
    let lines = log.lines();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "execution_refused")
        .map(|line| (line["reason"].as_str().unwrap(), line["times"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            ("overloaded", None),
            ("stateless", None),
            ("overloaded", Some(49))
        ]
    );
}

#[tokio::test]
async fn places_for_ends_are_kept_whatever_else_happens() {
    let log = Log::new(MB, 2);
    let audit = log.open();
    let mut places = Vec::new();
    while let Ok(place) = audit.place() {
        places.push(place);
    }
    assert!(places.len() > AUDIT_QUEUE_RESERVE);
    audit.note(ended(0));
    let error = audit.place().unwrap_err();
    assert!(error.to_string().contains("does not keep up"), "{error}");
    let first = places.pop().unwrap();
    drop(places);
    first.note(ended(1));
    audit.close().await;
    let lines = log.lines();
    assert!(
        lines
            .iter()
            .any(|line| line["event"] == "events_lost" && line["count"] == 1)
    );
    assert!(lines.iter().any(|line| line["execution"] == "1"));
}

#[tokio::test]
async fn without_a_log_nothing_is_asked() {
    let audit = Audit::default();
    assert!(!audit.is_on() && audit.ready().is_ok());
    audit.place().unwrap().note(ended(1));
    audit.close().await;
}
