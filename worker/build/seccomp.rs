//! Compiles the system call policies of `policies/seccomp` to BPF, for every processor and tier.
//!
//! A worker installs its filter for each execution, and the kernel tries each system call's number on it
//! then, to know those that are always allowed. So the filter first looks for the number in a tree
//! ([`tree`]), which has the answer where arguments do not matter: for most numbers, that it kills.
//!
//! The compiler of the rest knows one answer beside a default, so each policy becomes three programs:
//! `refuse` answers some calls with EPERM; `pretend` answers some with success, and nothing is done;
//! `kill` allows what is left, and kills for the rest. They are chained behind the tree: what one does
//! not answer goes on to the next. No call is both refused and pretended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use seccompiler::{BpfProgram, TargetArch};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tree::{self, Answer};

/// Stands for the process's own number in a compiled filter, until it is installed.
const SELF: u32 = 0x5e1f_5e1f;

/// What a chained program returns where the next is to decide: an answer that no policy has
/// (`SECCOMP_RET_LOG`).
pub(crate) const GO_ON: u32 = 0x7ffc_0000;
const GO_ON_ACTION: &str = "log";

/// Codes of steps (linux/bpf_common.h).
pub(crate) const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
pub(crate) const IS_EQUAL: u16 = 0x15;
/// `BPF_MAXINSNS`.
const STEPS_MAX: usize = 4096;

