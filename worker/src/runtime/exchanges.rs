//! The requests of a script that are not at their end: what each waits for. Pure.
//!
//! An exchange is open until the supervisor has said its last word or the script has aborted it. What
//! comes for one that is not open is dropped: it was on its way when the script lost interest.

use std::collections::HashMap;

use mcp_v8_protocol::fetch::{ExchangeId, ReplyStep, RequestBody};
use mcp_v8_protocol::limits::EXCHANGES_OPEN_MAX;

/// All of them, by number.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    next: ExchangeId,
    open: HashMap<ExchangeId, Standing>,
    /// Whether the script has been told to wait until one ends.
    is_crowded: bool,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    /// Whether the body of the request comes in pieces that can be sent again.
    is_repeatable: bool,
    /// Whether the head of the response has come.
    is_opened: bool,
    /// Pieces of the response that were asked for and have not come.
    pulls: u32,
}

/// What a supervisor must not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misstep {
    /// The head of a response, twice.
    #[error("a response was opened twice")]
    OpenedTwice,
    /// A body is wanted again that cannot be sent again.
    #[error("the body of a request was asked for again that is not there any more")]
    Unrepeatable,
    /// A body is wanted again after the response has begun.
    #[error("the body of a request was asked for again after the response was opened")]
    LateRepetition,
    /// A piece of a response that nobody asked for.
    #[error("a piece of a response came that was not asked for")]
    UnaskedData,
    /// The end of a response that has not begun.
    #[error("a response ended before it was opened")]
    EarlyEnd,
}

impl Exchanges {
    /// Begins one. `None` when there is no room for it, until another ends; or when a script has used
    /// up all numbers.
    pub(crate) fn begin(&mut self, body: &RequestBody) -> Option<ExchangeId> {
        if self.open.len() >= EXCHANGES_OPEN_MAX {
            self.is_crowded = true;
            return None;
        }
        let id = self.next;
        self.next = id.checked_add(1)?;
        let standing = Standing {
            is_repeatable: matches!(body, RequestBody::Stream { length: Some(_) }),
            is_opened: false,
            pulls: 0,
        };
        self.open.insert(id, standing);
        Some(id)
    }

    /// Notes that a piece of the response was asked for. False when nobody would hear it.
    pub(crate) fn pull(&mut self, id: ExchangeId) -> bool {
        let Some(standing) = self.open.get_mut(&id) else {
            return false;
        };
        standing.pulls += 1;
        true
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self, id: ExchangeId) -> bool {
        self.open.contains_key(&id)
    }

    /// Ends one from this side. False when it has ended already.
    pub(crate) fn abort(&mut self, id: ExchangeId) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Notes what the supervisor says. False when it is for nobody.
    pub(crate) fn heard(&mut self, id: ExchangeId, step: &ReplyStep) -> Result<bool, Misstep> {
        let Some(standing) = self.open.get_mut(&id) else {
            return Ok(false);
        };
        match step {
            ReplyStep::More => {}
            ReplyStep::Again if standing.is_opened => return Err(Misstep::LateRepetition),
            ReplyStep::Again if !standing.is_repeatable => return Err(Misstep::Unrepeatable),
            ReplyStep::Again => {}
            ReplyStep::Opened(_) if standing.is_opened => return Err(Misstep::OpenedTwice),
            ReplyStep::Opened(_) => standing.is_opened = true,
            ReplyStep::Data(_) => match standing.pulls.checked_sub(1) {
                Some(left) => standing.pulls = left,
                None => return Err(Misstep::UnaskedData),
            },
            ReplyStep::End if !standing.is_opened => return Err(Misstep::EarlyEnd),
            ReplyStep::End | ReplyStep::Failed(_) => {
                self.open.remove(&id);
            }
        }
        Ok(true)
    }

    /// Whether the supervisor may say something.
    pub(crate) fn is_any_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether the supervisor owes something: a script lives as long. A response that nobody reads is
    /// owed nothing.
    pub(crate) fn is_any_awaited(&self) -> bool {
        let is_awaited = |standing: &Standing| !standing.is_opened || standing.pulls > 0;
        self.open.values().any(is_awaited)
    }

