//! Whatever a loss of power leaves of a node's files, the node goes on from there, with all that it has
//! promised and nothing else.
//!
//! `CRASH_IMAGES=10000 CRASH_FIRST_SEED=1` in the environment of the test `many_images` tries more.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;
use tokio::runtime::Runtime;

use super::crash_log_tests::{beginning, me, open_store};
use super::crash_node_tests::{Fault, Node, Promise, STATE_NAME};
use super::files::{Files, RAFT_DB_NAME, SNAPSHOTS_NAME};
use crate::dice::Dice;
use crate::power::{Image, Recording};
use crate::raft::core::{Begin, Core, Effect, Event, Settings};
use crate::raft::log::Position;
use crate::raft::state::{Item, MemoryState, State as _, What, apply};
use crate::store::{Store, read_back};

/// What a node does before power goes, and how often it does.
const STEPS: usize = 60;
const IMAGES_PER_RUN: usize = 25;
/// Images of an ordinary run of the tests.
const IMAGES: usize = 300;
/// Runs within which each mistake must be found.
const RUNS_PER_FAULT: u64 = 30;

type Checked<T = ()> = Result<T, String>;

fn must(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What is promised where power goes within a step: what was before it, or what is after it.
struct Expected<'a> {
    before: &'a Promise,
    after: &'a Promise,
    states: &'a BTreeMap<u64, MemoryState>,
}

impl<'a> Expected<'a> {
    fn at(node: &'a Node<'_>, moment: usize) -> Self {
        let promises = &node.promises;
        let next = promises.partition_point(|promise| promise.moment <= moment);
        let before = &promises[next - 1];
        let is_between = before.moment < moment;
        let after = promises.get(next).filter(|_| is_between);
        Self {
            before,
            after: after.unwrap_or(before),
            states: &node.states,
        }
    }

    /// What the files say against what was promised; the state.
    fn holds(&self, begin: &Begin, directory: &Path) -> Checked<&MemoryState> {
        let logs = [&self.before.log, &self.after.log];
        let is_one = logs.iter().copied().flatten().any(|log| **log == begin.log);
        must(is_one, || {
            format!("the log is {:?}, and was {logs:?}", begin.log)
        })?;
        let applied = begin.applied.index;
        let (least, most) = (self.before.durable, self.after.applied);
        must((least..=most).contains(&applied), || {
            format!("the state ends at {applied}: not from {least} to {most}")
        })?;
        let known = self.states.get(&applied);
        let known = known.ok_or_else(|| format!("the state ends at {applied}, in a batch"))?;
        state_is(directory, known)?;
        Ok(known)
    }
}

fn state_is(directory: &Path, expected: &MemoryState) -> Checked {
    let connection = Connection::open(directory.join(STATE_NAME)).map_err(text)?;
    let found = read_back(&connection);
    must(found == *expected, || {
        format!("the state is {found:?}, and was {expected:?}")
    })
}

fn is_sound(path: &Path) -> Checked {
    let connection = Connection::open(path).map_err(text)?;
    let found: Result<String, _> =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    let found = found.map_err(text)?;
    must(found == "ok", || format!("{}: {found}", path.display()))
}

/// A node that goes on with what is left.
struct Survivor<'a> {
    runtime: &'a Runtime,
    dice: &'a mut Dice,
}

