//! Whether a history could have come from one machine that does one thing at a time.
//!
//! Both kinds of objects have an order that is known: a session lists its entries, and the log has the
//! tags of each heap in the order in which they were set. So nothing has to be searched: an operation's
//! place follows from its result, and what remains to ask is whether the places agree with real time.

use std::collections::BTreeMap;

use super::{Checked, must};
use crate::raft::ids::RequestId;

/// An operation of a client.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) object: usize,
    pub(super) kind: Kind,
    /// When it was begun, and when it was answered; `None` when nobody knows what has become of it.
    pub(super) invoked: u64,
    pub(super) returned: Option<u64>,
    pub(super) result: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Append(u32),
    ReadSession,
    /// Sets the tag to a value, or deletes it.
    Tag(RequestId, Option<u32>),
    ReadTag,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Open,
    Position(u64),
    Done,
    Session(Vec<u32>),
    Tag(Option<u32>),
}

/// An operation with its place in the order of its object: a write takes the place of its version, a
/// read sees all versions up to its place.
struct Placed {
    invoked: u64,
    returned: u64,
    place: u64,
    writes: bool,
}

/// Checks a session: its operations against the entries that it has in the end.
pub(super) fn session(operations: &[Operation], object: usize, end: &[u32]) -> Checked {
    let place_of: BTreeMap<u32, u64> = end.iter().copied().zip(1..).collect();
    must(place_of.len() == end.len(), || {
        format!("session {object} has an entry twice: {end:?}")
    })?;
    let mut placed = Vec::new();
    for one in operations.iter().filter(|one| one.object == object) {
        let (place, writes) = match (&one.kind, &one.result) {
            (Kind::Append(value), Outcome::Position(position)) => {
                must(place_of.get(value) == Some(&(position + 1)), || {
                    format!("entry {value} was said to be {position} in session {object}: {end:?}")
                })?;
                (position + 1, true)
            }
            // Nobody was told; it may be there or not.
            (Kind::Append(value), _) => match place_of.get(value) {
                Some(place) => (*place, true),
                None => continue,
            },
            (Kind::ReadSession, Outcome::Session(seen)) => {
                must(end.starts_with(seen), || {
                    format!("session {object} was read as {seen:?} and is {end:?}")
                })?;
                (seen.len() as u64, false)
            }
            _ => continue,
        };
        placed.push(Placed {
            invoked: one.invoked,
            returned: one.returned.unwrap_or(u64::MAX),
            place,
            writes,
        });
    }
    in_real_time(&placed, || format!("session {object}"))
}

/// Checks the tag of a heap: its operations against the order in which it was set.
pub(super) fn tag(operations: &[Operation], object: usize, order: &[RequestId]) -> Checked {
    let mine = || operations.iter().filter(|one| one.object == object);
    // The value of each version; the first is that nothing was set.
    let mut versions = vec![(None, 0)];
    let mut place_of = BTreeMap::new();
    for request in order {
        let found = mine().find_map(|one| match one.kind {
            Kind::Tag(id, value) if id == *request => Some((value, one.invoked)),
            _ => None,
        });
        if let Some((value, invoked)) = found {
            place_of.insert(*request, versions.len() as u64);
            versions.push((value, invoked));
        }
    }
    let mut placed: Vec<Placed> = Vec::new();
    for one in mine() {
        if let Kind::Tag(id, _) = one.kind {
            let Some(place) = place_of.get(&id) else {
                must(one.result == Outcome::Open, || {
                    format!("tag {object}: {id:?} was confirmed and never done")
                })?;
                continue;
            };
            placed.push(Placed {
                invoked: one.invoked,
                returned: one.returned.unwrap_or(u64::MAX),
                place: *place,
                writes: true,
            });
        }
    }
    place_reads(mine(), &versions, &mut placed, object)?;
    in_real_time(&placed, || format!("tag {object}"))
}

/// A value may have been there more than once (a deleted tag is like another): each read gets the first
/// version of its value that is not older than what was known when it began.
fn place_reads<'a>(
    operations: impl Iterator<Item = &'a Operation>,
    versions: &[(Option<u32>, u64)],
    placed: &mut Vec<Placed>,
    object: usize,
) -> Checked {
    let mut reads: Vec<(&Operation, u64, Option<u32>)> = operations
        .filter_map(|one| match (&one.result, one.returned) {
            (Outcome::Tag(value), Some(returned)) => Some((one, returned, *value)),
            _ => None,
        })
        .collect();
    reads.sort_by_key(|(_, returned, _)| *returned);
    for (one, returned, value) in reads {
        let known = placed.iter().filter(|other| other.returned < one.invoked);
        let least = known.map(|other| other.place).max().unwrap_or(0) as usize;
        let later = versions.iter().enumerate().skip(least);
        let place = later
            .filter(|(_, (version, invoked))| *version == value && *invoked < returned)
            .map(|(at, _)| at as u64)
            .next();
        let Some(place) = place else {
            return must(false, || {
                format!("tag {object} was read as {value:?}, which was not there any more: {one:?}")
            });
        };
        placed.push(Placed {
            invoked: one.invoked,
            returned,
            place,
            writes: false,
        });
    }
    Ok(())
}

