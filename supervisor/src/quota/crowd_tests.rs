use std::pin::pin;

use futures_util::{FutureExt as _, future::BoxFuture};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn tenant(number: usize) -> Tenant {
    format!("t{number}").parse().unwrap()
}

impl Crowd {
    fn is_untouched(&self) -> bool {
        let books = self.books();
        books.taken.is_forgotten() && books.taken.by_all() == 0 && books.waiting.is_empty()
    }
}

#[test]
fn one_tenant_alone_may_have_all() {
    let crowd = Crowd::new(3, Sharing::Alone);
    let members: Vec<_> = (0..4).map(|_| crowd.enter(&tenant(0))).collect();
    assert_eq!(members.iter().flatten().count(), 3);
    drop(members);
    assert!(crowd.enter(&tenant(0)).is_ok());
    assert!(crowd.is_untouched());
}

#[test]
fn a_flood_of_one_leaves_places_to_others() {
    let crowd = Crowd::new(64, Sharing::Tenants);
    let mut all = Vec::new();
    for number in 0..7 {
        let before = all.len();
        while let Ok(member) = crowd.enter(&tenant(number)) {
            all.push(member);
        }
        let left = 64 - before;
        assert_eq!(all.len() - before, left.div_ceil(2), "tenant {number}");
    }
    assert_eq!(all.len(), 64);
}

#[test]
fn a_flood_of_waits_leaves_turns_to_others_and_the_one_that_has_least_is_next() {
    let crowd = Crowd::new(4, Sharing::Tenants);
    let mut had: Vec<Member> = Vec::new();
    let mut flood: Vec<BoxFuture<'_, Option<Member>>> = Vec::new();
    for _ in 0..100 {
        let mut turn = async { crowd.turn(&tenant(0)).await }.boxed();
        match (&mut turn).now_or_never() {
            Some(member) => had.push(member.unwrap()),
            None => flood.push(turn),
        }
    }
    assert_eq!((had.len(), flood.len()), (2, 98));
    // Who comes now does not stand behind the flood.
    let first = crowd.turn(&tenant(1)).now_or_never().flatten().unwrap();
    let own = crowd.own_turn().now_or_never().flatten().unwrap();
    let mut second = pin!(async { crowd.turn(&tenant(1)).await });
    assert!(second.as_mut().now_or_never().is_none());
    // What is given back goes to who has least, however late it came.
    drop(first);
    let second = second.as_mut().now_or_never().flatten().unwrap();
    let next = |flood: &mut Vec<BoxFuture<'_, Option<Member>>>| {
        let next = flood.iter_mut().find_map(|one| one.now_or_never());
        next.flatten()
    };
    assert!(next(&mut flood).is_none());
    drop(had);
    let member = next(&mut flood);
    assert!(member.is_some());
    drop(flood.remove(0));
    assert!(next(&mut flood).is_none(), "the last is for others");
    drop((member, second, own, flood));
    assert!(crowd.is_untouched());
}

#[test]
fn who_goes_away_keeps_nothing_and_holds_nobody_up() {
    let crowd = Crowd::new(4, Sharing::Alone);
    let all = crowd.enter_with(&tenant(0), 3).unwrap();
    let mut large = async { crowd.turn_with(&tenant(0), 4).await }.boxed();
    assert!((&mut large).now_or_never().is_none());
    let mut small = async { crowd.turn(&tenant(0)).await }.boxed();
    assert!((&mut small).now_or_never().is_none());
    drop(large);
    let got = (&mut small).now_or_never().flatten();
    assert_eq!(got.as_ref().map(Member::units), Some(1));
    // One that was granted, and that nobody has taken.
    let mut granted = async { crowd.turn(&tenant(0)).await }.boxed();
    assert!((&mut granted).now_or_never().is_none());
    drop(got);
    drop(granted);
    drop((all, small));
    assert!(crowd.is_untouched());
}