impl Survivor<'_> {
    /// Opens an image, as a server does that begins, and lets it be a cluster of one. What another loss of
    /// power during that would leave.
    fn goes_on(&mut self, image: Image, expected: &Expected<'_>) -> Checked<Image> {
        let place = tempfile::tempdir().map_err(text)?;
        self.lay_out(place.path(), expected);
        self.opens(place.path(), image, |survivor, files| {
            survivor.serve(files, expected)
        })
    }

    fn opens(
        &mut self,
        directory: &Path,
        image: Image,
        look: impl FnOnce(&mut Self, &mut Files) -> Checked,
    ) -> Checked<Image> {
        let recording = Recording::begin(directory, image);
        let store = open_store(directory)?;
        let mut files = Files::open(directory, store.replication()).map_err(text)?;
        let moment = self.dice.below(recording.moment() + 1);
        let again = recording.image(moment, self.dice);
        look(self, &mut files)?;
        self.end(store, files);
        is_sound(&directory.join(STATE_NAME))?;
        is_sound(&directory.join(RAFT_DB_NAME))?;
        Ok(again)
    }

    /// A snapshot that has arrived is there while it is needed, and may be longer.
    fn lay_out(&mut self, directory: &Path, expected: &Expected<'_>) {
        let snapshots = directory.join(SNAPSHOTS_NAME);
        fs::create_dir(&snapshots).unwrap();
        if let Some(arrived) = &expected.before.arrived {
            fs::write(snapshots.join(&arrived.name), &arrived.content).unwrap();
        } else if let Some(arrived) = &expected.after.arrived
            && self.dice.chance(500)
        {
            fs::write(snapshots.join(&arrived.name), &arrived.content).unwrap();
        }
    }

    fn serve(&mut self, files: &mut Files, expected: &Expected<'_>) -> Checked {
        let Some(identity) = files.identity().map_err(text)? else {
            must(expected.before.log.is_none(), || {
                "nobody has begun here any more".to_owned()
            })?;
            return files.begin(me(), beginning()).map_err(text);
        };
        must(identity == me(), || format!("this is {identity:?}"))?;
        let identity = files.resume().map_err(text)?;
        let begin = files.load(identity).map_err(text)?;
        let directory = files.directory().to_owned();
        let mut state = expected.holds(&begin, &directory)?.clone();
        let last = begin.log.last_index();
        let settings = Settings::new(3, (9, 20), self.dice.bytes());
        let core = Core::start(begin, settings).map_err(text)?;
        lead(core, files, &mut state)?;
        let Ok(applied) = state.applied();
        must(applied.index > last, || {
            format!("of a log up to {last}, {} was applied", applied.index)
        })?;
        state_is(&directory, &state)
    }

    fn end(&self, store: Store, files: Files) {
        drop(files);
        // What it says does not matter: the rest is looked at.
        let _ = self.runtime.block_on(store.close());
    }
}

/// Obeys the core, which leads nobody but itself, until all of its log is applied, here and in memory.
fn lead(mut core: Core, files: &mut Files, state: &mut MemoryState) -> Checked {
    let mut effects = VecDeque::from(core.handle([]));
    for _ in 0..10_000 {
        let event = match effects.pop_front() {
            Some(Effect::Persist(write)) => {
                let members = files.persist(&write).map_err(text)?;
                Event::Persisted(members)
            }
            Some(Effect::Apply { items, is_durable }) => {
                let mut expected = Vec::new();
                for item in &items {
                    expected.extend(apply(state, item).map_err(text)?);
                }
                let applied = files.state().apply(items, is_durable).map_err(text)?;
                must(applied.answers == expected, || {
                    format!("{:?} was to be {expected:?}", applied.answers)
                })?;
                Event::Applied {
                    answers: applied.answers,
                    members: applied.members,
                }
            }
            Some(Effect::Stop(why)) => return Err(why.to_string()),
            Some(Effect::MakeSnapshot) => Event::SnapshotFailed,
            Some(_) => continue,
            None if core.is_leader() && core.applied() == core.last().index => return Ok(()),
            None => Event::Tick,
        };
        effects.extend(core.handle([event]));
    }
    Err(format!("it never ends: {core:?}"))
}

/// What was tried.
#[derive(Debug, Default)]
struct Tried {
    images: usize,
    moments: usize,
    installs: u64,
    full: u64,
    /// Images at a moment within a step.
    within: usize,
}

/// Runs a node, and cuts off its power so many times.
fn run(runtime: &Runtime, seed: u64, fault: Option<Fault>, tried: &mut Tried) -> Checked {
    let mut node = Node::new(runtime, seed, fault);
    for _ in 0..STEPS {
        node.step();
    }
    tried.moments += node.recording.moment();
    tried.installs += node.installs;
    tried.full += node.full;
    let mut dice = Dice::new(seed ^ 0x5eed);
    for _ in 0..IMAGES_PER_RUN {
        let moment = dice.below(node.recording.moment() + 1);
        let image = node.recording.image(moment, &mut dice);
        let expected = Expected::at(&node, moment);
        let mut survivor = Survivor {
            runtime,
            dice: &mut dice,
        };
        let complain = |why| format!("power goes at {moment}: {why}");
        let again = survivor.goes_on(image, &expected).map_err(complain)?;
        tried.images += 1;
        tried.within += usize::from(expected.before.moment < moment);
        if survivor.dice.chance(250) {
            let complain = |why| format!("power goes at {moment}, and again: {why}");
            survivor.goes_on(again, &expected).map_err(complain)?;
            tried.images += 1;
        }
    }
    Ok(())
}

