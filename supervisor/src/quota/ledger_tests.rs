use super::*;

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// No window of a new ledger begins before time does.
const START: Duration = Duration::from_secs(10_000);

#[test]
fn executions_are_counted_by_the_minute_and_for_each_tenant() {
    let mut ledger = Ledger::new(TenantLimits {
        executions_per_minute: Some(3),
        ..TenantLimits::default()
    });
    let (one, other) = (tenant("one"), tenant("other"));
    for second in 0..3 {
        assert_eq!(ledger.accept(&one, START + secs(second)), Ok(()));
    }
    let excess = ledger.accept(&one, START + secs(3)).unwrap_err();
    assert_eq!(
        (excess.quota, excess.limit, excess.retry_after),
        (Quota::ExecutionsPerMinute, 3, secs(58))
    );
    assert_eq!(ledger.look(&one, START + secs(3)), Err(excess));
    assert_eq!(ledger.accept(&other, START + secs(3)), Ok(()));
    // As true as it was told.
    assert_eq!(ledger.accept(&one, START + secs(61)), Ok(()));
    assert!(ledger.accept(&one, START + secs(61)).is_err());
}

#[test]
fn cpu_time_that_is_used_up_refuses_executions_until_it_leaves() {
    let mut ledger = Ledger::new(TenantLimits {
        cpu_seconds_per_hour: Some(10),
        ..TenantLimits::default()
    });
    let one = tenant("one");
    ledger.cpu(&one, Duration::from_millis(9_999), START);
    assert_eq!(ledger.accept(&one, START), Ok(()));
    ledger.cpu(&one, secs(30), START + secs(120));
    let excess = ledger.accept(&one, START + secs(180)).unwrap_err();
    assert_eq!(excess.quota, Quota::CpuSecondsPerHour);
    assert!(
        ledger
            .look(&one, START + secs(180) + excess.retry_after)
            .is_ok()
    );
}

#[test]
fn what_was_used_before_a_restart_counts() {
    let mut ledger = Ledger::new(TenantLimits {
        cpu_seconds_per_hour: Some(10),
        ..TenantLimits::default()
    });
    let one = tenant("one");
    let used = |ago, cpu_millis| Used {
        ago: secs(ago),
        cpu_millis,
        output_bytes: 0,
    };
    ledger.earlier(&one, used(2 * 3600, 100_000), START);
    assert_eq!(ledger.look(&one, START), Ok(()));
    ledger.earlier(&one, used(1800, 10_000), START);
    let excess = ledger.look(&one, START).unwrap_err();
    assert!(
        excess.retry_after > secs(1700) && excess.retry_after <= secs(1860),
        "{excess:?}"
    );
}

#[test]
fn output_is_kept_as_far_as_it_fits() {
    let mut ledger = Ledger::new(TenantLimits {
        output_mb_per_hour: Some(1),
        ..TenantLimits::default()
    });
    let one = tenant("one");
    assert_eq!(ledger.output(&one, MB - 5, START), MB - 5);
    assert_eq!(ledger.accept(&one, START), Ok(()));
    assert_eq!(ledger.output(&one, 10, START), 5);
    assert_eq!(ledger.output(&one, 10, START), 0);
    assert_eq!(ledger.output(&tenant("other"), 10, START), 10);
    let excess = ledger.accept(&one, START).unwrap_err();
    assert_eq!(excess.quota, Quota::OutputMbPerHour);
}

#[test]
fn requests_are_counted_by_the_minute() {
    let mut ledger = Ledger::new(TenantLimits {
        fetches_per_minute: Some(2),
        ..TenantLimits::default()
    });
    let one = tenant("one");
    assert!(ledger.fetch(&one, START).is_ok() && ledger.fetch(&one, START).is_ok());
    assert_eq!(
        ledger.fetch(&one, START).unwrap_err().quota,
        Quota::FetchesPerMinute
    );
    // Executions are another matter.
    assert_eq!(ledger.accept(&one, START), Ok(()));
}

#[test]
fn heaps_are_refused_once_they_take_what_they_may() {
    let mut ledger = Ledger::new(TenantLimits::default());
    let one = tenant("one");
    assert_eq!(ledger.heap(&one, u64::MAX), Ok(()));
    let own = TenantLimits {
        stored_heap_mb: Some(2),
        ..TenantLimits::default()
    };
    ledger.allow([(one.clone(), own)].into());
    assert_eq!(ledger.heap(&one, 2 * MB - 1), Ok(()));
    assert_eq!(ledger.heap(&one, 2 * MB), Err(HeapsFull { limit_mb: 2 }));
    assert_eq!(ledger.heap(&tenant("other"), 2 * MB), Ok(()));
}

#[test]
fn new_limits_count_at_once_and_for_what_was_used() {
    let mut ledger = Ledger::new(TenantLimits::default());
    let one = tenant("one");
    for _ in 0..5 {
        ledger.accept(&one, START).unwrap();
    }
    let own = TenantLimits {
        executions_per_minute: Some(5),
        ..TenantLimits::default()
    };
    ledger.allow([(one.clone(), own)].into());
    assert!(ledger.accept(&one, START).is_err());
    ledger.allow(HashMap::new());
    assert!(ledger.accept(&one, START).is_ok());
}

#[test]
fn so_many_tenants_are_remembered_and_the_idlest_is_forgotten() {
    let mut ledger = Ledger::new(TenantLimits {
        executions_per_minute: Some(1),
        ..TenantLimits::default()
    });
    for number in 0..=TENANTS_REMEMBERED_MAX as u64 {
        let now = START + Duration::from_millis(number);
        ledger.accept(&tenant(&format!("t{number}")), now).unwrap();
    }
    assert_eq!(ledger.accounts.len(), TENANTS_REMEMBERED_MAX);
    let now = START + secs(20);
    assert!(ledger.look(&tenant("t0"), now).is_ok());
    assert!(ledger.look(&tenant("t1"), now).is_err());
    // Nobody has used anything for long: one look for room forgets them all.
    ledger.accept(&tenant("late"), START + secs(600)).unwrap();
    assert_eq!(ledger.accounts.len(), 1);
}

#[test]
fn new_defaults_count_for_who_has_no_limits_of_its_own_and_for_what_was_used() {
    let bound = |most| TenantLimits {
        executions_per_minute: Some(most),
        ..TenantLimits::default()
    };
    let mut ledger = Ledger::new(bound(10));
    let (own, other) = (tenant("own"), tenant("other"));
    ledger.allow([(own.clone(), bound(5))].into_iter().collect());
    for one in [&own, &other] {
        for _ in 0..3 {
            assert_eq!(ledger.accept(one, START), Ok(()));
        }
    }
    ledger.set_defaults(bound(3));
    assert_eq!(ledger.accept(&own, START), Ok(()));
    assert_eq!(ledger.accept(&other, START).unwrap_err().limit, 3);
    ledger.set_defaults(TenantLimits::default());
    assert_eq!(ledger.accept(&other, START), Ok(()));
}
