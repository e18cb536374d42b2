//! A network that loses, delays, repeats, and is cut.

use std::collections::BTreeSet;

use crate::dice::Dice;
use crate::raft::ids::RaftId;

/// The network between all nodes.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Parts of a thousand that are lost.
    pub(super) loss: u64,
    /// Parts of a thousand that come twice.
    pub(super) repeats: u64,
    /// Parts of a thousand that come late, and how late at most.
    pub(super) late: u64,
    pub(super) late_max: u64,
    /// From whom nothing comes to whom.
    pub(super) cut: BTreeSet<(RaftId, RaftId)>,
}

impl Network {
    /// When copies of a packet arrive, counted from now; none when it is lost.
    pub(super) fn carry(&self, dice: &mut Dice, from: RaftId, to: RaftId) -> Vec<u64> {
        if self.cut.contains(&(from, to)) || dice.chance(self.loss) {
            return Vec::new();
        }
        let copies = if dice.chance(self.repeats) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                if dice.chance(self.late) {
                    dice.between(5, self.late_max.max(5))
                } else {
                    dice.between(1, 4)
                }
            })
            .collect()
    }

    /// Everything arrives, and soon.
    pub(super) fn heal(&mut self) {
        *self = Self::default();
    }
}
