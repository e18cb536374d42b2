use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;

use super::super::verify::Check;
use super::*;

#[derive(Debug, Serialize)]
struct Content {
    time: String,
    text: String,
}

fn key(byte: u8) -> ChainKey {
    ChainKey::new(&[byte; KEY_BYTES])
}

/// A log with these texts, and what is known of it when it is written.
fn written(texts: &[String]) -> (Vec<String>, Anchor) {
    let mut anchor = Anchor::GENESIS;
    let lines = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let content = Content {
                time: format!("t{index}"),
                text: text.clone(),
            };
            seal(&key(1), &mut anchor.last, &content).unwrap()
        })
        .collect();
    (lines, anchor)
}

/// Where the log is broken first, and how.
fn verified(lines: &[String], anchor: Anchor, by: &ChainKey) -> Result<(), (usize, Break)> {
    let mut check = Check::new(by, Some(anchor));
    for (index, line) in lines.iter().enumerate() {
        check.line(line.as_bytes()).map_err(|why| (index, why))?;
    }
    check.end().map_err(|why| (lines.len(), why))
}

fn texts(number: usize) -> Vec<String> {
    (0..number).map(|index| format!("line {index}")).collect()
}

#[test]
fn what_was_written_is_whole() {
    let (lines, anchor) = written(&texts(5));
    assert_eq!(verified(&lines, anchor, &key(1)), Ok(()));
    let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(first["seq"], 1);
    assert_eq!(first["prev"], "0".repeat(64));
    assert_eq!(first["text"], "line 0");
    // Lines that were written before the anchor was.
    let earlier = Anchor {
        last: read(&key(1), lines[2].as_bytes()).unwrap().link,
        first_seq: 1,
    };
    assert_eq!(verified(&lines, earlier, &key(1)), Ok(()));
}

#[test]
fn another_key_verifies_nothing_and_forges_nothing() {
    let (lines, anchor) = written(&texts(2));
    assert_eq!(verified(&lines, anchor, &key(2)), Err((0, Break::Forged)));
    let sealed = anchor.sealed(&key(1)).unwrap();
    assert_eq!(Anchor::read(&key(1), &sealed), Some(anchor));
    assert_eq!(Anchor::read(&key(2), &sealed), None);
    // A line is no anchor, and an anchor no line.
    assert_eq!(Anchor::read(&key(1), &lines[0]), None);
    assert_eq!(read(&key(1), sealed.as_bytes()), Err(Break::Forged));
}

#[test]
fn what_is_missing_is_named() {
    let (lines, anchor) = written(&texts(5));
    let without = |index: usize| {
        let mut lines = lines.clone();
        lines.remove(index);
        verified(&lines, anchor, &key(1)).unwrap_err()
    };
    let order = |expected, found| Break::Order { expected, found };
    assert_eq!(without(2), (2, order(3, 4)));
    let (expected, found) = (1, 2);
    assert_eq!(without(0), (0, Break::Beheaded { expected, found }));
    let (expected, found) = (5, 4);
    assert_eq!(without(4), (4, Break::Cut { expected, found }));
    let (expected, found) = (5, 0);
    assert_eq!(
        verified(&[], anchor, &key(1)),
        Err((0, Break::Cut { expected, found }))
    );
}

#[test]
fn a_beginning_that_was_put_away_is_no_break() {
    let (lines, anchor) = written(&texts(5));
    let kept = Anchor {
        first_seq: 3,
        ..anchor
    };
    assert_eq!(verified(&lines[2..], kept, &key(1)), Ok(()));
    assert_eq!(verified(&lines[1..], kept, &key(1)), Ok(()));
    let beheaded = verified(&lines[3..], kept, &key(1)).unwrap_err();
    let (expected, found) = (3, 4);
    assert_eq!(beheaded, (0, Break::Beheaded { expected, found }));
}

#[test]
fn another_history_with_the_same_key_is_not_spliced_in() {
    let (lines, anchor) = written(&texts(4));
    let (others, other_anchor) = written(&[
        "x".to_owned(),
        "y".to_owned(),
        "z".to_owned(),
        "w".to_owned(),
    ]);
    let spliced = [&lines[..2], &others[2..]].concat();
    assert_eq!(
        verified(&spliced, other_anchor, &key(1)),
        Err((2, Break::Unchained))
    );
    assert_eq!(
        verified(&others, anchor, &key(1)),
        Err((3, Break::Replaced { seq: 4 }))
    );
}

/// What somebody does to a log who does not have the key.
#[derive(Debug, Clone)]
enum Tampering {
    Flip { line: usize, at: usize, bit: u8 },
    Remove(usize),
    Double(usize),
    Swap(usize, usize),
    Insert { at: usize, text: String },
    Truncate(usize),
    CutWithin { line: usize, at: usize },
    Join(usize),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let any = any::<usize>;
    prop_oneof![
        (any(), any(), 0..8_u8).prop_map(|(line, at, bit)| Tampering::Flip { line, at, bit }),
        any().prop_map(Tampering::Remove),
        any().prop_map(Tampering::Double),
        (any(), any()).prop_map(|(one, other)| Tampering::Swap(one, other)),
        (any(), ".{0,40}").prop_map(|(at, text)| Tampering::Insert { at, text }),
        any().prop_map(Tampering::Truncate),
        (any(), any()).prop_map(|(line, at)| Tampering::CutWithin { line, at }),
        any().prop_map(Tampering::Join),
    ]
}

fn tamper(lines: &mut Vec<Vec<u8>>, tampering: Tampering) {
    let number = lines.len();
    match tampering {
        Tampering::Flip { line, at, bit } => {
            let line = &mut lines[line % number];
            let at = at % line.len();
            line[at] ^= 1 << bit;
        }
        Tampering::Remove(line) => {
            lines.remove(line % number);
        }
        Tampering::Double(line) => {
            let line = line % number;
            lines.insert(line, lines[line].clone());
        }
        Tampering::Swap(one, other) => lines.swap(one % number, other % number),
        Tampering::Insert { at, text } => lines.insert(at % (number + 1), text.into_bytes()),
        Tampering::Truncate(to) => lines.truncate(to % number),
        Tampering::CutWithin { line, at } => {
            let line = &mut lines[line % number];
            let at = at % line.len();
            line.truncate(at);
        }
        Tampering::Join(line) => {
            let line = line % number;
            if line + 1 < number {
                let next = lines.remove(line + 1);
                lines[line].extend(next);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_tampering_goes_unseen(
        texts in vec(".{0,30}", 1..12),
        steps in vec(tampering(), 1..4),
    ) {
        let (lines, anchor) = written(&texts);
        let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        let mut tampered = lines.clone();
        for step in steps {
            if !tampered.is_empty() && tampered.iter().all(|line| !line.is_empty()) {
                tamper(&mut tampered, step);
            }
        }
        let key = key(1);
        let mut check = Check::new(&key, Some(anchor));
        let first_wrong = tampered.iter().position(|line| check.line(line).is_err());
        let is_whole = first_wrong.is_none() && check.end().is_ok();
        prop_assert_eq!(is_whole, tampered == lines);
        // What is named is the first line that differs, never a later one.
        if let Some(wrong) = first_wrong {
            prop_assert_eq!(&tampered[..wrong], &lines[..wrong]);
        }
    }
}
