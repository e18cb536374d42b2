//! A soak as short as can be, so that the program is as it should be when somebody needs a long one.

use std::process::Command;

use e2e::home::program;
use serde_json::Value;

#[test]
fn twenty_tenants_five_of_them_hostile_for_some_seconds() {
    let soaked = Command::new(program("soak"))
        .args(["--seconds", "8"])
        .output()
        .expect("it can be executed");
    let told = String::from_utf8_lossy(&soaked.stdout);
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert!(soaked.status.success(), "{report:#}");
    assert_eq!(report["is_well"], true);
    assert_eq!(report["honest"]["tenants"], 15);
    assert!(report["honest"]["steps"].as_u64() > Some(15), "{report:#}");
    let hostile = report["hostile"].as_object().expect("hostile tenants");
    assert_eq!(hostile.len(), 5);
    for (name, about) in hostile {
        let answers = about["answers"].as_object().expect("answers");
        assert!(!answers.is_empty(), "{name} did nothing: {report:#}");
    }
}
