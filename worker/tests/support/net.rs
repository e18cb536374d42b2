//! A host that plays the supervisor and the servers behind it: what a script says of its requests is
//! noted and answered at once, by a function.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use mcp_v8_protocol::codec::encode;
use mcp_v8_protocol::fetch::{
    CallStep, ExchangeId, FetchCall, FetchReply, Header, ReplyStep, Request, RequestBody, Response,
};
use mcp_v8_protocol::message::{ExecutionLimits, FromWorker, Grants, ToWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm};

/// What each script gets: the server's default.
pub(crate) const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

/// What a server answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A response, with the pieces of its body.
    Response(Response, VecDeque<Vec<u8>>),
    /// No response.
    Failed(&'static str),
    /// A response whose body breaks off behind its pieces.
    Broken(Response, VecDeque<Vec<u8>>, &'static str),
    /// Nothing, ever.
    Silence,
}

/// A response with one header.
pub(crate) fn head(status: u16, url: &str) -> Response {
    Response {
        status,
        status_text: "Fine".to_owned(),
        headers: vec![Header {
            name: "Content-Type".to_owned(),
            value: b"text/plain".to_vec(),
        }],
        url: url.to_owned(),
        is_redirected: false,
    }
}

/// A response with a text.
pub(crate) fn text(request: &Request, text: &str) -> Answer {
    let pieces = [text.as_bytes().to_vec()];
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
    Answer::Response(head(200, &request.url), pieces.collect())
}

/// Everything that was said, in order, with bodies by their lengths.
pub(crate) type Log = Rc<RefCell<Vec<String>>>;

struct Exchange {
    request: Request,
    body: Vec<u8>,
    answer: Option<Answer>,
}

/// Decides, when a request and its body are there.
type Decide = Box<dyn FnMut(&Request, &[u8]) -> Answer>;

pub(crate) struct Net {
    grants: Grants,
    pub(crate) log: Log,
    pub(crate) console: Rc<RefCell<String>>,
    replies: VecDeque<FetchReply>,
    open: HashMap<ExchangeId, Exchange>,
    /// What the script gets.
    pub(crate) limits: ExecutionLimits,
    decide: Decide,
}

impl Net {
    pub(crate) fn new(decide: impl FnMut(&Request, &[u8]) -> Answer + 'static) -> Self {
        Self {
            grants: Grants { fetch: true },
            log: Log::default(),
            console: Rc::default(),
            replies: VecDeque::new(),
            open: HashMap::new(),
            limits: LIMITS,
            decide: Box::new(decide),
        }
    }

    /// One whose scripts may make no requests.
    pub(crate) fn closed() -> Self {
        let mut net = Self::new(|_, _| panic!("a request without a grant"));
        net.grants = Grants::default();
        net
    }

    fn reply(&mut self, exchange: ExchangeId, step: ReplyStep) {
        let reply = FetchReply { exchange, step };
        encode(&ToWorker::Fetch(reply.clone())).unwrap();
        self.replies.push_back(reply);
    }

    fn answer(&mut self, id: ExchangeId) {
        let exchange = self.open.get_mut(&id).unwrap();
        let answer = (self.decide)(&exchange.request, &exchange.body);
        exchange.answer = Some(answer.clone());
        match answer {
            Answer::Response(head, _) | Answer::Broken(head, _, _) => {
                self.reply(id, ReplyStep::Opened(head));
            }
            Answer::Failed(why) => self.fail(id, why),
            Answer::Silence => {}
        }
    }

    fn fail(&mut self, id: ExchangeId, why: &str) {
        self.open.remove(&id);
        self.reply(id, ReplyStep::Failed(why.to_owned()));
    }

    fn pulled(&mut self, id: ExchangeId) {
        let Some(exchange) = self.open.get_mut(&id) else {
            return;
        };
        let (pieces, broken) = match exchange.answer.as_mut().unwrap() {
            Answer::Response(_, pieces) => (pieces, None),
            Answer::Broken(_, pieces, why) => (pieces, Some(*why)),
            Answer::Failed(_) | Answer::Silence => panic!("pulled from nothing"),
        };
        match (pieces.pop_front(), broken) {
            (Some(piece), _) => self.reply(id, ReplyStep::Data(piece)),
            (None, Some(why)) => self.fail(id, why),
            (None, None) => {
                self.open.remove(&id);
                self.reply(id, ReplyStep::End);
            }
        }
    }

    fn note(&self, call: &FetchCall) {
        let what = match &call.step {
            CallStep::Open(request) => format!("open {} {}", request.method, request.url),
            CallStep::Send(bytes) => format!("send {}", bytes.len()),
            CallStep::SendEnd => "send end".to_owned(),
            CallStep::Pull => "pull".to_owned(),
            CallStep::Abort => "abort".to_owned(),
        };
        self.log
            .borrow_mut()
            .push(format!("{} {what}", call.exchange));
    }
}

impl Host for Net {
    fn console(&mut self, text: &str) {
        self.console.borrow_mut().push_str(text);
    }

    fn grants(&self) -> Grants {
        self.grants
    }

    fn fetch(&mut self, call: FetchCall) {
        encode(&FromWorker::Fetch(call.clone())).unwrap();
        self.note(&call);
        let id = call.exchange;
        match call.step {
            CallStep::Open(request) => {
                let is_stream = matches!(request.body, RequestBody::Stream { .. });
                let body = match &request.body {
                    RequestBody::Whole(bytes) => bytes.clone(),
                    RequestBody::None | RequestBody::Stream { .. } => Vec::new(),
                };
                let exchange = Exchange {
                    request,
                    body,
                    answer: None,
                };
                assert!(self.open.insert(id, exchange).is_none());
                assert!(self.open.len() <= mcp_v8_protocol::limits::EXCHANGES_OPEN_MAX);
                if is_stream {
                    self.reply(id, ReplyStep::More);
                } else {
                    self.answer(id);
                }
            }
            CallStep::Send(bytes) => {
                self.open.get_mut(&id).unwrap().body.extend(bytes);
                self.reply(id, ReplyStep::More);
            }
            CallStep::SendEnd => self.answer(id),
            CallStep::Pull => self.pulled(id),
            CallStep::Abort => {
                self.open.remove(&id);
            }
        }
    }

    fn next_reply(&mut self, until: Option<Instant>) -> Option<FetchReply> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        let Some(until) = until else {
            panic!("it waits for ever: {:?}", self.log.borrow());
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        None
    }

    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }

    fn heap_limit_reached(&mut self) -> ! {
        // SAFETY: ends the process without looking back: V8 may be anywhere.
        unsafe { libc::_exit(86) }
    }
}

/// What a script came to, and what it said.
pub(crate) struct Ran {
    /// Its value, or its error.
    pub(crate) value: String,
    pub(crate) log: Vec<String>,
}

/// Runs a script in a fresh runtime.
pub(crate) fn run(source: &str, decide: impl FnMut(&Request, &[u8]) -> Answer + 'static) -> Ran {
    run_in(&mut Realm::for_run(), source, Net::new(decide))
}

pub(crate) fn run_in(realm: &mut Realm, source: &str, net: Net) -> Ran {
    let (log, limits) = (Rc::clone(&net.log), net.limits);
    let outcome = realm.run(source, &limits, Box::new(net));
    drop(realm.take_host());
    let value = match outcome {
        Outcome::Completed { result, .. } => result,
        Outcome::Failed { kind, error } => format!("{kind:?}: {error}"),
    };
    let log = log.take();
    Ran { value, log }
}
