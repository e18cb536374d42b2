use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

const PACE: Pace = Pace {
    age: Duration::from_secs(10),
    age_max: Duration::from_secs(100),
    pause: Duration::from_secs(3),
};

fn point(bytes: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(vec![7; bytes])
}

fn ed(name: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": name, "x": point(32)})
}

fn rsa(name: &str) -> Value {
    json!({"kty": "RSA", "kid": name, "n": point(256), "e": "AQAB"})
}

fn set(keys: &[Value]) -> Result<KeySet, KeysError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn wanted(algorithm: Algorithm, name: Option<&str>) -> Wanted<'_> {
    Wanted { algorithm, name }
}

#[test]
fn a_key_is_found_by_its_name_and_used_for_what_it_is() {
    let p256 = json!({"kty": "EC", "crv": "P-256", "kid": "p", "x": point(32), "y": point(32)});
    let keys = set(&[ed("e"), rsa("r"), rsa("s"), p256]).unwrap();
    let has = |algorithm, name| keys.find(wanted(algorithm, name)).is_some();
    assert!(has(Algorithm::EdDSA, Some("e")));
    assert!(has(Algorithm::RS256, Some("r")) && has(Algorithm::PS512, Some("s")));
    assert!(has(Algorithm::ES256, Some("p")));
    // Of another kind, or of no name here.
    assert!(!has(Algorithm::ES384, Some("p")) && !has(Algorithm::RS256, Some("e")));
    assert!(!has(Algorithm::EdDSA, Some("x")));
    // Without a name only where there is no choice.
    assert!(has(Algorithm::EdDSA, None) && has(Algorithm::ES256, None));
    assert!(!has(Algorithm::RS256, None));
}

#[test]
fn keys_for_other_things_and_shared_secrets_are_left_out() {
    let with = |name: &str, value: Value| {
        let mut key = ed("e");
        key[name] = value;
        key
    };
    for other in [
        json!({"kty": "oct", "kid": "e", "k": point(32)}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "e", "x": point(32)}),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "e", "x": point(32), "y": point(32)}),
        json!({"kty": "new", "kid": "e"}),
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
    ] {
        assert!(set(std::slice::from_ref(&other)).is_err(), "{other}");
        assert!(set(&[other, rsa("r")]).is_ok());
    }
    let named = set(&[with("alg", json!("EdDSA")), with("use", json!("sig"))]).unwrap();
    assert_eq!(named.0.len(), 2);
    let fixed = set(&[with("alg", json!("ES256"))]).unwrap();
    assert!(fixed.find(wanted(Algorithm::EdDSA, Some("e"))).is_none());
    let many: Vec<Value> = (0..=limits::JWKS_KEYS_MAX)
        .map(|number| ed(&number.to_string()))
        .collect();
    assert!(set(&many).is_err() && set(&many[1..]).is_ok());
    for text in ["", "[]", "{}", "{\"keys\": {}}", "{\"keys\": []}"] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}

struct Issuer {
    directory: TempDir,
    keys: Keys,
}

impl Issuer {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwks.json");
        let keys = Keys::new(KeySource::File(path), PACE).unwrap();
        let issuer = Self { directory, keys };
        issuer.give(&[ed("a")]);
        issuer.keys.put(issuer.keys.get().await.unwrap());
        issuer
    }

    fn give(&self, keys: &[Value]) {
        let text = json!({ "keys": keys }).to_string();
        fs::write(self.directory.path().join("jwks.json"), text).unwrap();
    }

    fn break_down(&self) {
        fs::remove_file(self.directory.path().join("jwks.json")).unwrap();
    }

    async fn find(&self, name: &str) -> Result<(), NoKey> {
        let found = self.keys.find(wanted(Algorithm::EdDSA, Some(name))).await;
        found.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_gets_the_keys_again_though_not_without_end() {
    let issuer = Issuer::new().await;
    issuer.give(&[ed("b")]);
    assert_eq!(issuer.find("b").await, Ok(()));
    // Those that are not given any more are not believed any more.
    assert_eq!(issuer.find("a").await, Err(NoKey::Unknown));
    issuer.give(&[ed("c")]);
    assert_eq!(issuer.find("c").await, Err(NoKey::Unknown));
    assert_eq!(issuer.find("b").await, Ok(()));
    advance(PACE.pause).await;
    assert_eq!(issuer.find("c").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn old_keys_are_got_again_and_believed_meanwhile() {
    let issuer = Issuer::new().await;
    issuer.give(&[ed("a"), ed("b")]);
    advance(PACE.age).await;
    assert_eq!(issuer.find("a").await, Ok(()));
    // Waits for the flight that the look before has begun.
    drop(issuer.keys.flight.lock().await);
    let kept = issuer.keys.kept();
    assert!(kept.set.find(wanted(Algorithm::EdDSA, Some("b"))).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_outlived_for_a_while_and_then_nothing_is_believed() {
    let issuer = Issuer::new().await;
    issuer.break_down();
    advance(PACE.age_max - SECOND).await;
    assert_eq!(issuer.find("a").await, Ok(()));
    assert_eq!(issuer.find("b").await, Err(NoKey::Unknown));
    advance(SECOND).await;
    assert_eq!(issuer.find("a").await, Err(NoKey::Unavailable));
    issuer.give(&[ed("a")]);
    advance(PACE.pause).await;
    assert_eq!(issuer.find("a").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_believed_before_there_are_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let keys = Keys::new(KeySource::File(path.clone()), PACE).unwrap();
    let find = async || {
        let found = keys.find(wanted(Algorithm::EdDSA, Some("a"))).await;
        found.map(drop)
    };
    assert_eq!(find().await, Err(NoKey::Unavailable));
    fs::write(&path, json!({"keys": [ed("a")]}).to_string()).unwrap();
    assert_eq!(find().await, Err(NoKey::Unavailable));
    advance(PACE.pause).await;
    assert_eq!(find().await, Ok(()));
}
