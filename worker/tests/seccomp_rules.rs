//! Every rule of the policy is used: a call that fulfils it is made in the jail, and is answered as
//! the rule says. A rule without such a call fails the test: either nobody needs it, or it is not known
//! what it does.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;

#[allow(dead_code, reason = "the number of a call is for the probe to know")]
#[path = "support/rule_acts.rs"]
mod rule_acts;
use rule_acts::{Gives, Place, RULE_ACTS, RuleAct};

mod support {
    #[allow(dead_code, reason = "each test program uses a part")]
    pub(crate) mod policy;
    pub(crate) mod probe;
}
use support::policy::{alternatives, holds, policy};
use support::probe::attempt;

const PLACE: Place = Place {
    own: 4242,
    page: 0x7000_0000_0000,
};

/// The call that fulfils an alternative, by its index.
fn act_for(name: &str, conditions: &[Value]) -> Option<(usize, &'static RuleAct)> {
    RULE_ACTS.iter().enumerate().find(|(_, act)| {
        let args = (act.args)(PLACE);
        act.name == name
            && conditions
                .iter()
                .all(|condition| holds(condition, PLACE.own, &args))
    })
}

/// What is wrong with a rule's answer, if something is.
fn wrong(answer: &str, index: usize, act: &RuleAct, environment: &[&str]) -> Option<String> {
    let found = attempt(environment, &index.to_string());
    let is_refused = act.gives == Gives::Errno(libc::EPERM);
    let is_right = match act.gives {
        Gives::Success => found.0.starts_with("ok ") && found.1.is_none(),
        Gives::Errno(errno) => found == (format!("errno {errno}"), None),
        Gives::End(signal) => found == (String::new(), signal),
    };
    (!is_right || is_refused != (answer == "errno"))
        .then(|| format!("{found:?}, but the call gives {:?}", act.gives))
}

#[test]
fn every_rule_is_used_and_answers_as_it_says() {
    let mut failures = Vec::new();
    let mut used = vec![false; RULE_ACTS.len()];
    for rule in policy(std::env::consts::ARCH)["rules"].as_array().unwrap() {
        let name = rule["syscall"].as_str().unwrap();
        let environment: &[&str] = match rule["tier"].as_str() {
            Some("jitless") => &["--jitless"],
            _ => &[],
        };
        for answer in ["allow", "errno", "pretend"] {
            for conditions in alternatives(&rule[answer]) {
                let about = || {
                    let meanings = conditions.iter().map(|c| c["meaning"].as_str().unwrap());
                    let meanings = meanings.collect::<Vec<_>>().join(", ");
                    format!("{name} {answer} {meanings} {}", rule["tier"])
                };
                let Some((index, act)) = act_for(name, &conditions) else {
                    failures.push(format!("{}: no call of it is known", about()));
                    continue;
                };
                used[index] = true;
                if let Some(what) = wrong(answer, index, act, environment) {
                    failures.push(format!("{}: {what}", about()));
                }
            }
        }
    }
    for (act, used) in RULE_ACTS.iter().zip(used) {
        if !used {
            failures.push(format!("{}: a call that is for no rule", act.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
