//! Each row of the table.

use super::*;
use crate::raft::ids::Incarnation;

fn peer(name: &str, life: u8) -> Peer {
    let address = format!("{name}:1").parse().unwrap();
    Peer::new(name.parse().unwrap(), Incarnation([life; 16]), address)
}

fn listed(name: &str) -> Listed {
    format!("{name}@{name}:1").parse().unwrap()
}

fn fresh(name: &str, proposal: Option<ClusterId>) -> (Listed, Option<Found>) {
    let seen = Seen::Fresh { proposal };
    let peer = peer(name, 1);
    (listed(name), Some(Found { peer, seen }))
}

fn member(name: &str, cluster: ClusterId, members: &[Peer]) -> (Listed, Option<Found>) {
    let members = members.iter().map(|peer| peer.as_member(false)).collect();
    let seen = Seen::Member { cluster, members };
    let peer = peer(name, 1);
    (listed(name), Some(Found { peer, seen }))
}

fn with(names: &[&str]) -> Begin {
    Begin::With(names.iter().map(|name| listed(name)).collect())
}

/// What `a` decides, which has an empty disk and lists these.
fn decide_a(answers: &[(Listed, Option<Found>)]) -> Decision {
    let names: Vec<String> = answers.iter().map(|(one, _)| one.to_string()).collect();
    let begin = Begin::With(names.iter().map(|name| name.parse().unwrap()).collect());
    decide(&peer("a", 1), Disk::Empty, (&begin, false), heard(answers))
}

fn heard(answers: &[(Listed, Option<Found>)]) -> Heard<'_> {
    Heard {
        answers,
        before: None,
    }
}

fn abc() -> Membership {
    let all = ["a", "b", "c"].map(|name| peer(name, 1).as_member(false));
    membership(all.to_vec())
}

#[test]
fn a_disk_of_a_member_decides() {
    let me = peer("a", 1);
    let seed = "b:1".parse().unwrap();
    let as_learner = true;
    for begin in [Begin::Alone, with(&["b"]), Begin::Join { seed, as_learner }] {
        let decide = |disk, forces_new| decide(&me, disk, (&begin, forces_new), heard(&[]));
        assert_eq!(decide(Disk::OfMember, false), Decision::Resume);
        assert_eq!(decide(Disk::OfMember, true), Decision::ResumeAlone);
        let nothing = Decision::Refuse(Contradiction::NothingLeft);
        assert_eq!(decide(Disk::Empty, true), nothing);
    }
}

#[test]
fn a_node_that_knows_nobody_is_a_cluster() {
    let me = peer("a", 1);
    let alone = decide(&me, Disk::Empty, (&Begin::Alone, false), heard(&[]));
    let Decision::First(first) = alone else {
        panic!("{alone:?}");
    };
    assert_eq!(first.members, [me.as_member(false)]);
    // Each life makes another one.
    let again = decide(
        &peer("a", 2),
        Disk::Empty,
        (&Begin::Alone, false),
        heard(&[]),
    );
    assert!(matches!(again, Decision::First(other) if other.cluster != first.cluster));
}

#[test]
fn a_node_that_is_to_join_asks() {
    let seed: Address = "b:1".parse().unwrap();
    let begin = Begin::Join {
        seed: seed.clone(),
        as_learner: false,
    };
    let decision = decide(&peer("a", 1), Disk::Empty, (&begin, false), heard(&[]));
    assert_eq!(decision, Decision::Join(seed));
}

#[test]
fn the_first_members_wait_for_all_of_them() {
    let decision = decide_a(&[fresh("b", None), (listed("c"), None)]);
    let why = Waiting::Silent(vec![listed("c")]);
    let proposal = None;
    assert_eq!(decision, Decision::Wait { why, proposal });
}

#[test]
fn the_first_members_begin_when_all_would_make_the_same_cluster() {
    let proposal = Some(abc().cluster);
    for other in [None, Some(ClusterId([9; 16]))] {
        let decision = decide_a(&[fresh("b", proposal), fresh("c", other)]);
        let why = Waiting::NotAgreed(vec![listed("c")]);
        let proposal = Some(abc());
        assert_eq!(decision, Decision::Wait { why, proposal });
    }
    let decision = decide_a(&[fresh("b", proposal), fresh("c", proposal)]);
    assert_eq!(decision, Decision::First(abc()));
    // Another life of one of them is another cluster.
    let mut other_life = fresh("c", proposal);
    other_life.1.as_mut().unwrap().peer = peer("c", 2);
    let decision = decide_a(&[fresh("b", proposal), other_life]);
    assert!(matches!(decision, Decision::Wait { proposal: Some(other), .. } if other != abc()));
}

