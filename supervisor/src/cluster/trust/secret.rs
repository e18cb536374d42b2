//! A secret that all nodes have. Requests and their answers are signed with it: HMAC-SHA256 over parts
//! with their lengths, so that no two requests are signed alike.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method};
use sha2::Sha256;

use super::head;
use crate::key_file::{self, KEY_BYTES, KeyError, KeyUse};

/// The block of SHA-256.
const BLOCK_BYTES: usize = 64;

/// What a signature is for, so that none can stand for another.
const REQUEST: &[u8] = b"mcp-v8 request of a node 1";
const ANSWER: &[u8] = b"mcp-v8 answer of a node 1";

/// The secret.
pub(in crate::cluster) struct Secret(Hmac<Sha256>);

impl Secret {
    pub(in crate::cluster) fn load(path: &Path) -> Result<Self, KeyError> {
        // It is not made when it is missing: each node would have one of its own.
        key_file::load(KeyUse::Cluster, path).map(|bytes| Self::new(&bytes))
    }

    pub(in crate::cluster) fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        // HMAC fills a key up to its block with zeros.
        let mut block = [0; BLOCK_BYTES];
        block[..KEY_BYTES].copy_from_slice(bytes);
        Self(Hmac::<Sha256>::new(&block.into()))
    }

    /// Signs a request that has all its other headers.
    pub(in crate::cluster) fn sign(&self, method: &Method, path: &str, headers: &mut HeaderMap) {
        let mac = self.over(REQUEST, &head::signed(method, path, headers));
        head::put_signature(headers, &mac.finalize().into_bytes().into());
    }

    /// Whether that is a request's signature, in a time that says nothing about where it differs.
    pub(in crate::cluster) fn has_signed(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> bool {
        let Ok(Some(signature)) = head::signature(headers) else {
            return false;
        };
        let mac = self.over(REQUEST, &head::signed(method, path, headers));
        mac.verify(&signature.into()).is_ok()
    }

    /// The signature of the answer to the request that has this signature.
    pub(in crate::cluster) fn sign_answer(
        &self,
        request: &[u8; 32],
        status: u16,
        body: &[u8],
    ) -> [u8; 32] {
        let status = status.to_be_bytes();
        let mac = self.over(ANSWER, &[request, &status, body]);
        mac.finalize().into_bytes().into()
    }

    /// Whether that is its signature.
    pub(in crate::cluster) fn has_answered(
        &self,
        request: &[u8; 32],
        (status, body): (u16, &[u8]),
        signature: &[u8; 32],
    ) -> bool {
        let status = status.to_be_bytes();
        let mac = self.over(ANSWER, &[request, &status, body]);
        mac.verify(signature.into()).is_ok()
    }

    fn over(&self, purpose: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        let mac = self.0.clone().chain_update(purpose);
        parts.iter().fold(mac, |mac, part| {
            let length = (part.len() as u64).to_be_bytes();
            mac.chain_update(length).chain_update(part)
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("mcp-v8-time", HeaderValue::from_static("1"));
        headers.insert("mcp-v8-body", HeaderValue::from_static("2"));
        headers
    }

    #[test]
    fn all_of_a_request_is_signed() {
        let secret = Secret::new(&[7; KEY_BYTES]);
        let mut signed = headers();
        secret.sign(&Method::POST, "/x", &mut signed);
        assert!(secret.has_signed(&Method::POST, "/x", &signed));
        assert!(!secret.has_signed(&Method::GET, "/x", &signed));
        assert!(!secret.has_signed(&Method::POST, "/y", &signed));
        assert!(!Secret::new(&[8; KEY_BYTES]).has_signed(&Method::POST, "/x", &signed));
        assert!(!secret.has_signed(&Method::POST, "/x", &headers()));
        for name in ["mcp-v8-time", "mcp-v8-body", "mcp-v8-cluster", "mcp-v8-to"] {
            let mut changed = signed.clone();
            changed.insert(name, HeaderValue::from_static("3"));
            assert!(!secret.has_signed(&Method::POST, "/x", &changed), "{name}");
        }
        // What moves from one header to the next is something else.
        let mut moved = headers();
        moved.insert("mcp-v8-time", HeaderValue::from_static("12"));
        moved.insert("mcp-v8-body", HeaderValue::from_static(""));
        moved.insert(head::SIGNATURE, signed[head::SIGNATURE].clone());
        assert!(!secret.has_signed(&Method::POST, "/x", &moved));
    }

    #[test]
    fn an_answer_is_that_to_one_request() {
        let secret = Secret::new(&[7; KEY_BYTES]);
        let signature = secret.sign_answer(&[1; 32], 204, b"x");
        assert!(secret.has_answered(&[1; 32], (204, b"x"), &signature));
        assert!(!secret.has_answered(&[2; 32], (204, b"x"), &signature));
        assert!(!secret.has_answered(&[1; 32], (410, b"x"), &signature));
        assert!(!secret.has_answered(&[1; 32], (204, b"y"), &signature));
    }
}
