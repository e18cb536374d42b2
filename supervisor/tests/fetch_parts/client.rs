//! A broker with rules and names of the test's, and a worker that does as it should.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_v8::audit::Audit;
use mcp_v8::fetch::injection::NoValue;
use mcp_v8::fetch::{Bounds, Broker, Exchanges, Network, Requester, Resolver, Rules};
use mcp_v8::policy::{Asked, Denied, Permit};
use mcp_v8::quota::Meter;
use mcp_v8::store::ExecutionId;
use mcp_v8::tenant::Tenant;
use mcp_v8_protocol::fetch::{
    CallStep, ExchangeId, FetchCall, FetchReply, Header, Redirect, ReplyStep, Request, RequestBody,
    Response,
};
use rustls::RootCertStore;
use tokio::time::timeout;

/// Long enough for anything that is going to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Rules that a test sets.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Hosts that are denied.
    pub(crate) denied: Vec<&'static str>,
    /// Hosts that may be private.
    pub(crate) private: Vec<&'static str>,
    /// Host, name and value of what is injected.
    pub(crate) injected: Vec<(&'static str, &'static str, &'static str)>,
    /// URLs where what was injected was not believed, with its names.
    pub(crate) refused: Vec<(String, Vec<String>)>,
    /// Every question, in order.
    pub(crate) asked: Vec<Asked>,
}

#[derive(Debug, Default)]
pub(crate) struct TestRules(pub(crate) Mutex<Book>);

#[async_trait]
impl Rules for TestRules {
    async fn decide(&self, asked: &Asked) -> Result<Permit, Denied> {
        let mut book = self.0.lock().unwrap();
        book.asked.push(asked.clone());
        let host = asked.url.host_str().unwrap();
        if book.denied.contains(&host) {
            return Err(Denied::ByRule {
                rule: "data.mcp.fetch.allow".to_owned(),
                method: asked.method.clone(),
                host: host.to_owned(),
            });
        }
        let private_addresses = book.private.contains(&host);
        Ok(Permit { private_addresses })
    }

    async fn headers_for(&self, asked: &Asked) -> Result<HeaderMap, NoValue> {
        let book = self.0.lock().unwrap();
        let mut headers = HeaderMap::new();
        for (host, name, value) in &book.injected {
            if asked.url.host_str() == Some(host) {
                let mut value = HeaderValue::from_static(value);
                value.set_sensitive(true);
                headers.append(HeaderName::from_static(name), value);
            }
        }
        Ok(headers)
    }

    fn refused(&self, asked: &Asked, given: &HeaderMap) {
        let names = given.keys().map(ToString::to_string).collect();
        let mut book = self.0.lock().unwrap();
        book.refused.push((asked.url.to_string(), names));
    }
}

/// Names that a test gives; any other is 127.0.0.1. Of several answers each is given once, the last one
/// from then on.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) answers: Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>,
    pub(crate) lookups: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let Some(left) = answers.get_mut(name) else {
            return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        };
        Ok(match left.len() {
            0 | 1 => left.first().cloned().unwrap_or_default(),
            _ => left.remove(0),
        })
    }
}

/// What a test sets, and the broker over it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rules: Arc<TestRules>,
    pub(crate) names: Arc<Names>,
    pub(crate) broker: Broker,
}

impl World {
    /// Every address may be reached.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Network)) -> Self {
        let rules = Arc::new(TestRules::default());
        let names = Arc::new(Names::default());
        let mut network = Network {
            allow_private: true,
            resolver: Arc::clone(&names) as Arc<dyn Resolver>,
            authorities: RootCertStore::empty(),
            bounds: Bounds::default(),
        };
        change(&mut network);
        let broker = Broker::obeying(Arc::clone(&rules) as Arc<dyn Rules>, network).unwrap();
        Self {
            rules,
            names,
            broker,
        }
    }

    pub(crate) fn bounded(change: impl FnOnce(&mut Bounds)) -> Self {
        Self::with(|network| change(&mut network.bounds))
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_of("local")
    }

    /// What a script is told whose GET fails.
    pub(crate) async fn failure(&self, url: impl Into<String>) -> String {
        self.worker().fetch(get(url)).await.unwrap_err()
    }

    pub(crate) fn worker_of(&self, tenant: &str) -> Worker {
        Worker {
            exchanges: self.broker.exchanges(Requester {
                tenant: tenant.parse::<Tenant>().unwrap(),
                session: Some("s".to_owned()),
                execution: ExecutionId::random(),
                meter: Meter::without_limits(),
                audit: Audit::default(),
            }),
            next: 0,
        }
    }

    pub(crate) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.rules.0.lock().unwrap()
    }
}

