use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::{Command, Machine, load};

/// What was said on a command line, as a configuration.
fn config(arguments: &[&str]) -> Config {
    let machine = Machine {
        cores: 2,
        user_id: 1000,
        program: Ok(PathBuf::from("/opt/mcp/mcp-v8")),
        owner: |_| None,
    };
    let words = ["mcp-v8"].iter().chain(arguments).map(OsString::from);
    match load(words, [], &machine) {
        Ok(Command::Serve(config)) => *config,
        other => panic!("{other:?}"),
    }
}

/// Counts what it takes, or objects.
#[derive(Debug, Clone, Default)]
struct Part {
    taken: Arc<AtomicUsize>,
    objects: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("not this one")]
struct NotThisOne;

#[async_trait]
impl Reload for Part {
    fn name(&self) -> &'static str {
        "a part"
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::ExecutionTimeout]
    }

    async fn prepare(&self, _: &Config) -> Result<Change, Objection> {
        if self.objects {
            return Err(NotThisOne.into());
        }
        let taken = Arc::clone(&self.taken);
        Ok(Box::new(move || {
            taken.fetch_add(1, Ordering::SeqCst);
        }))
    }
}

#[tokio::test]
async fn what_has_changed_is_told_and_what_needs_a_restart_is_told_until_it_is_said_no_more() {
    let before = config(&["--execution-timeout", "3"]);
    let part = Part::default();
    let mut reloader = Reloader::new(before.said.clone()).with(part.clone());
    let after = config(&["--execution-timeout", "4", "--max-queued-executions", "5"]);
    for changed in [vec![Setting::ExecutionTimeout], vec![]] {
        let reloaded = reloader.reload(&after).await.unwrap();
        assert_eq!(reloaded.changed, changed);
        assert_eq!(reloaded.need_restart, [Setting::MaxQueuedExecutions]);
    }
    let reloaded = reloader.reload(&before).await.unwrap();
    assert_eq!(reloaded.changed, [Setting::ExecutionTimeout]);
    assert!(reloaded.need_restart.is_empty());
    assert_eq!(reloaded.to_string(), "changed: execution-timeout");
    // A setting that is not said any more has its default again.
    let reloaded = reloader.reload(&config(&[])).await.unwrap();
    assert_eq!(reloaded.changed, [Setting::ExecutionTimeout]);
    assert_eq!(part.taken.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn one_objection_keeps_all_as_they_are() {
    let before = config(&[]);
    let (willing, unwilling) = (
        Part::default(),
        Part {
            objects: true,
            ..Part::default()
        },
    );
    let mut reloader = Reloader::new(before.said)
        .with(willing.clone())
        .with(unwilling);
    let after = config(&["--execution-timeout", "4"]);
    let refused = reloader.reload(&after).await.unwrap_err();
    assert_eq!(refused.to_string(), "a part: not this one");
    assert_eq!(willing.taken.load(Ordering::SeqCst), 0);
}