#[test]
fn nothing_is_given_once_it_is_closed() {
    let crowd = Crowd::new(1, Sharing::Alone);
    let held = crowd.enter(&tenant(0)).unwrap();
    let mut waits = async { crowd.turn(&tenant(1)).await }.boxed();
    assert!((&mut waits).now_or_never().is_none());
    crowd.close();
    assert!(crowd.is_closed());
    assert!(matches!((&mut waits).now_or_never(), Some(None)));
    drop((held, waits));
    assert!(matches!(crowd.turn(&tenant(0)).now_or_never(), Some(None)));
    assert!(crowd.is_untouched());
}

#[test]
fn what_one_has_grows_and_shrinks() {
    let crowd = Crowd::new(100, Sharing::Tenants);
    let mut flood = crowd.enter_with(&tenant(0), 40).unwrap();
    assert_eq!(flood.grow(11), Err(NoPlace::Share));
    flood.grow(10).unwrap();
    assert_eq!(flood.units(), 50);
    let mut quiet = crowd.enter_with(&tenant(1), 20).unwrap();
    assert_eq!(crowd.enter_with(&tenant(1), 50).err(), Some(NoPlace::Full));
    let mut waits = pin!(async { crowd.turn_with(&tenant(1), 20).await });
    assert!(waits.as_mut().now_or_never().is_none());
    flood.shrink_to(60);
    assert_eq!(flood.units(), 50);
    flood.shrink_to(10);
    assert_eq!(flood.units(), 10);
    assert!(waits.as_mut().now_or_never().flatten().is_some());
    quiet.shrink_to(0);
    drop((flood, quiet));
    assert!(crowd.is_untouched());
}

/// Something that happens to a crowd.
#[derive(Debug, Clone)]
enum Step {
    Enter(usize, usize),
    Wait(usize, usize),
    Leave(usize),
    GiveUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (of, units) = (0..4_usize, 1..4_usize);
    prop_oneof![
        (of.clone(), units.clone()).prop_map(|(of, units)| Step::Enter(of, units)),
        (of, units).prop_map(|(of, units)| Step::Wait(of, units)),
        any::<usize>().prop_map(Step::Leave),
        any::<usize>().prop_map(Step::GiveUp),
    ]
}

proptest! {
    #[test]
    fn there_is_never_more_than_there_is_and_none_is_lost(
        number in 0..20_usize,
        steps in vec(step(), 0..200),
    ) {
        let crowd = Crowd::new(number, Sharing::Tenants);
        let mut members: Vec<Member> = Vec::new();
        let mut waits: Vec<BoxFuture<'_, Option<Member>>> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(of, units) => {
                    let whose = Some(tenant(of));
                    let own: usize = members.iter().filter(|m| m.whose == whose).map(Member::units).sum();
                    let all: usize = members.iter().map(Member::units).sum();
                    let may = Sharing::Tenants.allows(own + units - 1, (number - all + 1).saturating_sub(units));
                    let member = crowd.enter_with(&tenant(of), units);
                    prop_assert_eq!(member.is_ok(), may);
                    members.extend(member);
                }
                Step::Wait(of, units) => {
                    let crowd = &crowd;
                    waits.push(async move { crowd.turn_with(&tenant(of), units).await }.boxed());
                }
                Step::Leave(which) if !members.is_empty() => {
                    members.swap_remove(which % members.len());
                }
                Step::GiveUp(which) if !waits.is_empty() => {
                    drop(waits.swap_remove(which % waits.len()));
                }
                Step::Leave(_) | Step::GiveUp(_) => {}
            }
            let mut left = Vec::new();
            for mut wait in waits {
                match (&mut wait).now_or_never() {
                    Some(member) => members.extend(member),
                    None => left.push(wait),
                }
            }
            waits = left;
            let all: usize = members.iter().map(Member::units).sum();
            prop_assert!(all <= number);
            prop_assert_eq!(crowd.books().taken.by_all(), all);
            // Nobody waits who may have what it waits for.
            let mut books = crowd.books();
            prop_assert!(books.next().is_none());
        }
        members.clear();
        drop(waits);
        prop_assert!(crowd.is_untouched());
    }
}
