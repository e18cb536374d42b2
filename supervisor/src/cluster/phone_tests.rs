//! Questions between nodes on this machine.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stand_tests::*;
use super::transport_tests::pair;
use super::*;
use crate::limits::{
    DECISIVE_QUESTIONS_AT_ONCE, LONG_QUESTIONS_AT_ONCE, PEER_HEAD_WAIT_MAX, PHONE_ANSWER_BYTES_MAX,
    PHONE_QUESTION_BYTES_MAX, QUESTIONS_AT_ONCE, QUICK_QUESTIONS_AT_ONCE,
};
use crate::quota::Sharing;
use crate::raft::core::Event;
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

const KINDS: [(QuestionKind, usize); 3] = [
    (QuestionKind::Quick, QUICK_QUESTIONS_AT_ONCE),
    (QuestionKind::Decisive, DECISIVE_QUESTIONS_AT_ONCE),
    (QuestionKind::Long, LONG_QUESTIONS_AT_ONCE),
];

/// A question of the only tenant, which waits.
fn long(question: impl Into<Bytes>) -> Call {
    Call {
        tenant: Tenant::local(),
        kind: QuestionKind::Long,
        question: question.into(),
        patience: PATIENCE,
    }
}

/// Asks so often what is never answered.
fn wait_so_often(number: usize, (from, to): (&Stand, &Stand), call: &Call) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    for _ in 0..number {
        let (phone, to, call) = (from.endpoint.phone(), id(to), call.clone());
        waiting.spawn(async move { drop(phone.ask(to, call).await) });
    }
    waiting
}

/// Asks one node in the name of another.
async fn ask(from: &Stand, to: &Stand, question: impl Into<Bytes>) -> Result<Bytes, PhoneError> {
    let phone = from.endpoint.phone();
    phone.ask(id(to), long(question)).await
}

fn id(stand: &Stand) -> RaftId {
    stand.endpoint.me().id
}

