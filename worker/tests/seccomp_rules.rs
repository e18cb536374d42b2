//! Every rule of the policy is used: a call that fulfils it is made in the jail, and is answered as
//! the rule says. A rule without such a call fails the test: either nobody needs it, or it is not known
//! what it does.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use serde_json::Value;

#[allow(dead_code, reason = "the number of a call is for the probe to know")]
#[path = "support/rule_acts.rs"]
mod rule_acts;
use rule_acts::{Gives, Place, RULE_ACTS, RuleAct};

mod support {
    pub(crate) mod probe;
}
use support::probe::attempt;

const PLACE: Place = Place {
    own: 4242,
    page: 0x7000_0000_0000,
};

fn rules() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/seccomp");
    let path = folder.join(std::env::consts::ARCH).with_extension("json");
    let policy: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    policy["rules"].as_array().unwrap().clone()
}

fn number(value: &Value) -> u64 {
    match value.as_str() {
        Some("self") => PLACE.own,
        Some(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap(),
        None => value.as_u64().unwrap(),
    }
}

fn holds(condition: &Value, args: &[u64; 6]) -> bool {
    let width = if condition["type"] == "dword" {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    let index = usize::try_from(condition["arg"].as_u64().unwrap()).unwrap();
    let (arg, value) = (args[index] & width, number(&condition["value"]));
    match condition["op"].as_str().unwrap() {
        "eq" => arg == value,
        "ne" => arg != value,
        "le" => arg <= value,
        "masked_eq" => arg & number(&condition["mask"]) & width == value,
        other => panic!("{other}"),
    }
}

/// The alternatives of what a rule answers in one way; `always` is one without conditions.
fn alternatives(calls: &Value) -> Vec<Vec<Value>> {
    match calls {
        Value::Null => Vec::new(),
        Value::String(_) => vec![Vec::new()],
        lists => {
            let lists = lists.as_array().unwrap().iter();
            lists.map(|list| list.as_array().unwrap().clone()).collect()
        }
    }
}

/// The call that fulfils an alternative, by its index.
fn act_for(name: &str, conditions: &[Value]) -> Option<(usize, &'static RuleAct)> {
    RULE_ACTS.iter().enumerate().find(|(_, act)| {
        let args = (act.args)(PLACE);
        act.name == name && conditions.iter().all(|condition| holds(condition, &args))
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
    for rule in rules() {
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
