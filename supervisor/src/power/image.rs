//! From what has happened to what a crash leaves.

use std::collections::BTreeMap;

use super::recording::{Act, Durable, FileNumber, write};
use crate::dice::Dice;

/// What a disk writes as a whole, or not, or in part if power goes meanwhile.
const SECTOR: usize = 512;

/// Files by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// What becomes of what was written to a file and not synced.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Lost,
    /// As if the process alone had died.
    Kept,
    /// In the order in which it was written, so many acts.
    Prefix(usize),
    /// Each sector with this chance, in a thousand.
    Sectors(u64),
    /// All but one act.
    Without(usize),
}

impl Fate {
    fn draw(acts: usize, dice: &mut Dice) -> Self {
        match dice.below(8) {
            0 => Self::Lost,
            1 => Self::Kept,
            2 => Self::Prefix(dice.below(acts + 1)),
            3 => Self::Without(dice.below(acts + 1)),
            4 => Self::Sectors(950),
            5 => Self::Sectors(100),
            _ => Self::Sectors(500),
        }
    }

    /// Whether some of the act with this number is kept.
    fn keeps(self, number: usize, dice: &mut Dice) -> bool {
        match self {
            Self::Lost => false,
            Self::Kept => true,
            Self::Prefix(length) => number < length,
            Self::Sectors(parts) => dice.chance(parts),
            Self::Without(other) => number != other,
        }
    }
}

impl Image {
    /// What may be left of these acts.
    pub(super) fn after(durable: &Durable, acts: &[Act], dice: &mut Dice) -> Self {
        let names = names(durable, acts, dice);
        let files = names.into_iter().map(|(name, file)| {
            let before = durable.files.get(&file).cloned().unwrap_or_default();
            (name, content(before, file, acts, dice))
        });
        Self {
            files: files.collect(),
        }
    }
}

/// The names that are left. Each that was given or taken since the last sync is, or is not.
fn names(durable: &Durable, acts: &[Act], dice: &mut Dice) -> BTreeMap<String, FileNumber> {
    let mut names = durable.names.clone();
    let synced = acts.iter().rposition(|act| *act == Act::SyncNames);
    let certain = synced.map_or(0, |at| at + 1);
    for (at, act) in acts.iter().enumerate() {
        let is_kept = |dice: &mut Dice| at < certain || dice.chance(500);
        match act {
            Act::Name(name, file) if is_kept(dice) => {
                names.insert(name.clone(), *file);
            }
            Act::Unname(name) if is_kept(dice) => {
                names.remove(name);
            }
            _ => {}
        }
    }
    names
}

/// What is left of one file.
fn content(mut bytes: Vec<u8>, file: FileNumber, acts: &[Act], dice: &mut Dice) -> Vec<u8> {
    let synced = acts.iter().rposition(|act| *act == Act::Sync(file));
    let (certain, open) = acts.split_at(synced.map_or(0, |at| at + 1));
    for act in certain {
        match act {
            Act::Write(of, at, data) if *of == file => write(&mut bytes, *at, data),
            Act::Truncate(of, size) if *of == file => bytes.truncate(*size),
            _ => {}
        }
    }
    let is_about =
        |act: &&Act| matches!(act, Act::Write(of, ..) | Act::Truncate(of, _) if *of == file);
    let open: Vec<&Act> = open.iter().filter(is_about).collect();
    let fate = Fate::draw(open.len(), dice);
    let torn = dice.below(open.len() * 4 + 1);
    let mut end = bytes.len();
    for (number, act) in open.into_iter().enumerate() {
        match act {
            Act::Write(_, at, data) => {
                end = end.max(at + data.len());
                for (at, piece) in sectors(*at, data) {
                    if !fate.keeps(number, dice) {
                        continue;
                    }
                    let is_torn = number == torn && dice.chance(300);
                    let kept = if is_torn {
                        dice.below(piece.len())
                    } else {
                        piece.len()
                    };
                    write(&mut bytes, at, &piece[..kept]);
                }
            }
            Act::Truncate(_, size) if fate.keeps(number, dice) => bytes.truncate(*size),
            _ => {}
        }
    }
    // The length may be there, and not what was written into it.
    if dice.chance(200) && bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes
}

/// A write in the pieces of which the disk keeps any.
fn sectors(at: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - at % SECTOR).min(data.len());
    let (head, rest) = data.split_at(first);
    let rest = rest.chunks(SECTOR).zip(0..);
    let rest = rest.map(move |(piece, number)| (at + first + number * SECTOR, piece));
    std::iter::once((at, head)).chain(rest)
}