    /// Whether the script waits for one to end; it is told once.
    pub(crate) fn take_crowded(&mut self) -> bool {
        std::mem::take(&mut self.is_crowded)
    }
}

#[cfg(test)]
mod tests {
    use mcp_v8_protocol::fetch::Response;

    use super::*;

    fn opened() -> ReplyStep {
        ReplyStep::Opened(Response {
            status: 200,
            status_text: String::new(),
            headers: Vec::new(),
            url: "http://a.test/".to_owned(),
            is_redirected: false,
        })
    }

    fn data() -> ReplyStep {
        ReplyStep::Data(vec![1])
    }

    #[test]
    fn a_script_lives_for_a_response_and_for_what_it_asked_of_one() {
        let mut exchanges = Exchanges::default();
        let id = exchanges.begin(&RequestBody::None).unwrap();
        assert!(exchanges.is_any_awaited());
        assert_eq!(exchanges.heard(id, &opened()), Ok(true));
        assert!(exchanges.is_any_open() && !exchanges.is_any_awaited());
        assert!(exchanges.pull(id) && exchanges.is_any_awaited());
        assert_eq!(exchanges.heard(id, &data()), Ok(true));
        assert!(!exchanges.is_any_awaited());
        assert_eq!(exchanges.heard(id, &ReplyStep::End), Ok(true));
        assert!(!exchanges.is_any_open());
    }

    #[test]
    fn what_comes_for_nobody_is_dropped() {
        let mut exchanges = Exchanges::default();
        let id = exchanges.begin(&RequestBody::None).unwrap();
        assert!(exchanges.abort(id) && !exchanges.abort(id));
        for step in [opened(), data(), ReplyStep::More, ReplyStep::End] {
            assert_eq!(exchanges.heard(id, &step), Ok(false));
            assert_eq!(exchanges.heard(7, &step), Ok(false));
        }
        assert!(!exchanges.pull(id));
    }

    #[test]
    fn a_supervisor_that_says_what_nobody_asked_for_is_found_out() {
        let mut exchanges = Exchanges::default();
        let id = exchanges.begin(&RequestBody::None).unwrap();
        let early = exchanges.heard(id, &ReplyStep::End);
        assert_eq!(early, Err(Misstep::EarlyEnd));
        assert_eq!(exchanges.heard(id, &data()), Err(Misstep::UnaskedData));
        assert_eq!(exchanges.heard(id, &opened()), Ok(true));
        assert_eq!(exchanges.heard(id, &opened()), Err(Misstep::OpenedTwice));
    }

    #[test]
    fn a_body_is_sent_again_that_is_known_and_before_the_response() {
        let mut exchanges = Exchanges::default();
        let known = RequestBody::Stream { length: Some(9) };
        let id = exchanges.begin(&known).unwrap();
        assert_eq!(exchanges.heard(id, &ReplyStep::Again), Ok(true));
        assert_eq!(exchanges.heard(id, &ReplyStep::Again), Ok(true));
        assert_eq!(exchanges.heard(id, &opened()), Ok(true));
        let late = exchanges.heard(id, &ReplyStep::Again);
        assert_eq!(late, Err(Misstep::LateRepetition));
        for body in [
            RequestBody::None,
            RequestBody::Whole(vec![1]),
            RequestBody::Stream { length: None },
        ] {
            let id = exchanges.begin(&body).unwrap();
            let gone = exchanges.heard(id, &ReplyStep::Again);
            assert_eq!(gone, Err(Misstep::Unrepeatable));
        }
    }

    #[test]
    fn no_more_are_open_than_there_may_be() {
        let mut exchanges = Exchanges::default();
        let ids: Vec<_> = std::iter::from_fn(|| exchanges.begin(&RequestBody::None)).collect();
        assert_eq!(ids.len(), EXCHANGES_OPEN_MAX);
        assert!(exchanges.take_crowded() && !exchanges.take_crowded());
        assert!(exchanges.abort(ids[3]));
        assert_eq!(
            exchanges.begin(&RequestBody::None).map(|id| id as usize),
            Some(ids.len())
        );
    }
}