#[test]
fn a_silence_takes_no_word_back_and_another_life_does() {
    let begin = with(&["b", "c"]);
    let first = abc();
    let decide = |answers: &[(Listed, Option<Found>)]| {
        let before = Some(&first);
        let heard = Heard { answers, before };
        decide(&peer("a", 1), Disk::Empty, (&begin, false), heard)
    };
    let agreed = Some(first.cluster);
    for b in [fresh("b", None), fresh("b", agreed), (listed("b"), None)] {
        let decision = decide(&[b, (listed("c"), None)]);
        let expected =
            matches!(&decision, Decision::Wait { proposal: Some(kept), .. } if *kept == first);
        assert!(expected, "{decision:?}");
    }
    let mut other_life = fresh("b", agreed);
    other_life.1.as_mut().unwrap().peer = peer("b", 2);
    let decision = decide(&[other_life, (listed("c"), None)]);
    assert!(
        matches!(decision, Decision::Wait { proposal: None, .. }),
        "{decision:?}"
    );
}

/// Three nodes whose questions are answered in time with a chance of one in two: how many times all of them
/// look until they are a cluster.
fn looks_until_begun(mut dice: u64) -> usize {
    let names = ["a", "b", "c"];
    let mut said: [Seen; 3] = std::array::from_fn(|_| Seen::Fresh { proposal: None });
    let mut before: [Option<Membership>; 3] = [None, None, None];
    for looks in 1.. {
        for me in 0..3 {
            if matches!(said[me], Seen::Member { .. }) {
                continue;
            }
            let others = names.iter().enumerate().filter(|(other, _)| *other != me);
            let answers: Vec<_> = others
                .map(|(other, name)| {
                    dice = dice
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let found = Found {
                        peer: peer(name, 1),
                        seen: said[other].clone(),
                    };
                    (listed(name), (dice >> 63 == 0).then_some(found))
                })
                .collect();
            let heard = Heard {
                answers: &answers,
                before: before[me].as_ref(),
            };
            let begin = with(&names);
            said[me] = match decide(&peer(names[me], 1), Disk::Empty, (&begin, false), heard) {
                Decision::Wait { proposal, .. } => {
                    before[me].clone_from(&proposal);
                    Seen::Fresh {
                        proposal: proposal.map(|first| first.cluster),
                    }
                }
                Decision::First(Membership { cluster, members }) => {
                    Seen::Member { cluster, members }
                }
                other => panic!("{other:?}"),
            };
        }
        if said.iter().all(|seen| matches!(seen, Seen::Member { .. })) {
            return looks;
        }
    }
    unreachable!()
}

#[test]
fn nodes_that_answer_every_other_time_come_together_soon() {
    let looks = (0..300).map(looks_until_begun);
    assert!(looks.max().unwrap() <= 40);
}

#[test]
fn who_is_late_begins_with_what_the_others_began_with() {
    let all = ["a", "b", "c"].map(|name| peer(name, 1));
    let begun = member("b", abc().cluster, &all);
    for c in [
        (listed("c"), None),
        fresh("c", None),
        fresh("c", Some(abc().cluster)),
    ] {
        let decision = decide_a(&[begun.clone(), c]);
        assert_eq!(decision, Decision::First(abc()));
    }
    // It has gone on: these are not those that it began with.
    let more = ["a", "b", "c", "d"].map(|name| peer(name, 1));
    let decision = decide_a(&[member("b", abc().cluster, &more), (listed("c"), None)]);
    let Decision::Await(found) = decision else {
        panic!("{decision:?}");
    };
    assert_eq!((found.cluster, found.members.len()), (abc().cluster, 4));
}

#[test]
fn who_lost_its_disk_does_not_begin_again_but_joins() {
    let before = [peer("a", 7), peer("b", 1), peer("c", 1)];
    let begun = member("b", ClusterId([5; 16]), &before);
    let decision = decide_a(&[(listed("c"), None), begun]);
    assert_eq!(decision, Decision::Join("b:1".parse().unwrap()));
}

#[test]
fn what_cannot_be_is_refused() {
    let one = member("b", ClusterId([5; 16]), &[peer("b", 1)]);
    let other = member("c", ClusterId([6; 16]), &[peer("c", 1)]);
    let two = Decision::Refuse(Contradiction::TwoClusters);
    assert_eq!(decide_a(&[one, other]), two);
    let mut same = fresh("b", None);
    same.1.as_mut().unwrap().peer = peer("a", 2);
    let refused = Decision::Refuse(Contradiction::SameName("a".parse().unwrap()));
    assert_eq!(decide_a(&[same]), refused);
    let mut itself = fresh("b", None);
    itself.1.as_mut().unwrap().peer = peer("a", 1);
    let refused = Decision::Refuse(Contradiction::Itself(listed("b")));
    assert_eq!(decide_a(&[itself]), refused);
    let mut other_name = fresh("b", None);
    other_name.1.as_mut().unwrap().peer = peer("x", 1);
    let decision = decide_a(&[other_name]);
    let expected = matches!(
        &decision,
        Decision::Wait { why: Waiting::OtherName { found, .. }, .. } if found.as_str() == "x"
    );
    assert!(expected, "{decision:?}");
}

#[test]
fn addresses_are_a_part_of_what_all_begin_with() {
    let mut moved = abc().members;
    moved[1].address = "elsewhere:1".to_owned();
    assert_ne!(first_cluster(&moved), abc().cluster);
}
