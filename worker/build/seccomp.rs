//! Compiles the system call policies of `policies/seccomp` to BPF, for every processor and tier.
//!
//! Each policy becomes three filters, because one filter knows one answer beside its default: `refuse`
//! lets everything through but answers some calls with EPERM; `pretend` answers some with success, and
//! nothing is done; `kill` knows what is left, and kills for the rest. All are installed, and the
//! kernel takes the strictest answer. No call is both refused and pretended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use seccompiler::{BpfProgram, TargetArch};
use serde::Deserialize;
use serde_json::{Value, json};

/// Stands for the process's own number in a compiled filter, until it is installed.
const SELF: u32 = 0x5e1f_5e1f;

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
            let Filters {
                refuse,
                pretend,
                kill,
            } = compile(&policy, tier, target);
            let _infallible = writeln!(
                code,
                "Compiled {{ architecture: {name:?}, executable_memory: {}, refuse: &{}, pretend: &{}, kill: &{} }},",
                tier == "jit",
                instructions(&refuse),
                instructions(&pretend),
                instructions(&kill),
            );
        }
    }
    code.push_str("];\n");
    std::fs::write(out.join("seccomp.rs"), code).expect("OUT_DIR is writable");
}

fn fail(path: &Path, error: &dyn std::fmt::Display) -> ! {
    panic!("{}: {error}", path.display())
}

/// The filters of one tier.
struct Filters {
    refuse: BpfProgram,
    pretend: BpfProgram,
    kill: BpfProgram,
}

fn compile(policy: &Policy, tier: &str, target: TargetArch) -> Filters {
    let mut refused = Filter::default();
    let mut pretended = Filter::default();
    let mut known = Filter::default();
    for rule in &policy.rules {
        let name = &rule.syscall;
        assert!(!rule.reason.is_empty(), "{name}: every rule has a reason");
        check_kept(rule);
        if let Some(only) = &rule.tier {
            assert!(TIERS.contains(&only.as_str()), "{name}: no tier {only:?}");
            if only != tier {
                continue;
            }
        }
        assert!(
            rule.allow.is_some() || rule.errno.is_some() || rule.pretend.is_some(),
            "{name}: a rule answers something"
        );
        assert!(!known.0.contains_key(name), "{name} has two rules");
        assert!(
            rule.errno.is_none() || rule.pretend.is_none(),
            "{name}: calls are refused or pretended"
        );
        for calls in [&rule.allow, &rule.errno, &rule.pretend]
            .into_iter()
            .flatten()
        {
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
    let refuse = refused.compile("allow".into(), eperm, target);
    let pretend = pretended.compile("allow".into(), success, target);
    let kill = known.compile("kill_process".into(), "allow".into(), target);
    for (program, times) in [(&refuse, 0), (&pretend, 0), (&kill, 1)] {
        let found = program.iter().filter(|step| step.k == SELF).count();
        assert_eq!(
            found, times,
            "\"self\" stands in one place: see sandbox::seccomp"
        );
    }
    Filters {
        refuse,
        pretend,
        kill,
    }
}

/// What is kept says why: a rule with one alternative itself, others for each.
fn check_kept(rule: &Rule) {
    let name = &rule.syscall;
    let answers = [&rule.allow, &rule.errno, &rule.pretend];
    let mut alternatives = 0;
    let mut reasons: Vec<&String> = rule.kept.iter().collect();
    for calls in answers.into_iter().flatten() {
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
