//! What a request says of its sender, in headers.

use std::fmt::Display;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::sessions::{Nonce, SESSION_BYTES};
use crate::cluster::peer::Peer;
use crate::hex::{self, Hex};
use crate::raft::ids::{ClusterId, Incarnation, RaftId};

const CLUSTER: HeaderName = HeaderName::from_static("mcp-v8-cluster");
const NODE: HeaderName = HeaderName::from_static("mcp-v8-node");
const INCARNATION: HeaderName = HeaderName::from_static("mcp-v8-incarnation");
const ADDRESS: HeaderName = HeaderName::from_static("mcp-v8-address");
const TO: HeaderName = HeaderName::from_static("mcp-v8-to");
const TIME: HeaderName = HeaderName::from_static("mcp-v8-time");
const NONCE: HeaderName = HeaderName::from_static("mcp-v8-nonce");
const BODY: HeaderName = HeaderName::from_static("mcp-v8-body");
pub(in crate::cluster) const SIGNATURE: HeaderName = HeaderName::from_static("mcp-v8-signature");

/// What is signed of the headers, in this order.
const SIGNED: [HeaderName; 8] = [CLUSTER, NODE, INCARNATION, ADDRESS, TO, TIME, NONCE, BODY];

/// Headers that are none of this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) struct Garbled(pub(in crate::cluster) &'static str);

/// Who sends a request, and for whom it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cluster) struct Claims {
    /// The cluster that the sender is in, if it is in one.
    pub(in crate::cluster) cluster: Option<ClusterId>,
    /// The node that sends it; none when it is no node.
    pub(in crate::cluster) from: Option<Peer>,
    /// The node that it is for; none when the sender does not know who that is.
    pub(in crate::cluster) to: Option<RaftId>,
}

/// What makes a request the only one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) struct Stamp {
    /// When it was sent, in seconds since 1970.
    pub(in crate::cluster) time: u64,
    /// What tells it from all others.
    pub(in crate::cluster) nonce: Nonce,
    /// The SHA-256 of its body.
    pub(in crate::cluster) body: [u8; 32],
}

impl Claims {
    pub(in crate::cluster) fn write(&self, headers: &mut HeaderMap) {
        if let Some(cluster) = &self.cluster {
            put(headers, CLUSTER, Hex(&cluster.0));
        }
        if let Some(from) = &self.from {
            put(headers, NODE, &from.name);
            put(headers, INCARNATION, Hex(&from.incarnation.0));
            put(headers, ADDRESS, &from.address);
        }
        if let Some(to) = &self.to {
            put(headers, TO, to);
        }
    }

    pub(in crate::cluster) fn read(headers: &HeaderMap) -> Result<Self, Garbled> {
        let name = parsed(headers, &NODE, "name")?;
        let incarnation = digits(headers, &INCARNATION, "incarnation")?;
        let address = parsed(headers, &ADDRESS, "address")?;
        let from = match (name, incarnation, address) {
            (None, None, None) => None,
            (Some(name), Some(incarnation), Some(address)) => {
                Some(Peer::new(name, Incarnation(incarnation), address))
            }
            _ => return Err(Garbled("sender")),
        };
        let to = digits::<8>(headers, &TO, "receiver")?;
        let to = to.map(|bytes| RaftId::from_u64(u64::from_be_bytes(bytes)));
        Ok(Self {
            cluster: digits(headers, &CLUSTER, "cluster")?.map(ClusterId),
            from,
            to: match to {
                Some(None) => return Err(Garbled("receiver")),
                to => to.flatten(),
            },
        })
    }
}

impl Stamp {
    pub(in crate::cluster) fn write(&self, headers: &mut HeaderMap) {
        let number = self.nonce.number.to_be_bytes();
        let nonce = [&self.nonce.session[..], &number].concat();
        put(headers, TIME, self.time);
        put(headers, NONCE, Hex(&nonce));
        put(headers, BODY, Hex(&self.body));
    }

