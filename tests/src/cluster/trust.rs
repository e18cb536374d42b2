//! How nodes know each other, and whoever looks after them: the files that they are given, and questions
//! on the port of the cluster, signed as the documentation says.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What the certificate of those who look after nodes names.
const OPERATOR: &str = "operator";
/// How long a node may take to answer: a change of the membership may take ten seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// How nodes know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All have a secret.
    Secret,
    /// Each has a certificate.
    Certificates,
}

/// What nodes, and we, show each other.
pub struct Trust {
    directory: PathBuf,
    kind: Kind,
}

enum Kind {
    Secret([u8; 32]),
    Certificates {
        authority: Box<CertifiedIssuer<'static, KeyPair>>,
        client: Arc<ClientConfig>,
    },
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Trust {
    /// New secrets, with their files in a directory.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn new(mode: Mode, directory: &Path) -> Self {
        let directory = directory.to_owned();
        let kind = match mode {
            Mode::Secret => {
                let secret = random();
                write(&directory.join("secret"), &hex(&secret));
                Kind::Secret(secret)
            }
            Mode::Certificates => {
                let authority = Box::new(authority());
                write(&directory.join("ca.pem"), &authority.pem());
                let client = Arc::new(client(&authority));
                Kind::Certificates { authority, client }
            }
        };
        Self { directory, kind }
    }

    /// What a node of this name is started with.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn arguments(&self, name: &str) -> Vec<String> {
        let path = |file: &str| self.directory.join(file).display().to_string();
        match &self.kind {
            Kind::Secret(_) => vec!["--cluster-secret-file".to_owned(), path("secret")],
            Kind::Certificates { authority, .. } => {
                let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
                if !self.directory.join(&key).exists() {
                    let (pem, pair) = signed(authority, name);
                    write(&self.directory.join(&certificate), &pem);
                    write(&self.directory.join(&key), &pair.serialize_pem());
                }
                [
                    ("--cluster-tls-cert", path(&certificate)),
                    ("--cluster-tls-key", path(&key)),
                    ("--cluster-tls-ca", path("ca.pem")),
                ]
                .into_iter()
                .flat_map(|(flag, value)| [flag.to_owned(), value])
                .collect()
            }
        }
    }

    /// Asks the node of this name on its port: the status and the JSON of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(
        &self,
        (name, at): (&str, SocketAddr),
        (method, path): (&str, &str),
        body: &str,
    ) -> io::Result<(u16, Value)> {
        let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n");
        head += &format!("content-length: {}\r\n", body.len());
        match &self.kind {
            Kind::Secret(secret) => {
                head += &signature(secret, (method, path), body);
                talk(stream, &format!("{head}\r\n{body}"))
            }
            Kind::Certificates { client, .. } => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let client = ClientConnection::new(Arc::clone(client), name);
                let client = client.map_err(io::Error::other)?;
                talk(
                    StreamOwned::new(client, stream),
                    &format!("{head}\r\n{body}"),
                )
            }
        }
    }
}

/// Says something, and reads the answer to its end.
fn talk(mut stream: impl Read + Write, question: &str) -> io::Result<(u16, Value)> {
    stream.write_all(question.as_bytes())?;
    stream.flush()?;
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(read.err().unwrap_or(io::ErrorKind::UnexpectedEof.into()));
    };
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// The headers that show that whoever asks has the secret (docs/cluster.md).
fn signature(secret: &[u8; 32], (method, path): (&str, &str), body: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = now.expect("it is after 1970").as_secs().to_string();
    let session: [u8; 16] = random();
    let nonce = hex(&[&session[..], &1_u64.to_be_bytes()].concat());
    let body = hex(&Sha256::digest(body.as_bytes()));
    // Cluster, name, life and address of a node, and the receiver: we are none, and name none.
    let parts = [method, path, "", "", "", "", "", &time, &nonce, &body];
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    let mac = parts.iter().fold(
        mac.chain_update(b"mcp-v8 request of a node 1"),
        |mac, part| {
            let length = (part.len() as u64).to_be_bytes();
            mac.chain_update(length).chain_update(part)
        },
    );
    let signature = hex(&mac.finalize().into_bytes());
    format!(
        "mcp-v8-time: {time}\r\nmcp-v8-nonce: {nonce}\r\nmcp-v8-body: {body}\r\nmcp-v8-signature: {signature}\r\n"
    )
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority signs itself")
}

/// A certificate for a name, and its key.
fn signed(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority);
    (certificate.expect("it is signed").pem(), key)
}

fn client(authority: &CertifiedIssuer<'static, KeyPair>) -> ClientConfig {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![OPERATOR.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("it is signed");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(authority.der().to_vec()))
        .expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("it has TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], key)
        .expect("they belong together")
}

/// Writes a file that nobody else may read.
fn write(path: &Path, text: &str) {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(path).expect("a file in our own directory");
    file.write_all(text.as_bytes())
        .expect("a file in our own directory");
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut source = fs::File::open("/dev/urandom").expect("every Linux has it");
    source.read_exact(&mut bytes).expect("it never ends");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
