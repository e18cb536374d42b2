use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn tenant(number: usize) -> Tenant {
    format!("t{number}").parse().unwrap()
}

fn share(weight: u32, concurrent: usize, queued: usize) -> Share {
    Share {
        weight: NonZeroU32::new(weight).unwrap(),
        concurrent,
        queued,
    }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// Gives slots until none is free or wanted, and says to whom.
fn grants(fair: &mut Fair, now: Duration) -> Vec<(Tenant, Number)> {
    std::iter::from_fn(|| fair.grant(now)).collect()
}

#[test]
fn turns_alternate_even_when_scripts_take_no_time() {
    let mut fair = Fair::new(1, 100, Sharing::Alone);
    for _ in 0..4 {
        fair.enter(&tenant(0), share(1, 9, 99)).unwrap();
    }
    for _ in 0..2 {
        fair.enter(&tenant(1), share(1, 9, 99)).unwrap();
    }
    let mut order = Vec::new();
    while let Some((turn, _)) = fair.grant(Duration::ZERO) {
        fair.release(&turn, Duration::ZERO, false, Duration::ZERO);
        order.push(turn);
    }
    let names: Vec<&str> = order.iter().map(Tenant::name).collect();
    assert_eq!(names, ["t0", "t1", "t0", "t1", "t0", "t0"]);
}

#[test]
fn who_comes_back_is_next_and_has_saved_up_nothing() {
    let mut fair = Fair::new(1, 100, Sharing::Alone);
    let (loud, quiet) = (tenant(0), tenant(1));
    for _ in 0..20 {
        fair.enter(&loud, share(1, 9, 99)).unwrap();
    }
    let mut now = Duration::ZERO;
    for _ in 0..10 {
        assert_eq!(fair.grant(now).unwrap().0, loud);
        let since = now;
        now += ms(100);
        fair.release(&loud, since, false, now);
    }
    for _ in 0..3 {
        fair.enter(&quiet, share(1, 9, 99)).unwrap();
    }
    // One of its own while the other is behind by what it took last, then by turns.
    let mut order = Vec::new();
    for _ in 0..4 {
        let (turn, _) = fair.grant(now).unwrap();
        let since = now;
        now += ms(100);
        fair.release(&turn, since, false, now);
        order.push(turn);
    }
    assert_eq!(order[0], quiet);
    let of_loud = order.iter().filter(|turn| **turn == loud).count();
    assert!(of_loud >= 1, "{order:?}");
}

#[test]
fn a_long_script_costs_while_it_runs() {
    let mut fair = Fair::new(2, 100, Sharing::Alone);
    let (long, short) = (tenant(0), tenant(1));
    fair.enter(&long, share(1, 9, 99)).unwrap();
    assert_eq!(grants(&mut fair, Duration::ZERO).len(), 1);
    for _ in 0..5 {
        fair.enter(&short, share(1, 9, 99)).unwrap();
    }
    assert_eq!(grants(&mut fair, ms(20)).len(), 1);
    fair.enter(&long, share(1, 9, 99)).unwrap();
    // The long one has not ended: its time counts all the same.
    for step in 0..3 {
        let (since, now) = (ms(20 + 5 * step), ms(25 + 5 * step));
        fair.release(&short, since, false, now);
        let granted = grants(&mut fair, now);
        assert_eq!(granted.len(), 1);
        assert_eq!(granted[0].0, short, "at {now:?}");
    }
}

#[test]
fn bounds_of_a_tenant_hold_and_leave_slots_to_others() {
    let mut fair = Fair::new(4, 100, Sharing::Alone);
    let (bounded, other) = (tenant(0), tenant(1));
    for _ in 0..5 {
        fair.enter(&bounded, share(1, 2, 3)).unwrap();
        grants(&mut fair, Duration::ZERO);
    }
    assert_eq!(fair.of(&bounded), (2, 3));
    let refusal = fair.enter(&bounded, share(1, 2, 3)).unwrap_err();
    let expected = Refusal::OwnFull {
        running: 2,
        queue_length: 3,
    };
    assert_eq!(refusal, expected);
    fair.enter(&other, share(1, 9, 0)).unwrap();
    assert_eq!(grants(&mut fair, Duration::ZERO).len(), 1);
}

#[test]
fn nobody_fills_a_shared_queue() {
    let mut fair = Fair::new(1, 64, Sharing::Tenants);
    for number in 0..64 {
        let mut is_first = true;
        while fair.enter(&tenant(number), share(1, 9, 99)).is_ok() {
            grants(&mut fair, Duration::ZERO);
            is_first = false;
        }
        assert!(!is_first, "tenant {number} found no place");
    }
}

#[test]
fn who_wants_nothing_is_forgotten() {
    let mut fair = Fair::new(4, 100, Sharing::Tenants);
    for number in 0..(3 * TENANTS_REMEMBERED_MAX) {
        fair.enter(&tenant(number), share(1, 9, 9)).unwrap();
        fair.grant(Duration::ZERO).unwrap();
        fair.release(&tenant(number), Duration::ZERO, false, ms(5));
    }
    assert!(fair.lines.len() <= TENANTS_REMEMBERED_MAX);
}

/// How many get a slot before the one who enters now, by what is said and by what happens.
fn said_and_seen(fair: &mut Fair, of: &Tenant, share: Share) -> (usize, usize) {
    let said = fair.before(of, share);
    let number = fair.enter(of, share).unwrap();
    let mut seen = 0;
    loop {
        let (turn, granted) = fair.grant(Duration::ZERO).unwrap();
        fair.release(&turn, Duration::ZERO, false, Duration::ZERO);
        if granted == number {
            return (said, seen);
        }
        seen += 1;
    }
}

#[test]
fn how_many_come_before_is_known_about() {
    let one = share(1, 9, 99);
    for (loud, quiet) in [(0, 0), (40, 0), (40, 3), (3, 40), (40, 40)] {
        let mut fair = Fair::new(1, 200, Sharing::Alone);
        for _ in 0..loud {
            fair.enter(&tenant(0), one).unwrap();
        }
        for _ in 0..quiet {
            fair.enter(&tenant(1), one).unwrap();
        }
        let (said, seen) = said_and_seen(&mut fair, &tenant(1), one);
        assert!(
            said.abs_diff(seen) <= 1,
            "{loud} and {quiet}: {said}, {seen}"
        );
    }
    // Who has three times the weight waits for a third as many.
    let mut fair = Fair::new(1, 200, Sharing::Alone);
    for _ in 0..40 {
        fair.enter(&tenant(0), one).unwrap();
    }
    for _ in 0..30 {
        fair.enter(&tenant(1), share(3, 9, 99)).unwrap();
    }
    let (said, seen) = said_and_seen(&mut fair, &tenant(1), share(3, 9, 99));
    assert!(said.abs_diff(seen) <= 2, "{said}, {seen}");
}

#[derive(Debug, Clone)]
enum Step {
    Enter(usize),
    /// Ends one of those that run.
    End(usize),
    Promise(usize),
    /// One of those that wait goes away.
    Leave(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_usize).prop_map(Step::Enter),
        3 => any::<usize>().prop_map(Step::End),
        1 => any::<usize>().prop_map(Step::Promise),
        1 => any::<usize>().prop_map(Step::Leave),
        2 => (0..500_u64).prop_map(Step::Pass),
    ]
}

