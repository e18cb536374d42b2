//! A disk that takes no more of the audit log. Alone in its program: the limit is of the whole process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use mcp_v8::audit::{Audit, AuditConfig, EndUsage, Event, verify};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

fn event(number: u64) -> Event {
    Event::ExecutionEnded {
        tenant: "one".to_owned(),
        execution: number.to_string(),
        status: "completed",
        error_kind: None,
        output_heap: None,
        usage: EndUsage::default(),
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(40), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_is_accepted_until_what_happened_is_written() {
    // SAFETY: no handler is installed, the signal is ignored.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = AuditConfig {
        path: directory.path().join("audit.log"),
        key_file: directory.path().join("audit.key"),
        file_bytes_max: 1 << 20,
        files_max: 2,
    };
    let opened = config.clone();
    let audit = tokio::task::spawn_blocking(move || Audit::open(&opened))
        .await
        .unwrap()
        .unwrap();
    audit.place().unwrap().note(event(1));
    let length = || std::fs::metadata(&config.path).unwrap().len();
    until("two lines are written", || {
        std::fs::read_to_string(&config.path)
            .unwrap()
            .lines()
            .count()
            == 2
    })
    .await;
    // A line and a half fit.
    let whole = length();
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, whole + 300, most).unwrap();
    let places: Vec<_> = (0..5).map(|_| audit.place().unwrap()).collect();
    for (number, place) in places.into_iter().enumerate() {
        place.note(event(number as u64 + 2));
    }
    until("it is noticed", || audit.ready().is_err()).await;
    let refused = audit.place().unwrap_err().to_string();
    assert!(
        refused.contains("the audit log cannot be written"),
        "{refused}"
    );
    assert!(audit.place_in_time().await.is_err());
    // No half line is left meanwhile.
    assert!(std::fs::read(&config.path).unwrap().ends_with(b"\n"));
    setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
    until("it is mended", || audit.ready().is_ok()).await;
    audit.place().unwrap().note(event(7));
    audit.close().await;
    let text = std::fs::read_to_string(&config.path).unwrap();
    for number in 1..=7 {
        assert!(
            text.contains(&format!("\"execution\":\"{number}\"")),
            "{text}"
        );
    }
    let verified = verify(&config.path, &config.key_file, &[]).unwrap();
    assert_eq!(verified.lines, 9);
}