/// A worker's half.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) exchanges: Exchanges,
    next: ExchangeId,
}

/// A response with its body.
pub(crate) type Answer = Result<(Response, Vec<u8>), String>;

pub(crate) fn get(url: impl Into<String>) -> Request {
    Request {
        method: "GET".to_owned(),
        url: url.into(),
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body: RequestBody::None,
    }
}

pub(crate) fn post(url: impl Into<String>, body: RequestBody) -> Request {
    Request {
        method: "POST".to_owned(),
        body,
        ..get(url)
    }
}

pub(crate) fn with_headers(request: Request, headers: &[(&str, &str)]) -> Request {
    let line = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: value.as_bytes().to_vec(),
    };
    Request {
        headers: headers.iter().map(line).collect(),
        ..request
    }
}

/// The only value of a header.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let mut found = response.headers.iter().filter(|h| h.name == name);
    let value = found.next()?;
    assert!(found.next().is_none(), "{name} comes twice");
    Some(std::str::from_utf8(&value.value).unwrap())
}

impl Worker {
    pub(crate) fn open(&mut self, request: Request) -> ExchangeId {
        let id = self.next;
        self.next += 1;
        self.say(id, CallStep::Open(request));
        id
    }

    pub(crate) fn say(&mut self, exchange: ExchangeId, step: CallStep) {
        self.exchanges.call(FetchCall { exchange, step }).unwrap();
    }

    pub(crate) async fn hear(&mut self) -> FetchReply {
        timeout(PATIENCE, self.exchanges.next()).await.unwrap()
    }

    /// Reads until the head is there.
    pub(crate) async fn head(&mut self, id: ExchangeId) -> Result<Response, String> {
        let reply = self.hear().await;
        assert_eq!(reply.exchange, id);
        match reply.step {
            ReplyStep::Opened(response) => Ok(response),
            ReplyStep::Failed(why) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    /// Pulls one piece.
    pub(crate) async fn piece(&mut self, id: ExchangeId) -> Result<Option<Vec<u8>>, String> {
        self.say(id, CallStep::Pull);
        let reply = self.hear().await;
        assert_eq!(reply.exchange, id);
        match reply.step {
            ReplyStep::Data(piece) => Ok(Some(piece)),
            ReplyStep::End => Ok(None),
            ReplyStep::Failed(why) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn rest(&mut self, id: ExchangeId) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(id).await? {
            body.extend(piece);
        }
        Ok(body)
    }

    pub(crate) async fn fetch(&mut self, request: Request) -> Answer {
        let id = self.open(request);
        let response = self.head(id).await?;
        let body = self.rest(id).await?;
        Ok((response, body))
    }

    /// Sends a body in pieces, one for each that is asked for, and gets the answer.
    pub(crate) async fn upload(&mut self, request: Request, pieces: Vec<Vec<u8>>) -> Answer {
        let id = self.open(request);
        let mut rest = pieces.iter();
        let mut head = None;
        let mut body = Vec::new();
        loop {
            let reply = self.hear().await;
            assert_eq!(reply.exchange, id);
            match reply.step {
                ReplyStep::More => match rest.next() {
                    Some(piece) => self.say(id, CallStep::Send(piece.clone())),
                    None => self.say(id, CallStep::SendEnd),
                },
                ReplyStep::Again => rest = pieces.iter(),
                ReplyStep::Opened(response) => {
                    head = Some(response);
                    self.say(id, CallStep::Pull);
                }
                ReplyStep::Data(piece) => {
                    body.extend(piece);
                    self.say(id, CallStep::Pull);
                }
                ReplyStep::End => return Ok((head.unwrap(), body)),
                ReplyStep::Failed(why) => return Err(why),
            }
        }
    }
}