#[derive(Debug)]
struct Runner {
    tenant: Tenant,
    since: Duration,
    is_promised: bool,
}

proptest! {
    #[test]
    fn whatever_happens_bounds_hold_and_no_slot_is_idle(
        slots in 1..5_usize,
        places in 0..12_usize,
        is_shared in any::<bool>(),
        shares in vec((1..9_u32, 1..4_usize, 0..6_usize), 5),
        steps in vec(step(), 1..300),
    ) {
        let sharing = if is_shared { Sharing::Tenants } else { Sharing::Alone };
        let mut fair = Fair::new(slots, places, sharing);
        let shares: Vec<Share> = shares.iter().map(|&(w, c, q)| share(w, c, q)).collect();
        let mut now = Duration::ZERO;
        let mut running: Vec<Runner> = Vec::new();
        let mut waiting: Vec<(Tenant, Number)> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(of) => {
                    let looked = fair.look(&tenant(of), shares[of]);
                    let entered = fair.enter(&tenant(of), shares[of]);
                    prop_assert_eq!(looked.is_ok(), entered.is_ok());
                    if let Ok(number) = entered {
                        waiting.push((tenant(of), number));
                    }
                }
                Step::End(which) if !running.is_empty() => {
                    let gone = running.swap_remove(which % running.len());
                    fair.release(&gone.tenant, gone.since, gone.is_promised, now);
                }
                Step::Promise(which) if !running.is_empty() => {
                    let which = which % running.len();
                    if !running[which].is_promised {
                        running[which].is_promised = true;
                        fair.promise(&running[which].tenant);
                    }
                }
                Step::Leave(which) if !waiting.is_empty() => {
                    let (of, number) = waiting.remove(which % waiting.len());
                    prop_assert!(fair.leave(&of, number));
                    prop_assert!(!fair.leave(&of, number));
                }
                Step::End(_) | Step::Promise(_) | Step::Leave(_) => {}
                Step::Pass(time) => now += ms(time),
            }
            while let Some((of, number)) = fair.grant(now) {
                // First come, first served within a tenant.
                let first = waiting.iter().position(|(waits, _)| *waits == of).unwrap();
                prop_assert_eq!(waiting.remove(first).1, number);
                running.push(Runner { tenant: of, since: now, is_promised: false });
            }
            prop_assert!(running.len() <= slots);
            let promised = running.iter().filter(|one| one.is_promised).count();
            // A slot that is given back keeps no promise to who may have no more.
            let factor = if is_shared { 2 } else { 1 };
            prop_assert!(waiting.len() <= factor * (places + slots));
            prop_assert_eq!((fair.running, fair.waiting, fair.promised),
                (running.len(), waiting.len(), promised));
            for (of, share) in shares.iter().enumerate() {
                let name = tenant(of);
                let runs = running.iter().filter(|one| one.tenant == name).count();
                let waits = waiting.iter().filter(|(one, _)| *one == name).count();
                prop_assert_eq!(fair.of(&name), (runs, waits));
                prop_assert!(runs <= share.concurrent);
                // No slot is free while somebody wants one who may have it.
                prop_assert!(running.len() == slots || waits == 0 || runs == share.concurrent);
            }
        }
    }

    /// Tenants that always want a slot get time by their weights, however long their scripts are.
    #[test]
    fn time_goes_by_weight(
        slots in 1..4_usize,
        of in vec((1..6_u32, vec(1..2_000_u64, 1..8)), 2..5),
    ) {
        let mut fair = Fair::new(slots, 1000, Sharing::Alone);
        let longest = of.iter().flat_map(|(_, times)| times).max().unwrap();
        let mut next = vec![0; of.len()];
        let mut served = vec![Duration::ZERO; of.len()];
        let mut running: Vec<(Duration, usize, Duration)> = Vec::new();
        let mut now = Duration::ZERO;
        for (number, (weight, _)) in of.iter().enumerate() {
            for _ in 0..2 * slots {
                fair.enter(&tenant(number), share(*weight, 99, 99)).unwrap();
            }
        }
        for _ in 0..400 {
            while let Some((turn, _)) = fair.grant(now) {
                let number = (0..of.len()).find(|number| tenant(*number) == turn).unwrap();
                let (weight, times) = &of[number];
                let time = ms(times[next[number] % times.len()]);
                next[number] += 1;
                running.push((now + time, number, now));
                // Another one comes at once.
                fair.enter(&turn, share(*weight, 99, 99)).unwrap();
            }
            running.sort_unstable();
            let (end, number, since) = running.remove(0);
            now = end;
            served[number] += end - since;
            fair.release(&tenant(number), since, false, now);
        }
        for (_, number, since) in &running {
            served[*number] += now.saturating_sub(*since);
        }
        // What each has had, per weight, differs by what can run at once of each at most.
        let grant_costs = |number: usize| GRANT_COST.as_secs_f64() * f64::from(u32::try_from(next[number]).unwrap());
        let per_weight: Vec<f64> = (0..of.len())
            .map(|number| (served[number].as_secs_f64() + grant_costs(number)) / f64::from(of[number].0))
            .collect();
        let bound = (ms(*longest) + GRANT_COST).as_secs_f64() * 2.0 * (slots as f64 + 1.0);
        for one in &per_weight {
            for other in &per_weight {
                prop_assert!((one - other).abs() <= bound, "{per_weight:?} beyond {bound}");
            }
        }
    }
}
