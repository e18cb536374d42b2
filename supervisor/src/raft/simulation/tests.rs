//! Many seeds, and every mistake.

use std::env;

use super::files::Ground;
use super::oracle;
use super::world::{Counts, What, World};
use super::{Checked, Fault, must};
use crate::raft::ids::RequestId;

/// Milliseconds of trouble, and of peace until everything must be well.
const TROUBLE: u64 = 4_000;
const PEACE: u64 = 6_000;
const CLIENTS: [usize; 4] = [2, 4, 4, 10];
/// Seeds of an ordinary run of the tests, in parts that run at once.
const SEEDS: u64 = 500;
const PARTS: u64 = 4;

/// What a run was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Report {
    trace: u64,
    committed: u64,
    leaders: u64,
    answered: u64,
    counts: Counts,
    changes: [u64; 4],
}

impl Report {
    fn add(&mut self, other: Self) {
        self.committed += other.committed;
        self.leaders += other.leaders;
        self.answered += other.answered;
        self.counts.crashes += other.counts.crashes;
        self.counts.installs += other.counts.installs;
        self.counts.wipes += other.counts.wipes;
        self.counts.stops += other.counts.stops;
        for (mine, others) in self.changes.iter_mut().zip(other.changes) {
            *mine += others;
        }
    }
}

/// Every other seed has logs in files.
const fn ground_of(seed: u64) -> Ground {
    if seed.is_multiple_of(2) {
        Ground::Memory
    } else {
        Ground::Log
    }
}

fn run(seed: u64, fault: Option<Fault>) -> Checked<Report> {
    run_on(ground_of(seed), seed, fault)
}

fn run_on(ground: Ground, seed: u64, fault: Option<Fault>) -> Checked<Report> {
    let mut world = World::new(seed, ground, fault);
    let clients = world.dice.pick(&CLIENTS).copied();
    world.add_clients(clients.unwrap_or(4));
    world.after(300, What::Trouble);
    world.run_until(TROUBLE)?;
    world.calm();
    let mut end = TROUBLE;
    // Long enough that every client has been told.
    world.run_until(end + 2_500)?;
    end += 2_500;
    if world.can_decide() {
        world.stop_clients();
        while !world.is_one() {
            end += 50;
            world.run_until(end)?;
            must(end < TROUBLE + PEACE, || {
                format!("the cluster does not become one\n{}", world.report())
            })?;
        }
    }
    finish(&mut world)
}

/// All states are the same, and the history is one that a single machine could have given.
fn finish(world: &mut World) -> Checked<Report> {
    let states: Vec<_> = world
        .running()
        .map(|running| running.state.clone())
        .collect();
    for state in &states {
        world.checks.state(state)?;
    }
    let newest = states.iter().max_by_key(|state| {
        let Ok(applied) = crate::raft::state::State::applied(*state);
        applied.index
    });
    if let Some(newest) = newest.filter(|_| world.can_decide()) {
        let order: Vec<RequestId> = world.checks.order.clone();
        for object in 0..super::clients::HEAPS {
            oracle::tag(&world.history, object, &order)?;
        }
        for object in super::clients::HEAPS..super::clients::HEAPS + 2 {
            let name = super::clients::session_name(object);
            let entries = newest.session("t", &name).iter();
            let end: Vec<u32> = entries
                .filter_map(|entry| entry.code.parse().ok())
                .collect();
            oracle::session(&world.history, object, &end)?;
        }
    }
    let answered = world.history.iter().filter(|one| one.returned.is_some());
    Ok(Report {
        trace: world.trace(),
        committed: world.checks.committed(),
        leaders: world.checks.leaders() as u64,
        answered: answered.count() as u64,
        counts: world.counts,
        changes: world.checks.changes,
    })
}

/// Why a seed fails.
fn complaint(ground: Ground, seed: u64, fault: Option<Fault>) -> Result<Report, String> {
    match std::panic::catch_unwind(|| run_on(ground, seed, fault)) {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(violation)) => Err(violation.0),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(format!("a panic: {}", text.unwrap_or_default()))
        }
    }
}

fn run_seeds(seeds: impl Iterator<Item = u64>, ground_of: impl Fn(u64) -> Ground) -> Report {
    const SHOWN_MAX: usize = 8;
    let mut sum = Report::default();
    let mut failed = Vec::new();
    for seed in seeds {
        match complaint(ground_of(seed), seed, None) {
            Ok(report) => sum.add(report),
            Err(why) => failed.push(format!("seed {seed}: {why}")),
        }
    }
    let shown = &failed[..failed.len().min(SHOWN_MAX)];
    assert!(
        failed.is_empty(),
        "{} fail:\n{}",
        failed.len(),
        shown.join("\n")
    );
    sum
}

