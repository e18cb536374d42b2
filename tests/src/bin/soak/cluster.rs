//! Nodes of a cluster that are killed, cut off, stopped, wiped and replaced, one fault after the other, while
//! clients use all of them and keep a history of what they were told.

mod bounds;
mod calm;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::cluster::proxy::Fault;
use e2e::cluster::traffic::{Crowd, Tally, Traffic};
use e2e::cluster::trust::Mode;
use e2e::cluster::{Cluster, Setup, TIMES_DEFAULT};
use e2e::processes;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use self::bounds::Bounds;
use crate::client::millis;

/// What is soaked, in the first word.
pub(crate) const SUBJECT: &str = "cluster";
const KILLS: &str = "--kills";
const MINUTES: &str = "--minutes";
const SEED: &str = "--seed";
/// How many kills there are, when nobody says.
const KILLS_DEFAULT: usize = 300;
/// How long a node stands still, at most, in milliseconds.
const STANDSTILL_MS_MAX: u64 = 4_000;
/// How long links are broken after the others have got on without them, at most, in milliseconds.
const BROKEN_MS_MAX: u64 = 2_000;

/// Heaps that each node has to go on from at the end.
const HEAPS_READ: usize = 100;
/// How often links that flap fail and heal again, and how long they are one or the other, at most.
const FLAPS: u64 = 10;
const FLAP_MS_MAX: u64 = 300;
/// How late all is on the way to and from one node that is slow, at most, in milliseconds.
const LATE_MS_MAX: u64 = 200;

/// When it ends, and what it begins with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    kills: usize,
    time: Duration,
    seed: u64,
}

impl Until {
    /// What the words after the first one say.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let mut read = Self {
            kills: KILLS_DEFAULT,
            time: Duration::MAX,
            seed: now.map_or(1, |now| now.as_secs()),
        };
        for pair in words.chunks(2) {
            let number = pair.get(1).and_then(|word| word.parse::<u32>().ok());
            match (pair[0].as_str(), number) {
                (KILLS, Some(kills @ 1..)) => read.kills = kills as usize,
                (MINUTES, Some(minutes @ 1..)) => {
                    read.kills = usize::MAX;
                    read.time = Duration::from_secs(60 * u64::from(minutes));
                }
                (SEED, Some(seed)) => read.seed = seed.into(),
                _ => {
                    let usage = format!("{SUBJECT} [{KILLS} N | {MINUTES} N] [{SEED} N]");
                    return Err(format!("{usage}; found: {}", words.join(" ")));
                }
            }
        }
        Ok(read)
    }
}

/// What happens to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Misfortune {
    FollowerKilled,
    LeaderKilled,
    TwoKilled,
    AllKilled,
    KilledAsItComes,
    LeaderStopped,
    FollowerStopped,
    LeaderCutOff,
    FollowerCutOff,
    LeaderUnheard,
    NoAnswers,
    Flapping,
    BridgeAlone,
    FollowerSlow,
    WipedAndReplaced,
    Grown,
    LedByAnother,
    AllKindsAtOnce,
}

impl Misfortune {
    /// Each as often as it is likely.
    const LIKELY: [(u64, Self); 18] = [
        (20, Self::FollowerKilled),
        (25, Self::LeaderKilled),
        (10, Self::TwoKilled),
        (8, Self::AllKilled),
        (6, Self::KilledAsItComes),
        (5, Self::LeaderStopped),
        (3, Self::FollowerStopped),
        (5, Self::LeaderCutOff),
        (3, Self::FollowerCutOff),
        (4, Self::LeaderUnheard),
        (3, Self::NoAnswers),
        (3, Self::Flapping),
        (3, Self::BridgeAlone),
        (3, Self::FollowerSlow),
        (4, Self::WipedAndReplaced),
        (2, Self::Grown),
        (2, Self::LedByAnother),
        (6, Self::AllKindsAtOnce),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::FollowerKilled => "a follower is killed",
            Self::LeaderKilled => "the leader is killed",
            Self::TwoKilled => "two of three are killed",
            Self::AllKilled => "all are killed at once",
            Self::KilledAsItComes => "a node is killed, and again as it comes back",
            Self::LeaderStopped => "the leader stands still",
            Self::FollowerStopped => "a follower stands still",
            Self::LeaderCutOff => "the leader is cut off",
            Self::FollowerCutOff => "a follower is cut off",
            Self::LeaderUnheard => "nobody hears the leader, though it hears all",
            Self::NoAnswers => "a link carries questions and no answers",
            Self::Flapping => "the links of a follower fail and heal again and again",
            Self::BridgeAlone => "the leader and a follower are connected by nobody but the third",
            Self::FollowerSlow => "all is late on the way to a follower and from it",
            Self::WipedAndReplaced => "a node is killed, loses its disk and is replaced",
            Self::Grown => "a node joins, and leaves",
            Self::LedByAnother => "the leader is ended and started again",
            Self::AllKindsAtOnce => {
                "one is killed, one stands still and one is cut off, at the same time"
            }
        }
    }
}