/// What was over before something else began has a place before it.
fn in_real_time(placed: &[Placed], what: impl Fn() -> String) -> Checked {
    let mut by_end: Vec<&Placed> = placed.iter().collect();
    by_end.sort_by_key(|one| one.returned);
    let mut by_begin: Vec<&Placed> = placed.iter().collect();
    by_begin.sort_by_key(|one| one.invoked);
    let mut ended = by_end.into_iter().peekable();
    let mut newest = 0;
    for one in by_begin {
        while let Some(before) = ended.next_if(|before| before.returned < one.invoked) {
            newest = newest.max(before.place);
        }
        let is_later = if one.writes {
            one.place > newest
        } else {
            one.place >= newest
        };
        must(is_later, || {
            format!(
                "{}: version {} follows in real time, {} was known before it began (at {})",
                what(),
                one.place,
                newest,
                one.invoked
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(kind: Kind, result: Outcome, from: u64, to: Option<u64>) -> Operation {
        Operation {
            object: 0,
            kind,
            invoked: from,
            returned: to,
            result,
        }
    }

    fn append(value: u32, at: Option<u64>, from: u64, to: u64) -> Operation {
        let result = at.map_or(Outcome::Open, Outcome::Position);
        operation(Kind::Append(value), result, from, at.map(|_| to))
    }

    fn read(seen: &[u32], from: u64, to: u64) -> Operation {
        let result = Outcome::Session(seen.to_vec());
        operation(Kind::ReadSession, result, from, Some(to))
    }

    #[test]
    fn a_session_that_one_machine_could_have_had_passes() {
        let history = [
            append(7, Some(0), 1, 4),
            append(8, None, 2, 0),
            append(9, None, 3, 0),
            read(&[7], 3, 6),
            read(&[7, 8], 7, 8),
        ];
        assert_eq!(session(&history, 0, &[7, 8]), Ok(()));
    }

    #[test]
    fn a_session_that_lost_doubled_or_hid_an_entry_is_found() {
        let acked = append(7, Some(0), 1, 4);
        assert!(
            session(std::slice::from_ref(&acked), 0, &[]).is_err(),
            "lost"
        );
        assert!(
            session(std::slice::from_ref(&acked), 0, &[7, 7]).is_err(),
            "twice"
        );
        assert!(session(&[acked.clone(), read(&[], 5, 6)], 0, &[7]).is_err());
        assert!(session(&[read(&[7], 5, 6), read(&[], 7, 8)], 0, &[7]).is_err());
        let order = [append(7, Some(1), 1, 2), append(8, Some(0), 3, 4)];
        assert!(session(&order, 0, &[8, 7]).is_err(), "real time");
        let early = [read(&[7], 1, 2), append(7, None, 3, 0)];
        assert!(
            session(&early, 0, &[7]).is_err(),
            "read before it was asked for"
        );
    }

    #[test]
    fn a_tag_is_read_as_it_was_set_last() {
        let id = |number| RequestId([number; 16]);
        let set = |number, value, from, to| {
            let kind = Kind::Tag(id(number), value);
            operation(kind, Outcome::Done, from, Some(to))
        };
        let read = |value, from, to| operation(Kind::ReadTag, Outcome::Tag(value), from, Some(to));
        let history = |last| {
            vec![
                set(1, Some(5), 1, 2),
                set(2, None, 3, 4),
                set(3, Some(6), 5, 9),
                read(None, 6, 7),
                last,
            ]
        };
        let order = [id(1), id(2), id(3)];
        assert_eq!(tag(&history(read(Some(6), 8, 10)), 0, &order), Ok(()));
        assert_eq!(tag(&history(read(None, 8, 10)), 0, &order), Ok(()));
        assert!(tag(&history(read(Some(5), 8, 10)), 0, &order).is_err());
        assert!(tag(&history(read(None, 11, 12)), 0, &order).is_err());
        assert!(tag(&history(read(Some(6), 11, 12)), 0, &order[..2]).is_err());
    }
}