/// Why a seed fails, also if something panics.
fn complaint(runtime: &Runtime, seed: u64, fault: Option<Fault>, tried: &mut Tried) -> Checked {
    let run = std::panic::AssertUnwindSafe(|| run(runtime, seed, fault, tried));
    match std::panic::catch_unwind(run) {
        Ok(done) => done,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(format!("a panic: {}", text.unwrap_or_default()))
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn try_images(first: u64, images: usize) -> Tried {
    let runtime = runtime();
    let mut tried = Tried::default();
    let mut seed = first;
    while tried.images < images {
        if let Err(why) = complaint(&runtime, seed, None, &mut tried) {
            panic!("seed {seed}: {why}");
        }
        seed += 1;
    }
    tried
}

/// The write that was to take all before it to the disk changed no page: SQLite synced nothing, and the log
/// was cut behind what a loss of power then took from the state.
#[test]
fn a_state_that_was_synced_is_durable_though_nothing_else_was_written() {
    let place = tempfile::tempdir().unwrap();
    let recording = Recording::begin(place.path(), Image::default());
    let store = open_store(place.path()).unwrap();
    let state = store.replication();
    let found = state.look().unwrap();
    state.found(found).unwrap();
    let at = Position { index: 2, term: 1 };
    let what = What::Nothing;
    state.apply(vec![Item { at, what }], false).unwrap();
    assert_eq!(state.sync().unwrap(), 2);
    let mut dice = Dice::new(1);
    for _ in 0..40 {
        let image = recording.image(recording.moment(), &mut dice);
        let place = tempfile::tempdir().unwrap();
        let _watched = Recording::begin(place.path(), image);
        let connection = Connection::open(place.path().join(STATE_NAME)).unwrap();
        let applied: i64 = connection
            .query_row("SELECT idx FROM applied", [], |row| row.get(0))
            .unwrap();
        assert_eq!(applied, 2);
    }
}

#[test]
fn a_node_goes_on_from_whatever_is_left_of_its_files() {
    let tried = try_images(1, IMAGES);
    // What runs without work shows nothing.
    assert!(tried.within > IMAGES / 2, "{tried:?}");
    assert!(tried.installs > 5, "{tried:?}");
    assert!(tried.full > 5, "{tried:?}");
}

/// A node goes on alone, and power goes meanwhile: it is the member that it was, or it is alone, with all of
/// its log.
fn parts_from_the_others(runtime: &Runtime, seed: u64) -> Checked {
    let mut node = Node::new(runtime, seed, None);
    for _ in 0..STEPS / 2 {
        node.step();
    }
    let begun = node.recording.moment();
    let alone = node.goes_on_alone();
    let (log, state) = node.found(alone);
    let mut dice = Dice::new(seed);
    let mut survivor = Survivor {
        runtime,
        dice: &mut dice,
    };
    let expected = Expected::at(&node, begun);
    for _ in 0..IMAGES_PER_RUN {
        let moments = node.recording.moment() - begun;
        let moment = begun + survivor.dice.below(moments + 1);
        let mut image = node.recording.image(moment, survivor.dice);
        // And once more, while it finishes what was begun.
        for _ in 0..2 {
            let place = tempfile::tempdir().map_err(text)?;
            image = survivor.opens(place.path(), image, |survivor, files| {
                if files.identity().map_err(text)? == Some(me()) {
                    return survivor.serve(files, &expected);
                }
                let begin = files.load(alone).map_err(text)?;
                must(files.identity().map_err(text)? == Some(alone), || {
                    "this is somebody else".to_owned()
                })?;
                must(begin.log == log, || format!("{:?}, not {log:?}", begin.log))?;
                state_is(files.directory(), &state)
            })?;
        }
    }
    Ok(())
}

#[test]
fn a_node_that_goes_on_alone_is_what_it_was_or_is_alone() {
    let runtime = runtime();
    for seed in 1..=6 {
        assert_eq!(parts_from_the_others(&runtime, seed), Ok(()));
    }
}

/// As many images as the environment says; few without.
#[test]
fn many_images() {
    let number = |name, otherwise| {
        let said = env::var(name).ok().and_then(|text| text.parse().ok());
        said.unwrap_or(otherwise)
    };
    let first = number("CRASH_FIRST_SEED", 100_000);
    let images = usize::try_from(number("CRASH_IMAGES", 25)).unwrap();
    let began = Instant::now();
    let tried = try_images(first, images);
    println!("{tried:?} in {:?}", began.elapsed());
}

#[test]
fn every_mistake_is_found() {
    let runtime = runtime();
    let mut missed = Vec::new();
    for fault in Fault::ALL {
        let mut tried = Tried::default();
        let found = (1..=RUNS_PER_FAULT)
            .find_map(|seed| complaint(&runtime, seed, Some(fault), &mut tried).err());
        match found {
            Some(why) => {
                let why: String = why.chars().take(120).collect();
                println!("{fault:?}: after {} images: {why}", tried.images);
            }
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "nobody has noticed {missed:?}");
}
