//! Responses to requests that cannot reach the router.

use std::io;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::time::wall_clock;

/// The time within which the peer must receive the response.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// An error response in the format of the API, after which the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlyResponse {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
}

impl EarlyResponse {
    pub(crate) const OVERLOADED: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "OVERLOAD_LIMIT",
        description: "too many connections: retry later",
    };
    pub(crate) const PLAIN_HTTP: Self =
        Self::invalid(StatusCode::BAD_REQUEST, "this port requires https");
    pub(crate) const HEAD_TIMEOUT: Self = Self::invalid(
        StatusCode::REQUEST_TIMEOUT,
        "the head of the request did not arrive in time",
    );

    const fn invalid(status: StatusCode, description: &'static str) -> Self {
        Self { status, code: "INVALID_REQUEST", description }
    }

    /// Returns the response to a head that hyper has rejected with a status.
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
            date = httpdate::fmt_http_date(wall_clock()),
        )
        .into_bytes()
    }

    /// Sends the response and closes the stream, within a bounded time.
    pub(crate) async fn send(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let _ = timeout(SEND_TIMEOUT, self.send_and_drain(stream)).await;
    }

    /// Sends the response like [`send`](Self::send), but waits for the start of a request first.
    /// Some clients report a response that precedes their request as a protocol error.
    pub(crate) async fn send_after_request(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let responding = async {
            if stream.read(&mut [0; 1024]).await? == 0 {
                return Ok(());
            }
            self.send_and_drain(stream).await
        };
        let _ = timeout(SEND_TIMEOUT, responding).await;
    }

    async fn send_and_drain(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<()> {
        stream.write_all(&self.to_bytes()).await?;
        stream.shutdown().await?;
        // If data arrives at a closed socket, the peer's system may discard the unread response.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    }
}
