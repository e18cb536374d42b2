//! Tenants that take what they can get. What they are answered is looked at too: never more than is theirs,
//! and never an error of the server's own.

mod bombs;
mod flood;
mod intruder;
mod streams;
mod talk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::http::{Answer, Client, NoAnswer};
use e2e::web::Web;
use serde_json::Value;

use crate::client::send;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::spoils::Spoils;
use crate::tenants::{Character, Tenant};

/// What a hostile tenant was answered, by status and code, and how often.
pub(crate) type Tally = BTreeMap<String, u64>;

/// A server, as a hostile tenant sees it.
pub(crate) struct Victim {
    /// With the tenant's token.
    pub(crate) client: Client,
    /// What others have there.
    pub(crate) spoils: Arc<Spoils>,
    pub(crate) keeps_heaps: bool,
}

/// A hostile tenant, which turns to one server after the other.
pub(crate) struct Hostile<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) victims: Vec<Victim>,
    pub(crate) web: &'a Web,
    pub(crate) clock: &'a Clock,
    pub(crate) faults: &'a Faults,
    pub(crate) tally: Tally,
}

impl Hostile<'_> {
    /// Goes on until the end.
    pub(crate) fn work(mut self) -> Tally {
        let mut turn = 0;
        while self.clock.goes_on() {
            let at = turn % self.victims.len();
            let round = turn / self.victims.len();
            match self.tenant.character {
                Character::Honest => break,
                Character::Flood => self.flood(at, round),
                Character::Bombs => self.drop_bombs(at, round),
                Character::Talk => self.talk(at, round),
                Character::Streams => self.hold_streams(at),
                Character::Intruder => self.intrude(at, round),
            }
            turn += 1;
        }
        self.tally
    }

    fn pause(&self, time: Duration) {
        self.clock.pause(time);
    }

    /// Sends something with its token. `right` are the answers that it may get.
    fn ask(
        &mut self,
        at: usize,
        method: &str,
        path: &str,
        body: &Value,
        right: &[u16],
    ) -> Option<Answer> {
        let begun = Instant::now();
        let client = self.victims[at].client.clone();
        let answer = send(&client, method, path, &[], body);
        self.judge(begun, &format!("{method} {path}"), answer, right)
    }

    /// Looks at an answer.
    fn judge(
        &mut self,
        begun: Instant,
        about: &str,
        answer: Result<Answer, NoAnswer>,
        right: &[u16],
    ) -> Option<Answer> {
        let name = &self.tenant.name;
        match answer {
            Ok(answer) => {
                let outcome = format!("{} {}", answer.status, answer.error_code());
                self.count(outcome.trim_end());
                if !right.contains(&answer.status) {
                    let fault = format!("{name}, {about}: {} {}", answer.status, answer.body);
                    self.faults.note_since(begun, self.clock, &fault);
                }
                Some(answer)
            }
            Err(error) => {
                let fault = format!("{name}, {about}: {error}");
                self.faults.note_since(begun, self.clock, &fault);
                None
            }
        }
    }

    fn count(&mut self, outcome: &str) {
        *self.tally.entry(outcome.to_owned()).or_default() += 1;
    }
}
