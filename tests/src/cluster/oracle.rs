//! Whether what clients were told can be true of one server that never fails: nothing that was
//! acknowledged is lost or comes twice, nobody reads the past, and what came first is first.
//!
//! Sessions are lists that only grow. Registers have each value once, so that Gibbons and Korach's zones
//! say whether there is an order of all operations, without looking for it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use super::history::{Asked, Operation, Outcome};

/// Something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Acknowledged, and not there.
    Lost(String),
    /// There more than once.
    Twice(String),
    /// Refused, or never asked for, and there.
    Uncalled(String),
    /// A read that does not show what was acknowledged before it began, or shows less than another read
    /// that had ended by then.
    Stale(String),
    /// A read that shows what is not so, or not in this order.
    Untrue(String),
    /// One was acknowledged before the other began, and comes after it.
    Disordered(String),
    /// No order of all reads and changes of a register gives what they were told.
    NoOrder(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(what) => write!(f, "lost: {what}"),
            Self::Twice(what) => write!(f, "twice: {what}"),
            Self::Uncalled(what) => write!(f, "uncalled: {what}"),
            Self::Stale(what) => write!(f, "stale: {what}"),
            Self::Untrue(what) => write!(f, "untrue: {what}"),
            Self::Disordered(what) => write!(f, "out of order: {what}"),
            Self::NoOrder(what) => write!(f, "no order: {what}"),
        }
    }
}

/// What is in sessions at the end, by name.
pub type Sessions = BTreeMap<String, Vec<String>>;

/// Everything that cannot be of a history and of what is there at its end.
pub fn judge(operations: &[Operation], last: &Sessions) -> Vec<Wrong> {
    let mut sessions = BTreeMap::<&str, (Vec<Append<'_>>, Vec<List<'_>>)>::new();
    let mut registers = BTreeMap::<&str, Vec<&Operation>>::new();
    for one in operations {
        match &one.asked {
            Asked::Append { session, value } => {
                let append = Append { value, of: one };
                sessions.entry(session).or_default().0.push(append);
            }
            Asked::List { session, values } => {
                let list = List { values, of: one };
                sessions.entry(session).or_default().1.push(list);
            }
            Asked::Set { register, .. } | Asked::Get { register, .. } => {
                registers.entry(register).or_default().push(one);
            }
        }
    }
    let mut wrong = Vec::new();
    for (name, (appends, lists)) in &sessions {
        let nothing = Vec::new();
        let last = last.get(*name).unwrap_or(&nothing);
        judge_session((name, last), appends, lists, &mut wrong);
    }
    for (name, values) in last {
        if !sessions.contains_key(name.as_str()) && !values.is_empty() {
            wrong.push(Wrong::Uncalled(format!("the session {name}")));
        }
    }
    for (name, operations) in &registers {
        judge_register(name, operations, &mut wrong);
    }
    wrong
}

struct Append<'a> {
    value: &'a str,
    of: &'a Operation,
}

struct List<'a> {
    values: &'a [String],
    of: &'a Operation,
}

