//! Tokens that somebody else signs: those that are believed, and the known ways to forge one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::auth_issuer::{AUDIENCE, ISSUER, KeyServer, Signer, claims, encoded, now, unsigned};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use mcp_v8::auth::{
    ALGORITHMS_DEFAULT, AuthOptions, Authenticator, JwtOptions, JwtScopes, KeySource, NoEntry,
    Scope, algorithms,
};
use mcp_v8::limits;
use serde_json::{Value, json};
use sha2::Sha256;

fn options(server: &KeyServer) -> JwtOptions {
    JwtOptions {
        keys: KeySource::Url(server.url().parse().unwrap()),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: ALGORITHMS_DEFAULT.to_vec(),
        tenant_claim: "sub".to_owned(),
        scopes: JwtScopes::All,
    }
}

async fn open(options: JwtOptions) -> Authenticator {
    let options = AuthOptions {
        tokens: None,
        jwt: Some(options),
        metadata: None,
    };
    Authenticator::open(options).await.unwrap()
}

/// A signer, who gives keys and is believed.
async fn believed() -> (Signer, KeyServer, Authenticator) {
    let signer = Signer::new("a");
    let server = KeyServer::start().await;
    server.give(&[&signer]);
    let authenticator = open(options(&server)).await;
    (signer, server, authenticator)
}

/// The tenant of who sends this.
async fn ask(authenticator: &Authenticator, token: &str) -> Result<String, NoEntry> {
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let caller = authenticator.caller(&headers).await?;
    assert!(!caller.is_operator());
    Ok(caller.tenant().name().to_owned())
}