    /// `None` for a request without any.
    pub(in crate::cluster) fn read(headers: &HeaderMap) -> Result<Option<Self>, Garbled> {
        let time = parsed(headers, &TIME, "time")?;
        let nonce = digits::<{ SESSION_BYTES + 8 }>(headers, &NONCE, "nonce")?;
        let body = digits(headers, &BODY, "hash of its body")?;
        let (Some(time), Some(nonce), Some(body)) = (time, nonce, body) else {
            return Ok(None);
        };
        let (session, number) = nonce.split_at(SESSION_BYTES);
        let garbled = |_| Garbled("nonce");
        Ok(Some(Self {
            time,
            nonce: Nonce {
                session: session.try_into().map_err(garbled)?,
                number: u64::from_be_bytes(number.try_into().map_err(garbled)?),
            },
            body,
        }))
    }
}

/// The signature of a request, or of an answer.
pub(in crate::cluster) fn signature(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Garbled> {
    digits(headers, &SIGNATURE, "signature")
}

pub(in crate::cluster) fn put_signature(headers: &mut HeaderMap, signature: &[u8; 32]) {
    put(headers, SIGNATURE, Hex(signature));
}

/// What is signed of a request, part by part. What is not there is empty, which no header may be.
pub(in crate::cluster) fn signed<'a>(
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
) -> Vec<&'a [u8]> {
    let mut parts = vec![method.as_str().as_bytes(), path.as_bytes()];
    for name in &SIGNED {
        parts.push(headers.get(name).map_or(&[], HeaderValue::as_bytes));
    }
    parts
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: impl Display) {
    // Names, addresses and digits are all plain text.
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        headers.insert(name, value);
    }
}

/// The one header of this name. A second one could be read by somebody else.
fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    what: &'static str,
) -> Result<Option<&'a str>, Garbled> {
    let mut all = headers.get_all(name).iter();
    let (first, second) = (all.next(), all.next());
    match (first, second) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().ok().filter(|text| !text.is_empty());
            text.map(Some).ok_or(Garbled(what))
        }
        (Some(_), Some(_)) => Err(Garbled(what)),
    }
}

fn parsed<T: FromStr>(
    headers: &HeaderMap,
    name: &HeaderName,
    what: &'static str,
) -> Result<Option<T>, Garbled> {
    let text = one(headers, name, what)?;
    text.map(|text| text.parse().map_err(|_| Garbled(what)))
        .transpose()
}

fn digits<const N: usize>(
    headers: &HeaderMap,
    name: &HeaderName,
    what: &'static str,
) -> Result<Option<[u8; N]>, Garbled> {
    let text = one(headers, name, what)?;
    text.map(|text| hex::read(text).ok_or(Garbled(what)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let from = Peer::new(
            "a".parse().unwrap(),
            Incarnation([3; 16]),
            "a:1".parse().unwrap(),
        );
        Claims {
            cluster: Some(ClusterId([1; 16])),
            to: Some(from.id),
            from: Some(from),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp {
            time: 12,
            nonce: Nonce {
                session: [9; SESSION_BYTES],
                number: 7,
            },
            body: [5; 32],
        };
        let mut headers = HeaderMap::new();
        assert_eq!(Claims::read(&headers), Ok(Claims::default()));
        assert_eq!(Stamp::read(&headers), Ok(None));
        claims().write(&mut headers);
        stamp.write(&mut headers);
        put_signature(&mut headers, &[4; 32]);
        assert_eq!(Claims::read(&headers), Ok(claims()));
        assert_eq!(Stamp::read(&headers), Ok(Some(stamp)));
        assert_eq!(signature(&headers), Ok(Some([4; 32])));
    }

    #[test]
    fn what_is_half_said_or_twice_is_refused() {
        let mut whole = HeaderMap::new();
        claims().write(&mut whole);
        for name in [NODE, INCARNATION, ADDRESS] {
            let mut headers = whole.clone();
            headers.remove(&name);
            assert!(Claims::read(&headers).is_err(), "{name}");
        }
        for name in [CLUSTER, NODE, INCARNATION, ADDRESS, TO] {
            let mut headers = whole.clone();
            let again = headers.get(&name).cloned().unwrap();
            headers.append(&name, again);
            assert!(Claims::read(&headers).is_err(), "{name} twice");
            headers.insert(&name, HeaderValue::from_static(""));
            assert!(Claims::read(&headers).is_err(), "{name} empty");
        }
        whole.insert(TO, HeaderValue::from_static("0000000000000000"));
        assert!(Claims::read(&whole).is_err(), "no id is 0");
    }
}
