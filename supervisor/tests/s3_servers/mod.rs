//! S3 servers that are not ours: moto in Python, and s3s-fs in Rust.

pub(crate) mod proxy;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mcp_v8::heaps::{AwsVariables, CachePlace, HeapPlace, HeapsConfig};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::heap_places::Place;

pub(crate) const BUCKET: &str = "heaps";
const KEY: &str = "a-key";
const SECRET: &str = "a-secret";
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// A bucket at a server of its own.
pub(crate) struct S3Place<S> {
    pub(crate) server: S,
    home: TempDir,
    variables: Vec<(String, String)>,
    is_cached: bool,
}

/// A server, which a test can also reach past S3's own rules.
pub(crate) trait Server {
    fn address(&self) -> SocketAddr;
    async fn read(&self, name: &str) -> Vec<u8>;
    async fn write(&self, name: &str, blob: &[u8]);
}

impl<S: Server> S3Place<S> {
    pub(crate) fn new(server: S) -> Self {
        let endpoint = format!("http://{}", server.address());
        let place = Self {
            server,
            home: tempfile::tempdir().expect("a temporary directory"),
            variables: Vec::new(),
            is_cached: false,
        };
        place
            .with("AWS_ENDPOINT_URL", &endpoint)
            .with("AWS_ACCESS_KEY_ID", KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET)
    }

    /// With another variable, or another value of it.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cached(mut self) -> Self {
        self.is_cached = true;
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.home.path().join("cache")
    }
}

impl<S: Server> Place for S3Place<S> {
    fn config(&self) -> HeapsConfig {
        let variables: AwsVariables = self.variables.iter().cloned().collect();
        let cache = self.is_cached.then(|| CachePlace {
            directory: self.cache(),
            bytes_max: CACHE_BYTES_MAX,
        });
        HeapsConfig {
            place: HeapPlace::S3 {
                bucket: BUCKET.to_owned(),
                variables,
                cache,
            },
            key_file: self.home.path().join("heap.key"),
        }
    }

    async fn read(&self, name: &str) -> Vec<u8> {
        self.server.read(name).await
    }

    async fn write(&self, name: &str, blob: &[u8]) {
        self.server.write(name, blob).await;
        // What was cached is another matter.
        let _ = fs::remove_file(self.cache().join(name));
    }
}

/// s3s-fs, in this process: it checks signatures, and keeps objects as files.
pub(crate) struct S3s {
    address: SocketAddr,
    root: TempDir,
}

impl S3s {
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(root.path().join(BUCKET)).expect("our own directory");
        let mut builder =
            S3ServiceBuilder::new(FileSystem::new(root.path()).expect("our own directory"));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let stream = TokioIo::new(stream);
                    let _ = server.serve_connection(stream, service).await;
                });
            }
        });
        Self { address, root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(BUCKET).join(name)
    }
}

impl Server for S3s {
    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("it is there")
    }

    async fn write(&self, name: &str, blob: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("our own directory");
        fs::write(path, blob).expect("our own directory");
    }
}

/// moto, in a process of its own: it also speaks STS.
pub(crate) struct Moto {
    address: SocketAddr,
    process: Child,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let installed = Command::new(root.join("scripts/moto"))
            .stderr(Stdio::inherit())
            .output()
            .expect("scripts/moto runs");
        assert!(installed.status.success(), "moto cannot be installed");
        let program = String::from_utf8(installed.stdout).expect("a path");
        // Others may take the port before moto does; it ends then, and the next one is tried.
        for _ in 0..10 {
            let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let address = free.local_addr().expect("it is bound");
            drop(free);
            let process = Command::new(program.trim())
                .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("moto starts");
            let mut moto = Self { address, process };
            if moto.is_ready().await {
                let (status, _) = moto.ask("PUT", "", &[]).await;
                assert_eq!(status, 200, "the bucket is made");
                return moto;
            }
        }
        panic!("moto does not start")
    }

    pub(crate) async fn remove_bucket(&self) {
        let (status, _) = self.ask("DELETE", "", &[]).await;
        assert_eq!(status, 204, "it is there, and empty");
    }

    async fn is_ready(&mut self) -> bool {
        for _ in 0..600 {
            if let Ok(Some(_)) = self.process.try_wait() {
                return false;
            }
            if TcpStream::connect(self.address).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("moto does not start within 30 s")
    }

    /// Asks for an object of the bucket. moto wants a signature, and believes any.
    async fn ask(&self, method: &str, name: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "{method} /{BUCKET}/{name} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        stream.write_all(body).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = end.expect("a head") + 4;
        let status = str::from_utf8(&answer[9..12]).expect("digits");
        (status.parse().expect("digits"), answer[end..].to_vec())
    }
}

impl Server for Moto {
    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn read(&self, name: &str) -> Vec<u8> {
        let (status, blob) = self.ask("GET", name, &[]).await;
        assert_eq!(status, 200, "it is there");
        blob
    }

    async fn write(&self, name: &str, blob: &[u8]) {
        let (status, _) = self.ask("PUT", name, blob).await;
        assert_eq!(status, 200, "it is taken");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
