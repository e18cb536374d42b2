//! Who may call.

use jsonwebtoken::Algorithm;

use super::*;
use crate::auth::{ALGORITHMS_DEFAULT, AuthOptions, KeySource};

const PORT: &str = "--http-port=80";
const SIGNED: [&str; 4] = [
    PORT,
    "--jwks-url=https://id.example/jwks",
    "--jwt-issuer=https://id.example",
    "--jwt-audience=mcp",
];

fn auth(arguments: &[&str], variables: &[(&str, &str)]) -> Option<AuthOptions> {
    match config(arguments, variables).transport {
        Transport::Http(http) => http.auth,
        Transport::Stdio => panic!("it does not listen"),
    }
}

#[test]
fn nobody_is_asked_unless_it_is_said_how() {
    assert!(auth(&[PORT], &[]).is_none());
    let found = auth(&[PORT], &[("MCP_V8_AUTH_TOKENS", "/t.toml")]).unwrap();
    assert_eq!(found.tokens, Some(PathBuf::from("/t.toml")));
    assert!(found.jwt.is_none() && found.metadata.is_none());
    let text = faults(
        &["--auth-tokens=/t.toml", "--jwks-file=/k.json"],
        &[("MCP_V8_JWT_ISSUER", "x")],
    );
    for setting in [
        "--auth-tokens",
        "--jwks-file",
        "MCP_V8_JWT_ISSUER (environment)",
    ] {
        let needs = format!("{setting} needs --http-port");
        assert!(text.contains(&needs), "{needs} is not in {text}");
    }
}

#[test]
fn signed_tokens_need_all_that_they_are_held_against() {
    let jwt = auth(&SIGNED, &[]).unwrap().jwt.unwrap();
    let url = "https://id.example/jwks".parse().unwrap();
    assert_eq!(jwt.keys, KeySource::Url(url));
    assert_eq!(
        (jwt.issuer.as_str(), jwt.audience.as_str()),
        ("https://id.example", "mcp")
    );
    assert_eq!(jwt.algorithms, ALGORITHMS_DEFAULT);
    assert_eq!(jwt.tenant_claim, "sub");
    let more = ["--jwt-algorithms=PS256, ES384", "--jwt-tenant-claim=org"];
    let jwt = auth(&[&SIGNED[..], &more].concat(), &[]).unwrap().jwt;
    let jwt = jwt.unwrap();
    assert_eq!(jwt.algorithms, [Algorithm::PS256, Algorithm::ES384]);
    assert_eq!(jwt.tenant_claim, "org");
    for (missing, needed) in [(2, "--jwt-issuer"), (3, "--jwt-audience")] {
        let mut arguments = SIGNED.to_vec();
        arguments.remove(missing);
        let text = faults(&arguments, &[]);
        assert!(
            text.contains(&format!("--jwks-url needs {needed}")),
            "{text}"
        );
    }
    let text = faults(&[PORT, "--jwt-issuer=x", "--jwt-tenant-claim=x"], &[]);
    assert!(text.contains("--jwt-issuer needs --jwks-url"), "{text}");
    assert!(
        text.contains("--jwt-tenant-claim needs --jwks-url"),
        "{text}"
    );
    for bad in [
        "--jwks-url=http://id.example/jwks",
        "--jwks-url=https://user:secret@id.example/jwks",
        "--jwks-url=id.example",
    ] {
        let text = faults(&[&SIGNED[2..], &[PORT, bad]].concat(), &[]);
        assert!(
            text.contains("--jwks-url: what is there is not a URL of https"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn clients_are_told_of_servers_and_what_their_tokens_are_for() {
    let servers = "https://a.example,https://b.example/r";
    let resource = "--auth-resource=https://mcp.example/mcp";
    let variables = [("MCP_V8_AUTH_SERVER", servers)];
    let arguments = [&SIGNED[..], &[resource]].concat();
    let found = auth(&arguments, &variables).unwrap().metadata.unwrap();
    assert_eq!(found.resource.as_str(), "https://mcp.example/mcp");
    assert_eq!(found.servers.len(), 2);
    let text = faults(&arguments, &[]);
    assert!(
        text.contains("--auth-resource needs --auth-server"),
        "{text}"
    );
    let text = faults(&SIGNED, &variables);
    assert!(text.contains("needs --auth-resource"), "{text}");
    let alone = [PORT, resource, "--auth-server=https://a.example"];
    let text = faults(&alone, &[]);
    assert!(text.contains("--auth-resource needs --jwks-url"), "{text}");
}

#[test]
fn with_authentication_other_machines_may_come_and_nobody_else_is_let_in() {
    let open = [PORT, "--bind-host=0.0.0.0", "--auth-tokens=/t.toml"];
    let notes = config(&open, &[]).notes;
    let note = notes.first().map(ToString::to_string).unwrap_or_default();
    assert!(note.contains("can be read on the way"), "{note}");
    let tls = ["--tls-cert=/c.pem", "--tls-key=/k.pem"];
    assert!(config(&[&open[..], &tls].concat(), &[]).notes.is_empty());
    let text = faults(&[&open[..], &["--allow-unauthenticated"]].concat(), &[]);
    let said = "--allow-unauthenticated and --auth-tokens exclude each other";
    assert!(text.contains(said), "{text}");
    config(
        &[&open[..], &["--allow-unauthenticated=false"]].concat(),
        &[],
    );
}

#[test]
fn making_a_token_needs_no_configuration() {
    let made = try_load(
        &["token", "new", "--tenant", "acme"],
        &[("MCP_V8_HTTP_PORT", "nonsense")],
    );
    let Ok(Command::NewToken {
        tenant,
        is_operator,
    }) = made
    else {
        panic!("{made:?}");
    };
    assert_eq!((tenant.name(), is_operator), ("acme", false));
    let text = faults(&["token", "new", "--tenant="], &[]);
    assert!(text.contains("--tenant"), "{text}");
}
