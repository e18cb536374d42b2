use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex as Lock;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

/// Gives an answer to each request, and remembers what was asked for.
#[derive(Clone)]
struct Server {
    url: String,
    asked: Arc<Lock<Vec<String>>>,
    answers: Arc<Lock<VecDeque<(u16, String)>>>,
}

impl Server {
    async fn start(answers: impl IntoIterator<Item = (u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answers: Arc::new(Lock::new(answers.into_iter().collect())),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    let line = line.to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let body = String::from_utf8(body).unwrap();
                serving.asked.lock().unwrap().push(format!("{head}{body}"));
                let answer = serving.answers.lock().unwrap().pop_front();
                let (status, body) = answer.unwrap_or((500, String::new()));
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        server
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn json(key: &str, end: &str) -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"{end}"}}"#
    )
}

const FAR: &str = "2999-01-01T00:00:00Z";

async fn fetch(variables: &[(&str, &str)]) -> Result<AwsCredentials, String> {
    let credentials = credentials(variables);
    credentials
        .credentials()
        .await
        .map_err(|error| error.to_string())
}

fn credentials(variables: &[(&str, &str)]) -> Credentials {
    let variables = variables.iter().copied().collect();
    let client = HttpClient::new(&variables, false).unwrap();
    Credentials::new(&variables, &client).unwrap()
}

#[tokio::test]
async fn the_environment_comes_first() {
    let found = fetch(&[
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_PROFILE", "other"),
        ("HOME", "/nowhere"),
    ]);
    let found = found.await.unwrap();
    assert_eq!(found.aws_access_key_id(), "key");
    assert_eq!(found.aws_secret_access_key(), "secret");
    assert_eq!(found.token().as_deref(), Some("token"));
}

#[tokio::test]
async fn a_profile_is_read_where_the_variables_say() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("credentials");
    let text = "[default]\naws_access_key_id = a\naws_secret_access_key = b\n\
                [work]\naws_access_key_id = c\naws_secret_access_key = d\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let at = ("AWS_SHARED_CREDENTIALS_FILE", file);
    assert_eq!(fetch(&[at]).await.unwrap().aws_access_key_id(), "a");
    let found = fetch(&[at, ("AWS_PROFILE", "work")]).await.unwrap();
    assert_eq!(found.aws_access_key_id(), "c");
    let error = fetch(&[at, ("AWS_PROFILE", "play")]).await.err().unwrap();
    assert!(error.contains("profile \"play\" in"), "{error}");

    let dot_aws = home.path().join(".aws");
    fs::create_dir(&dot_aws).unwrap();
    fs::write(dot_aws.join("credentials"), text).unwrap();
    let found = fetch(&[("HOME", home.path().to_str().unwrap())]).await;
    assert_eq!(found.unwrap().aws_access_key_id(), "a");
}

#[tokio::test]
async fn a_credentials_file_that_nobody_named_may_be_of_no_use() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("credentials");
    fs::write(
        &file,
        "[work]\naws_access_key_id = c\naws_secret_access_key = d\n",
    )
    .unwrap();
    let server = Server::start([(200, json("from the container", FAR))]).await;
    let at = ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap());
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url.as_str());
    let found = fetch(&[at, container]).await.unwrap();
    assert_eq!(found.aws_access_key_id(), "from the container");
    let error = fetch(&[at, ("AWS_EC2_METADATA_DISABLED", "true")])
        .await
        .err()
        .unwrap();
    assert!(
        error.contains("no credentials are set") && error.contains("profile"),
        "{error}"
    );
}

#[tokio::test]
async fn a_container_shows_its_token() {
    let server = Server::start([(200, json("k", FAR)), (200, json("k", FAR))]).await;
    let url = format!("{}/v2/credentials", server.url);
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    fetch(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic a")])
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "Fresh\n").unwrap();
    let file = file.to_str().unwrap();
    let from_file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file);
    fetch(&[full, from_file]).await.unwrap();
    let [first, second] = server.asked().try_into().unwrap();
    assert!(
        first.starts_with("get /v2/credentials http/1.1\r\n"),
        "{first}"
    );
    assert!(first.contains("\r\nauthorization: basic a\r\n"), "{first}");
    assert!(second.contains("\r\nauthorization: fresh\r\n"), "{second}");
    let nowhere = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere");
    let error = fetch(&[full, nowhere]).await.err().unwrap();
    assert!(error.contains("the container: /nowhere"), "{error}");
}