/// How a node comes back.
enum Relief {
    Started,
    Continued,
    Heard,
}

/// Chance that comes again with its seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Takes one of these, of which there must be one.
    fn take<T>(&mut self, from: &mut Vec<T>) -> T {
        let at = self.below(from.len() as u64);
        from.swap_remove(usize::try_from(at).unwrap_or_default())
    }

    fn misfortune(&mut self) -> Misfortune {
        let all: u64 = Misfortune::LIKELY.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(all);
        for (weight, misfortune) in Misfortune::LIKELY {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return misfortune,
            }
        }
        Misfortune::LeaderKilled
    }
}

/// A cluster to which something happens again and again.
struct Trial {
    cluster: Cluster,
    traffic: Traffic,
    chance: Chance,
    kills: usize,
    happened: BTreeMap<&'static str, usize>,
    /// When a leader was killed.
    led_until: Vec<Duration>,
    newcomers: usize,
    bounds: Bounds,
}

/// Has all of it happen; what came of it.
pub(crate) fn soak(until: Until) -> Value {
    let cluster = Cluster::start(&Setup {
        mode: Mode::Secret,
        times: TIMES_DEFAULT,
        ..Setup::default()
    });
    let traffic = Traffic::start(&cluster, Crowd::default());
    let mut trial = Trial {
        cluster,
        traffic,
        chance: Chance(until.seed),
        kills: 0,
        happened: BTreeMap::new(),
        led_until: Vec::new(),
        newcomers: 0,
        bounds: Bounds::default(),
    };
    let begin = Instant::now();
    while trial.kills < until.kills && begin.elapsed() < until.time {
        trial.step();
    }
    trial.report(until, begin.elapsed())
}

impl Trial {
    /// Waits until all is well, and has one thing happen.
    fn step(&mut self) {
        self.cluster.await_ready();
        self.traffic.learn(&self.cluster);
        self.traffic.await_work(&self.cluster.names(), 1);
        self.bounds.look(&self.cluster);
        let misfortune = self.chance.misfortune();
        *self.happened.entry(misfortune.name()).or_default() += 1;
        let leader = self.cluster.leader();
        let follower = self.chance.take(&mut self.cluster.others(&leader));
        match misfortune {
            Misfortune::FollowerKilled => self.kill_some(&[follower]),
            Misfortune::LeaderKilled => {
                self.led_until.push(self.traffic.history.now());
                self.kill_some(&[leader]);
            }
            Misfortune::TwoKilled => self.kill_some(&[leader, follower]),
            Misfortune::AllKilled => self.kill_some(&self.cluster.names()),
            Misfortune::KilledAsItComes => self.kill_as_it_comes(&follower),
            Misfortune::LeaderStopped => self.stop(&leader),
            Misfortune::FollowerStopped => self.stop(&follower),
            Misfortune::LeaderCutOff => self.cut_off(&leader),
            Misfortune::FollowerCutOff => self.cut_off(&follower),
            Misfortune::LeaderUnheard => self.silence(&leader),
            Misfortune::NoAnswers => self.half_open(&leader, &follower),
            Misfortune::Flapping => self.flap(&follower),
            Misfortune::BridgeAlone => self.part(&leader, &follower),
            Misfortune::FollowerSlow => self.slow(&follower),
            Misfortune::WipedAndReplaced => self.replace(&follower),
            Misfortune::Grown => self.grow(&leader),
            Misfortune::LedByAnother => self.end_and_start(&leader),
            Misfortune::AllKindsAtOnce => self.strike_all(),
        }
    }

