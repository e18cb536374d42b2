//! TLS: the certificate, its key, and their replacement while the server runs.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::limits;

/// Where the certificate and its key are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then those that it was signed with.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why TLS cannot be served with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("the certificate {path} cannot be read: {problem}", path = path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: pem::Error,
    },
    /// There is none in the file.
    #[error("there is no certificate in {path}", path = path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The key cannot be read.
    #[error("the private key {path} cannot be read: {problem}", path = path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: pem::Error,
    },
    /// They do not belong together, or are of a kind that is not known.
    #[error("{certificate} and {key} cannot be used together: {problem}",
            certificate = certificate.display(), key = key.display())]
    Unusable {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        problem: rustls::Error,
    },
    /// When it is valid cannot be read from the certificate.
    #[error("{path} does not say when it is valid: {problem}", path = path.display())]
    Undated {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: x509_cert::der::Error,
    },
    /// The versions of TLS are not to be had.
    #[error("TLS is not to be had: {0}")]
    Protocol(rustls::Error),
}

/// When a certificate is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub from_secs: u64,
    /// Until then.
    pub until_secs: u64,
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&key))
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMark {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

/// What tells one state of the files from another.
type Seen = [FileMark; 2];

impl Tls {
    /// Reads the files.
    pub(super) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = files.look();
        let key = files.load()?;
        Ok(Self {
            files,
            current: Arc::new(Current(RwLock::new(Arc::new(key)))),
            seen,
        })
    }

    /// How to agree on TLS with clients, always with the certificate in use.
    pub(super) fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Protocol)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Reads the files again whenever they change, until the future is dropped. Files that cannot be
    /// used leave the certificate in use.
    pub(super) async fn renew(mut self) {
        let mut ticks = interval(limits::TLS_LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seen = self.files.look();
            if seen.is_none() || seen == self.seen {
                continue;
            }
            self.seen = seen;
            match self.files.load() {
                Ok(key) => {
                    let mut current = self
                        .current
                        .0
                        .write()
                        .unwrap_or_else(PoisonError::into_inner);
                    *current = Arc::new(key);
                    tracing::info!("the certificate has changed and is in use");
                }
                Err(error) => {
                    tracing::warn!("{error}; the certificate that was read before stays in use")
                }
            }
        }
    }
}

impl TlsFiles {
    /// The files as they stand; `None` while one of them is missing.
    fn look(&self) -> Option<Seen> {
        Some([FileMark::of(&self.certificate)?, FileMark::of(&self.key)?])
    }

    /// Reads the files as a server would; when the server's own certificate is valid.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn validity(&self) -> Result<Validity, TlsError> {
        let loaded = self.load()?;
        let own = loaded.cert.first().ok_or_else(|| TlsError::NoCertificate {
            path: self.certificate.clone(),
        })?;
        let certificate = Certificate::from_der(own).map_err(|problem| TlsError::Undated {
            path: self.certificate.clone(),
            problem,
        })?;
        let validity = certificate.tbs_certificate().validity();
        Ok(Validity {
            from_secs: validity.not_before.to_unix_duration().as_secs(),
            until_secs: validity.not_after.to_unix_duration().as_secs(),
        })
    }

    /// Reads the files: the certificates, and the key that belongs to the first of them.
    pub(crate) fn load(&self) -> Result<CertifiedKey, TlsError> {
        let path = || self.certificate.clone();
        let unreadable = |problem| TlsError::Certificate {
            path: path(),
            problem,
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(unreadable)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: path() });
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|problem| TlsError::Key {
            path: self.key.clone(),
            problem,
        })?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|problem| {
            TlsError::Unusable {
                certificate: path(),
                key: self.key.clone(),
                problem,
            }
        })
    }
}

impl FileMark {
    /// That of the file as it stands; `None` while it is missing.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        Some(Self {
            inode: found.ino(),
            modified: (found.mtime(), found.mtime_nsec()),
            bytes: found.len(),
        })
    }
}
