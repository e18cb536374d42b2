//! What has become of the figures of an earlier run: whether a change has made something slower.
//!
//! A machine that others share is now faster, now slower, and another machine is another: times are compared
//! in units of the floor of their own run.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::statistics::rounded;
use crate::target::{Better, Scale};

/// How many times worse than before a figure may be: rounds of one run differ by a fifth.
const WORSE_MAX: f64 = 1.25;

/// A figure of both runs.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    what: String,
    before: f64,
    now: f64,
    /// How many times worse it is, in units of the floor where it is a time; less than 1 is better.
    times_worse: f64,
    pub(crate) is_regression: bool,
}

/// A figure that has a target, as a report has it.
struct Figure<'a> {
    what: &'a str,
    measured: f64,
    better: Better,
    scale: Scale,
}

/// The report of an earlier run.
pub(crate) fn read(path: &Path) -> io::Result<Value> {
    let text = fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| io::Error::other(format!("{} is no report: {error}", path.display())))
}

/// Each figure that both reports hold against a target.
pub(crate) fn compare(before: &Value, now: &Value) -> Vec<Change> {
    let floors = (floor(before), floor(now));
    let earlier = figures(before);
    figures(now)
        .iter()
        .filter_map(|figure| {
            let old = earlier.iter().find(|old| old.what == figure.what)?;
            Some(change(old, figure, floors))
        })
        .collect()
}

fn change(old: &Figure<'_>, new: &Figure<'_>, floors: (Option<f64>, Option<f64>)) -> Change {
    let units = match (new.scale, floors) {
        (Scale::Floor, (Some(before), Some(now))) => now / before,
        (Scale::Floor | Scale::None, _) => 1.0,
    };
    let times_worse = match new.better {
        // Where there was nothing, anything is worse.
        Better::Less if old.measured == 0.0 && new.measured == 0.0 => 1.0,
        Better::Less => new.measured / old.measured / units,
        Better::More => old.measured / new.measured,
    };
    Change {
        what: new.what.to_owned(),
        before: old.measured,
        now: new.measured,
        times_worse: rounded(times_worse),
        // What is no number is no better.
        is_regression: !(times_worse <= WORSE_MAX),
    }
}

fn figures(report: &Value) -> Vec<Figure<'_>> {
    let targets = report["targets"].as_array();
    targets.into_iter().flatten().filter_map(figure).collect()
}

fn figure(target: &Value) -> Option<Figure<'_>> {
    Some(Figure {
        what: target["what"].as_str()?,
        measured: target["measured"].as_f64()?,
        better: serde_json::from_value(target["better"].clone()).ok()?,
        scale: serde_json::from_value(target["in_units_of"].clone()).ok()?,
    })
}

/// How long the floor takes, in milliseconds.
fn floor(report: &Value) -> Option<f64> {
    report["floor"]["life_ms"]["p50"].as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(floor: f64, time: f64, goodput: f64, errors: f64) -> Value {
        json!({
            "floor": {"life_ms": {"p50": floor}},
            "targets": [
                {"what": "time", "measured": time, "better": "less", "in_units_of": "floor"},
                {"what": "goodput", "measured": goodput, "better": "more", "in_units_of": "none"},
                {"what": "errors", "measured": errors, "better": "less", "in_units_of": "none"},
            ],
        })
    }

    fn regressions(before: &Value, now: &Value) -> Vec<String> {
        let changes = compare(before, now).into_iter();
        changes
            .filter(|change| change.is_regression)
            .map(|change| change.what)
            .collect()
    }

    #[test]
    fn a_slower_machine_is_no_regression_and_a_slower_program_is_one() {
        let before = report(1.5, 3.0, 1.0, 0.0);
        assert!(regressions(&before, &report(3.0, 6.0, 1.0, 0.0)).is_empty());
        assert_eq!(regressions(&before, &report(1.5, 6.0, 1.0, 0.0)), ["time"]);
        assert_eq!(
            regressions(&before, &report(1.5, 3.0, 0.7, 0.0)),
            ["goodput"]
        );
        assert_eq!(
            regressions(&before, &report(1.5, 3.0, 1.0, 2.0)),
            ["errors"]
        );
        assert!(regressions(&before, &report(1.5, 3.5, 0.9, 0.0)).is_empty());
    }

    #[test]
    fn what_only_one_of_them_has_is_left_out() {
        let before = json!({"targets": []});
        assert!(compare(&before, &report(1.0, 1.0, 1.0, 0.0)).is_empty());
    }
}
