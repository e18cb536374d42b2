//! Somebody who signs tokens, and gives the keys to check them with over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const AUDIENCE: &str = "https://mcp.example/mcp";

/// The keys of one who signs.
pub(crate) struct Signer {
    pub(crate) name: String,
    ed: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    pub(crate) fn new(name: &str) -> Self {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        Self {
            name: name.to_owned(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(signing, p256.as_ref(), &random).unwrap(),
            rsa: RsaKeyPair::from_pkcs8(include_bytes!("../support/jwt_rsa.pk8")).unwrap(),
            random,
        }
    }

    /// The public keys: `NAME-ed`, `NAME-p256` and `NAME-rsa`.
    pub(crate) fn keys(&self) -> Vec<Value> {
        let point = self.p256.public_key().as_ref();
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let name = |kind: &str| format!("{}-{kind}", self.name);
        vec![
            json!({
                "kty": "OKP", "crv": "Ed25519", "kid": name("ed"),
                "x": BASE64.encode(self.ed.public_key()),
            }),
            json!({
                "kty": "EC", "crv": "P-256", "kid": name("p256"), "use": "sig",
                "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..]),
            }),
            json!({
                "kty": "RSA", "kid": name("rsa"), "use": "sig", "alg": "RS256",
                "n": BASE64.encode(&rsa.n), "e": BASE64.encode(&rsa.e),
            }),
        ]
    }

    /// A token with this header and these claims, signed as the header says.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let bytes = message.as_bytes();
        let signature = match header["alg"].as_str().unwrap() {
            "EdDSA" => self.ed.sign(bytes).as_ref().to_vec(),
            "ES256" => self
                .p256
                .sign(&self.random, bytes)
                .unwrap()
                .as_ref()
                .to_vec(),
            algorithm => {
                let padding: &dyn ring::signature::RsaEncoding = match algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    _ => &RSA_PSS_SHA256,
                };
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let random = &self.random;
                self.rsa
                    .sign(padding, random, bytes, &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{message}.{}", BASE64.encode(signature))
    }

    /// A good token for a tenant.
    pub(crate) fn token(&self, tenant: &str) -> String {
        self.sign(&self.header("EdDSA"), &claims(tenant))
    }

    /// The header of a token with the key of this algorithm.
    pub(crate) fn header(&self, algorithm: &str) -> Value {
        let kind = match algorithm {
            "EdDSA" => "ed",
            "ES256" => "p256",
            _ => "rsa",
        };
        json!({"alg": algorithm, "typ": "JWT", "kid": format!("{}-{kind}", self.name)})
    }
}

/// The part of a token that is signed.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| BASE64.encode(part.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Claims that let a tenant in.
pub(crate) fn claims(tenant: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": tenant, "exp": now() + 600})
}

pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// A server that gives keys.
pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answer: Mutex<(StatusCode, String)>,
    asked: AtomicUsize,
}

impl KeyServer {
    pub(crate) async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let answering = shared.clone();
        let routes = Router::new().route(
            "/jwks",
            get(async move || {
                answering.asked.fetch_add(1, Ordering::Relaxed);
                let answer = answering.answer.lock();
                answer.unwrap_or_else(PoisonError::into_inner).clone()
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, shared }
    }

    pub(crate) fn give(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().flat_map(|signer| signer.keys()).collect();
        self.answer(StatusCode::OK, &json!({ "keys": keys }).to_string());
    }

    pub(crate) fn answer(&self, status: StatusCode, text: &str) {
        let mut answer = self.shared.answer.lock().unwrap();
        *answer = (status, text.to_owned());
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }
}
