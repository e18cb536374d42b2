//! Certificates: each node has one with its name, signed by authorities that sign for nobody else.
//!
//! Both ends show theirs, always with TLS 1.3. A name is held against the node that it is to be after
//! the certificate has been, on both ends by the same function: so a node can be asked by its address
//! alone, before its name is known. Nothing is resumed: every connection shows its certificates.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::time::{MissedTickBehavior, interval};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::cluster::name::NodeName;
use crate::http::{FileMark, TlsError, TlsFiles};
use crate::key_file::KeyError;
use crate::limits::TLS_LOOK_INTERVAL;

/// Why this node cannot show who it is, or see who others are.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] KeyError),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Own(#[from] TlsError),
    /// The certificate is of somebody else.
    #[error(
        "the certificate {path} has no DNS name \"{name}\": it must name the node (--node-id); it has: \
         {found}", path = path.display()
    )]
    OtherName {
        /// Which file.
        path: PathBuf,
        /// What it must have.
        name: NodeName,
        /// What it has.
        found: String,
    },
    /// The authorities cannot be read.
    #[error("the authorities {path} cannot be read: {problem}", path = path.display())]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// Why.
        problem: pem::Error,
    },
    /// There are none, or none that can be used.
    #[error("there is no authority that can be used in {path}", path = path.display())]
    NoAuthorities {
        /// Which file.
        path: PathBuf,
    },
    /// TLS cannot be had with them.
    #[error("TLS is not to be had: {0}")]
    Protocol(String),
}

/// The names that a certificate is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cluster) struct Names(Vec<String>);

impl Names {
    /// Those of the certificate that a node has shown; none of one that cannot be read.
    pub(in crate::cluster) fn of(shown: Option<&[CertificateDer<'_>]>) -> Self {
        let own = shown.and_then(<[_]>::first);
        let certificate = own.and_then(|der| Certificate::from_der(der).ok());
        let Some(certificate) = certificate else {
            return Self::default();
        };
        let found = certificate
            .tbs_certificate()
            .get_extension::<SubjectAltName>();
        let Ok(Some((_, SubjectAltName(names)))) = found else {
            return Self::default();
        };
        let dns = names.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
            _ => None,
        });
        Self(dns.collect())
    }

    /// Whether this is one of them, letter by letter. A pattern such as `*.example` is only itself.
    pub(in crate::cluster) fn has(&self, name: &NodeName) -> bool {
        self.0.iter().any(|one| one == name.as_str())
    }
}

/// The certificates in use, and their replacement while the server runs.
#[derive(Debug)]
pub(in crate::cluster) struct TlsStore {
    own: TlsFiles,
    authorities: PathBuf,
    name: NodeName,
    current: RwLock<Arc<Material>>,
}

/// How to agree on TLS with others.
#[derive(Debug)]
pub(in crate::cluster) struct Material {
    /// With who connects.
    pub(in crate::cluster) server: Arc<ServerConfig>,
    /// With whom this node connects to.
    pub(in crate::cluster) client: Arc<ClientConfig>,
}

impl TlsStore {
    pub(in crate::cluster) fn open(
        own: TlsFiles,
        authorities: PathBuf,
        name: &NodeName,
    ) -> Result<Self, TrustError> {
        let material = load(&own, &authorities, name)?;
        Ok(Self {
            own,
            authorities,
            name: name.clone(),
            current: RwLock::new(Arc::new(material)),
        })
    }

    pub(in crate::cluster) fn current(&self) -> Arc<Material> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Reads the files again whenever they change, until the future is dropped. Files that cannot be
    /// used leave those in use.
    pub(in crate::cluster) async fn renew(&self) {
        let mut ticks = interval(TLS_LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.look();
        loop {
            ticks.tick().await;
            let found = self.look();
            if found.is_none() || found == seen {
                continue;
            }
            seen = found;
            match load(&self.own, &self.authorities, &self.name) {
                Ok(material) => {
                    let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                    *current = Arc::new(material);
                    tracing::info!("the certificates of the cluster have changed and are in use");
                }
                Err(error) => tracing::warn!("{error}; those that were read before stay in use"),
            }
        }
    }

    fn look(&self) -> Option<[FileMark; 3]> {
        Some([
            FileMark::of(&self.own.certificate)?,
            FileMark::of(&self.own.key)?,
            FileMark::of(&self.authorities)?,
        ])
    }
}

fn load(own: &TlsFiles, authorities: &Path, name: &NodeName) -> Result<Material, TrustError> {
    let key = own.load()?;
    let names = Names::of(Some(&key.cert));
    if !names.has(name) {
        return Err(TrustError::OtherName {
            path: own.certificate.clone(),
            name: name.clone(),
            found: names.0.join(", "),
        });
    }
    let roots = Arc::new(roots(authorities)?);
    let provider = Arc::new(ring::default_provider());
    let key = Arc::new(SingleCertAndKey::from(key));
    let problem = |error: &dyn std::fmt::Display| TrustError::Protocol(error.to_string());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| problem(&error))?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| problem(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&key) as Arc<_>);
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let chain = Chain {
        roots,
        provider: Arc::clone(&provider),
    };
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| problem(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(chain))
        .with_client_cert_resolver(key);
    client.resumption = Resumption::disabled();
    client.enable_sni = false;
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Material {
        server: Arc::new(server),
        client: Arc::new(client),
    })
}

fn roots(path: &Path) -> Result<RootCertStore, TrustError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|problem| TrustError::Authorities {
        path: path.to_owned(),
        problem,
    })?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err(TrustError::NoAuthorities {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

/// That a certificate was signed by the authorities, whatever name it has: [`Names::has`] is asked about
/// that as soon as it is known who should answer.
#[derive(Debug)]
struct Chain {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Chain {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(own)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, own, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, own, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
