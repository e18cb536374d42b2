//! Which of the others are asked first about a heap.

use crate::heaps::HeapId;
use crate::raft::ids::RaftId;

/// The others in an order that is the same on all nodes, and another one for each heap: so copies are spread
/// over all, and a copy is looked for first where it was put.
pub(super) fn order(id: HeapId, mut others: Vec<RaftId>) -> Vec<RaftId> {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    let place = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    others.sort_by_key(|node| node.get() ^ place);
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::ids::Incarnation;

    #[test]
    fn a_copy_is_looked_for_where_it_was_put_and_copies_are_spread() {
        let nodes: Vec<RaftId> = (0..5)
            .map(|number| RaftId::of(&format!("n{number}"), Incarnation([number; 16])))
            .collect();
        let without = |node: RaftId| {
            let others = nodes.iter().copied().filter(|other| *other != node);
            others.collect::<Vec<_>>()
        };
        let mut copies = [0; 5];
        for number in 0..1000_u32 {
            let id = HeapId::of(&number.to_le_bytes());
            let first = order(id, without(nodes[0]))[0];
            let at = nodes.iter().position(|node| *node == first).unwrap();
            copies[at] += 1;
            // Another node asks that one first, or the one that has put it.
            let mut others = without(nodes[1]);
            others.reverse();
            let asked = order(id, others)[0];
            assert!(first == nodes[1] || asked == first || asked == nodes[0]);
        }
        assert_eq!(copies[0], 0);
        assert!(copies[1..].iter().all(|copies| *copies > 50), "{copies:?}");
    }
}
