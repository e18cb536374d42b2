//! Streams that outlive the token that they were opened with, and those that do not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::auth_issuer::{AUDIENCE, ISSUER, KeyServer, Signer, claims, now};
use crate::support::{Executions, Home, PATIENCE, request, start};
use axum::Router;
use mcp_v8::auth::{
    ALGORITHMS_DEFAULT, AuthOptions, Authenticator, JwtOptions, JwtScopes, KeySource, NewToken,
};
use mcp_v8::http::{Access, AllowedHosts, AllowedOrigins, HttpConfig, Listening, Serving, Surface};
use mcp_v8::limits;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

struct Served {
    executions: Executions,
    authenticator: Arc<Authenticator>,
    address: SocketAddr,
    signer: Signer,
    serving: Serving,
    home: Home,
}

impl Served {
    async fn new(listed: &[&NewToken]) -> Self {
        let home = Home::new();
        let signer = Signer::new("a");
        let keys = KeyServer::start().await;
        keys.give(&[&signer]);
        write(&home, listed);
        let options = AuthOptions {
            tokens: Some(home.directory.path().join("tokens.toml")),
            jwt: Some(JwtOptions {
                keys: KeySource::Url(keys.url().parse().unwrap()),
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                algorithms: ALGORITHMS_DEFAULT.to_vec(),
                tenant_claim: "sub".to_owned(),
                scopes: JwtScopes::All,
            }),
            metadata: None,
        };
        let authenticator = Arc::new(Authenticator::open(options).await.unwrap());
        let here = Ipv4Addr::LOCALHOST;
        let listening = Listening::bind(&HttpConfig {
            address: SocketAddr::from((here, 0)),
            surface: Surface::Streamable,
            hosts: AllowedHosts::new(here.into(), Vec::new()),
            origins: AllowedOrigins::default(),
            tls: None,
            auth: None,
            shutdown_grace: Duration::ZERO,
        })
        .unwrap();
        let url = listening.url();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let executions = start(home.config()).await;
        let access = Access::Tokens(Arc::clone(&authenticator));
        Self {
            serving: listening.serve(executions.whole.clone(), Router::new(), access),
            executions,
            authenticator,
            address,
            signer,
            home,
        }
    }

    /// Follows the output of an execution that goes on.
    async fn follow(&self, tenant: &str, token: &str) -> TcpStream {
        let workspace = self.executions.whole.of(tenant.parse().unwrap());
        let id = workspace.submit(request("sleep 60000")).await.unwrap();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET /api/executions/{id}/output/stream HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        stream
    }

    async fn end(self) {
        self.executions.cancel_all().await;
        self.serving.close().await;
        self.executions.shut_down().await;
    }
}

fn write(home: &Home, listed: &[&NewToken]) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = home.directory.path().join("tokens.toml");
    let text: String = listed.iter().map(|token| token.entry()).collect();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Reads until the server ends the stream.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut rest)).await;
    read.unwrap().unwrap();
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_expires() {
    let token = NewToken::make("other".parse().unwrap(), false).unwrap();
    let served = Served::new(&[&token]).await;
    let mut short = claims("acme");
    // It is believed for two more seconds.
    short["exp"] = json!(now() + 2 - limits::JWT_LEEWAY.as_secs());
    let short = served.signer.sign(&served.signer.header("ES256"), &short);
    let mut ends = served.follow("acme", &short).await;
    let mut goes_on = served.follow("acme", &served.signer.token("acme")).await;
    let said = rest(&mut ends).await;
    assert!(said.ends_with("0\r\n\r\n"), "it ends in order: {said}");
    assert!(!said.contains("event: end"), "{said}");
    let more = timeout(Duration::from_millis(50), goes_on.read_u8()).await;
    assert!(
        more.is_err() || more.unwrap().is_ok(),
        "the other was ended too"
    );
    drop((ends, goes_on));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_is_taken_away() {
    let tenant = || "acme".parse().unwrap();
    let [kept, gone] = [tenant(), tenant()].map(|tenant| NewToken::make(tenant, false).unwrap());
    let served = Served::new(&[&kept, &gone]).await;
    let mut goes_on = served.follow("acme", kept.token()).await;
    let mut ends = served.follow("acme", gone.token()).await;
    write(&served.home, &[&kept]);
    served.authenticator.reload().await.unwrap();
    rest(&mut ends).await;
    let more = timeout(Duration::from_millis(50), async {
        loop {
            goes_on.read_u8().await.unwrap();
        }
    });
    assert!(more.await.is_err());
    // A file that is wrong changes nothing.
    std::fs::write(served.home.directory.path().join("tokens.toml"), "x").unwrap();
    assert!(served.authenticator.reload().await.is_err());
    served.follow("acme", kept.token()).await;
    drop((ends, goes_on));
    served.end().await;
}