    fn kill(&mut self, name: &str) {
        self.cluster.node_mut(name).kill();
        self.kills += 1;
    }

    /// Kills these at once, and has the others get on where they are most of all.
    fn kill_some(&mut self, names: &[String]) {
        for name in names {
            self.kill(name);
        }
        if names.len() == 1 {
            self.traffic.await_work(&self.cluster.others(&names[0]), 1);
        }
        for name in names {
            self.cluster.node_mut(name).start();
        }
    }

    fn kill_as_it_comes(&mut self, name: &str) {
        self.kill(name);
        for _ in 0..2 {
            self.cluster.node_mut(name).start();
            // At any time of its start.
            self.wait(1_500);
            self.kill(name);
        }
        self.cluster.node_mut(name).start();
    }

    fn stop(&mut self, name: &str) {
        self.cluster.node(name).signal(Signal::SIGSTOP);
        self.wait(STANDSTILL_MS_MAX);
        self.cluster.node(name).signal(Signal::SIGCONT);
    }

    fn cut_off(&mut self, name: &str) {
        let before = self.cluster.network.struck(name);
        let others = self.cluster.others(name);
        let fault = match self.chance.below(2) {
            0 => Fault::Silent,
            _ => Fault::Reset,
        };
        let words: Vec<&str> = others.iter().map(String::as_str).collect();
        self.cluster.network.part(&[name], &words, fault);
        self.traffic.await_work(&others, 1);
        self.heal(name, before);
    }

    fn silence(&mut self, name: &str) {
        let before = self.cluster.network.struck(name);
        let others = self.cluster.others(name);
        for other in &others {
            self.cluster.network.break_link(name, other, Fault::Silent);
        }
        self.traffic.await_work(&others, 1);
        self.heal(name, before);
    }

    fn half_open(&mut self, from: &str, to: &str) {
        let before = self.cluster.network.struck(to);
        self.cluster.network.break_link(from, to, Fault::HalfOpen);
        self.wait(BROKEN_MS_MAX);
        self.heal(to, before);
    }

    fn flap(&mut self, name: &str) {
        let before = self.cluster.network.struck(name);
        let others = self.cluster.others(name);
        let words: Vec<&str> = others.iter().map(String::as_str).collect();
        for _ in 0..FLAPS {
            let fault = match self.chance.below(3) {
                0 => Fault::Silent,
                1 => Fault::HalfOpen,
                _ => Fault::Reset,
            };
            self.cluster.network.part(&[name], &words, fault);
            self.wait(FLAP_MS_MAX);
            self.cluster.network.heal();
            self.wait(FLAP_MS_MAX);
        }
        self.traffic.await_work(&others, 1);
        self.heal(name, before);
    }

    /// The leader and one other node do not hear each other, and the third hears both.
    fn part(&mut self, leader: &str, name: &str) {
        let before = self.cluster.network.struck(name);
        self.cluster.network.part(&[leader], &[name], Fault::Silent);
        self.traffic.await_work(&self.cluster.others(name), 1);
        self.heal(name, before);
    }

    fn slow(&mut self, name: &str) {
        let before = self.cluster.network.struck(name);
        let others = self.cluster.others(name);
        let words: Vec<&str> = others.iter().map(String::as_str).collect();
        let late = Duration::from_millis(1 + self.chance.below(LATE_MS_MAX));
        self.cluster
            .network
            .part(&[name], &words, Fault::Slow(late));
        self.traffic.await_work(&others, 1);
        self.heal(name, before);
    }

    fn heal(&mut self, name: &str, struck: u64) {
        self.wait(BROKEN_MS_MAX);
        assert!(
            self.cluster.network.struck(name) > struck,
            "nothing has happened to {name}"
        );
        self.cluster.network.heal();
    }

