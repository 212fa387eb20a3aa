//! TLS from files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate with its key, by which a [`Server`](crate::Server) speaks TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("cannot read {what} from `{}`", path.display())]
    File {
        /// What is sought.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it was not found.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate and the key do not go together.
    #[error("cannot use the certificate with the key")]
    Pair(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key, both in PEM.
    ///
    /// # Errors
    /// [`TlsError`] if a file cannot be read, or what it holds cannot be used.
    pub fn from_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let chain = read(certificates.as_ref(), "certificates", |path| {
            let chain: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
            if chain.is_empty() {
                Err(pem::Error::NoItemsFound)
            } else {
                Ok(chain)
            }
        })?;
        let key = read(key.as_ref(), "a private key", |path| {
            PrivateKeyDer::from_pem_file(path)
        })?;
        Self::new(chain, key).map_err(|error| TlsError::Pair(error.into()))
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
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

/// Shows nothing of the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
