//! A tenant that wants little: how long it waits alone, and beside one that floods the server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

use e2e::home::Home;
use e2e::http::HttpServer;
use serde_json::json;

use super::load::{self, Arrivals, Load, Place, Way};
use super::{Measured, Mode, REST, WARM_UP, command, stop};
use crate::statistics::{Distribution, ratio};
use crate::target::Target;

/// Requests a second of the one.
const QUIET: f64 = 20.0;
/// Requests a second of the other: more than the server can do, with all that it may have waiting.
const FLOOD: f64 = 1000.0;
/// How often the quiet one is alone and beside the other, in turns: a machine that others share is now
/// faster, now slower.
const ROUNDS: usize = 5;
/// How long each of them takes.
const ROUND_TIME: Duration = Duration::from_secs(6);
/// How long the flood has to fill the queue before the other comes, and goes on after it.
const LEAD: Duration = Duration::from_secs(1);

struct Round {
    alone: Distribution,
    beside: Distribution,
    flood: load::Outcome,
}

impl Round {
    fn slower(&self) -> f64 {
        ratio(self.beside.p95_ms(), self.alone.p95_ms()).unwrap_or(f64::NAN)
    }
}

/// Measures the quiet one.
pub(crate) fn measure() -> Measured {
    let home = Home::new();
    let (quiet, loud) = (token(&home, "quiet"), token(&home, "loud"));
    let file = home.path("tokens.toml");
    fs::write(&file, format!("{}\n{}\n", quiet.entry, loud.entry)).expect("a file of our own");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file of our own");
    let mut command = command(&home, Mode::Stateless);
    command.arg("--auth-tokens").arg(&file);
    let server = HttpServer::spawn(command);
    let modest = Load {
        way: Way::Wait,
        arrivals: Arrivals::Constant { per_sec: QUIET },
        token: Some(&quiet.token),
    };
    let flood = Load {
        arrivals: Arrivals::Constant { per_sec: FLOOD },
        token: Some(&loud.token),
        ..modest
    };
    let place = Place::of(&server);
    load::put(&[place], modest, WARM_UP);
    let mut rounds: Vec<Round> = (0..ROUNDS).map(|_| round(place, modest, flood)).collect();
    stop(server);
    rounds.sort_by(|one, other| one.slower().total_cmp(&other.slower()));
    let middle = &rounds[rounds.len() / 2];
    let failed: usize = rounds.iter().map(|round| round.flood.wrong()).sum();
    Measured {
        targets: vec![
            Target::at_most(
                "p95 of a quiet tenant beside one that floods, of that alone",
                middle.slower(),
                2.0,
            ),
            Target::at_most(
                "requests of the flood that neither completed nor were refused with a Retry-After",
                failed as f64,
                0.0,
            ),
        ],
        report: json!({
            "quiet_per_sec": QUIET,
            "flood_per_sec": FLOOD,
            "slower_by_round": rounds.iter().map(Round::slower).collect::<Vec<_>>(),
            "alone_ms": middle.alone.json(),
            "beside_the_flood_ms": middle.beside.json(),
            "flood": middle.flood.json(),
        }),
    }
}

fn round(server: Place, modest: Load<'_>, flood: Load<'_>) -> Round {
    thread::sleep(REST);
    let alone = load::put(&[server], modest, ROUND_TIME).latency;
    thread::scope(|scope| {
        let flooding = scope.spawn(|| load::put(&[server], flood, ROUND_TIME + 2 * LEAD));
        thread::sleep(LEAD);
        let beside = load::put(&[server], modest, ROUND_TIME).latency;
        Round {
            alone,
            beside,
            flood: flooding.join().expect("no panic"),
        }
    })
}

/// A token, and its entry for the server's file.
struct Token {
    token: String,
    entry: String,
}

fn token(home: &Home, tenant: &str) -> Token {
    let made = home
        .command()
        .args(["token", "new", "--tenant", tenant])
        .output()
        .expect("the program runs");
    let text = String::from_utf8_lossy(&made.stdout).into_owned();
    let token = text.lines().find(|line| line.starts_with("mcpv8_"));
    let entry = text.find("[[tokens]]").map(|at| &text[at..]);
    let (Some(token), Some(entry)) = (token, entry) else {
        panic!("no token: {text}{}", String::from_utf8_lossy(&made.stderr));
    };
    Token {
        token: token.to_owned(),
        entry: entry.to_owned(),
    }
}
