//! What has become of the figures of an earlier run: whether a change has made something slower.
//!
//! A machine that others share is now faster, now slower, and another machine is another: what depends on it is
//! compared by how many times its floor it is, each with the floor of its own run.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::statistics::rounded;
use crate::target::{Better, Target};

/// Why two runs cannot be compared.
#[derive(Debug, Error)]
pub(crate) enum Incomparable {
    #[error("{}: {source}", path.display())]
    Unread {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is no report of scripts/bench: {source}", path.display())]
    NoReport {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the earlier report has no figure with a target")]
    Empty,
    #[error("only the earlier run has this figure: {0}. Is it a report of the same subject?")]
    Gone(String),
    #[error("this, or its floor, was not measured in one of the runs: {0}")]
    NoNumber(String),
    #[error("this has a floor in one of the runs only: {0}. Record the report again")]
    OneFloor(String),
}

/// A figure of both runs.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    pub(crate) what: String,
    before: f64,
    now: f64,
    /// How many times worse it is, by ratios to the floors where it has one; less than 1 is better.
    pub(crate) times_worse: f64,
    pub(crate) is_regression: bool,
}

/// The figures of an earlier run.
///
/// # Errors
/// [`Incomparable`]: the file cannot be read, or is no report.
pub(crate) fn read(path: &Path) -> Result<Vec<Target>, Incomparable> {
    let text = fs::read_to_string(path).map_err(|source| Incomparable::Unread {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|source| Incomparable::NoReport {
        path: path.to_owned(),
        source,
    })
}

fn parse(text: &str) -> serde_json::Result<Vec<Target>> {
    let mut report: Value = serde_json::from_str(text)?;
    let targets = report.get_mut("targets").map(Value::take);
    serde_json::from_value(targets.unwrap_or_default())
}

/// What became of each figure of the earlier run. What only this run has is new, and has nothing to be held
/// against.
///
/// # Errors
/// [`Incomparable`]: a figure of the earlier run is not here, so nothing is known of it.
pub(crate) fn compare(before: &[Target], now: &[Target]) -> Result<Vec<Change>, Incomparable> {
    if before.is_empty() {
        return Err(Incomparable::Empty);
    }
    let changes = before.iter().map(|old| {
        let new = now
            .iter()
            .find(|new| (&new.what, new.better) == (&old.what, old.better));
        let new = new.ok_or_else(|| Incomparable::Gone(old.what.to_string()))?;
        change(old, new)
    });
    changes.collect()
}

/// Of each figure what is less worse in two runs, which were compared with the same one.
pub(crate) fn better_of(one: Vec<Change>, other: Vec<Change>) -> Vec<Change> {
    let both = one.into_iter().zip(other);
    both.map(|(one, other)| {
        debug_assert_eq!(one.what, other.what);
        if other.times_worse < one.times_worse {
            other
        } else {
            one
        }
    })
    .collect()
}

fn change(old: &Target, new: &Target) -> Result<Change, Incomparable> {
    let what = new.what.to_string();
    let mut floors = [old.floor, new.floor].into_iter().flatten();
    let is_measured = |run: &Target| run.measured >= 0.0;
    if !is_measured(old) || !is_measured(new) || !floors.all(|floor| floor > 0.0) {
        return Err(Incomparable::NoNumber(what));
    }
    let (before, now) = match (old.floor, new.floor) {
        (Some(old_floor), Some(new_floor)) => (old.measured / old_floor, new.measured / new_floor),
        (None, None) => (old.measured, new.measured),
        (Some(_), None) | (None, Some(_)) => return Err(Incomparable::OneFloor(what)),
    };
    let times_worse = match new.better {
        _ if before == now => 1.0,
        // Where there was nothing, anything is infinitely worse.
        Better::Less => now / before,
        Better::More => before / now,
    };
    Ok(Change {
        what,
        before: rounded(before),
        now: rounded(now),
        times_worse: rounded(times_worse),
        is_regression: times_worse > new.worse_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(floor: f64, time: f64, goodput: f64, errors: f64) -> Vec<Target> {
        vec![
            Target::at_most("time", time, 5.0).beside(floor),
            Target::at_least("goodput", goodput, 0.9),
            Target::at_most("errors", errors, 0.0),
        ]
    }

    fn regressions(before: &[Target], now: &[Target]) -> Vec<String> {
        let changes = compare(before, now).expect("they can be compared");
        let worse = changes.into_iter().filter(|change| change.is_regression);
        worse.map(|change| change.what).collect()
    }

    #[test]
    fn a_slower_machine_is_no_regression_and_a_slower_program_is_one() {
        let before = run(1.5, 3.0, 1.0, 0.0);
        assert!(regressions(&before, &run(3.0, 6.0, 1.0, 0.0)).is_empty());
        assert_eq!(regressions(&before, &run(1.5, 6.0, 1.0, 0.0)), ["time"]);
        // On a machine twice as fast, too.
        assert_eq!(regressions(&before, &run(0.75, 3.0, 1.0, 0.0)), ["time"]);
        assert_eq!(regressions(&before, &run(1.5, 3.0, 0.7, 0.0)), ["goodput"]);
        assert_eq!(regressions(&before, &run(1.5, 3.0, 1.0, 2.0)), ["errors"]);
        assert!(regressions(&before, &run(1.5, 3.5, 0.9, 0.0)).is_empty());
    }

    #[test]
    fn what_is_worse_once_and_not_again_is_no_regression() {
        let before = run(1.0, 1.0, 1.0, 0.0);
        let against = |now: &[Target]| compare(&before, now).expect("they can be compared");
        let slow = against(&run(1.0, 2.0, 1.0, 0.0));
        let slower = against(&run(1.0, 3.0, 1.0, 0.0));
        let wrong = against(&run(1.0, 1.0, 1.0, 1.0));
        let worse = |changes: Vec<Change>| {
            let worse = changes.into_iter().filter(|change| change.is_regression);
            worse.map(|change| change.now).collect::<Vec<_>>()
        };
        assert!(worse(better_of(slow, wrong)).is_empty());
        let slow = against(&run(1.0, 2.0, 1.0, 0.0));
        assert_eq!(worse(better_of(slower, slow)), [2.0]);
    }

    #[test]
    fn a_rate_is_held_against_the_rate_of_its_floor() {
        let rate = |measured, floor| vec![Target::at_least("rate", measured, 1.0).beside(floor)];
        assert!(regressions(&rate(100.0, 1000.0), &rate(50.0, 500.0)).is_empty());
        assert_eq!(
            regressions(&rate(100.0, 1000.0), &rate(50.0, 1000.0)),
            ["rate"]
        );
    }

    #[test]
    fn what_varies_may_be_worse_by_that_much() {
        let time = |measured| vec![Target::at_most("time", measured, 9.0).varying(2.0)];
        assert!(regressions(&time(1.0), &time(1.9)).is_empty());
        assert_eq!(regressions(&time(1.0), &time(2.1)), ["time"]);
    }

    #[test]
    fn what_cannot_be_compared_is_never_taken_for_as_good() {
        let now = run(1.0, 1.0, 1.0, 0.0);
        let other = [Target::at_most("something else", 1.0, 1.0)];
        let as_it_is = [Target::at_most("time", 1.0, 5.0)];
        let unmeasured = [Target::at_most("errors", f64::NAN, 0.0)];
        assert!(matches!(compare(&[], &now), Err(Incomparable::Empty)));
        assert!(
            matches!(compare(&other, &now), Err(Incomparable::Gone(what)) if what == "something else")
        );
        assert!(
            matches!(compare(&as_it_is, &now), Err(Incomparable::OneFloor(what)) if what == "time")
        );
        assert!(matches!(
            compare(&unmeasured, &now),
            Err(Incomparable::NoNumber(_))
        ));
        assert!(matches!(
            compare(&now, &unmeasured),
            Err(Incomparable::Gone(_))
        ));
        let no_floor = run(0.0, 1.0, 1.0, 0.0);
        assert!(matches!(
            compare(&no_floor, &no_floor),
            Err(Incomparable::NoNumber(_))
        ));
    }

    #[test]
    fn a_report_is_read_as_it_is_written_and_another_file_is_none() {
        let targets = run(1.5, f64::NAN, 1.0, 0.0);
        let text = serde_json::json!({"targets": targets, "machine": {}}).to_string();
        let read = parse(&text).expect("a report");
        assert!(read[0].measured.is_nan());
        assert_eq!(read[0].floor, Some(1.5));
        let before_floors = r#"{"targets": [{"what": "time", "measured": 1, "target": 5, "better": "less", "met": true}]}"#;
        let read = parse(before_floors).expect("a report");
        assert!(matches!(
            compare(&read, &run(1.5, 1.0, 1.0, 0.0)),
            Err(Incomparable::OneFloor(_))
        ));
        assert!(parse("{}").is_err());
        assert!(parse("[]").is_err());
        assert!(parse("no").is_err());
    }
}