#[tokio::test]
async fn an_instance_is_asked_for_a_token_first() {
    let answers = [
        (200, "a-token".to_owned()),
        (200, "my-role\n".to_owned()),
        (200, json("from the instance", FAR)),
    ];
    let server = Server::start(answers).await;
    let at = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.as_str());
    let found = fetch(&[at]).await.unwrap();
    assert_eq!(found.aws_access_key_id(), "from the instance");
    assert_eq!(found.token().as_deref(), Some("t"));
    let [token, role, keys] = server.asked().try_into().unwrap();
    assert!(token.starts_with("put /latest/api/token "), "{token}");
    assert!(
        token.contains("\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\n"),
        "{token}"
    );
    let path = "get /latest/meta-data/iam/security-credentials/";
    assert!(role.starts_with(&format!("{path} ")), "{role}");
    assert!(keys.starts_with(&format!("{path}my-role ")), "{keys}");
    for asked in [role, keys] {
        assert!(
            asked.contains("\r\nx-aws-ec2-metadata-token: a-token\r\n"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn an_instance_that_stumbles_is_asked_again_and_one_that_refuses_is_not() {
    let answers = [
        (503, String::new()),
        (200, "token".to_owned()),
        (500, String::new()),
        (200, "role".to_owned()),
        (200, json("k", FAR)),
    ];
    let server = Server::start(answers).await;
    let at = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.as_str());
    fetch(&[at]).await.unwrap();
    for (answers, said) in [
        (vec![(403, String::new())], "status 403"),
        (
            vec![(200, "t".to_owned()), (404, String::new())],
            "status 404",
        ),
        (
            vec![(200, "t".to_owned()), (200, String::new())],
            "the instance has no role",
        ),
        (
            vec![
                (200, "t".to_owned()),
                (200, "r".to_owned()),
                (200, "{}".to_owned()),
            ],
            "its answer has no credentials",
        ),
    ] {
        let count = answers.len();
        let server = Server::start(answers).await;
        let at = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.as_str());
        let error = fetch(&[at]).await.err().unwrap();
        assert!(
            error.contains("the instance's metadata") && error.contains(said),
            "{error}"
        );
        assert_eq!(server.asked().len(), count);
    }
}

#[tokio::test]
async fn a_web_identity_is_exchanged() {
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>k</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>{FAR}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>r\
         </RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>"
    );
    let server = Server::start([(200, answer), (200, "<html>".to_owned())]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "my.token\n").unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", server.url.as_str()),
    ];
    let found = fetch(&variables).await.unwrap();
    assert_eq!(found.aws_access_key_id(), "k");
    assert_eq!(found.token().as_deref(), Some("t"));
    assert!(secs_left(&found) > 1_000_000);
    let asked = server.asked().remove(0);
    assert!(asked.contains("WebIdentityToken=my.token"), "{asked}");
    assert!(asked.contains("RoleSessionName=mcp-v8"), "{asked}");
    assert!(!asked.contains("\r\nauthorization:"), "{asked}");
    let error = fetch(&variables).await.err().unwrap();
    assert!(error.contains("web identity"), "{error}");
}

#[tokio::test]
async fn credentials_are_renewed_before_they_end_and_not_sooner() {
    let now = jiff::Timestamp::now();
    let in_secs = |secs: i64| {
        let end = now + jiff::SignedDuration::from_secs(secs);
        jiff::Timestamp::from_second(end.as_second())
            .unwrap()
            .to_string()
    };
    let soon = CREDENTIALS_RENEWED_BEFORE.as_secs().cast_signed() - 10;
    let answers = [
        (200, json("one", &in_secs(soon))),
        (200, json("two", &in_secs(soon))),
        (403, String::new()),
        (200, json("three", &in_secs(3600))),
        (200, json("four", &in_secs(3600))),
    ];
    let server = Server::start(answers).await;
    let credentials = credentials(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url)]);
    // The third time they cannot be renewed, and are still good.
    for key in ["one", "two", "two", "three", "three"] {
        let found = credentials.credentials().await.unwrap();
        assert_eq!(found.aws_access_key_id(), key);
    }
    // S3 says that they are too old all the same.
    credentials.forget().await;
    let together = (0..5).map(|_| credentials.credentials());
    for found in futures_util::future::join_all(together).await {
        assert_eq!(found.unwrap().aws_access_key_id(), "four");
    }
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let shown = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "hidden"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hidden"),
    ];
    let debug = format!("{:?}", credentials(&shown));
    assert!(
        debug.contains("Environment") && !debug.contains("hidden"),
        "{debug}"
    );
    let variables: AwsVariables = shown.into_iter().collect();
    assert!(!format!("{variables:?}").contains("hidden"));
}