    /// Something else happens to each node at the same time, and ends one after the other, as chance will have it.
    fn strike_all(&mut self) {
        let mut names = self.cluster.names();
        let [killed, stopped, cut_off] = [(); 3].map(|()| self.chance.take(&mut names));
        let before = self.cluster.network.struck(&cut_off);
        let others = [killed.as_str(), stopped.as_str()];
        self.cluster
            .network
            .part(&[&cut_off], &others, Fault::Silent);
        self.cluster.node(&stopped).signal(Signal::SIGSTOP);
        self.kill(&killed);
        let is_struck = || self.cluster.network.struck(&cut_off) > before;
        assert!(
            processes::within(PATIENCE, is_struck),
            "{cut_off} asks nobody"
        );
        let mut relieved = vec![Relief::Started, Relief::Continued, Relief::Heard];
        while !relieved.is_empty() {
            self.wait(BROKEN_MS_MAX);
            match self.chance.take(&mut relieved) {
                Relief::Started => self.cluster.node_mut(&killed).start(),
                Relief::Continued => self.cluster.node(&stopped).signal(Signal::SIGCONT),
                Relief::Heard => self.cluster.network.heal(),
            }
        }
    }

    fn replace(&mut self, name: &str) {
        self.kill(name);
        self.cluster.node_mut(name).wipe();
        let others = self.cluster.others(name);
        self.leave(&others[0], name);
        self.cluster.rejoin(name, &others[0], &[]);
    }

    fn grow(&mut self, seed: &str) {
        self.newcomers += 1;
        let name = format!("n{}", self.newcomers);
        self.cluster.join(&name, seed, &[]);
        self.cluster.await_ready();
        self.traffic.learn(&self.cluster);
        self.traffic.await_work(std::slice::from_ref(&name), 1);
        self.leave(seed, &name);
        self.cluster.forget(&name);
        self.traffic.learn(&self.cluster);
    }

    fn leave(&self, asked: &str, who: &str) {
        self.traffic.kept.lose(self.traffic.history.now(), who);
        let (status, answer) = self.cluster.leave(asked, who);
        assert_eq!(status, 200, "{who} cannot be removed: {answer}");
    }

    fn end_and_start(&mut self, name: &str) {
        let status = self.cluster.node_mut(name).end();
        assert!(status.success(), "{name} ended with {status}");
        self.traffic.await_work(&self.cluster.others(name), 1);
        self.cluster.node_mut(name).start();
    }

    /// Lets some time pass, as chance will have it.
    fn wait(&mut self, most_ms: u64) {
        let time = Duration::from_millis(self.chance.below(most_ms));
        processes::within(time, || false);
    }

    fn report(mut self, until: Until, took: Duration) -> Value {
        self.cluster.await_ready();
        self.traffic.await_work(&self.cluster.names(), 1);
        let history = self.traffic.history.clone();
        let mut outages: Vec<Duration> = self
            .led_until
            .iter()
            .filter_map(|killed| history.first_change(*killed)?.checked_sub(*killed))
            .collect();
        outages.sort_unstable();
        let at = |percent: usize| {
            let at = (outages.len() * percent).div_ceil(100).saturating_sub(1);
            outages.get(at).copied().map(millis)
        };
        let tally = self.traffic.end(&self.cluster, HEAPS_READ);
        let quiet = calm::rest(&self.cluster);
        let old_state = calm::restart_with_an_old_state(&mut self.cluster);
        self.bounds.look(&self.cluster);
        self.cluster.finish();
        let Tally {
            acknowledged,
            unknown,
            unknown_runs,
            refused,
            reads,
            heaps_read,
            refusals,
            mut wrong,
        } = tally;
        wrong.append(&mut quiet.wrong());
        wrong.append(&mut self.bounds.exceeded());
        json!({
            "is_well": wrong.is_empty(),
            "wrong": wrong,
            "seed": until.seed,
            "seconds": took.as_secs(),
            "kills": self.kills,
            "happened": self.happened,
            "changes": {"acknowledged": acknowledged, "unknown": unknown, "runs_among_these": unknown_runs, "refused": refused},
            "reads": reads,
            "outage_after_kill_of_the_leader_ms": {
                "count": outages.len(), "p50": at(50), "p95": at(95), "max": at(100),
            },
            "answers_that_were_none": refusals,
            "heaps_read": heaps_read,
            "quiet": quiet.json(),
            "restart_with_an_old_state": old_state,
            "nodes": self.bounds.json(),
        })
    }
}
