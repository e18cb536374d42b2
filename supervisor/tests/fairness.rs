//! A tenant that floods, and one that wants little: counted in executions, not in seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::collections::HashMap;
use std::time::Duration;

use crate::support::{Home, PATIENCE, request};
use mcp_v8::app::{
    Error, Executions, ExecutionsConfig, RunRequest, Tenant, Usage, View, Workspace,
};
use mcp_v8::quota::{Quota, Sharing, TenantLimits};

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

async fn server(config: ExecutionsConfig) -> Executions {
    let config = ExecutionsConfig {
        sharing: Sharing::Tenants,
        ..config
    };
    Executions::start(config).await.unwrap()
}

async fn run(workspace: &Workspace, request: RunRequest) -> View {
    let id = workspace.submit(request).await.unwrap();
    workspace.wait(id, PATIENCE).await.unwrap()
}

/// How many of these had been begun before that one was.
fn begun_before(all: &[View], one: &View) -> usize {
    let at = one.started_at.expect("it has run");
    all.iter()
        .filter(|view| view.started_at.is_some_and(|begun| begun < at))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_tenant_waits_for_one_execution_of_a_flood_at_most() {
    const SLOTS: usize = 2;
    const QUIET: usize = 20;
    let home = Home::new();
    let executions = server(ExecutionsConfig {
        max_concurrent: SLOTS,
        queue_length_max: 400,
        ..home.config()
    })
    .await;
    let (loud, quiet) = (
        executions.of(tenant("loud")),
        executions.of(tenant("quiet")),
    );
    let mut flood = Vec::new();
    let mut waited = Vec::new();
    for _ in 0..QUIET {
        // The flood is always far ahead.
        while executions.load().queued < 40 {
            flood.push(loud.submit(request("finish 1")).await.unwrap());
        }
        let before = ended(&loud, &flood).await;
        let view = run(&quiet, request("finish 2")).await;
        let after = ended(&loud, &flood).await;
        waited.push(begun_before(&after, &view).saturating_sub(before.len() + SLOTS));
    }
    eprintln!(
        "executions of the flood that began while the quiet tenant waited, beyond those that ran already: {waited:?}"
    );
    // Those that ran when it came, and one more for each slot that was being given away just then.
    assert!(waited.iter().all(|others| *others <= SLOTS), "{waited:?}");
    executions.shut_down().await;
}

/// Those that have ended by now.
async fn ended(workspace: &Workspace, ids: &[mcp_v8::app::ExecutionId]) -> Vec<View> {
    let mut found = Vec::new();
    for id in ids {
        let view = workspace.get(*id).await.unwrap();
        if view.started_at.is_some() {
            found.push(view);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_does_not_fill_the_queue() {
    let home = Home::new();
    let executions = server(ExecutionsConfig {
        max_concurrent: 1,
        queue_length_max: 16,
        ..home.config()
    })
    .await;
    let loud = executions.of(tenant("loud"));
    let mut accepted = Vec::new();
    let refusal = loop {
        match loud.submit(request("hang")).await {
            Ok(id) => accepted.push(id),
            Err(refusal) => break refusal,
        }
    };
    assert!(
        matches!(refusal, Error::QueueShared { waiting: 8 }),
        "{refusal}"
    );
    assert_eq!(loud.admits(), Err(refusal));
    for name in ["a", "b", "c", "d"] {
        let other = executions.of(tenant(name));
        assert_eq!(other.admits(), Ok(()), "{name}");
        if name == "a" {
            other.submit(request("finish 1")).await.unwrap();
        }
    }
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_a_tenant_leave_slots_to_others() {
    let home = Home::new();
    let executions = server(ExecutionsConfig {
        max_concurrent: 2,
        tenant_limits: TenantLimits {
            concurrent: Some(1),
            queued: Some(1),
            ..TenantLimits::default()
        },
        ..home.config()
    })
    .await;
    let (loud, quiet) = (
        executions.of(tenant("loud")),
        executions.of(tenant("quiet")),
    );
    loud.submit(request("hang")).await.unwrap();
    loud.submit(request("hang")).await.unwrap();
    let refusal = loud.submit(request("hang")).await.unwrap_err();
    let expected = Error::TenantFull {
        running: 1,
        queue_length: 1,
    };
    assert_eq!(refusal, expected);
    // One slot is free, though the other tenant wants more.
    let view = run(&quiet, request("finish 1")).await;
    assert!(view.end.is_some(), "{view:?}");
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_of_each_tenant_and_what_was_used_is_told() {
    let home = Home::new();
    let executions = server(ExecutionsConfig {
        tenant_limits: TenantLimits {
            executions_per_minute: Some(2),
            heap_memory_max_mb: Some(8),
            ..TenantLimits::default()
        },
        ..home.config()
    })
    .await;
    let (one, other) = (executions.of(tenant("one")), executions.of(tenant("other")));
    let own = TenantLimits {
        executions_per_minute: Some(3),
        ..TenantLimits::default()
    };
    executions.allow(HashMap::from([(tenant("other"), own)]));
    let view = run(&one, request("finish 1")).await;
    let Usage {
        peak_memory_bytes, ..
    } = view.usage.expect("its worker has used something");
    assert!(peak_memory_bytes > 0);
    run(&one, request("finish 1")).await;
    let refusal = one.submit(request("finish 1")).await.unwrap_err();
    let Error::OverQuota(excess) = refusal.clone() else {
        panic!("{refusal}");
    };
    assert_eq!(
        (excess.quota, excess.limit),
        (Quota::ExecutionsPerMinute, 2)
    );
    assert!(excess.retry_after <= Duration::from_secs(61), "{excess:?}");
    assert!(
        refusal.to_string().contains("executions_per_minute")
            && refusal.to_string().contains("try again in"),
        "{refusal}"
    );
    assert!(matches!(one.admits(), Err(Error::OverQuota(_))));
    for _ in 0..3 {
        run(&other, request("finish 1")).await;
    }
    assert!(other.submit(request("finish 1")).await.is_err());
    let large = RunRequest {
        heap_memory_max_mb: Some(16),
        ..request("finish 1")
    };
    let refusal = executions
        .of(tenant("third"))
        .submit(large)
        .await
        .unwrap_err();
    assert!(
        matches!(
            refusal,
            Error::Invalid {
                field: "heap_memory_max_mb",
                ..
            }
        ),
        "{refusal}"
    );
    executions.shut_down().await;
}