/// Why it is not believed.
async fn refused(authenticator: &Authenticator, token: &str) -> String {
    match ask(authenticator, token).await {
        Err(NoEntry::BadToken { reason }) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

fn with(mut base: Value, name: &str, value: Value) -> Value {
    base[name] = value;
    base
}

fn without(mut base: Value, name: &str) -> Value {
    base.as_object_mut().unwrap().shift_remove(name);
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn good_tokens_name_their_tenant() {
    let (signer, _server, authenticator) = believed().await;
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let token = signer.sign(&signer.header(algorithm), &claims("acme"));
        assert_eq!(ask(&authenticator, &token).await, Ok("acme".to_owned()));
        // Another signer's key of the same name does not fit. (Both have one key of RSA.)
        if algorithm != "RS256" {
            let stranger = Signer::new("a").sign(&signer.header(algorithm), &claims("acme"));
            let why = refused(&authenticator, &stranger).await;
            assert_eq!(why, "its signature is wrong");
        }
    }
    let head = signer.header("EdDSA");
    for (header, claims) in [
        (without(head.clone(), "typ"), claims("acme")),
        (with(head.clone(), "typ", json!("at+jwt")), claims("acme")),
        (without(head.clone(), "kid"), claims("acme")),
        (
            head.clone(),
            with(claims("acme"), "aud", json!(["x", AUDIENCE])),
        ),
        // Clocks differ.
        (head.clone(), with(claims("acme"), "exp", json!(now() - 30))),
        (head.clone(), with(claims("acme"), "nbf", json!(now() + 30))),
        // What a token says of its own key is not looked at.
        (
            with(head.clone(), "jku", json!("https://evil.example/jwks")),
            claims("acme"),
        ),
    ] {
        let token = signer.sign(&header, &claims);
        let found = ask(&authenticator, &token).await;
        assert_eq!(found, Ok("acme".to_owned()), "{header} {claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_tokens_let_nobody_in() {
    let (signer, _server, authenticator) = believed().await;
    let stranger = Signer::new("b");
    let head = signer.header("EdDSA");
    let good = claims("acme");
    let own_key = with(head.clone(), "jwk", stranger.keys()[0].clone());
    for (what, header, claims, why) in [
        (
            "expired",
            head.clone(),
            with(good.clone(), "exp", json!(now() - 120)),
            "it has expired",
        ),
        (
            "never expires",
            head.clone(),
            without(good.clone(), "exp"),
            "it lacks what a token must say",
        ),
        (
            "expires in words",
            head.clone(),
            with(good.clone(), "exp", json!("later")),
            "it lacks what a token must say",
        ),
        (
            "early",
            head.clone(),
            with(good.clone(), "nbf", json!(now() + 120)),
            "it is not valid yet",
        ),
        (
            "other audience",
            head.clone(),
            with(good.clone(), "aud", json!("x")),
            "it is for another audience",
        ),
        (
            "other audiences",
            head.clone(),
            with(good.clone(), "aud", json!(["x", "y"])),
            "it is for another audience",
        ),
        (
            "no audience",
            head.clone(),
            without(good.clone(), "aud"),
            "it lacks what a token must say",
        ),
        (
            "other issuer",
            head.clone(),
            with(good.clone(), "iss", json!("https://id.example.evil")),
            "it is from another issuer",
        ),
        (
            "many issuers",
            head.clone(),
            with(good.clone(), "iss", json!([ISSUER])),
            "it is from another issuer",
        ),
        (
            "no issuer",
            head.clone(),
            without(good.clone(), "iss"),
            "it lacks what a token must say",
        ),
        (
            "no tenant",
            head.clone(),
            without(good.clone(), "sub"),
            "it names no tenant",
        ),
        (
            "a number",
            head.clone(),
            with(good.clone(), "sub", json!(1)),
            "it names no tenant",
        ),
        (
            "an empty name",
            head.clone(),
            with(good.clone(), "sub", json!("")),
            "it names no tenant",
        ),
        (
            "controls",
            head.clone(),
            with(good.clone(), "sub", json!("a\u{0}b")),
            "it names no tenant",
        ),
        (
            "unknown key",
            with(head.clone(), "kid", json!("x")),
            good.clone(),
            "the issuer has no such key",
        ),
        (
            "critical",
            with(head.clone(), "crit", json!(["exp"])),
            good.clone(),
            "it is malformed",
        ),
        (
            "critical b64",
            with(
                with(head.clone(), "crit", json!(["b64"])),
                "b64",
                json!(true),
            ),
            good.clone(),
            "it is malformed",
        ),
        (
            "packed",
            with(head.clone(), "zip", json!("DEF")),
            good.clone(),
            "it is malformed",
        ),
        (
            "logs out",
            with(head.clone(), "typ", json!("logout+jwt")),
            good.clone(),
            "it is no access token",
        ),
        (
            "not allowed",
            with(signer.header("RS256"), "alg", json!("PS256")),
            good.clone(),
            "it is signed in a way that is not allowed",
        ),
        (
            "of another kind",
            with(signer.header("ES256"), "kid", json!("a-ed")),
            good.clone(),
            "the issuer has no such key",
        ),
    ] {
        let token = signer.sign(&header, &claims);
        assert_eq!(refused(&authenticator, &token).await, why, "{what}");
    }
    // Its own key, which it brings along.
    let token = stranger.sign(&own_key, &good);
    assert_eq!(
        refused(&authenticator, &token).await,
        "its signature is wrong"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn public_keys_are_no_secrets_and_nothing_is_no_signature() {
    let (signer, _server, authenticator) = believed().await;
    let good = claims("acme");
    let keys = signer.keys();
    let forbidden = "it is signed in a way that is not allowed";
    // The public key as a shared secret, in every form that it may have been taken for one.
    for secret in [
        keys[2]["n"].to_string(),
        keys[0]["x"].to_string(),
        keys[2].to_string(),
    ] {
        for kid in ["a-rsa", "a-ed"] {
            let message = unsigned(&json!({"alg": "HS256", "kid": kid}), &good);
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(message.as_bytes());
            let token = format!("{message}.{}", encoded(&mac.finalize().into_bytes()));
            assert_eq!(refused(&authenticator, &token).await, forbidden);
        }
    }
    for algorithm in ["none", "None", "NONE", "nOnE", "", "EdDSA ", "HS512"] {
        let message = unsigned(&json!({"alg": algorithm, "kid": "a-ed"}), &good);
        for signature in ["", "AAAA"] {
            let why = refused(&authenticator, &format!("{message}.{signature}")).await;
            assert!(
                ["it is malformed", forbidden].contains(&why.as_str()),
                "{why}"
            );
        }
    }
    let token = signer.token("acme");
    let (message, signature) = token.rsplit_once('.').unwrap();
    for broken in [
        format!("{message}."),
        format!("{message}.{}", &signature[..signature.len() - 2]),
        format!("{message}.{}", encoded(&[0; 64])),
        message.replacen('.', "..", 1),
        format!("{message}..{signature}"),
        format!("..{signature}"),
        "a.b.c".to_owned(),
    ] {
        let outcome = ask(&authenticator, &broken).await;
        assert!(
            matches!(outcome, Err(NoEntry::BadToken { .. })),
            "{broken} {outcome:?}"
        );
    }
    // Another's claims under a good signature.
    let other = unsigned(&signer.header("EdDSA"), &claims("other"));
    let why = refused(&authenticator, &format!("{other}.{signature}")).await;
    assert_eq!(why, "its signature is wrong");
    let huge = with(
        claims("acme"),
        "x",
        json!("x".repeat(limits::TOKEN_BYTES_MAX)),
    );
    let huge = signer.sign(&signer.header("EdDSA"), &huge);
    assert_eq!(
        refused(&authenticator, &huge).await,
        "the token is too long"
    );
    assert_eq!(ask(&authenticator, &token).await, Ok("acme".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_allowed_may_sign_and_only_the_claim_that_is_named_counts() {
    let (signer, server, _) = believed().await;
    let strict = open(JwtOptions {
        algorithms: algorithms("ES256").unwrap(),
        tenant_claim: "https://mcp.example/tenant".to_owned(),
        ..options(&server)
    })
    .await;
    let named = with(
        claims("acme"),
        "https://mcp.example/tenant",
        json!("umbrella"),
    );
    let token = signer.sign(&signer.header("ES256"), &named);
    assert_eq!(ask(&strict, &token).await, Ok("umbrella".to_owned()));
    let token = signer.sign(&signer.header("ES256"), &claims("acme"));
    assert_eq!(refused(&strict, &token).await, "it names no tenant");
    let token = signer.sign(&signer.header("EdDSA"), &named);
    let why = refused(&strict, &token).await;
    assert_eq!(why, "it is signed in a way that is not allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_many_unknown_ones_cost_the_issuer_one_question() {
    let (signer, server, authenticator) = believed().await;
    assert_eq!(server.asked(), 1);
    let next = Signer::new("next");
    server.give(&[&signer, &next]);
    let token = next.token("acme");
    let asks = (0..20).map(|_| ask(&authenticator, &token));
    for outcome in futures_util::future::join_all(asks).await {
        assert_eq!(outcome, Ok("acme".to_owned()));
    }
    assert_eq!(server.asked(), 2);
    for number in 0..50 {
        let stranger = Signer::new(&format!("unknown-{number}")).token("acme");
        let why = refused(&authenticator, &stranger).await;
        assert_eq!(why, "the issuer has no such key");
    }
    assert_eq!(server.asked(), 2);
    // An operator need not wait.
    server.give(&[&next]);
    authenticator.reload().await.unwrap();
    assert_eq!(server.asked(), 3);
    let why = refused(&authenticator, &signer.token("acme")).await;
    assert_eq!(why, "the issuer has no such key");
    assert_eq!(ask(&authenticator, &token).await, Ok("acme".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nobody_is_believed_and_an_outage_changes_nothing() {
    let signer = Signer::new("a");
    let server = KeyServer::start().await;
    for (status, text) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
        (StatusCode::OK, "no JSON".to_owned()),
        (StatusCode::FOUND, String::new()),
        (StatusCode::OK, " ".repeat(limits::JWKS_BYTES_MAX + 1)),
    ] {
        server.answer(status, &text);
        let authenticator = open(options(&server)).await;
        let outcome = ask(&authenticator, &signer.token("acme")).await;
        assert_eq!(outcome, Err(NoEntry::Unavailable), "{status}");
        // Those that cannot be good are refused all the same.
        let none = unsigned(&json!({"alg": "none"}), &claims("acme"));
        assert!(
            refused(&authenticator, &format!("{none}."))
                .await
                .contains("malformed")
        );
    }
    server.give(&[&signer]);
    let authenticator = open(options(&server)).await;
    server.answer(StatusCode::INTERNAL_SERVER_ERROR, "");
    assert!(authenticator.reload().await.is_err());
    let outcome = ask(&authenticator, &signer.token("acme")).await;
    assert_eq!(outcome, Ok("acme".to_owned()));
}

#[tokio::test]
async fn a_token_is_for_what_it_names_where_that_is_asked_for() {
    let signer = Signer::new("a");
    let server = KeyServer::start().await;
    server.give(&[&signer]);
    let all = open(options(&server)).await;
    assert!(!all.asks_for_scopes());
    let claimed = JwtOptions {
        scopes: JwtScopes::Claimed,
        ..options(&server)
    };
    let claimed = open(claimed).await;
    assert!(claimed.asks_for_scopes());
    let may = async |authenticator: &Authenticator, claims: &Value| {
        let token = signer.sign(&signer.header("ES256"), claims);
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let caller = authenticator.caller(&headers).await.unwrap();
        Scope::ALL.map(|scope| caller.may(scope))
    };
    let (read, run) = ([true, false], [false, true]);
    for (name, value, expected) in [
        ("scope", json!("openid read"), read),
        ("scope", json!("run"), run),
        ("scp", json!(["run"]), run),
        ("scp", json!("read run"), [true, true]),
        ("scope", json!("mcp:read admin"), [false, false]),
        ("scopes", json!("read"), [false, false]),
    ] {
        let claims = with(claims("acme"), name, value);
        assert_eq!(may(&claimed, &claims).await, expected, "{claims}");
        assert_eq!(may(&all, &claims).await, [true, true], "{claims}");
    }
    assert_eq!(may(&claimed, &claims("acme")).await, [false, false]);
}