fn part(number: u64) {
    let each = SEEDS / PARTS;
    let sum = run_seeds(number * each + 1..=(number + 1) * each, ground_of);
    // What runs without trouble, or without work, shows nothing.
    assert!(sum.leaders > 3 * each, "{sum:?}");
    assert!(sum.answered > 100 * each, "{sum:?}");
    assert!(sum.counts.crashes > 3 * each, "{sum:?}");
    assert!(sum.counts.installs > each / 2, "{sum:?}");
    assert!(sum.counts.wipes > each / 10, "{sum:?}");
    assert!(
        sum.changes.iter().all(|times| *times > each / 30),
        "{sum:?}"
    );
}

#[test]
fn seeds_of_the_first_part() {
    part(0);
}

#[test]
fn seeds_of_the_second_part() {
    part(1);
}

#[test]
fn seeds_of_the_third_part() {
    part(2);
}

#[test]
fn seeds_of_the_fourth_part() {
    part(3);
}

/// A node that was removed stopped at once. The last other voter had crashed before it knew of the
/// commit, and could never be elected.
#[test]
fn a_removed_node_votes_until_the_others_know() {
    assert!(run_on(Ground::Memory, 436, None).is_ok());
}

/// Who was being replaced counted as removed at once. Nobody listened to it any more, while the change
/// could not end without its vote.
#[test]
fn a_replaced_node_is_heard_until_the_change_is_over() {
    for seed in [223, 464] {
        assert!(run_on(Ground::Memory, seed, None).is_ok());
    }
}

/// The raft crate lists members in the order of a hash: the same configuration had other bytes on
/// another node.
#[test]
fn a_configuration_has_the_same_bytes_everywhere() {
    assert!(run_on(Ground::Memory, 100_001, None).is_ok());
}

/// As many seeds as the environment says; few without.
#[test]
fn many_seeds() {
    seeds_of_the_environment(ground_of);
}

/// The same on a ground of one's own.
pub(crate) fn seeds_of_the_environment(ground_of: impl Fn(u64) -> Ground) {
    let number = |name, otherwise| {
        let said = env::var(name).ok().and_then(|text| text.parse().ok());
        said.unwrap_or(otherwise)
    };
    let first = number("RAFT_FIRST_SEED", 100_000_u64);
    let count = number("RAFT_SEEDS", 5);
    let sum = run_seeds(first..first + count, ground_of);
    println!("{count} seeds from {first}: {sum:?}");
}

/// One seed on a ground.
pub(crate) fn seed_on(ground: Ground, seed: u64) -> Result<(), String> {
    complaint(ground, seed, None).map(drop)
}

/// Seeds that are all on one ground.
pub(crate) fn seeds_on(ground: Ground, seeds: std::ops::Range<u64>) {
    let count = seeds.end - seeds.start;
    let sum = run_seeds(seeds, |_| ground);
    assert!(sum.answered > 100 * count, "{sum:?}");
    assert!(sum.counts.crashes > 3 * count, "{sum:?}");
    assert!(sum.counts.installs > count / 2, "{sum:?}");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 1..4 {
        assert_eq!(run(seed, None), run(seed, None));
    }
}

/// Seeds within which each mistake must be found.
const SEEDS_PER_FAULT: u64 = 200;

fn is_found(fault: Fault, ground_of: impl Fn(u64) -> Ground) -> Option<(u64, String)> {
    (1..=SEEDS_PER_FAULT).find_map(|seed| {
        let why = complaint(ground_of(seed), seed, Some(fault)).err()?;
        Some((seed, why))
    })
}

/// Whether these are all found on a ground.
pub(crate) fn mistakes_are_found(faults: &[Fault], ground_of: impl Fn(u64) -> Ground) {
    let mut missed = Vec::new();
    for fault in faults.iter().copied() {
        match is_found(fault, &ground_of) {
            Some((seed, what)) => {
                let line = what.lines().next().unwrap_or_default();
                let line: String = line.chars().take(200).collect();
                println!("{fault:?}: seed {seed}: {line}");
            }
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "nobody has noticed {missed:?}");
}

#[test]
fn every_mistake_is_found() {
    mistakes_are_found(&Fault::ALL, ground_of);
}
