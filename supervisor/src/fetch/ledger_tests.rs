use mcp_v8_protocol::fetch::{Redirect, Response};
use proptest::prelude::*;

use super::*;

const NEW_EXCHANGE_IS_NEXT: Breach = Breach("an exchange does not have the next number");

fn open(exchange: ExchangeId, body: RequestBody) -> FetchCall {
    let step = CallStep::Open(Request {
        method: "POST".to_owned(),
        url: "http://example.com/".to_owned(),
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body,
    });
    FetchCall { exchange, step }
}

fn stream(exchange: ExchangeId) -> FetchCall {
    open(exchange, RequestBody::Stream { length: None })
}

fn call(exchange: ExchangeId, step: CallStep) -> FetchCall {
    FetchCall { exchange, step }
}

fn reply(exchange: ExchangeId, step: ReplyStep) -> FetchReply {
    FetchReply { exchange, step }
}

fn opened() -> ReplyStep {
    ReplyStep::Opened(Response {
        status: 200,
        status_text: String::new(),
        headers: Vec::new(),
        url: String::new(),
        is_redirected: false,
    })
}

#[test]
fn exchanges_are_numbered_from_0_and_each_number_is_used_once() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.heard(&stream(1)), Err(NEW_EXCHANGE_IS_NEXT));
    assert_eq!(ledger.heard(&stream(0)), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&stream(0)), Err(NEW_EXCHANGE_IS_NEXT));
    assert!(ledger.told(&reply(0, ReplyStep::Failed(String::new()))));
    assert_eq!(ledger.heard(&stream(0)), Err(NEW_EXCHANGE_IS_NEXT));
    assert_eq!(ledger.heard(&stream(1)), Ok(Verdict::Legal));
}

#[test]
fn as_many_are_open_as_there_may_be_until_the_worker_knows_of_an_end() {
    let mut ledger = Ledger::default();
    let max = u32::try_from(EXCHANGES_OPEN_MAX).unwrap();
    for id in 0..max {
        assert_eq!(ledger.heard(&stream(id)), Ok(Verdict::Legal));
    }
    assert!(ledger.heard(&stream(max)).is_err());
    let mut ledger = Ledger::default();
    for id in 0..max {
        assert_eq!(ledger.heard(&stream(id)), Ok(Verdict::Legal));
    }
    assert!(ledger.told(&reply(3, ReplyStep::End)));
    assert_eq!(ledger.heard(&stream(max)), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&call(4, CallStep::Abort)), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&stream(max + 1)), Ok(Verdict::Legal));
}

#[test]
fn a_piece_is_sent_only_when_it_was_asked_for() {
    let mut ledger = Ledger::default();
    let piece = || call(0, CallStep::Send(vec![0]));
    let asked_nothing = Breach("a piece of a body was sent that was not asked for");
    assert_eq!(ledger.heard(&stream(0)), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&piece()), Err(asked_nothing));
    assert_eq!(
        ledger.heard(&call(0, CallStep::SendEnd)),
        Err(asked_nothing)
    );
    assert!(ledger.told(&reply(0, ReplyStep::More)));
    assert_eq!(ledger.heard(&piece()), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&piece()), Err(asked_nothing));
    assert!(ledger.told(&reply(0, ReplyStep::More)));
    assert_eq!(
        ledger.heard(&call(0, CallStep::SendEnd)),
        Ok(Verdict::Legal)
    );
    assert!(!ledger.told(&reply(0, ReplyStep::More)));
    assert!(ledger.heard(&piece()).is_err());
}

#[test]
fn a_body_that_is_wanted_again_begins_anew() {
    let mut ledger = Ledger::default();
    let piece = || call(0, CallStep::Send(vec![0]));
    assert_eq!(ledger.heard(&stream(0)), Ok(Verdict::Legal));
    assert!(ledger.told(&reply(0, ReplyStep::More)));
    let end = call(0, CallStep::SendEnd);
    assert_eq!(ledger.heard(&end), Ok(Verdict::Legal));
    assert!(ledger.told(&reply(0, ReplyStep::Again)));
    assert!(ledger.told(&reply(0, ReplyStep::More)));
    assert_eq!(ledger.heard(&piece()), Ok(Verdict::Legal));
    assert!(ledger.heard(&piece()).is_err());
}

#[test]
fn a_request_without_a_stream_sends_nothing() {
    for body in [RequestBody::None, RequestBody::Whole(vec![1])] {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.heard(&open(0, body)), Ok(Verdict::Legal));
        assert!(!ledger.told(&reply(0, ReplyStep::More)));
        assert!(ledger.heard(&call(0, CallStep::Send(vec![0]))).is_err());
        assert!(ledger.heard(&call(0, CallStep::SendEnd)).is_err());
    }
}

#[test]
fn pieces_have_a_size() {
    for length in [0, BODY_CHUNK_BYTES_MAX + 1] {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.heard(&stream(0)), Ok(Verdict::Legal));
        assert!(ledger.told(&reply(0, ReplyStep::More)));
        let piece = call(0, CallStep::Send(vec![0; length]));
        assert!(ledger.heard(&piece).is_err(), "{length}");
    }
}