/// Waits until a node has so many questions in hand.
async fn in_hand(stand: &Stand, wanted: usize) {
    let began = Instant::now();
    while stand.answers.in_hand.load(Ordering::SeqCst) != wanted {
        let in_hand = stand.answers.in_hand.load(Ordering::SeqCst);
        assert!(
            began.elapsed() < PATIENCE,
            "{in_hand} questions in hand, not {wanted}"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

async fn converse(trusts: [Trust; 2]) {
    let (_, [a, b]) = pair(trusts);
    let others = a.endpoint.phone().others();
    assert_eq!(
        others.iter().map(|member| member.id).collect::<Vec<_>>(),
        [id(&b)]
    );
    assert_eq!(ask(&a, &b, "echo one").await.unwrap(), "echo one");
    assert_eq!(ask(&b, &a, "echo two").await.unwrap(), "echo two");
    let mut large = vec![b'x'; PHONE_QUESTION_BYTES_MAX];
    large[..4].copy_from_slice(b"echo");
    assert!(ask(&a, &b, large.clone()).await.unwrap() == large);
    large.push(0);
    assert_eq!(ask(&a, &b, large).await, Err(PhoneError::TooLong));
    let answer = ask(&a, &b, (PHONE_ANSWER_BYTES_MAX + 1).to_string()).await;
    let Err(PhoneError::Refused {
        status: 500,
        problem,
    }) = answer
    else {
        panic!("{answer:?}");
    };
    assert!(problem.contains("more than"), "{problem}");
    assert_eq!(ask(&a, &b, "0").await.unwrap(), "");
    // They follow each other on one connection, and go beside each other on more.
    let mut all = JoinSet::new();
    for number in 0..100 {
        let (phone, to) = (a.endpoint.phone(), id(&b));
        all.spawn(async move {
            let question = Bytes::from(format!("echo {number}"));
            let answer = phone.ask(to, long(question.clone())).await;
            assert_eq!(answer, Ok(question));
        });
    }
    all.join_all().await;
    in_hand(&b, 0).await;
}

#[tokio::test]
async fn members_are_asked_and_answer() {
    converse([Trust::Nobody, Trust::Nobody]).await;
}

#[tokio::test]
async fn members_are_asked_and_answer_with_a_secret() {
    let home = tempfile::tempdir().unwrap();
    converse([SECRET, SECRET].map(|secret| secret_file(home.path(), secret))).await;
}

#[tokio::test]
async fn members_are_asked_and_answer_with_certificates() {
    let authority = Authority::new();
    converse(["a", "b"].map(|name| authority.sign(name))).await;
}

#[tokio::test]
async fn an_answer_may_take_longer_than_anything_else_between_nodes() {
    let home = tempfile::tempdir().unwrap();
    let trust = || secret_file(home.path(), SECRET);
    let authority = Authority::new();
    let (_, [a, b]) = pair([trust(), trust()]);
    let (_, [c, d]) = pair(["a", "b"].map(|name| authority.sign(name)));
    let long = format!("sleep{}", PEER_HEAD_WAIT_MAX.as_secs() + 2);
    let (one, two) = tokio::join!(ask(&a, &b, long.clone()), ask(&c, &d, long.clone()));
    assert_eq!(
        (one.unwrap(), two.unwrap()),
        (long.clone().into(), long.into())
    );
    // The connection has been closed meanwhile, or not: nobody notices.
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
    assert_eq!(b.answers.asked.load(Ordering::SeqCst), 2);
}

async fn who_goes_away_frees_both_ends(trusts: [Trust; 2]) {
    let (_, [a, b]) = pair(trusts);
    let mut waiting = wait_so_often(LONG_QUESTIONS_AT_ONCE, (&a, &b), &long("wait"));
    in_hand(&b, LONG_QUESTIONS_AT_ONCE).await;
    // One more has to wait for a place, and what does not wait for anything does not.
    let phone = a.endpoint.phone();
    let more = phone.ask(id(&b), long("wait"));
    assert!(timeout(Duration::from_millis(300), more).await.is_err());
    in_hand(&b, LONG_QUESTIONS_AT_ONCE).await;
    for kind in [QuestionKind::Quick, QuestionKind::Decisive] {
        let call = Call {
            kind,
            ..long("echo")
        };
        assert_eq!(phone.ask(id(&b), call).await.unwrap(), "echo", "{kind:?}");
    }
    waiting.shutdown().await;
    in_hand(&b, 0).await;
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
    // Connections that were cut are not new ones to whoever remembers what was asked.
    for _ in 0..30 {
        let call = Call {
            patience: Duration::from_millis(20),
            ..long("wait")
        };
        assert_eq!(phone.ask(id(&b), call).await, Err(PhoneError::Late));
    }
    in_hand(&b, 0).await;
}

#[tokio::test]
async fn who_waits_no_longer_frees_its_place_on_both_ends() {
    let home = tempfile::tempdir().unwrap();
    let trust = || secret_file(home.path(), SECRET);
    who_goes_away_frees_both_ends([trust(), trust()]).await;
}

#[tokio::test]
async fn who_waits_no_longer_frees_its_place_on_both_ends_with_certificates() {
    let authority = Authority::new();
    who_goes_away_frees_both_ends(["a", "b"].map(|name| authority.sign(name))).await;
}

#[tokio::test]
async fn at_most_so_much_is_asked_at_once() {
    let (_, [a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    let mut waiting = KINDS.map(|(kind, number)| {
        let call = Call {
            kind,
            ..long("wait")
        };
        wait_so_often(number, (&a, &b), &call)
    });
    in_hand(&b, QUESTIONS_AT_ONCE).await;
    for (kind, _) in KINDS {
        let more = Call {
            kind,
            patience: Duration::from_millis(100),
            ..long("echo")
        };
        let more = a.endpoint.phone().ask(id(&b), more).await;
        assert_eq!(more, Err(PhoneError::Late), "{kind:?}");
    }
    // Those who ask the other way are none of them.
    assert_eq!(ask(&b, &a, "echo").await.unwrap(), "echo");
    for waiting in &mut waiting {
        waiting.shutdown().await;
    }
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
}

#[tokio::test]
async fn one_tenants_waits_leave_room_for_anothers() {
    let (_, [a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    // The node is known before it is said who shares.
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
    a.endpoint.share(Sharing::Tenants);
    let flood = Call {
        tenant: "loud".parse().unwrap(),
        ..long("wait")
    };
    let mut waiting = wait_so_often(2 * LONG_QUESTIONS_AT_ONCE, (&a, &b), &flood);
    in_hand(&b, LONG_QUESTIONS_AT_ONCE / 2).await;
    let phone = a.endpoint.phone();
    for tenant in ["quiet", "loud"] {
        for (kind, _) in KINDS {
            // One more wait of the same tenant waits for those before it.
            let has_room = (tenant, kind) != ("loud", QuestionKind::Long);
            let more = Call {
                tenant: tenant.parse().unwrap(),
                kind,
                question: "echo".into(),
                patience: if has_room {
                    PATIENCE
                } else {
                    Duration::from_millis(100)
                },
            };
            let answer = phone.ask(id(&b), more).await;
            let wanted = has_room.then_some("echo".into()).ok_or(PhoneError::Late);
            assert_eq!(answer, wanted, "{tenant} {kind:?}");
        }
    }
    in_hand(&b, LONG_QUESTIONS_AT_ONCE / 2).await;
    waiting.shutdown().await;
    in_hand(&b, 0).await;
}

#[tokio::test]
async fn who_is_no_member_is_neither_asked_nor_answered() {
    let (_, [mut a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    assert_eq!(ask(&a, &a, "echo").await, Err(PhoneError::Unknown));
    a.transport.members(&members(std::slice::from_ref(&one)));
    assert_eq!(ask(&a, &b, "echo").await, Err(PhoneError::Unknown));
    // It does not know this one, which knows it.
    let refused = ask(&b, &a, "echo").await;
    assert!(
        matches!(refused, Err(PhoneError::Refused { status: 403, .. })),
        "{refused:?}"
    );
    let mut without = members(std::slice::from_ref(&one));
    without.removed.push(two.id);
    a.transport.members(&without);
    let gone = ask(&b, &a, "echo").await;
    assert!(
        matches!(gone, Err(PhoneError::Refused { status: 410, .. })),
        "{gone:?}"
    );
    assert_eq!(b.events(), [Event::ToldRemoved]);
    assert_eq!(a.answers.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_node_that_goes_is_not_waited_for_and_one_that_comes_back_is_asked_again() {
    let (configs, [a, b]) = pair([Trust::Nobody, Trust::Nobody]);
    let (one, two) = (a.endpoint.me().clone(), b.endpoint.me().clone());
    let (phone, to) = (a.endpoint.phone(), two.id);
    let waits = tokio::spawn(async move { phone.ask(to, long("wait")).await });
    in_hand(&b, 1).await;
    b.close().await;
    let cut = timeout(PATIENCE / 2, waits).await.unwrap().unwrap();
    assert!(matches!(cut, Err(PhoneError::Unreachable(_))), "{cut:?}");
    let phone = a.endpoint.phone();
    let nobody = phone.ask(two.id, long("echo")).await;
    assert!(
        matches!(nobody, Err(PhoneError::Unreachable(_))),
        "{nobody:?}"
    );
    let b = Stand::open(&configs[1], members(&[one, two]));
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
}
