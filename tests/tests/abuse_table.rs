//! The table of abuse, `tests/abuse.toml`: every row is whole, and every test that it names exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What an attacker may try is numbered from 1 to this.
const ROWS: usize = 65;

/// The environments of which each row must say something.
const ENVIRONMENTS: [&str; 6] = [
    "root",
    "user",
    "no_namespaces",
    "no_landlock",
    "no_wall",
    "no_filter",
];
/// What holds where nothing else is said.
const EVERYWHERE: &str = "everywhere";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    number: usize,
    kind: Kind,
    attempt: String,
    expect: Expect,
    #[serde(default)]
    shown_by: Vec<String>,
    #[serde(default)]
    cases: Vec<String>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Script,
    Native,
    Server,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expect {
    Everywhere(String),
    ByEnvironment(BTreeMap<String, String>),
}

impl Expect {
    fn of(&self, environment: &str) -> Option<&str> {
        match self {
            Self::Everywhere(text) => Some(text),
            Self::ByEnvironment(texts) => {
                let text = texts.get(environment).or_else(|| texts.get(EVERYWHERE));
                text.map(String::as_str)
            }
        }
    }

    fn unknown_environment(&self) -> Option<&str> {
        let Self::ByEnvironment(texts) = self else {
            return None;
        };
        let mut names = texts.keys().map(String::as_str);
        names.find(|name| *name != EVERYWHERE && !ENVIRONMENTS.contains(name))
    }
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the workspace").to_owned()
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(root().join("tests/abuse.toml")).expect("the table is there");
    let table: Table = toml::from_str(&text).expect("it is a table");
    table.row
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
    if row.attempt.is_empty() {
        faults.push("it says nothing".to_owned());
    }
    for environment in ENVIRONMENTS {
        if row.expect.of(environment).is_none_or(str::is_empty) {
            faults.push(format!("what is expected with {environment}?"));
        }
    }
    if let Some(unknown) = row.expect.unknown_environment() {
        faults.push(format!("{unknown} is no environment"));
    }
    if row.shown_by.is_empty() && row.reason.as_ref().is_none_or(String::is_empty) {
        faults.push("no test shows it, and nothing says why".to_owned());
    }
    if !row.shown_by.is_empty() && row.reason.is_some() {
        faults.push("a test shows it, and a reason says why none does".to_owned());
    }
    if row.kind == Kind::Native && !row.shown_by.is_empty() && row.cases.is_empty() {
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

#[test]
fn every_row_is_whole_and_every_test_that_it_names_exists() {
    let rows = table();
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

/// Nothing is tried in the jail without a row that says what must come of it.
#[test]
fn every_act_of_the_probe_has_a_row() {
    /// What shows that V8 can live in the jail.
    const LIFE: &str = "can-";
    let rows = table();
    let mut strangers = Vec::new();
    for file in ["sandbox_probe.rs", "walls.rs"] {
        let path = root().join("worker/tests/support").join(file);
        let text = fs::read_to_string(path).expect("it is there");
        let lines = text.lines().map(str::trim_start);
        let acts = lines.filter_map(|line| line.strip_prefix("(\"")?.split_once("\", |"));
        let acts: Vec<&str> = acts.map(|(act, _)| act).collect();
        assert!(acts.len() > 10, "{file}: {acts:?}");
        strangers.extend(
            acts.into_iter()
                .filter(|act| {
                    let has_row = rows
                        .iter()
                        .any(|row| row.cases.iter().any(|case| case == act));
                    !act.starts_with(LIFE) && !has_row
                })
                .map(str::to_owned),
        );
    }
    assert_eq!(strangers, Vec::<String>::new());
}

#[test]
fn a_row_that_is_not_whole_is_found() {
    let row = |rest: &str| -> Row {
        let text = format!("number = 1\nkind = \"native\"\nattempt = \"x\"\n{rest}");
        toml::from_str(&text).expect("a row")
    };
    for (rest, words) in [
        ("expect = \"x\"", "no test shows it"),
        ("expect = { root = \"x\" }\nreason = \"y\"", "with user"),
        (
            "expect = { everywhere = \"x\", moon = \"y\" }\nreason = \"y\"",
            "moon is no environment",
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