#[test]
fn pulls_are_bounded_and_each_piece_answers_one() {
    let mut ledger = Ledger::default();
    let pull = || call(0, CallStep::Pull);
    assert_eq!(ledger.heard(&stream(0)), Ok(Verdict::Legal));
    for _ in 0..FETCH_PULLS_MAX {
        assert_eq!(ledger.heard(&pull()), Ok(Verdict::Legal));
    }
    assert!(ledger.heard(&pull()).is_err());
    assert!(ledger.told(&reply(0, opened())));
    assert!(ledger.told(&reply(0, ReplyStep::Data(vec![0]))));
    assert_eq!(ledger.heard(&pull()), Ok(Verdict::Legal));
    assert!(ledger.heard(&pull()).is_err());
}

#[test]
fn what_crosses_an_end_is_dropped_on_both_sides() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.heard(&stream(0)), Ok(Verdict::Legal));
    assert!(ledger.told(&reply(0, ReplyStep::Failed(String::new()))));
    for step in [
        CallStep::Send(vec![0]),
        CallStep::SendEnd,
        CallStep::Pull,
        CallStep::Abort,
    ] {
        assert_eq!(ledger.heard(&call(0, step)), Ok(Verdict::Late));
    }
    assert_eq!(ledger.heard(&stream(1)), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&call(1, CallStep::Abort)), Ok(Verdict::Legal));
    assert_eq!(ledger.heard(&call(1, CallStep::Abort)), Ok(Verdict::Late));
    for step in [
        ReplyStep::More,
        opened(),
        ReplyStep::Data(vec![0]),
        ReplyStep::End,
        ReplyStep::Failed(String::new()),
    ] {
        assert!(!ledger.told(&reply(1, step)));
    }
    assert!(ledger.heard(&call(2, CallStep::Pull)).is_err());
}

#[test]
fn numbers_end() {
    let mut ledger = Ledger {
        next: ExchangeId::MAX,
        ..Ledger::default()
    };
    assert!(ledger.heard(&stream(ExchangeId::MAX)).is_err());
}

/// One word of either side, for any exchange of the first few.
#[derive(Debug, Clone)]
enum Word {
    Open(bool),
    Step(ExchangeId, u8),
    Reply(ExchangeId, u8),
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let word = prop_oneof![
        2 => any::<bool>().prop_map(Word::Open),
        4 => (0u32..8, 0u8..4).prop_map(|(id, step)| Word::Step(id, step)),
        4 => (0u32..8, 0u8..5).prop_map(|(id, step)| Word::Reply(id, step)),
    ];
    prop::collection::vec(word, 0..200)
}

proptest! {
    /// What a ledger lets pass, whatever both sides say: never more pieces than were asked for, never
    /// more pulls than may be, nothing after an end, never a word for an exchange that is not open.
    #[test]
    fn whatever_is_said_credit_is_kept(words in words()) {
        let mut ledger = Ledger::default();
        let mut next = 0;
        // For each open exchange: pieces asked for (none once the body ended), pulls.
        let mut open: std::collections::BTreeMap<ExchangeId, (Option<u32>, u32)> =
            std::collections::BTreeMap::new();
        for word in words {
            match word {
                Word::Open(has_stream) => {
                    let body = match has_stream {
                        true => RequestBody::Stream { length: None },
                        false => RequestBody::None,
                    };
                    let heard = ledger.heard(&super::tests::open(next, body));
                    if open.len() == EXCHANGES_OPEN_MAX {
                        prop_assert!(heard.is_err());
                        return Ok(());
                    }
                    prop_assert_eq!(heard, Ok(Verdict::Legal));
                    open.insert(next, (has_stream.then_some(0), 0));
                    next += 1;
                }
                Word::Step(id, kind) => {
                    let step = match kind {
                        0 => CallStep::Send(vec![7]),
                        1 => CallStep::SendEnd,
                        2 => CallStep::Pull,
                        _ => CallStep::Abort,
                    };
                    let heard = ledger.heard(&call(id, step));
                    let Some((asked, pulls)) = open.get_mut(&id) else {
                        prop_assert_eq!(heard.is_ok(), id < next);
                        prop_assert!(heard.is_err() || heard == Ok(Verdict::Late));
                        if heard.is_err() { return Ok(()); }
                        continue;
                    };
                    let legal = match kind {
                        0 | 1 => asked.is_some_and(|pieces| pieces > 0),
                        2 => *pulls < FETCH_PULLS_MAX,
                        _ => true,
                    };
                    prop_assert_eq!(heard == Ok(Verdict::Legal), legal);
                    if !legal { return Ok(()); }
                    match kind {
                        0 => *asked = asked.map(|pieces| pieces - 1),
                        1 => *asked = None,
                        2 => *pulls += 1,
                        _ => { open.remove(&id); }
                    }
                }
                Word::Reply(id, kind) => {
                    let step = match kind {
                        0 => ReplyStep::More,
                        1 => opened(),
                        2 => ReplyStep::Data(vec![7]),
                        3 => ReplyStep::End,
                        _ => ReplyStep::Failed(String::new()),
                    };
                    let told = ledger.told(&reply(id, step));
                    let Some((asked, pulls)) = open.get_mut(&id) else {
                        prop_assert!(!told);
                        continue;
                    };
                    prop_assert_eq!(told, kind != 0 || asked.is_some());
                    match kind {
                        0 => *asked = asked.map(|pieces| pieces + 1),
                        2 => *pulls = pulls.saturating_sub(1),
                        3 | 4 => { open.remove(&id); }
                        _ => {}
                    }
                }
            }
        }
    }
}
