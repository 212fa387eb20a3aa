//! Answers to peers whose request does not reach the methods.

use std::io;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The time within which a refused peer must take its answer.
const TIME: Duration = Duration::from_secs(2);

/// An answer in the form of every other error, after which the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
}

impl Refusal {
    pub(crate) const OVERLOADED: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "OVERLOAD_LIMIT",
        description: "too many connections: repeat later",
    };
    pub(crate) const PLAIN_HTTP: Self =
        Self::invalid(StatusCode::BAD_REQUEST, "this port speaks https");
    pub(crate) const HEAD_TIMEOUT: Self = Self::invalid(
        StatusCode::REQUEST_TIMEOUT,
        "the head of the request did not arrive in time",
    );

    const fn invalid(status: StatusCode, description: &'static str) -> Self {
        Self { status, code: "INVALID_REQUEST", description }
    }

    /// Returns the refusal of a head that cannot be read.
    pub(crate) fn of_head(status: StatusCode) -> Self {
        let description = match status {
            StatusCode::URI_TOO_LONG => "the address of the request is too long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                "the head of the request is too long or has too many headers"
            }
            _ => "the head of the request is not valid HTTP/1.1",
        };
        Self::invalid(status, description)
    }

    fn to_bytes(self) -> Vec<u8> {
        let body = json!({"error": self.code, "error_description": self.description}).to_string();
        let retry = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => "retry-after: 1\r\n",
            _ => "",
        };
        format!(
            "HTTP/1.1 {status}\r\n\
             content-type: application/json; charset=utf-8\r\n\
             content-length: {length}\r\n\
             cache-control: no-store\r\n\
             x-content-type-options: nosniff\r\n\
             {retry}connection: close\r\n\
             date: {date}\r\n\r\n{body}",
            status = self.status,
            length = body.len(),
            date = httpdate::fmt_http_date(SystemTime::now()),
        )
        .into_bytes()
    }

    /// Sends the answer and closes the stream, in bounded time.
    pub(crate) async fn send(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let _ = timeout(TIME, self.converse(stream)).await;
    }

    /// As [`send`](Self::send), but lets the peer begin its request first. An answer that comes
    /// before any request is taken for a protocol error by some clients.
    pub(crate) async fn send_after_request(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let answering = async {
            if stream.read(&mut [0; 1024]).await? == 0 {
                return Ok(());
            }
            self.converse(stream).await
        };
        let _ = timeout(TIME, answering).await;
    }

    async fn converse(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        stream.write_all(&self.to_bytes()).await?;
        stream.shutdown().await?;
        // If bytes arrive at a closed socket, the peer's system may discard the answer unread.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    }
}
