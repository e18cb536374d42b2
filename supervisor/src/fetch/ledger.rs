//! Which word of a worker is legal for which exchange: pure.

use std::collections::BTreeMap;

use mcp_v8_protocol::fetch::{
    CallStep, ExchangeId, FetchCall, FetchReply, ReplyStep, Request, RequestBody,
};
use mcp_v8_protocol::limits::{BODY_CHUNK_BYTES_MAX, EXCHANGES_OPEN_MAX};

use super::Breach;
use crate::limits::FETCH_PULLS_MAX;

/// The exchanges of one execution, as its worker knows them: one is open until the worker is told its
/// end, or has aborted it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: ExchangeId,
    open: BTreeMap<ExchangeId, Standing>,
}

#[derive(Debug)]
struct Standing {
    sending: Sending,
    /// Pulls that are not answered.
    pulls: u32,
}

/// How far the body of a request is.
#[derive(Debug)]
enum Sending {
    /// The worker may send as many more pieces.
    Asked(u32),
    /// There is none, or it has ended.
    Over,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes its course.
    Legal,
    /// Its exchange has ended, which the worker may not know yet: nothing becomes of it.
    Late,
}

impl Ledger {
    /// Enters what the worker said.
    pub(super) fn heard(&mut self, call: &FetchCall) -> Result<Verdict, Breach> {
        if let CallStep::Open(request) = &call.step {
            self.open(call.exchange, request)?;
            return Ok(Verdict::Legal);
        }
        if call.exchange >= self.next {
            return Err(Breach("a step of an exchange that it has not opened"));
        }
        let Some(standing) = self.open.get_mut(&call.exchange) else {
            return Ok(Verdict::Late);
        };
        match &call.step {
            CallStep::Open(_) => {}
            CallStep::Send(piece) => {
                if !(1..=BODY_CHUNK_BYTES_MAX).contains(&piece.len()) {
                    return Err(Breach("a piece of a body is empty or too large"));
                }
                standing.sending.spend()?;
            }
            CallStep::SendEnd => {
                standing.sending.spend()?;
                standing.sending = Sending::Over;
            }
            CallStep::Pull if standing.pulls == FETCH_PULLS_MAX => {
                return Err(Breach("more of a body is pulled at once than there may be"));
            }
            CallStep::Pull => standing.pulls += 1,
            CallStep::Abort => {
                self.open.remove(&call.exchange);
            }
        }
        Ok(Verdict::Legal)
    }

    /// Enters what the worker is about to be told. False if it does not wait for that any more.
    pub(super) fn told(&mut self, reply: &FetchReply) -> bool {
        let Some(standing) = self.open.get_mut(&reply.exchange) else {
            return false;
        };
        match &reply.step {
            ReplyStep::More => match &mut standing.sending {
                Sending::Asked(pieces) => *pieces += 1,
                Sending::Over => return false,
            },
            ReplyStep::Again => standing.sending = Sending::Asked(0),
            ReplyStep::Opened(_) => {}
            ReplyStep::Data(_) => standing.pulls = standing.pulls.saturating_sub(1),
            ReplyStep::End | ReplyStep::Failed(_) => {
                self.open.remove(&reply.exchange);
            }
        }
        true
    }

    fn open(&mut self, id: ExchangeId, request: &Request) -> Result<(), Breach> {
        if id != self.next {
            return Err(Breach("an exchange does not have the next number"));
        }
        if self.open.len() == EXCHANGES_OPEN_MAX {
            return Err(Breach("more exchanges are open than there may be"));
        }
        let after = self.next.checked_add(1);
        self.next = after.ok_or(Breach("there are no more numbers for exchanges"))?;
        let sending = match request.body {
            RequestBody::Stream { .. } => Sending::Asked(0),
            RequestBody::None | RequestBody::Whole(_) => Sending::Over,
        };
        self.open.insert(id, Standing { sending, pulls: 0 });
        Ok(())
    }
}

impl Sending {
    fn spend(&mut self) -> Result<(), Breach> {
        match self {
            Sending::Asked(pieces) if *pieces > 0 => {
                *pieces -= 1;
                Ok(())
            }
            Sending::Asked(_) => Err(Breach("a piece of a body was sent that was not asked for")),
            Sending::Over => Err(Breach("a piece of a body was sent where there is none")),
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
