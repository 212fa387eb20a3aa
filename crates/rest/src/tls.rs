//! TLS configuration from files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate and its private key, with which a [`Server`](crate::Server) serves TLS 1.2 and
/// 1.3.
///
/// Clones share their state: after one of them [reloads](Self::reload) the files, all of them use
/// the new certificate.
#[derive(Clone)]
pub struct Tls(Arc<TlsState>);

struct TlsState {
    certificates: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

/// The error returned if TLS cannot be configured from files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or does not contain the expected PEM item.
    #[error("cannot read {what} from `{}`", path.display())]
    File {
        /// The expected content.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The underlying error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate and the key do not match.
    #[error("the certificate does not match the private key")]
    Pair(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Tls {
    /// Reads a certificate chain, starting with the server's own certificate, and its private key.
    /// Both files are in PEM format.
    ///
    /// # Errors
    /// [`TlsError`] if a file cannot be read or its content is not usable.
    pub fn from_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let (certificates, key) = (certificates.as_ref().to_owned(), key.as_ref().to_owned());
        let config = RwLock::new(load(&certificates, &key)?);
        Ok(Self(Arc::new(TlsState { certificates, key, config })))
    }

    /// Reads the files again. Future handshakes use the new certificate; open connections are not
    /// affected.
    ///
    /// # Errors
    /// [`TlsError`] if a file cannot be read or its content is not usable. The previous certificate
    /// and key then remain in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = load(&self.0.certificates, &self.0.key)?;
        let mut current = self.0.config.write().unwrap_or_else(PoisonError::into_inner);
        *current = config;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.0.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn load(certificates: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = read(certificates, "certificates", |path| {
        let chain: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
        if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
    })?;
    let key = read(key, "a private key", |path| PrivateKeyDer::from_pem_file(path))?;
    configure(chain, key).map_err(|error| TlsError::Pair(error.into()))
}

fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

fn read<T>(
    path: &Path,
    what: &'static str,
    read: impl FnOnce(&Path) -> Result<T, pem::Error>,
) -> Result<T, TlsError> {
    read(path).map_err(|source| TlsError::File {
        what,
        path: path.to_owned(),
        source: source.into(),
    })
}

/// Shows the paths only, because the key is secret.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificates", &self.0.certificates)
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}
