//! The policy of system calls as its files say it, read without the compiler of the filters.

use std::path::Path;

use serde_json::Value;

/// The policy for a processor.
pub(crate) fn policy(architecture: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/seccomp");
    let text = std::fs::read_to_string(folder.join(architecture).with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A value of a condition; `self` is the process with the number `own`.
pub(crate) fn number(value: &Value, own: u64) -> u64 {
    match value.as_str() {
        Some("self") => own,
        Some(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap(),
        None => value.as_u64().unwrap(),
    }
}

/// Whether a condition holds for the arguments of a call that the process with the number `own` makes.
pub(crate) fn holds(condition: &Value, own: u64, args: &[u64; 6]) -> bool {
    let width = match condition["type"].as_str().unwrap() {
        "dword" => u64::from(u32::MAX),
        "qword" => u64::MAX,
        other => panic!("{other}"),
    };
    let index = usize::try_from(condition["arg"].as_u64().unwrap()).unwrap();
    let (arg, value) = (args[index] & width, number(&condition["value"], own));
    match condition["op"].as_str().unwrap() {
        "eq" => arg == value,
        "ne" => arg != value,
        "le" => arg <= value,
        "masked_eq" => arg & number(&condition["mask"], own) & width == value,
        other => panic!("{other}"),
    }
}

/// The alternatives of what a rule answers in one way; `always` is one without conditions.
pub(crate) fn alternatives(calls: &Value) -> Vec<Vec<Value>> {
    match calls {
        Value::Null => Vec::new(),
        Value::String(_) => vec![Vec::new()],
        lists => {
            let lists = lists.as_array().unwrap().iter();
            lists.map(|list| list.as_array().unwrap().clone()).collect()
        }
    }
}
