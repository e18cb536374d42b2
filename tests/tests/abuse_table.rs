//! The table of abuse, `tests/abuse.toml`: every row is whole, and every test that it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "each test program uses a part of this")]
#[path = "../../worker/tests/support/abuse.rs"]
mod abuse;
use abuse::{Act, Kind, Row, Table, is_outcome};

/// What an attacker may try is numbered from 1 to this.
const ROWS: usize = 79;

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the workspace").to_owned()
}

/// The source that shows a row, if the test or specification is there.
fn source_of(shown_by: &str) -> Result<String, String> {
    let (file, test) = match shown_by.split_once("::") {
        Some((file, test)) => (file, Some(test)),
        None => (shown_by, None),
    };
    let source =
        fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    match test {
        None if file.starts_with("tests/specs/") => Ok(source),
        None => Err(format!("{file}: which test?")),
        Some(test) if is_test(&source, test) => Ok(source),
        Some(test) => Err(format!("{file} has no test {test}")),
    }
}

/// Whether a source has a test of this name: marked as one, or within `proptest!`.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let begins = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line
            .strip_prefix("fn ")
            .and_then(|line| line.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(|line| begins(line)) else {
        return false;
    };
    let attributes = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#["));
    let mut marks = attributes.filter(|line| line.contains("test"));
    marks.next().is_some()
}

fn faults(row: &Row) -> Vec<String> {
    let mut faults = Vec::new();
    if row.attempt.is_empty() || row.expect.is_empty() {
        faults.push("it says nothing".to_owned());
    }
    faults.extend(row.acts.iter().filter_map(fault_of_act));
    let mut acts = BTreeSet::new();
    for act in &row.acts {
        if !acts.insert((&act.act, format!("{:?}", act.target))) {
            faults.push(format!("{} is there twice", act.act));
        }
    }
    let is_promised = |act: &Act| act.walls.is_some() || act.forked.is_some();
    if row.acts.iter().all(is_promised) != row.unpromised.is_none() {
        faults.push("why is nothing said without the filter, and of which acts?".to_owned());
    }
    if row.shown_by.is_empty() && row.reason.as_ref().is_none_or(String::is_empty) {
        faults.push("no test shows it, and nothing says why".to_owned());
    }
    if !row.shown_by.is_empty() && row.reason.is_some() {
        faults.push("a test shows it, and a reason says why none does".to_owned());
    }
    if row.kind == Kind::Native
        && !row.shown_by.is_empty()
        && row.cases.is_empty()
        && row.acts.is_empty()
    {
        faults.push("which acts?".to_owned());
    }
    let mut sources = Vec::new();
    for shown_by in &row.shown_by {
        match source_of(shown_by) {
            Ok(source) => sources.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    for case in &row.cases {
        let quoted = format!("\"{case}\"");
        if !sources.iter().any(|source| source.contains(&quoted)) {
            faults.push(format!("no test has the case {quoted}"));
        }
    }
    faults
}

/// What is wrong with what is said of an act.
fn fault_of_act(act: &Act) -> Option<String> {
    let walls = [&act.walls, &act.forked].into_iter().flatten();
    let walls = walls.flat_map(|walls| walls.of_columns());
    let outcomes: Vec<&str> = act.jail.as_deref().into_iter().chain(walls).collect();
    if outcomes.is_empty() {
        return Some(format!("nothing is said of {}", act.act));
    }
    let unknown = outcomes.into_iter().find(|outcome| !is_outcome(outcome))?;
    Some(format!("{}: {unknown:?} is no outcome", act.act))
}

#[test]
fn every_row_is_whole_and_every_test_that_it_names_exists() {
    let rows = Table::load().row;
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for row in &rows {
        for fault in faults(row) {
            wrong.push(format!("{}: {fault}", row.number));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nothing is tried in the jail without a row that says what must come of it, and nothing is said of what
/// the probe does not know.
#[test]
fn the_acts_of_the_probe_are_those_of_the_table() {
    let table = Table::load();
    let mut done = BTreeSet::new();
    for file in ["sandbox_acts.rs", "walls.rs"] {
        let path = root().join("worker/tests/support").join(file);
        let text = fs::read_to_string(path).expect("it is there");
        let lines = text.lines().map(str::trim_start);
        let acts = lines.filter_map(|line| line.strip_prefix("(\"")?.split_once("\", "));
        let acts: Vec<String> = acts.map(|(act, _)| act.to_owned()).collect();
        assert!(acts.len() > 10, "{file}: {acts:?}");
        done.extend(acts);
    }
    let said: BTreeSet<&str> = table.acts().map(|(_, act)| act.act.as_str()).collect();
    let unknown: Vec<_> = said.iter().filter(|act| !done.contains(**act)).collect();
    assert!(unknown.is_empty(), "not of the probe: {unknown:?}");
    let is_case = |act: &String| table.row.iter().any(|row| row.cases.contains(act));
    let is_said = |act: &&String| said.contains(act.as_str()) || is_case(act);
    let strangers: Vec<_> = done.iter().filter(|act| !is_said(act)).collect();
    assert!(strangers.is_empty(), "not of the table: {strangers:?}");
}

#[test]
fn a_row_that_is_not_whole_is_found() {
    let row = |rest: &str| -> Row {
        let text = format!("number = 1\nkind = \"native\"\nattempt = \"x\"\n{rest}");
        toml::from_str(&text).expect("a row")
    };
    for (rest, words) in [
        ("expect = \"x\"", "no test shows it"),
        ("expect = \"\"\nreason = \"y\"", "says nothing"),
        (
            "expect = \"x\"\nreason = \"y\"\nacts = [{ act = \"a\" }]",
            "nothing is said of a",
        ),
        (
            "expect = \"x\"\nreason = \"y\"\nacts = [{ act = \"a\", jail = \"moon\" }]",
            "\"moon\" is no outcome",
        ),
        (
            "expect = \"x\"\nreason = \"y\"\nacts = [{ act = \"a\", jail = \"EPERM\" }]",
            "without the filter",
        ),
        (
            "expect = \"x\"\nreason = \"y\"\nacts = [{ act = \"a\", walls = \"EPERM\" }, { act = \"a\", walls = \"EPERM\" }]",
            "twice",
        ),
        (
            "expect = \"x\"\nshown_by = [\"tests/tests/none.rs::x\"]",
            "none.rs",
        ),
        (
            "expect = \"x\"\nshown_by = [\"tests/tests/abuse_table.rs::root\"]",
            "no test root",
        ),
        (
            "expect = \"x\"\nshown_by = [\"tests/tests/soak.rs\"]",
            "which test?",
        ),
        (
            "expect = \"x\"\nshown_by = [\"tests/tests/soak.rs::a_storm_of_cancels_leaves_nothing\"]\ncases = [\"no such act\"]",
            "no test has the case",
        ),
    ] {
        let found = faults(&row(rest)).join("\n");
        assert!(found.contains(words), "{rest}: {found}");
    }
}