fn judge_session(
    (name, last): (&str, &[String]),
    appends: &[Append<'_>],
    lists: &[List<'_>],
    wrong: &mut Vec<Wrong>,
) {
    let mut places = HashMap::<&str, usize>::new();
    for (place, value) in last.iter().enumerate() {
        if places.insert(value, place).is_some() {
            wrong.push(Wrong::Twice(format!("{value} in {name}")));
        }
    }
    let known: HashMap<&str, &Operation> = appends
        .iter()
        .map(|append| (append.value, append.of))
        .collect();
    for append in appends {
        let is_there = places.contains_key(append.value);
        let tell = || format!("{} in {name}, by {}", append.value, append.of.node);
        match append.of.outcome {
            Outcome::Done if !is_there => wrong.push(Wrong::Lost(tell())),
            Outcome::Refused if is_there => wrong.push(Wrong::Uncalled(tell())),
            Outcome::Done | Outcome::Refused | Outcome::Unknown => {}
        }
    }
    // What ends before something else begins comes before it.
    let mut latest_begin = (Duration::ZERO, "");
    for value in last {
        let Some(append) = known.get(value.as_str()) else {
            wrong.push(Wrong::Uncalled(format!("{value} in {name}")));
            continue;
        };
        if append.outcome == Outcome::Done && append.end < latest_begin.0 {
            let (_, other) = latest_begin;
            wrong.push(Wrong::Disordered(format!(
                "{value} after {other} in {name}"
            )));
        }
        latest_begin = latest_begin.max((append.begin, value));
    }
    judge_lists((name, last), (&places, &known), lists, wrong);
}

fn judge_lists(
    (name, last): (&str, &[String]),
    (places, known): (&HashMap<&str, usize>, &HashMap<&str, &Operation>),
    lists: &[List<'_>],
    wrong: &mut Vec<Wrong>,
) {
    // How long the list must be for who asks after a time: what was acknowledged or shown by then.
    let mut bounds: Vec<(Duration, usize)> = Vec::new();
    for (value, append) in known {
        if let (Outcome::Done, Some(place)) = (append.outcome, places.get(value)) {
            bounds.push((append.end, place + 1));
        }
    }
    for list in lists {
        let is_beginning = last.starts_with(list.values);
        let is_early = |value: &String| {
            let append = known.get(value.as_str());
            append.is_some_and(|append| append.begin > list.of.end)
        };
        if !is_beginning || list.values.iter().any(is_early) {
            let (node, count) = (&list.of.node, list.values.len());
            wrong.push(Wrong::Untrue(format!("{count} of {name}, by {node}")));
        } else {
            bounds.push((list.of.end, list.values.len()));
        }
    }
    bounds.sort_unstable();
    let mut least = 0;
    for bound in &mut bounds {
        least = least.max(bound.1);
        bound.1 = least;
    }
    for list in lists {
        let before = bounds.partition_point(|(end, _)| *end < list.of.begin);
        let least = before.checked_sub(1).map_or(0, |at| bounds[at].1);
        if list.values.len() < least {
            let (node, count) = (&list.of.node, list.values.len());
            let told = format!(
                "{count} of {least} in {name}, by {node} at {:?}",
                list.of.begin
            );
            wrong.push(Wrong::Stale(told));
        }
    }
}

/// The operations on one value: from the first end to the last begin.
struct Zone<'a> {
    value: &'a str,
    first_end: Duration,
    last_begin: Duration,
}

impl Zone<'_> {
    /// Whether the register has the value in all of the zone, or has it at some time within.
    fn is_forward(&self) -> bool {
        self.first_end < self.last_begin
    }
}

fn judge_register(name: &str, operations: &[&Operation], wrong: &mut Vec<Wrong>) {
    // Before the first change it had no value: that is a change at the beginning of time.
    let mut values = BTreeMap::<&str, Vec<(Duration, Duration)>>::new();
    let mut writes = HashMap::<&str, &Operation>::new();
    values.insert("", vec![(Duration::ZERO, Duration::ZERO)]);
    for one in operations {
        let Asked::Set { value, .. } = &one.asked else {
            continue;
        };
        writes.insert(value, one);
        if one.outcome == Outcome::Done {
            values.entry(value).or_default().push((one.begin, one.end));
        }
    }
    for one in operations {
        let Asked::Get { value, .. } = &one.asked else {
            continue;
        };
        let value = value.as_deref().unwrap_or_default();
        let write = writes.get(value);
        let tell = || format!("{value} in {name}, by {}", one.node);
        match write {
            None if !value.is_empty() => wrong.push(Wrong::Uncalled(tell())),
            Some(write) if write.outcome == Outcome::Refused => wrong.push(Wrong::Uncalled(tell())),
            Some(write) if write.begin > one.end => wrong.push(Wrong::Untrue(tell())),
            _ => {}
        }
        // A change that nobody knows of has happened if it was read, whenever that was.
        values.entry(value).or_default().push((one.begin, one.end));
    }
    let zones = values.iter().filter_map(|(value, times)| {
        Some(Zone {
            value,
            first_end: times.iter().map(|(_, end)| *end).min()?,
            last_begin: times.iter().map(|(begin, _)| *begin).max()?,
        })
    });
    let (mut forward, backward): (Vec<_>, Vec<_>) = zones.partition(Zone::is_forward);
    forward.sort_by_key(|zone| zone.first_end);
    for pair in forward.windows(2) {
        if pair[1].first_end < pair[0].last_begin {
            let told = format!("{:?} and {:?} in {name}", pair[0].value, pair[1].value);
            wrong.push(Wrong::NoOrder(told));
        }
    }
    for zone in &backward {
        // Forward zones do not overlap: the last one that begins before is the only one that can hold it.
        let before = forward.partition_point(|other| other.first_end < zone.last_begin);
        let around = before.checked_sub(1).map(|at| &forward[at]);
        if let Some(around) = around.filter(|around| zone.first_end < around.last_begin) {
            let told = format!("{:?} within {:?} in {name}", zone.value, around.value);
            wrong.push(Wrong::NoOrder(told));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(asked: Asked, outcome: Outcome, (begin, end): (u64, u64)) -> Operation {
        Operation {
            asked,
            node: "a".to_owned(),
            outcome,
            begin: Duration::from_millis(begin),
            end: Duration::from_millis(end),
        }
    }

    fn append(value: &str, outcome: Outcome, times: (u64, u64)) -> Operation {
        let (session, value) = ("s".to_owned(), value.to_owned());
        at(Asked::Append { session, value }, outcome, times)
    }

    fn list(values: &[&str], times: (u64, u64)) -> Operation {
        let session = "s".to_owned();
        let values = values.iter().map(|&value| value.to_owned()).collect();
        at(Asked::List { session, values }, Outcome::Done, times)
    }

    fn set(value: &str, outcome: Outcome, times: (u64, u64)) -> Operation {
        let (register, value) = ("r".to_owned(), value.to_owned());
        at(Asked::Set { register, value }, outcome, times)
    }

    fn get(value: &str, times: (u64, u64)) -> Operation {
        let register = "r".to_owned();
        let value = (!value.is_empty()).then(|| value.to_owned());
        at(Asked::Get { register, value }, Outcome::Done, times)
    }

    fn wrong(operations: &[Operation], last: &[&str]) -> Vec<Wrong> {
        let last = last.iter().map(|&value| value.to_owned()).collect();
        judge(operations, &[("s".to_owned(), last)].into())
    }

    use Outcome::{Done, Refused, Unknown};

    #[test]
    fn what_can_be_is_right() {
        let history = [
            append("1", Done, (0, 10)),
            append("2", Unknown, (5, 20)),
            append("3", Unknown, (5, 20)),
            append("4", Refused, (5, 20)),
            append("5", Done, (0, 30)),
            list(&[], (0, 5)),
            list(&["5", "1"], (6, 9)),
            list(&["5", "1"], (15, 20)),
            list(&["5", "1", "2"], (19, 30)),
        ];
        assert_eq!(wrong(&history, &["5", "1", "2"]), []);
        // One that nobody knows of may come as late as it likes.
        let late = [append("1", Unknown, (0, 1)), append("2", Done, (5, 6))];
        assert_eq!(wrong(&late, &["2", "1"]), []);
    }

    #[test]
    fn what_is_lost_or_comes_twice_or_uncalled_is_found() {
        let history = [append("1", Done, (0, 1)), append("2", Refused, (2, 3))];
        assert!(matches!(wrong(&history, &[])[..], [Wrong::Lost(_)]));
        assert!(matches!(
            wrong(&history, &["1", "1"])[..],
            [Wrong::Twice(_)]
        ));
        assert!(matches!(
            wrong(&history, &["1", "2"])[..],
            [Wrong::Uncalled(_)]
        ));
        assert!(matches!(
            wrong(&history, &["1", "x"])[..],
            [Wrong::Uncalled(_)]
        ));
        assert!(matches!(wrong(&[], &["1"])[..], [Wrong::Uncalled(_)]));
    }

    #[test]
    fn another_order_than_that_of_time_is_found() {
        let history = [append("1", Done, (0, 1)), append("2", Done, (2, 3))];
        assert_eq!(wrong(&history, &["1", "2"]), []);
        assert!(matches!(
            wrong(&history, &["2", "1"])[..],
            [Wrong::Disordered(_)]
        ));
    }

    #[test]
    fn reads_of_the_past_and_of_what_is_not_so_are_found() {
        let appends = [append("1", Done, (0, 1)), append("2", Done, (2, 9))];
        let with = |lists: &[Operation]| wrong(&[&appends[..], lists].concat(), &["1", "2"]);
        assert_eq!(with(&[list(&["1"], (2, 3)), list(&["1"], (3, 4))]), []);
        assert!(matches!(with(&[list(&[], (2, 3))])[..], [Wrong::Stale(_)]));
        assert!(matches!(
            with(&[list(&["1"], (10, 11))])[..],
            [Wrong::Stale(_)]
        ));
        // Nobody has acknowledged the second one yet, but somebody has seen it.
        let seen = [list(&["1", "2"], (3, 4)), list(&["1"], (5, 6))];
        assert!(matches!(with(&seen)[..], [Wrong::Stale(_)]));
        assert!(matches!(
            with(&[list(&["2"], (3, 4))])[..],
            [Wrong::Untrue(_), ..]
        ));
        assert!(matches!(
            with(&[list(&["1", "2"], (1, 1))])[..],
            [Wrong::Untrue(_), ..]
        ));
    }

    #[test]
    fn a_register_that_can_be_is_right() {
        let history = [
            get("", (0, 5)),
            set("1", Done, (2, 10)),
            get("1", (4, 6)),
            set("2", Unknown, (11, 20)),
            get("1", (21, 22)),
            set("3", Done, (23, 24)),
            get("3", (25, 26)),
            get("2", (30, 31)),
            get("2", (32, 33)),
            set("4", Unknown, (40, 41)),
            set("5", Refused, (40, 41)),
        ];
        assert_eq!(wrong(&history, &[]), []);
    }

    #[test]
    fn a_register_that_goes_back_is_found() {
        let base = [set("1", Done, (0, 1)), set("2", Done, (2, 3))];
        let with = |more: &[Operation]| wrong(&[&base[..], more].concat(), &[]);
        assert_eq!(with(&[get("2", (4, 5))]), []);
        assert!(matches!(with(&[get("1", (4, 5))])[..], [Wrong::NoOrder(_)]));
        assert!(matches!(
            with(&[get("", (4, 5))])[..],
            [Wrong::NoOrder(_), ..]
        ));
        let back = [set("3", Done, (6, 20)), get("3", (7, 8)), get("2", (9, 10))];
        assert!(matches!(with(&back)[..], [Wrong::NoOrder(_)]));
        assert!(matches!(
            with(&[get("x", (4, 5))])[..],
            [Wrong::Uncalled(_), ..]
        ));
        let refused = [set("3", Refused, (4, 5)), get("3", (6, 7))];
        assert!(matches!(with(&refused)[..], [Wrong::Uncalled(_)]));
        let early = [set("3", Done, (6, 7)), get("3", (4, 5))];
        assert!(
            with(&early)
                .iter()
                .any(|one| matches!(one, Wrong::Untrue(_)))
        );
    }
}