const TIERS: [&str; 2] = ["jit", "jitless"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    architecture: String,
    #[serde(rename = "default")]
    _default: Kill,
    #[serde(rename = "refusal")]
    _refusal: Refusal,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
enum Kill {
    #[serde(rename = "kill the process")]
    Process,
}

#[derive(Deserialize)]
enum Refusal {
    #[serde(rename = "EPERM")]
    Eperm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    syscall: String,
    tier: Option<String>,
    reason: String,
    kept: Option<String>,
    allow: Option<Calls>,
    errno: Option<Calls>,
    pretend: Option<Calls>,
}

/// Which calls of a system call: all, or those that fulfil every condition of one of the lists.
#[derive(Deserialize)]
#[serde(untagged)]
enum Calls {
    Always(Always),
    Any(Vec<Vec<Condition>>),
}

#[derive(Deserialize)]
enum Always {
    #[serde(rename = "always")]
    Always,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    arg: u8,
    #[serde(rename = "type")]
    width: String,
    op: String,
    value: Value,
    mask: Option<String>,
    meaning: String,
    /// Why the alternative that it belongs to stays though nothing uses it.
    kept: Option<String>,
}

pub(crate) fn build(out: &Path) {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/seccomp");
    println!("cargo::rerun-if-changed={}", policies.display());
    let mut code = format!("const SELF: u32 = {SELF:#x};\n");
    code.push_str("static COMPILED: &[Compiled] = &[\n");
    for (name, target) in [
        ("x86_64", TargetArch::x86_64),
        ("aarch64", TargetArch::aarch64),
    ] {
        let path = policies.join(name).with_extension("json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| fail(&path, &error));
        let policy: Policy =
            serde_json::from_str(&text).unwrap_or_else(|error| fail(&path, &error));
        assert_eq!(policy.architecture, name, "{}", path.display());
        for tier in TIERS {
            let _infallible = writeln!(
                code,
                "Compiled {{ architecture: {name:?}, executable_memory: {}, steps: &{} }},",
                tier == "jit",
                instructions(&compile(&policy, tier, target)),
            );
        }
    }
    code.push_str("];\n");
    std::fs::write(out.join("seccomp.rs"), code).expect("OUT_DIR is writable");
}

fn fail(path: &Path, error: &dyn std::fmt::Display) -> ! {
    panic!("{}: {error}", path.display())
}

/// The filter of one tier.
fn compile(policy: &Policy, tier: &str, target: TargetArch) -> BpfProgram {
    let mut refused = Filter::default();
    let mut pretended = Filter::default();
    let mut known = Filter::default();
    let mut answers = BTreeMap::new();
    for rule in &policy.rules {
        let name = &rule.syscall;
        check(rule);
        if rule.tier.as_ref().is_some_and(|only| only != tier) {
            continue;
        }
        let answer = rule.answer();
        let before = answers.insert(number(name, target), answer);
        assert!(before.is_none(), "{name} has two rules");
        if answer != Answer::Look {
            continue;
        }
        for calls in rule.answers().into_iter().flatten() {
            known.add(name, calls);
        }
        if let Some(calls) = &rule.errno {
            refused.add(name, calls);
        }
        if let Some(calls) = &rule.pretend {
            pretended.add(name, calls);
        }
    }
    let (eperm, success) = (json!({ "errno": 1 }), json!({ "errno": 0 }));
    let refuse = refused.compile(GO_ON_ACTION.into(), eperm, target);
    let pretend = pretended.compile(GO_ON_ACTION.into(), success, target);
    let kill = known.compile("kill_process".into(), "allow".into(), target);
    let numbers = tree::compile(architecture(target), &answers);
    let chained = chain([numbers, refuse, pretend, kill]);
    let own = chained.iter().filter(|step| step.k == SELF).count();
    assert_eq!(own, 1, "\"self\" stands in one place: see sandbox::seccomp");
    chained
}

/// One program of several: what one does not answer goes on to the next. The last answers everything.
fn chain<const N: usize>(programs: [BpfProgram; N]) -> BpfProgram {
    let mut chained = BpfProgram::new();
    for mut program in programs {
        let length = program.len();
        for (index, step) in program.iter_mut().enumerate() {
            if (step.code, step.k) == (RETURN, GO_ON) {
                step.code = JUMP;
                step.k = u32::try_from(length - index - 1).expect("filters are short");
            }
        }
        chained.append(&mut program);
    }
    let last = chained.last().map(|step| step.code);
    assert_eq!(last, Some(RETURN), "the last program answers everything");
    assert!(chained.len() <= STEPS_MAX, "the kernel takes so many steps");
    chained
}

/// The number of a system call.
fn number(name: &str, target: TargetArch) -> u32 {
    comparisons(name, target)[1]
}

/// How the kernel names a processor (`AUDIT_ARCH_…`).
fn architecture(target: TargetArch) -> u32 {
    comparisons("read", target)[0]
}

/// The processor and the number that a filter for one system call compares with: the compiler of filters
/// has a table, and no other way to it.
fn comparisons(name: &str, target: TargetArch) -> [u32; 2] {
    let mut one = Filter::default();
    one.add(name, &Calls::Always(Always::Always));
    let program = one.compile("kill_process".into(), "allow".into(), target);
    let compared = program.iter().filter(|step| step.code == IS_EQUAL);
    let compared: Vec<u32> = compared.map(|step| step.k).collect();
    compared
        .try_into()
        .expect("a filter for one call compares the processor and the number")
}

impl Rule {
    fn answers(&self) -> [&Option<Calls>; 3] {
        [&self.allow, &self.errno, &self.pretend]
    }

    /// What the number alone says.
    fn answer(&self) -> Answer {
        match self.answers() {
            [Some(Calls::Always(_)), None, None] => Answer::Allow,
            [None, Some(Calls::Always(_)), None] => Answer::Refuse,
            _ => Answer::Look,
        }
    }
}

fn check(rule: &Rule) {
    let name = &rule.syscall;
    assert!(!rule.reason.is_empty(), "{name}: every rule has a reason");
    check_kept(rule);
    if let Some(only) = &rule.tier {
        assert!(TIERS.contains(&only.as_str()), "{name}: no tier {only:?}");
    }
    assert!(
        rule.answers().into_iter().any(Option::is_some),
        "{name}: a rule answers something"
    );
    assert!(
        rule.errno.is_none() || rule.pretend.is_none(),
        "{name}: calls are refused or pretended"
    );
}

/// What is kept says why: a rule with one alternative itself, others for each.
fn check_kept(rule: &Rule) {
    let name = &rule.syscall;
    let mut alternatives = 0;
    let mut reasons: Vec<&String> = rule.kept.iter().collect();
    for calls in rule.answers().into_iter().flatten() {
        match calls {
            Calls::Always(Always::Always) => alternatives += 1,
            Calls::Any(lists) => {
                alternatives += lists.len();
                reasons.extend(lists.iter().flatten().filter_map(|it| it.kept.as_ref()));
            }
        }
    }
    assert!(
        reasons.iter().all(|why| !why.is_empty()),
        "{name}: what is kept says why"
    );
    assert!(
        rule.kept.is_none() || alternatives == 1,
        "{name}: which alternative is kept?"
    );
}

/// System calls and the conditions under which they match; no condition matches every call.
#[derive(Default)]
struct Filter(BTreeMap<String, Vec<Value>>);

impl Filter {
    fn add(&mut self, name: &str, calls: &Calls) {
        let alternatives = self.0.entry(name.to_owned()).or_default();
        match calls {
            Calls::Always(Always::Always) => {
                assert!(alternatives.is_empty(), "{name}: \"always\" leaves nothing");
            }
            Calls::Any(lists) => {
                for conditions in lists {
                    assert!(
                        !conditions.is_empty(),
                        "{name}: an empty list of conditions"
                    );
                    alternatives.push(conditions.iter().map(Condition::compiled).collect());
                }
            }
        }
    }

    fn compile(self, otherwise: Value, matched: Value, target: TargetArch) -> BpfProgram {
        let mut rules = Vec::new();
        for (name, alternatives) in self.0 {
            if alternatives.is_empty() {
                rules.push(json!({ "syscall": name }));
            }
            for conditions in alternatives {
                rules.push(json!({ "syscall": name, "args": conditions }));
            }
        }
        let text = json!({ "filter": {
            "mismatch_action": otherwise, "match_action": matched, "filter": rules,
        }})
        .to_string();
        let mut programs = seccompiler::compile_from_json(text.as_bytes(), target)
            .unwrap_or_else(|error| panic!("the policy for {target:?}: {error}"));
        programs.remove("filter").expect("it was named so above")
    }
}

impl Condition {
    fn compiled(&self) -> Value {
        assert!(!self.meaning.is_empty(), "a condition says what it means");
        let op = match &self.mask {
            Some(mask) => json!({ &self.op: hexadecimal(mask) }),
            None => json!(self.op),
        };
        let value = match &self.value {
            Value::String(text) if text == "self" => u64::from(SELF),
            Value::String(text) => hexadecimal(text),
            number => number
                .as_u64()
                .expect("a value is a number, hexadecimal or \"self\""),
        };
        json!({ "index": self.arg, "type": self.width, "op": op, "val": value })
    }
}

fn hexadecimal(text: &str) -> u64 {
    text.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or_else(|| panic!("{text:?} is no hexadecimal number"))
}

fn instructions(program: &BpfProgram) -> String {
    let steps: Vec<String> = program
        .iter()
        .map(|step| format!("({}, {}, {}, {})", step.code, step.jt, step.jf, step.k))
        .collect();
    format!("[{}]", steps.join(", "))
}
