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
    LONG_QUESTIONS_AT_ONCE, PEER_HEAD_WAIT_MAX, PHONE_ANSWER_BYTES_MAX, PHONE_QUESTION_BYTES_MAX,
    QUESTIONS_AT_ONCE, SHORT_QUESTION_WAIT_MAX,
};
use crate::raft::core::Event;
use crate::raft::ids::RaftId;

/// Asks one node in the name of another.
async fn ask(from: &Stand, to: &Stand, question: impl Into<Bytes>) -> Result<Bytes, PhoneError> {
    let phone = from.endpoint.phone();
    phone.ask(id(to), question.into(), PATIENCE).await
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
    let mut long = vec![b'x'; PHONE_QUESTION_BYTES_MAX];
    long[..4].copy_from_slice(b"echo");
    assert!(ask(&a, &b, long.clone()).await.unwrap() == long);
    long.push(0);
    assert_eq!(ask(&a, &b, long).await, Err(PhoneError::TooLong));
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
            let answer = phone.ask(to, question.clone(), PATIENCE).await;
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
    let mut waiting = JoinSet::new();
    for _ in 0..LONG_QUESTIONS_AT_ONCE {
        let (phone, to) = (a.endpoint.phone(), id(&b));
        waiting.spawn(async move { phone.ask(to, Bytes::from("wait"), PATIENCE).await });
    }
    in_hand(&b, LONG_QUESTIONS_AT_ONCE).await;
    // One more has to wait for a place, and what is quick does not.
    let phone = a.endpoint.phone();
    let more = phone.ask(id(&b), "wait".into(), PATIENCE);
    assert!(timeout(Duration::from_millis(300), more).await.is_err());
    in_hand(&b, LONG_QUESTIONS_AT_ONCE).await;
    for number in LONG_QUESTIONS_AT_ONCE..QUESTIONS_AT_ONCE {
        let (phone, to) = (a.endpoint.phone(), id(&b));
        let quick = phone.ask(to, "echo".into(), SHORT_QUESTION_WAIT_MAX).await;
        assert_eq!(quick.unwrap(), "echo", "{number}");
    }
    waiting.shutdown().await;
    in_hand(&b, 0).await;
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
    // Connections that were cut are not new ones to whoever remembers what was asked.
    for _ in 0..30 {
        let cut = phone
            .ask(id(&b), "wait".into(), Duration::from_millis(20))
            .await;
        assert_eq!(cut, Err(PhoneError::Late));
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
    let mut waiting = JoinSet::new();
    for _ in 0..QUESTIONS_AT_ONCE {
        let (phone, to) = (a.endpoint.phone(), id(&b));
        waiting.spawn(async move { phone.ask(to, "wait".into(), SHORT_QUESTION_WAIT_MAX).await });
    }
    in_hand(&b, QUESTIONS_AT_ONCE).await;
    let phone = a.endpoint.phone();
    let more = phone
        .ask(id(&b), "echo".into(), Duration::from_millis(100))
        .await;
    assert_eq!(more, Err(PhoneError::Late));
    // Those who ask the other way are none of them.
    assert_eq!(ask(&b, &a, "echo").await.unwrap(), "echo");
    waiting.shutdown().await;
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
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
    let waits = tokio::spawn(async move { phone.ask(to, "wait".into(), PATIENCE).await });
    in_hand(&b, 1).await;
    b.close().await;
    let cut = timeout(PATIENCE / 2, waits).await.unwrap().unwrap();
    assert!(matches!(cut, Err(PhoneError::Unreachable(_))), "{cut:?}");
    let phone = a.endpoint.phone();
    let nobody = phone.ask(two.id, "echo".into(), PATIENCE).await;
    assert!(
        matches!(nobody, Err(PhoneError::Unreachable(_))),
        "{nobody:?}"
    );
    let b = Stand::open(&configs[1], members(&[one, two]));
    assert_eq!(ask(&a, &b, "echo").await.unwrap(), "echo");
}
