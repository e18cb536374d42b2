use futures_util::FutureExt as _;

use super::*;
use crate::raft::ids::Incarnation;

const KINDS: [(QuestionKind, usize); 4] = [
    (QuestionKind::Quick, QUICK_QUESTIONS_AT_ONCE),
    (QuestionKind::Decisive, DECISIVE_QUESTIONS_AT_ONCE),
    (QuestionKind::Long, LONG_QUESTIONS_AT_ONCE),
    (QuestionKind::Heap, HEAP_TRANSFERS_AT_ONCE),
];

fn node(name: &str) -> RaftId {
    RaftId::of(name, Incarnation([1; 16]))
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

/// A place, where there is one now.
fn now(lines: &Lines, to: &str, (tenant, kind): (&Tenant, QuestionKind)) -> Option<Held> {
    let place = lines.place(node(to), (tenant, kind), |_| true);
    place.now_or_never().flatten()
}

/// As many as this tenant is given now.
fn flood(lines: &Lines, to: &str, asked: (&Tenant, QuestionKind)) -> Vec<Held> {
    std::iter::from_fn(|| now(lines, to, asked)).collect()
}

#[test]
fn a_tenant_leaves_half_of_each_kind_and_takes_nothing_of_another_kind() {
    let (loud, quiet) = (tenant("loud"), tenant("quiet"));
    let lines = Lines::default();
    // This node is known before it is said who shares, the other one after that.
    drop(now(&lines, "a", (&quiet, QuestionKind::Quick)));
    lines.share(Sharing::Tenants);
    for to in ["a", "b"] {
        let mut held = Vec::new();
        for (kind, number) in KINDS {
            let loud = flood(&lines, to, (&loud, kind));
            assert_eq!(loud.len(), number / 2, "{kind:?}");
            let quiet = flood(&lines, to, (&quiet, kind));
            assert_eq!(quiet.len(), number / 4, "{kind:?}");
            held.extend([loud, quiet]);
        }
    }
}

#[test]
fn who_is_alone_has_all_places_of_each_kind_and_no_more() {
    let only = Tenant::local();
    let lines = Lines::default();
    let mut held = Vec::new();
    for (kind, number) in KINDS {
        let all = flood(&lines, "a", (&only, kind));
        assert_eq!(all.len(), number, "{kind:?}");
        held.push(all);
    }
    // Another node has places of its own.
    assert!(now(&lines, "b", (&only, QuestionKind::Long)).is_some());
    held.clear();
    assert!(now(&lines, "a", (&only, QuestionKind::Long)).is_some());
}

#[test]
fn of_those_who_wait_the_one_with_least_is_next() {
    let (loud, quiet) = (tenant("loud"), tenant("quiet"));
    let lines = Lines::default();
    let long = |tenant| (tenant, QuestionKind::Long);
    let mut all = flood(&lines, "a", long(&loud));
    let (of_loud, of_quiet) = (long(&loud), long(&quiet));
    let mut earlier = Box::pin(lines.place(node("a"), of_loud, |_| true));
    assert!(earlier.as_mut().now_or_never().is_none());
    let mut later = Box::pin(lines.place(node("a"), of_quiet, |_| true));
    assert!(later.as_mut().now_or_never().is_none());
    all.pop();
    assert!(earlier.as_mut().now_or_never().is_none());
    assert!(later.now_or_never().flatten().is_some());
}
