//! A server on a real socket, and clients for it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crm_chat_credentials::MemoryCredentials;
use crm_chat_domain::Store;
use crm_chat_rest::{Options, Server, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::Secrets;

/// A server that runs until it is stopped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) secrets: Secrets,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn over(
        store: impl Store + 'static,
        options: Options,
        tls: Option<Tls>,
    ) -> Self {
        let credentials = MemoryCredentials::new().expect("randomness is available");
        let secrets = Secrets::issue(&credentials).await;
        let server = Server::bind("127.0.0.1:0", store, credentials, options).await;
        let mut server = server.expect("a free port");
        if let Some(tls) = tls {
            server = server.with_tls(tls);
        }
        let address = server.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, secrets, stop, ended }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        let client = Client::connect(self.address).await;
        client.expect("the server accepts connections")
    }

    /// Returns the value of a metric, or 0 if it is missing.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.connect().await.metrics().await.expect("the metrics");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Waits until a metric has a value.
    pub(crate) async fn wait_for_metric(&self, name: &str, expected: u64) {
        let line = format!("\n{name} {expected}\n");
        let mut text = String::new();
        let seen = async {
            let mut client = self.connect().await;
            while !text.contains(&line) {
                text = client.metrics().await.expect("the metrics");
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_mins(1), seen).await;
        assert!(seen.is_ok(), "`{name}` does not become {expected}: {text}");
    }

    /// Waits until a number of connections have been refused or aborted for a reason.
    pub(crate) async fn wait_for_refusals(&self, reason: &str, expected: u64) {
        let name = format!("crm_chat_connections_refused_total{{reason=\"{reason}\"}}");
        self.wait_for_metric(&name, expected).await;
    }
}

/// Awaits a future, and fails the test instead of letting it hang.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_mins(1), future).await;
    ended.expect("the test does not hang")
}

/// A response with its headers. Their names are in lower case.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl RawResponse {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }

    /// Asserts that this is an error in the format of the API, after which the server closes the
    /// connection.
    #[track_caller]
    pub(crate) fn assert_refusal(&self, status: u16, code: &str, description: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let expected = serde_json::json!({"error": code, "error_description": description});
        assert_eq!(self.json(), expected);
        let header = |name: &str| self.headers.get(name).map(String::as_str);
        assert_eq!(header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(header("connection"), Some("close"));
        assert_eq!(header("retry-after"), (status == 503).then_some("1"));
    }
}

/// A client connection.
pub(crate) struct Client<S>(pub(crate) BufStream<S>);

impl Client<TcpStream> {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufStream::new(TcpStream::connect(address).await?)))
    }

    /// Connects from a given address of the loopback network.
    pub(crate) async fn connect_from(source: &str, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(format!("{source}:0").parse().expect("an address"))?;
        Ok(Self(BufStream::new(socket.connect(address).await?)))
    }
}

impl Client<TlsStream<TcpStream>> {
    pub(crate) async fn connect_tls(
        address: SocketAddr,
        trusted: Vec<CertificateDer<'static>>,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = "localhost".try_into().expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        Ok(Self(BufStream::new(stream)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    pub(crate) async fn send(&mut self, path: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        let length = body.len();
        let verb = if path.starts_with("/rest") { "POST" } else { "GET" };
        let head = format!(
            "{verb} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.0.write_all(head.as_bytes()).await?;
        self.0.write_all(body).await?;
        self.0.flush().await
    }

    /// Reads a response. Fails if the connection ends early.
    pub(crate) async fn receive_raw(&mut self) -> io::Result<RawResponse> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = HashMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let length = headers.get("content-length");
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(RawResponse { status, headers, body })
    }

    pub(crate) async fn receive(&mut self) -> io::Result<(u16, Json)> {
        let response = self.receive_raw().await?;
        Ok((response.status, response.json()))
    }

    pub(crate) async fn request(&mut self, path: &str) -> io::Result<(u16, Json)> {
        self.send(path, "", b"").await?;
        self.receive().await
    }

    pub(crate) async fn metrics(&mut self) -> io::Result<String> {
        self.send_bytes(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        let response = self.receive_raw().await?;
        Ok(String::from_utf8(response.body).expect("text"))
    }

    /// Asserts that the server closes the connection without a reset and without further data.
    pub(crate) async fn assert_closed_cleanly(&mut self) {
        let mut rest = Vec::new();
        let read = soon(self.0.read_to_end(&mut rest)).await;
        assert_eq!(read.expect("a clean close"), 0, "{rest:?}");
    }
}

/// Writes a self-signed certificate and its key into a directory, and returns the certificate.
pub(crate) fn write_pair(directory: &Path, name: &str) -> Vec<CertificateDer<'static>> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let path = |end: &str| directory.join(format!("{name}.{end}"));
    std::fs::write(path("crt"), cert.pem()).expect("writing succeeds");
    std::fs::write(path("key"), signing_key.serialize_pem()).expect("writing succeeds");
    CertificateDer::pem_file_iter(path("crt"))
        .expect("the server reads it")
        .map(|cert| cert.expect("a PEM certificate"))
        .collect()
}
